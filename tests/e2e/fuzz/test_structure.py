"""Documents of a right form with anything in them: a right value, or one line."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.config import Config, Spec
from bakeoff.importers.reader import importers, read
from tests.e2e.fuzz.strategies import ANY_TEXT, COLUMNS, ROWS, VALUES, documents
from tests.e2e.fuzz.targets import TARGETS, one_line_or, tried

BY_NAME = {target.name: target for target in TARGETS}
EXAMPLES = 25


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(dumped(row) + b"\n" for row in rows)


@pytest.mark.parametrize("name", ["rows.json", "audit.json", "criteria", "config", "results"])
@settings(max_examples=EXAMPLES)
@given(value=documents())
def test_a_document(name: str, folder: Path, value: object) -> None:
    tried(BY_NAME[name], dumped(value), folder)


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "prompts.jsonl", "recorded", "audit.jsonl", "votes"]
)
@settings(max_examples=EXAMPLES)
@given(rows=ROWS)
def test_rows(name: str, folder: Path, rows: list[dict[str, object]]) -> None:
    tried(BY_NAME[name], lines(rows), folder)


@settings(max_examples=EXAMPLES)
@given(rows=ROWS, form=st.sampled_from(list(importers())))
def test_rows_that_are_said_to_be_of_a_format(
    folder: Path, rows: list[dict[str, object]], form: str
) -> None:
    path = folder / "said.jsonl"
    path.write_bytes(lines(rows))
    one_line_or(lambda: read([path], format=form).evidence.model_dump_json())
    one_line_or(lambda: read([path, path], format=form).evidence.model_dump_json())


@settings(max_examples=EXAMPLES)
@given(rows=ROWS, columns=st.dictionaries(COLUMNS, COLUMNS, min_size=1, max_size=3))
def test_rows_whose_columns_are_named(
    folder: Path, rows: list[dict[str, object]], columns: dict[str, str]
) -> None:
    path = folder / "named.jsonl"
    path.write_bytes(lines(rows))
    one_line_or(lambda: read([path], columns=columns).evidence.model_dump_json())


@settings(max_examples=EXAMPLES)
@given(given_=st.dictionaries(st.sampled_from(sorted(Config.model_fields)), VALUES, max_size=5))
def test_a_config(folder: Path, given_: dict[str, object]) -> None:
    tried(BY_NAME["config"], dumped(given_), folder)


@settings(max_examples=EXAMPLES)
@given(text=st.text(st.characters(codec=None, exclude_categories=())), at=st.integers(0, 30))
def test_a_token(text: str, at: int) -> None:
    whole = "name=hf:me/model?seed=1&system=x"
    one_line_or(lambda: Spec.parse(text))
    one_line_or(lambda: Spec.parse(whole[:at] + text + whole[at:]).model_dump_json())


PIECES = """{"score_a": | "winner": | "A" | "tie" | } | { | [ | ] | , | : | 8 | 3/10 | [[A]]
 | [[B>>A]] | Score A: | explanation | criteria | "name" | Correct | ** | ' | “ | \n"""
WORDS = st.sampled_from(PIECES.split(" | "))
REPLIES: Callable[[list[str]], str] = "".join


@settings(max_examples=4 * EXAMPLES)
@given(text=st.lists(WORDS | ANY_TEXT, max_size=25).map(REPLIES))
def test_a_reply(folder: Path, text: str) -> None:
    for name in ("reply", "fence", "terminal"):
        tried(BY_NAME[name], text.encode(), folder)
