from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.importers.labels import ParseFailure
from bakeoff.importers.number_columns import (
    MEANINGS,
    ColumnValues,
    VerdictColumn,
    column_values,
    parse_meaning,
    preference,
)
from bakeoff.importers.reader import read
from tests.builders import write_file
from tests.unit.importers.sample_files import alpaca, counts_of, error_of, evidence, first_of

AMBIGUOUS: list[tuple[list[Any], list[str]]] = [
    ([0, 1], ["probability=C (0: b, 1: a)", "index_from_0=C (0: a, 1: b)"]),
    (["0", "1"], ["probability=C (0: b, 1: a)", "index_from_0=C (0: a, 1: b)"]),
    ([0.0, 1.0, None, ""], ["probability=C (0: b, 1: a)", "index_from_0=C (0: a, 1: b)"]),
    (
        [0, 0.5, 1],
        ["probability=C (0: b, 0.5: a tie, 1: a)", "index_from_0=C (0: a, 0.5: a tie, 1: b)"],
    ),
    ([0], ["probability=C (0: b)", "index_from_0=C (0: a)"]),
    ([1], ["probability=C (1: a)", "index_from_0=C (1: b)"]),
    (
        [0, 1, 2],
        ["index_from_0=C (0: a, 1: b, 2: a tie)", "index_from_1=C (0: a tie, 1: a, 2: b)"],
    ),
    ([2], ["index_from_0=C (2: a tie)", "index_from_1=C (2: b)"]),
    (
        [True, False],
        ["probability=C (false: b, true: a)", "index_from_0=C (false: a, true: b)"],
    ),
    (
        ["True", "false"],
        ["probability=C (false: b, true: a)", "index_from_0=C (false: a, true: b)"],
    ),
]
OF_PREFERENCES: list[tuple[list[Any], list[str]]] = [
    ([1, 2], ["index_from_0=C (1: b, 2: a tie)", "index_from_1=C (1: a, 2: b)"]),
    (["1.0", "2.0"], ["index_from_0=C (1: b, 2: a tie)", "index_from_1=C (1: a, 2: b)"]),
    ([1, 1.5, 2], ["index_from_1=C (1: a, 1.5: a tie, 2: b)"]),
]


