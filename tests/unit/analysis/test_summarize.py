"""Properties of any summary, and of all pairs together."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.summarize import summarize
from bakeoff.records import (
    Evidence,
    Judgment,
    PairSummary,
    Scores,
    Summary,
)
from tests.builders import make_completion
from tests.marks import examples
from tests.unit.analysis.builders import (
    both,
    evidence,
    failure,
    judgment,
    prompt,
    rows,
    texts,
    won,
    words_by_model,
)


def numbers(value: object) -> Iterator[float]:
    """Every number in a record, in order."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def given_evidence(judgments: list[Judgment], words: dict[str, list[str]]) -> Evidence:
    prompts = tuple(prompt(n, tags=("odd",) if n % 2 else ()) for n in range(25))
    completions = tuple(row for model, all_ in words.items() for row in texts(model, all_))
    return evidence(judgments, prompts=prompts, completions=completions)


def mirrored(summary: PairSummary) -> dict[str, Any]:
    """The statistics of a pair as expected for the swapped pair."""
    dump = summary.model_dump()

    def turned(estimate: dict[str, Any] | None, about: float = 1.0) -> dict[str, Any] | None:
        if estimate is None:
            return None
        keys = {"estimate": about - estimate["estimate"]}
        keys |= {"low": about - estimate["high"], "high": about - estimate["low"]}
        return estimate | keys

    order, controls = dump["order"], dump["controls"]
    difference = dump["score_difference"]
    shown = order["shown_first"]
    worst = dump["accounting"]["worst_case"]
    dump |= {"a": dump["b"], "b": dump["a"], "wins": dump["losses"], "losses": dump["wins"]}
    dump |= {"scores_a": dump["scores_b"], "scores_b": dump["scores_a"]}
    dump |= {"scored_better": dump["scored_worse"], "scored_worse": dump["scored_better"]}
    dump["win_rate"], dump["decisive_win_rate"] = (
        turned(dump["win_rate"]),
        turned(dump["decisive_win_rate"]),
    )
    for name in ("published", "other_judges", "judges_win_rate"):
        dump[name] = turned(dump[name])
    share = dump["winner_share"]
    dump["winner_share"] = None if share is None else 1 - share
    order["balanced"] = turned(order["balanced"])
    order["shown_first"] = None if shown is None else 1 - shown
    if controls:
        controls["rate"] = turned(controls["rate"])
        for effect in (controls, *controls["effects"]):
            effect["explained"] = turned(effect["explained"], 0.0)
    if difference:
        difference["value"] = turned(difference["value"], 0.0)
    for judge in dump["judges"]:
        judge["win_rate"], judge["win_rate_without"] = (
            turned(judge["win_rate"]),
            turned(judge["win_rate_without"]),
        )
    for row in dump["slices"]:
        row["win_rate"] = turned(row["win_rate"])
        row["outcome"] = {"better": "worse", "worse": "better"}.get(row["outcome"], row["outcome"])
    leak_effect = dump["thinking"]
    if leak_effect:
        leak_effect |= {"only_a": leak_effect["only_b"], "only_b": leak_effect["only_a"]}
        leak_effect["rate_only_a"], leak_effect["rate_only_b"] = (
            turned(leak_effect["rate_only_b"]),
            turned(leak_effect["rate_only_a"]),
        )
    dump["accounting"]["worst_case"] = (1 - worst[1], 1 - worst[0])
    dump["outcome"] = {"better": "worse", "worse": "better"}.get(dump["outcome"], dump["outcome"])
    return dump


WORDS = {"verdict", "reasons", "flags"}  # sentences about one side or the other


