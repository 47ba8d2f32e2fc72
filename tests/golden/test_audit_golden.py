"""`bakeoff.audit` on the golden evaluations in every format, against independent numbers.

`make_golden.py` writes the evaluations, `reference.py` computes the numbers without bakeoff.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

import bakeoff
from bakeoff.importers.reader import importers
from tests.golden import make_golden
from tests.golden.actual_values import NumbersByPair, audit, numbers_of
from tests.golden.comparison import changeable, differences, read, unexpected

EXPECTED = read(make_golden.EXPECTED_AUDIT)
NAMES = list(make_golden.EVALUATIONS)
OTHER_SEEDS = (8, 9, 10)


@cache
def audit_results(name: str) -> bakeoff.Results:
    return audit(name, [make_golden.DATA / file for file in make_golden.files(name)])


@cache
def audit_numbers(name: str) -> NumbersByPair:
    return numbers_of(audit_results(name))


def numbers_of_files(name: str, files: Mapping[str, str], folder: Path) -> NumbersByPair:
    """The numbers of an evaluation with other file contents."""
    folder.mkdir(exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return numbers_of(audit(name, [folder / file for file in files]))


@pytest.mark.parametrize(("name", "pair"), [(n, pair) for n in NAMES for pair in EXPECTED[n]])
def test_numbers_match_the_reference(name: str, pair: str) -> None:
    assert differences(EXPECTED[name][pair], audit_numbers(name)[pair]) == {}
    assert unexpected(EXPECTED[name][pair], audit_numbers(name)[pair]) == set()


@pytest.mark.parametrize("name", NAMES)
def test_pairs_match_the_file(name: str) -> None:
    assert audit_numbers(name).keys() == EXPECTED[name].keys()


def test_every_format_has_an_evaluation() -> None:
    formats = {str(format) for name in NAMES for format in audit_results(name).config["format"]}  # type: ignore[union-attr]
    assert formats == set(importers())


# The comparison can fail: with a changed value, without a row, and with other data.

# A replacement in the first file, and a number of the first pair that it changes.
CHANGES = {
    "alpaca_eval": ('"preference":1.', '"preference":2,"was":1.', "win_rate.estimate"),
    "arena_hard": ('"score": "A>B"', '"score": "B>A"', "win_rate.estimate"),
    "llm_comparator": ('"is_flipped":true', '"is_flipped":false', "order.effect.estimate"),
    "pandalm": ('"annotator1": 1', '"annotator1": 2', "win_rate.estimate"),
    "script": ('"winner":"model1"', '"winner":"model2"', "win_rate.estimate"),
    "script_swapped": ('"swapped":true', '"swapped":false', "win_rate.estimate"),
    "own_results": ('"first":1.0', '"first":0.0', "win_rate.estimate"),
    "clusters": (",plum,plum,", ",quince,plum,", "win_rate.estimate"),
    "battles": ('"winner": "model_a"', '"winner": "model_b"', "win_rate.estimate"),
    "scores": (".5\n", ".0\n", "score_difference.estimate"),
    "preferences": (",a,", ",b,", "order.effect.estimate"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_value_changes_the_numbers(name: str, tmp_path: Path) -> None:
    old, new, moved = CHANGES[name]
    files = make_golden.files(name)
    file = next(iter(files))
    assert old in files[file]
    again = numbers_of_files(name, {**files, file: files[file].replace(old, new, 1)}, tmp_path)
    pair = next(iter(EXPECTED[name]))
    assert moved in differences(EXPECTED[name][pair], again[pair])


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_row_changes_the_numbers(name: str, tmp_path: Path) -> None:
    files = make_golden.files(name)
    file = next(iter(files))
    again = numbers_of_files(name, {**files, file: without_a_row(files[file])}, tmp_path)
    wrong = [
        name_ for pair in EXPECTED[name] for name_ in differences(EXPECTED[name][pair], again[pair])
    ]
    assert "judged" in wrong


def without_a_row(text: str) -> str:
    """The text of a file of any format without its last row but one."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        lines = text.splitlines(keepends=True)
        return "".join([*lines[:-2], lines[-1]])
    rows = document
    if isinstance(document, dict):
        keys = ("judgments", "results", "examples")
        rows = next(document[key] for key in keys if key in document)
    del rows[-2]
    return json.dumps(document)


