"""Documents of valid structure with arbitrary values: a valid result or a one-line error."""

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
from tests.e2e.fuzz.targets import TARGETS, check_error, run_target

BY_NAME = {target.name: target for target in TARGETS}
EXAMPLES = 25


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def to_json(value: object) -> bytes:
    return json.dumps(value).encode()


def lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(to_json(row) + b"\n" for row in rows)


@pytest.mark.parametrize("name", ["rows.json", "audit.json", "criteria", "config", "results"])
@settings(max_examples=EXAMPLES)
@given(value=documents())
def test_arbitrary_documents(name: str, folder: Path, value: object) -> None:
    run_target(BY_NAME[name], to_json(value), folder)


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "prompts.jsonl", "recorded", "audit.jsonl", "votes"]
)
@settings(max_examples=EXAMPLES)
@given(rows=ROWS)
def test_arbitrary_rows(name: str, folder: Path, rows: list[dict[str, object]]) -> None:
    run_target(BY_NAME[name], lines(rows), folder)


@settings(max_examples=EXAMPLES)
@given(rows=ROWS, format_name=st.sampled_from(list(importers())))
def test_arbitrary_rows_with_a_given_format(
    folder: Path, rows: list[dict[str, object]], format_name: str
) -> None:
    path = folder / "rows.jsonl"
    path.write_bytes(lines(rows))
    check_error(lambda: read([path], format=format_name).evidence.model_dump_json())
    check_error(lambda: read([path, path], format=format_name).evidence.model_dump_json())


@settings(max_examples=EXAMPLES)
@given(rows=ROWS, columns=st.dictionaries(COLUMNS, COLUMNS, min_size=1, max_size=3))
def test_arbitrary_rows_with_named_columns(
    folder: Path, rows: list[dict[str, object]], columns: dict[str, str]
) -> None:
    path = folder / "named.jsonl"
    path.write_bytes(lines(rows))
    check_error(lambda: read([path], columns=columns).evidence.model_dump_json())


@settings(max_examples=EXAMPLES)
@given(values=st.dictionaries(st.sampled_from(sorted(Config.model_fields)), VALUES, max_size=5))
def test_arbitrary_configs(folder: Path, values: dict[str, object]) -> None:
    run_target(BY_NAME["config"], to_json(values), folder)


@settings(max_examples=EXAMPLES)
@given(text=st.text(st.characters(codec=None, exclude_categories=())), at=st.integers(0, 30))
def test_arbitrary_specs(text: str, at: int) -> None:
    spec = "name=hf:me/model?seed=1&system=x"
    check_error(lambda: Spec.parse(text))
    check_error(lambda: Spec.parse(spec[:at] + text + spec[at:]).model_dump_json())


FRAGMENTS = """{"score_a": | "winner": | "A" | "tie" | } | { | [ | ] | , | : | 8 | 3/10 | [[A]]
 | [[B>>A]] | Score A: | explanation | criteria | "name" | Correct | ** | ' | “ | \n"""
WORDS = st.sampled_from(FRAGMENTS.split(" | "))
JOIN: Callable[[list[str]], str] = "".join


@settings(max_examples=4 * EXAMPLES)
@given(text=st.lists(WORDS | ANY_TEXT, max_size=25).map(JOIN))
def test_arbitrary_replies(folder: Path, text: str) -> None:
    for name in ("reply", "fence", "terminal"):
        run_target(BY_NAME[name], text.encode(), folder)
