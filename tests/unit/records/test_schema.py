"""The JSON Schema of results.json matches the records, the documents and docs/results.md."""

import json
import re
from copy import deepcopy
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError

from bakeoff.records import Results
from tests.builders import make_results, sample_results
from tests.marks import examples
from tests.unit.analysis.builders import evidence, rows

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "results.schema.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
VALIDATOR = Draft202012Validator(SCHEMA)
RECORDS = sorted(set(SCHEMA["$defs"]) - {"JsonValue"})

_spec = spec_from_file_location("make_schema", ROOT / "scripts" / "make_schema.py")
assert _spec
assert _spec.loader
make_schema = module_from_spec(_spec)
_spec.loader.exec_module(make_schema)


def document(**config: Any) -> Any:
    return json.loads(sample_results(config=config).to_json())


def test_the_generated_schema_and_reference_are_current() -> None:
    text = (ROOT / "docs" / "results.schema.json").read_text(encoding="utf-8")
    assert text == make_schema.schema(), "the records have changed: run `make docs`"
    assert make_schema.page() == PAGE, "the records have changed: run `make docs`"


def test_the_schema_is_valid_and_accepts_a_document() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(document(anything=[1, None, {"nested": True}]))


@examples(40)
@given(rows)
def test_the_schema_accepts_every_results_document(judgments: list) -> None:
    case = evidence(judgments)
    case = case.model_copy(update={"null_check": case})
    results = make_results(case)
    VALIDATOR.validate(json.loads(results.to_json()))


def document_with(path: tuple[str | int, ...], value: object) -> Any:
    copied = place = deepcopy(document())
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "bakeoff/2"),
        (("new",), 1),
        (("judgments", 0, "verdict", "first"), 1.5),
        (("judgments", 0, "verdict", "new"), None),
        (("summary", "pairs", 0, "outcome"), "maybe"),
        (("summary", "pairs", 0, "margin"), 51),
        (("prompts", 0, "messages"), []),
    ],
)
def test_documents_that_the_schema_rejects_are_not_read(
    path: tuple[str | int, ...], value: object
) -> None:
    wrong = document_with(path, value)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(wrong)
    if path != ("schema",):  # only `read_results` checks the schema version
        with pytest.raises(ValueError, match=str(path[-1])):
            Results.model_validate_json(json.dumps(wrong))


def test_every_field_with_a_default_may_be_missing() -> None:
    required_only = document()
    for name in set(SCHEMA["properties"]) - set(SCHEMA["required"]):
        del required_only[name]
    VALIDATOR.validate(required_only)
    assert Results.model_validate_json(json.dumps(required_only)).human_sample == "random"


def words_in_backticks(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def section(title: str) -> str:
    """The text of docs/results.md between a heading and the next one."""
    match = re.search(
        rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert match, f"docs/results.md has no heading {title!r}"
    return match[1]


def documented_fields(title: str) -> list[str]:
    """The first column of the table below a heading, without the row of the header."""
    return re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)


def test_the_page_documents_every_field_of_the_document_in_its_order() -> None:
    assert documented_fields("The document") == list(SCHEMA["properties"])


@pytest.mark.parametrize("record", RECORDS)
def test_the_page_documents_every_field_of_every_record(record: str) -> None:
    assert documented_fields(record) == list(SCHEMA["$defs"][record].get("properties", ()))


def test_every_record_has_a_heading_and_every_link_a_target() -> None:
    headings = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert sorted(headings) == RECORDS
    targets = set(re.findall(r"\]\(#(\w+)\)", PAGE))
    assert targets <= {heading.lower() for heading in headings}


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^#)]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target


def test_every_value_of_an_enumeration_is_documented() -> None:
    for words in ("random", "chosen"), ("recorded", "unknown", "pointwise"):
        assert set(words) <= words_in_backticks(PAGE)
    for words in (
        SCHEMA["$defs"]["PairSummary"]["properties"]["outcome"]["enum"],
        SCHEMA["$defs"]["OrderEffect"]["properties"]["identified"]["enum"],
        SCHEMA["$defs"]["Completion"]["properties"]["finish"]["enum"],
    ):
        assert all(f"`{word}`" in PAGE for word in words)