@examples(100)
@given(rows, words_by_model)
def test_swapping_the_models_mirrors_every_number(
    judgments: list[Judgment], words: dict[str, list[str]]
) -> None:
    data = given_evidence(judgments, words)
    ab = summarize(data).pairs[0]
    ba = summarize(data.model_copy(update={"models": ("b", "a")})).pairs[0]
    expected, actual = mirrored(ab), ba.model_dump()
    for key in actual.keys() - WORDS:
        values = pytest.approx(list(numbers(expected[key])), abs=1e-6)
        assert list(numbers(actual[key])) == values, key
    kinds = {reason.kind for reason in ab.reasons}
    assert kinds == {reason.kind for reason in ba.reasons}


def rich(seed: int = 1) -> Evidence:
    """40 prompts by two judges that prefer length, in both orders, with scores and tags."""
    rng = np.random.default_rng(seed)
    judgments = []
    for n in range(40):
        for judge in "jk":
            value = float(rng.choice([0.0, 0.5, 1.0], p=[0.3, 0.2, 0.5]))
            points = Scores(*rng.integers(1, 10, 2).tolist())
            judgments += both(n, value, judge=judge, scores=points)
    lengths = rng.integers(1, 60, (2, 40))
    words = {m: ["x" * int(k) for k in row] for m, row in zip("ab", lengths, strict=True)}
    return given_evidence(judgments, words)


def test_swapping_the_models_of_a_rich_pair_mirrors_every_number() -> None:
    data = rich()
    ab = summarize(data).pairs[0]
    ba = summarize(data.model_copy(update={"models": ("b", "a")})).pairs[0]
    assert ab.length is not None
    assert ab.controls is not None
    assert ab.controls.rate is not None
    expected, actual = mirrored(ab), ba.model_dump()
    for key in actual.keys() - WORDS:
        values = pytest.approx(list(numbers(expected[key])), abs=1e-6)
        assert list(numbers(actual[key])) == values, key


def test_repeating_every_row_of_a_rich_pair_changes_no_interval() -> None:
    data = rich()
    repeats = [row.model_copy(update={"repeat": 1}) for row in data.judgments]
    twice = data.model_copy(update={"judgments": (*data.judgments, *repeats)})
    excluded: dict[str, Any] = {"accounting": True, "agreement": True, "variance": True}
    excluded |= dict.fromkeys(WORDS, True)
    counts = {"asked", "judged", "scored", "contradicted"}
    excluded["judges"] = {"__all__": counts | {"repeat_agreement"}}
    pairs = [summarize(data_).pairs[0] for data_ in (data, twice)]
    for once, again in zip(pairs[0].judges, pairs[1].judges, strict=True):
        assert all(getattr(again, name) == 2 * getattr(once, name) > 0 for name in counts)
    single, doubled = (pair.model_dump(exclude=excluded) for pair in pairs)
    assert list(numbers(doubled)) == pytest.approx(list(numbers(single)), abs=1e-7)


@examples(100)
@given(rows, words_by_model, st.randoms())
def test_the_order_of_rows_and_prompts_changes_nothing(
    judgments: list[Judgment], words: dict[str, list[str]], random: Any
) -> None:
    data = given_evidence(judgments, words)
    mixed: dict[str, Any] = {}
    for field in ("judgments", "prompts", "completions"):
        mixed[field] = list(getattr(data, field))
        random.shuffle(mixed[field])
    summary = summarize(data).model_dump()
    other = summarize(data.model_copy(update=mixed)).model_dump()
    assert list(numbers(other)) == pytest.approx(list(numbers(summary)), abs=1e-7)
    assert [p["outcome"] for p in other["pairs"]] == [p["outcome"] for p in summary["pairs"]]