def rows_of(column: str, values: list[Any]) -> list[dict[str, Any]]:
    return [
        {"prompt_id": n, "model_a": "x", "model_b": "y", column: value}
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize("column", ["preference", "winner"])
@pytest.mark.parametrize(("values", "ways"), AMBIGUOUS)
def test_numbers_that_may_name_either_are_refused_with_the_ways_to_say_it(
    tmp_path: Path, column: str, values: list[Any], ways: list[str]
) -> None:
    path = write_file(tmp_path / "a.json", rows_of(column, values))
    message = error_of(path)
    expected = " or ".join(f"--columns {way.replace('C', column, 1)}" for way in ways)
    assert message.endswith(f"do not say which of the two is better: say it with {expected}")
    assert f"in {column!r} (" in message
    for way in ways:
        standard = way.partition("=")[0]
        assert counts_of(read([path], columns={standard: column}).evidence)[0] >= 1


@pytest.mark.parametrize(("values", "ways"), OF_PREFERENCES)
def test_a_preference_of_1_or_2_is_refused(
    tmp_path: Path, values: list[Any], ways: list[str]
) -> None:
    message = error_of(write_file(tmp_path / "a.json", rows_of("preference", values)))
    assert message.endswith(
        " or ".join(f"--columns {way.replace('C', 'preference', 1)}" for way in ways)
    )


@pytest.mark.parametrize("values", [[-1, 1], [-1, 0, 1], [1, 3, 5], [50, 70], [3]])
def test_numbers_without_a_meaning_are_refused(tmp_path: Path, values: list[Any]) -> None:
    message = error_of(write_file(tmp_path / "a.json", rows_of("preference", values)))
    assert "are neither probabilities nor indices of the winner: write a, b or tie" in message


@pytest.mark.parametrize("name", ["label", "chosen", "index of the winner", "better_response"])
def test_a_mapped_column_is_named_as_in_the_file(tmp_path: Path, name: str) -> None:
    path = write_file(tmp_path / "a.json", rows_of(name, [0, 1, 1]))
    for standard in ("winner", "preference"):
        message = error_of(path, columns={standard: name})
        assert f"--columns probability={name} (0: b, 1: a)" in message
    preferences = {
        standard: [
            j.verdict.first for j in read([path], columns={standard: name}).evidence.judgments
        ]
        for standard in MEANINGS
    }
    assert preferences == {
        "probability": [0, 1, 1],
        "index_from_0": [1, 0, 0],
        "index_from_1": [0.5, 1, 1],
    }


def test_the_meaning_takes_precedence_over_other_columns(tmp_path: Path) -> None:
    rows = [{**row, "winner": "a", "score_a": 9, "score_b": 2} for row in rows_of("p", [0, 1])]
    result = evidence(tmp_path, rows, columns={"probability": "p"})
    assert [j.verdict.first for j in result.judgments] == [0, 1]


def test_a_meaning_is_no_column_of_a_file(tmp_path: Path) -> None:
    rows = [{**row, "probability": 1.0, "index_from_0": 0} for row in rows_of("winner", ["b"])]
    assert first_of(evidence(tmp_path, rows).judgments) == [("x", 0)]


@pytest.mark.parametrize("values", [[0, 1, 0.25], [0.1], ["0.9", "1"], [0.5, 0.75]])
def test_fractions_are_probabilities(tmp_path: Path, values: list[Any]) -> None:
    result = evidence(tmp_path, rows_of("preference", values))
    assert [j.verdict.first for j in result.judgments] == list(map(float, values))


def test_a_half_is_a_tie_under_every_meaning(tmp_path: Path) -> None:
    result = evidence(tmp_path, rows_of("preference", [0.5, "0.5", None]))
    assert [j.verdict.first for j in result.judgments] == [0.5, 0.5]
    assert counts_of(result) == (2, 1)


def test_words_of_a_preference_are_winners(tmp_path: Path) -> None:
    result = evidence(tmp_path, rows_of("preference", ["model_a", "B", "tie", "y", None]))
    assert [j.verdict.first for j in result.judgments] == [1, 0, 0.5, 0]
    assert [f.kind for f in result.failures] == ["missing"]


@pytest.mark.parametrize("more", [{}, {"input": "", "raw_preference": 0.3}])
@pytest.mark.parametrize(
    ("values", "firsts"),
    [
        ([1, 2], [1, 0]),
        (["1", "2.0"], [1, 0]),
        ([1, 1], [1, 1]),
        ([2], [0]),
        ([0, 1, 2], [0.5, 1, 0]),
        ([1, 1.5, 2], [1, 0.5, 0]),
        ([1.25, 2], [0.75, 0]),
    ],
)
def test_alpaca_farm_numbers_its_outputs_from_1(
    tmp_path: Path, values: list[Any], firsts: list[float], more: dict[str, Any]
) -> None:
    rows = [
        {"instruction": f"q{n}", "output_1": "x", "output_2": "y", "preference": value, **more}
        for n, value in enumerate(values)
    ]
    result = evidence(tmp_path, rows)
    assert [j.verdict.first for j in result.judgments] == firsts
    assert {j.first for j in result.judgments} == {"a"}
    assert "1 is output_1, 2 is output_2" in " ".join(result.notes)


@pytest.mark.parametrize("values", [[0, 1], [0]])
def test_alpaca_farm_has_no_index_from_0(tmp_path: Path, values: list[Any]) -> None:
    rows = [
        {"instruction": f"q{n}", "output_1": "x", "output_2": "y", "preference": value}
        for n, value in enumerate(values)
    ]
    assert "--columns index_from_0=preference" in error_of(write_file(tmp_path / "a.json", rows))


def test_alpaca_eval_needs_a_preference_above_1(tmp_path: Path) -> None:
    rows = [alpaca(value, instruction=f"q{value}") for value in (0, 1)]
    message = error_of(write_file(tmp_path / "a.json", rows))
    assert "AlpacaEval's preferences are from 1 to 2" in message
    columns = {"index_from_0": "preference", "model_a": "generator_1", "model_b": "generator_2"}
    result = read([tmp_path / "a.json"], columns=columns).evidence
    assert [(j.first, j.verdict.first) for j in result.judgments] == [("base", 1), ("base", 0)]
    for values in ([0, 1, 2], [0, 1, 1.0001], [1]):
        assert counts_of(evidence(tmp_path, [alpaca(v) for v in values])) == (len(values), 0)
    itself = [alpaca(0, generator_1="tuned", instruction=f"q{n}") for n in range(3)]
    assert [j.verdict.first for j in evidence(tmp_path, itself).judgments] == [0.5] * 3


def test_numbers_of_winners_follow_the_names_of_the_columns(tmp_path: Path) -> None:
    for values, firsts in (([1], [1]), ([2, 2], [0, 0]), ([0, 1, 2], [0.5, 1, 0])):
        rows = [
            {"prompt_id": n, "model_1": "x", "model_2": "y", "winner": value}
            for n, value in enumerate(values)
        ]
        assert [j.verdict.first for j in evidence(tmp_path, rows).judgments] == firsts
    rows = [
        {"prompt_id": n, "model_1": "x", "model_2": "y", "winner": value}
        for n, value in enumerate((0, 1))
    ]
    assert "index_from_0=winner" in error_of(write_file(tmp_path / "a.json", rows))


def test_a_number_that_names_a_model_is_no_index(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": n, "model_a": "7", "model_b": "8", "winner": value}
        for n, value in enumerate((7, "8", 7.0))
    ]
    assert [j.verdict.first for j in evidence(tmp_path, rows).judgments] == [1, 0, 1]


@given(st.floats(-3, 3), st.sampled_from(MEANINGS))
def test_meanings_are_preferences_from_0_to_1(number: float, meaning: Any) -> None:
    value = preference(number, meaning)
    assert value is None or 0 <= value <= 1
    parsed = parse_meaning("c", number, meaning)
    assert parsed == value or (value is None and isinstance(parsed, ParseFailure))


@given(st.lists(st.sampled_from([0, 0.5, 1, 1.5, 2, None, True, "x"]), max_size=4))
def test_a_refusal_names_ways_that_read_every_number(values: list[Any]) -> None:
    column = VerdictColumn("f", "c", column_values(values))
    readable = [
        m for m in MEANINGS if all(preference(n, m) is not None for n in column.values.numbers)
    ]
    if not column.values.all_boolean and column.values.numbers <= {0.5}:
        expected = "probability" if column.values.numbers else None
        assert column.probability_or_index(numbered_from_1=False) == expected
        return
    with pytest.raises(ConfigError) as error:
        column.probability_or_index(numbered_from_1=False)
    message = str(error.value)
    ways = {name for name in MEANINGS if f"--columns {name}=c" in message}
    assert ways <= set(readable)
    assert bool(ways) == bool(readable)
    assert len(message.splitlines()) == 1


def test_kinds_of_values() -> None:
    assert column_values([1, "2", None, " ", [1]]) == ColumnValues(frozenset({1, 2}), False, False)
    assert column_values(["x", True]) == ColumnValues(frozenset(), True, False)
    assert column_values([True, "false", None]).all_boolean
    assert not column_values([True, "false", 1]).all_boolean
    assert not column_values([None]).all_boolean
