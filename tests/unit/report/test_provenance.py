"""How results came about: a command that asks the same, what it took, hashes of what is in."""

import json
import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.cli import app
from bakeoff.config import Config
from bakeoff.report.provenance import SHOWING, command, origin_of
from tests.unit.report.sample import results_of

CONFIGS = st.builds(
    Config,
    model=st.lists(
        st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1), max_size=3
    ).map(tuple),
    judge=st.lists(
        st.sampled_from(["gpt-4", "api:j?base_url=http://localhost/v1&verdict=choice"])
    ).map(tuple),
    limit=st.integers(1, 10_000),
    seed=st.integers(),
    temperature=st.floats(0, 2),
    system=st.none() | st.sampled_from(["Be brief.", 'It\'s "$HOME"', "--limit 3"]),
    thinking=st.sampled_from(["strip", "keep"]),
    margin=st.floats(0, 50),
    allow_self_judge=st.booleans(),
)


def parsed(line: str) -> Config:
    """What the command would be run with."""
    words = shlex.split(line)
    assert words[:2] == ["bakeoff", "run"]
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    found: Config = bound.arguments.get("config", Config())
    return found


@settings(max_examples=25)  # parsing a command takes a while
@given(CONFIGS)
def test_the_command_asks_what_was_asked(config: Config) -> None:
    dumped = json.loads(config.model_dump_json(by_alias=True))
    again = json.loads(parsed(command(dumped)).model_dump_json(by_alias=True))
    for name in dumped.keys() - set(SHOWING):
        assert again[name] == dumped[name], name


def test_the_command_of_an_audit_names_the_files() -> None:
    config: dict[str, Any] = {
        "files": ["a b.csv", "c.json"],
        "format": ["table"],
        "columns": {"winner": "label"},
    }
    config |= {"margin": 5.0, "panel": "majority"}
    line = "bakeoff audit 'a b.csv' c.json --columns winner=label --panel majority"
    assert command(config) == line


@pytest.mark.parametrize("part", ["prompts", "completions", "verdicts"])
def test_hashes_change_with_what_they_are_of_and_nothing_else(part: str) -> None:
    results = results_of()
    prompt = results.prompts[0].model_copy(update={"messages": results.prompts[1].messages})
    said = results.completions[0].completion.model_copy(update={"text": "other"})
    verdict = results.judgments[0].verdict.model_copy(update={"first": 0.25})
    changed = {
        "prompts": {"prompts": (prompt, *results.prompts[1:])},
        "completions": {
            "completions": (
                results.completions[0].model_copy(update={"completion": said}),
                *results.completions[1:],
            )
        },
        "verdicts": {
            "judgments": (
                results.judgments[0].model_copy(update={"verdict": verdict}),
                *results.judgments[1:],
            )
        },
    }
    before, after = origin_of(results), origin_of(results.model_copy(update=changed[part]))
    assert {name for name in before if before[name] != after[name]} == {part}