@pytest.mark.parametrize("name", NAMES)
def test_other_data_changes_every_number(name: str, tmp_path: Path) -> None:
    same = {pair: changeable(numbers) for pair, numbers in EXPECTED[name].items()}
    for seed in OTHER_SEEDS:
        again = numbers_of_files(name, make_golden.files(name, seed), tmp_path / str(seed))
        for pair, numbers in EXPECTED[name].items():
            same[pair] -= differences(numbers, again.get(pair, {})).keys()
    assert {pair: names for pair, names in same.items() if names} == {}


# Properties other than numbers, as in `tests/real_evaluations`.


def test_a_winner_needs_an_interval_that_excludes_half() -> None:
    outcomes = set()
    bounds = ("win_rate.low", "win_rate.high")
    for name in NAMES:
        for pair in audit_results(name).summary.pairs:
            rate = EXPECTED[name][f"{pair.a} vs {pair.b}"]
            low, high = (next(n[k] for n in rate.values() if k in n) for k in bounds)
            assert pair.outcome != "better" or low > 0.5
            assert pair.outcome != "worse" or high < 0.5
            outcomes.add(pair.outcome)
    assert {"better", "not enough data", "withheld"} <= outcomes


@pytest.mark.parametrize("name", NAMES)
def test_the_test_rejects_where_the_interval_excludes_half(name: str) -> None:
    for pair in audit_results(name).summary.pairs:
        numbers = audit_numbers(name)[f"{pair.a} vs {pair.b}"]
        excluded = not numbers["win_rate.low"] <= 0.5 <= numbers["win_rate.high"]
        assert (numbers["test.p"] < 0.05) == excluded


@pytest.mark.parametrize("name", [name for name in NAMES if len(EXPECTED[name]) > 1])
def test_pairs_without_a_conclusion_withhold_the_ranks(name: str) -> None:
    summary = audit_results(name).summary
    withheld = [pair for pair in summary.pairs if pair.outcome == "withheld"]
    assert bool(summary.ratings) == (not withheld)
    assert bool(summary.ratings_withheld) == bool(withheld)
    assert all(rating.ranks is None for rating in summary.published_ratings)
    assert all(rating.ranks is not None for rating in summary.ratings)


def test_a_single_order_withholds_the_verdict() -> None:
    (pair,) = audit_results("script").summary.pairs
    assert (pair.outcome, pair.order.identified) == ("withheld", "one order")
    assert "judge-one always saw willow first (32 prompts)" in pair.verdict
    assert "judge-two always saw willow first (31 prompts)" in pair.verdict


def test_a_model_against_itself_is_equivalent(tmp_path: Path) -> None:
    rows = json.loads(make_golden.files("alpaca_eval")["alpaca_eval.json"])
    same = {"generator_2": rows[0]["generator_1"], "preference": 1.5}
    for row in rows:  # with equal texts there would be nothing to judge
        del row["output_1"], row["output_2"]
    path = tmp_path / "itself.json"
    path.write_text(json.dumps([{**row, **same} for row in rows]))
    results = bakeoff.audit([path], out=tmp_path / "out", margin=20)
    (pair,) = results.summary.pairs
    assert (pair.a, pair.b) == ("reference-large", "reference-large (2)")
    assert (pair.wins, pair.losses, pair.ties) == (0, 0, 60)
    assert (pair.win_rate.estimate, pair.win_rate.se) == (0.5, 0)
    assert (pair.decisive_win_rate, pair.test.p, pair.outcome) == (None, 1.0, "equivalent")
    assert "NaN" not in (tmp_path / "out/results.json").read_text("utf-8")


def test_non_text_answer_fails_and_its_labels_count() -> None:
    results = audit_results("pandalm")
    mute = {
        (failure.participant, failure.raw)
        for failure in results.failures
        if failure.stage == "completion"
    }
    assert mute == {("elm", "True")}
    for pair in results.summary.pairs:
        assert pair.accounting.asked == 3 * 20


def test_no_golden_answer_is_suspicious() -> None:
    for name in NAMES:
        assert [
            model.model for model in audit_results(name).summary.models if model.suspicious
        ] == []
