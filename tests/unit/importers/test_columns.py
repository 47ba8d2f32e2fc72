from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.columns import STANDARD, mapped, recognised
from bakeoff.importers.documents import Document
from bakeoff.prompts.rows import Row


def table(*rows: dict[str, Any]) -> Document:
    placed = tuple(Row(f"row {n}", values) for n, values in enumerate(rows, 1))
    return Document(Path("a.csv"), {}, placed)


def values(document: Document) -> list[dict[str, Any]]:
    return [row.values for row in recognised(document)]


def test_standard_names_win_over_aliases_and_the_rest_is_left() -> None:
    rows = table({"question_id": 1, "Model A": "x", "model_1": "y", "winner": "a", "other": 2})
    assert values(rows) == [{"prompt_id": 1, "model_a": "x", "winner": "a"}]


def test_a_row_without_the_column_has_none() -> None:
    assert values(table({"winner": 1}, {"reason": "r"})) == [{"winner": 1}, {"explanation": "r"}]


def test_a_mapped_column_has_no_other_meaning() -> None:
    rows = table({"question_id": 1, "label": "a", "winner": "old"})
    named = mapped(rows, {"cluster": "question_id", "winner": "label"})
    assert values(named) == [{"cluster": 1, "winner": "a"}]


def test_one_column_may_serve_twice() -> None:
    named = mapped(table({"q": 1}), {"cluster": "q", "prompt_id": "q"})
    assert values(named) == [{"cluster": 1, "prompt_id": 1}]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"loser": "label"}, "no column 'loser' to map to; there are: prompt, prompt_id, cluster"),
        ({"winner": "lable"}, "'a.csv': no row has the column 'lable'; there are: 'label'"),
    ],
)
def test_a_mapping_that_fits_nothing(columns: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        mapped(table({"label": 1}), columns)
    assert says in str(error.value)


def test_no_alias_is_of_two_columns() -> None:
    names = [name for standard, aliases in STANDARD.items() for name in (standard, *aliases)]
    assert len(names) == len(set(names))
