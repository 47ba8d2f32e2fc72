"""The built-in labeled pairs have the documented counts and balanced lengths."""

import json
from collections import Counter
from difflib import SequenceMatcher
from importlib.resources import files

import pytest

PAIRS: list[dict[str, str]] = [
    json.loads(line)
    for line in (files("bakeoff") / "evaluation/judge_check/pairs.jsonl")
    .read_text("utf-8")
    .splitlines()
]
IDS = [pair["id"] for pair in PAIRS]
KINDS = {"irrelevant", "empty", "truncated", "wrong", "gibberish", "refusal", "repetition", "echo"}


def rows_of_set(name: str) -> list[dict[str, str]]:
    return [pair for pair in PAIRS if pair["set"] == name]


def longer(pair: dict[str, str]) -> int:
    """Return the characters of the better completion minus those of the worse one."""
    return len(pair["better"]) - len(pair["worse"])


def test_there_are_twenty_pairs_of_each_set() -> None:
    assert Counter(pair["set"] for pair in PAIRS) == {
        "easy": 20,
        "other-prompt": 20,
        "wrong-fact": 20,
    }


def test_easy_pairs_have_eight_kinds_and_the_others_one_kind_per_set() -> None:
    counts = Counter(pair["kind"] for pair in rows_of_set("easy"))
    assert set(counts) == KINDS
    assert set(counts.values()) <= {2, 3}
    assert {pair["kind"] for pair in rows_of_set("other-prompt")} == {"other prompt"}
    assert {pair["kind"] for pair in rows_of_set("wrong-fact")} == {"wrong fact"}


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_a_pair_has_all_fields_and_two_different_completions(pair: dict[str, str]) -> None:
    assert list(pair) == ["id", "set", "kind", "prompt", "better", "worse"]
    assert all(isinstance(value, str) for value in pair.values())
    assert pair["prompt"].strip()
    assert pair["better"].strip()
    assert pair["better"] != pair["worse"]


def test_ids_and_prompts_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)
    assert len({pair["prompt"].casefold().strip() for pair in PAIRS}) == len(PAIRS)


def test_an_empty_completion_is_blank_and_no_other_is() -> None:
    for pair in PAIRS:
        assert (not pair["worse"].strip()) == (pair["kind"] == "empty"), pair["id"]


def test_in_half_of_the_easy_pairs_the_better_completion_is_the_longer_one() -> None:
    assert 8 <= sum(longer(pair) > 0 for pair in rows_of_set("easy")) <= 12


def test_echo_repeats_its_prompt() -> None:
    assert all(pair["worse"] == pair["prompt"] for pair in PAIRS if pair["kind"] == "echo")


@pytest.mark.parametrize(
    ("name", "least", "most"), [("other-prompt", 150, 500), ("wrong-fact", 80, 400)]
)
def test_equal_length_completions_have_equal_length(name: str, least: int, most: int) -> None:
    for pair in rows_of_set(name):
        shorter, other = sorted((len(pair["better"]), len(pair["worse"])))
        assert least <= shorter <= other <= most, pair["id"]
        assert other - shorter <= max(2, 0.02 * shorter), pair["id"]
    differences = [longer(pair) for pair in rows_of_set(name) if longer(pair)]
    assert 2 * sum(difference > 0 for difference in differences) == len(differences)


def test_completion_of_another_prompt_is_better_there() -> None:
    # So no judge can know by the completion alone: each of them is the better one exactly once.
    pairs = rows_of_set("other-prompt")
    assert sorted(pair["worse"] for pair in pairs) == sorted(pair["better"] for pair in pairs)


def test_a_wrong_fact_changes_a_word_or_two() -> None:
    for pair in rows_of_set("wrong-fact"):
        better, worse = pair["better"].split(), pair["worse"].split()
        assert len(better) == len(worse), pair["id"]
        edits = SequenceMatcher(None, better, worse, autojunk=False).get_opcodes()
        changed = sum(end - start for kind, start, end, *_ in edits if kind != "equal")
        assert 1 <= changed <= 2, pair["id"]
