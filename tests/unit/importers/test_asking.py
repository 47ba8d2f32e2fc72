import math
from typing import Any

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.asking import label_of, name_of, prompt_of, tags_of


@pytest.mark.parametrize(
    ("value", "name", "identity", "text"),
    [
        ("q", "x", "x", "q"),
        (None, "x", "x", "question x"),
        (" ", "x", "x", "question x"),
        (None, "", "row 4", "row 4"),
        (5, "x", "x", "5"),
        ({"a": ["é"]}, "x", "x", '{"a": ["é"]}'),
        ([{"role": "nobody"}], "x", "x", '[{"role": "nobody"}]'),
    ],
)
def test_a_prompt_is_a_text_or_called_by_its_name(
    value: Any, name: str, identity: str, text: str
) -> None:
    prompt = prompt_of(value, name=name, otherwise="row 4")
    assert (prompt.id, prompt.messages[0].content) == (identity, text)


def test_a_prompt_may_be_a_list_of_messages() -> None:
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert prompt_of(turns, otherwise="row 1").conversation() == turns
    assert prompt_of("q", otherwise="row 1").id.startswith("s1:")


@pytest.mark.parametrize(
    ("value", "label"),
    [(" x ", "x"), (7, "7"), (7.0, "7"), (0.5, "0.5"), (True, ""), (None, ""), ([1], "")],
)
def test_labels(value: Any, label: str) -> None:
    assert label_of(value) == label
    assert label_of(math.inf) == "inf"


@pytest.mark.parametrize(
    ("value", "found"), [("", "blank"), (None, "null"), ([], "a list"), (True, "a boolean")]
)
def test_a_model_needs_a_name(value: Any, found: str) -> None:
    with pytest.raises(ConfigError, match=f"row 2: 'model_a' has to be .* and is {found}"):
        name_of(value, "model_a", "row 2")


def test_tags_are_a_list_or_have_commas_between() -> None:
    assert tags_of("x, y,,x") == ("x", "y")
    assert tags_of(["x, y", 3, None, {}]) == ("x, y", "3")
    assert tags_of(None) == tags_of({}) == ()