@examples(100)
@given(rows, st.integers(1, 5), st.sampled_from(["p0", "p1", "elsewhere"]))
def test_a_failure_changes_no_estimate_but_the_bounds(
    judgments: list[Judgment], failed: int, where: str
) -> None:
    clean = summarize(evidence(judgments)).pairs[0]
    broken = summarize(evidence(judgments, failures=(failure(where),) * failed)).pairs[0]
    excluded: dict[str, Any] = dict.fromkeys(
        ("accounting", "outcome", "verdict", "reasons", "slices"), True
    )
    excluded["judges"] = {
        "__all__": {"asked", "failed", "unreadable", "outcome", "outcome_without"}
    }
    assert broken.model_dump(exclude=excluded) == clean.model_dump(exclude=excluded)
    for slice_, same in zip(broken.slices, clean.slices, strict=True):
        assert (slice_.win_rate, slice_.p, slice_.prompts) == (same.win_rate, same.p, same.prompts)
    assert broken.accounting.failed == failed
    assert broken.accounting.failed_by_kind == {"verdict": failed}
    assert broken.accounting.worst_case is not None
    assert broken.win_rate is not None
    low, high = broken.accounting.worst_case
    assert low < high
    expected = (clean.win_rate.estimate,) * 2  # type: ignore[union-attr]
    assert clean.accounting.worst_case == pytest.approx(expected, abs=1e-8)


@examples(100)
@given(rows, words_by_model)
def test_repeating_every_row_with_its_prompt_changes_no_interval(
    judgments: list[Judgment], words: dict[str, list[str]]
) -> None:
    once, twice = (summarize(given_evidence(judgments * n, words)).pairs[0] for n in (1, 2))
    same = {"prompts", "wins", "losses", "ties", "win_rate", "decisive", "sign", "scores_a"}
    same |= {"score_difference", "consistency", "flipped", "order", "power", "outcome"}
    same |= {"length", "markdown", "thinking", "slices"}
    assert list(numbers(twice.model_dump(include=same))) == pytest.approx(
        list(numbers(once.model_dump(include=same))), abs=1e-7
    )


@examples(100)
@given(rows, words_by_model, st.integers(0, 3))
def test_no_number_is_nan_and_the_document_round_trips(
    judgments: list[Judgment], words: dict[str, list[str]], failed: int
) -> None:
    data = given_evidence(judgments, words)
    summary = summarize(data.model_copy(update={"failures": (failure(),) * failed}))
    assert all(math.isfinite(number) for number in numbers(summary.model_dump()))
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


@examples(100)
@given(rows)
def test_every_verdict_says_its_outcome(judgments: list[Judgment]) -> None:
    summary = summarize(evidence(judgments)).pairs[0]
    begins = {
        "better": "a is better than b",
        "worse": "b is better than a",
        "equivalent": "No difference",
        "not enough data": "Not enough data",
        "withheld": "Verdict withheld",
    }
    assert summary.verdict.startswith(begins[summary.outcome])


def test_pairs_without_judgments_and_failures_are_left_out() -> None:
    rows_ = [judgment(0, "a", 1.0), judgment(0, "a", 1.0, second="c")]
    summary = summarize(evidence(rows_, models=("a", "b", "c")))
    assert [(pair_.a, pair_.b) for pair_ in summary.pairs] == [("a", "b"), ("a", "c")]


def test_holm_p_values_are_set_for_several_pairs_only() -> None:
    rows_ = won(16, 5)
    rows_ += [judgment(n, "a", float(n < 15), second="c") for n in range(20)]
    rows_ += [judgment(n, "c", float(n >= 15), second="a") for n in range(20)]
    several = summarize(evidence(rows_, models=("a", "b", "c"))).pairs
    raw = [row.test.p for row in several if row.test]
    assert [row.holm_p for row in several] == pytest.approx(
        [2 * min(raw), max(2 * min(raw), max(raw))]
    )
    assert summarize(evidence(won(16, 5))).pairs[0].holm_p is None


def test_the_summary_has_notes_and_the_estimand() -> None:
    summary = summarize(evidence(won(1, 1), notes=("mind the gap",)))
    assert summary.notes == ("mind the gap",)
    assert "a tie counting half" in summary.estimand


def test_summary_flags_are_those_of_models_and_pairs() -> None:
    empty = [make_completion("p0", "a", "")]
    summary = summarize(evidence(won(2, 18), completions=tuple(empty)))
    assert {"low win rate", "empty"} <= {flag.kind for flag in summary.flags}
