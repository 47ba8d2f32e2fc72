"""The command that repeats a comparison, hashes of its parts, and fingerprints of saved files."""

import json
import shlex
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.cli import app
from bakeoff.config import Config
from bakeoff.report.provenance import (
    OPERATIONAL_FIELDS,
    command_line,
    content_hashes,
    digest,
    fingerprint,
    input_digest,
    is_current,
)
from tests.builders import sample_results
from tests.marks import examples

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
    """The config that the command line gives."""
    words = shlex.split(line)
    assert words[:2] == ["bakeoff", "run"]
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    config: Config = bound.arguments.get("config", Config())
    return config


@examples(25)  # parsing a command takes a while
@given(CONFIGS)
def test_the_command_repeats_the_config(config: Config) -> None:
    dumped = json.loads(config.model_dump_json(by_alias=True))
    again = json.loads(parsed(command_line(dumped)).model_dump_json(by_alias=True))
    for name in dumped.keys() - set(OPERATIONAL_FIELDS):
        assert again[name] == dumped[name], name


def test_the_command_of_an_audit_names_the_files() -> None:
    config: dict[str, Any] = {
        "files": ["a b.csv", "c.json"],
        "format": ["table"],
        "columns": {"winner": "label"},
    }
    config |= {"margin": 5.0, "panel": "majority"}
    line = "bakeoff audit 'a b.csv' c.json --columns winner=label --panel majority"
    assert command_line(config) == line


@pytest.mark.parametrize("part", ["prompts", "completions", "verdicts"])
def test_each_hash_changes_with_its_part_only(part: str) -> None:
    results = sample_results()
    prompt = results.prompts[0].model_copy(update={"messages": results.prompts[1].messages})
    changed_completion = results.completions[0].completion.model_copy(update={"text": "other"})
    verdict = results.judgments[0].verdict.model_copy(update={"first": 0.25})
    changed = {
        "prompts": {"prompts": (prompt, *results.prompts[1:])},
        "completions": {
            "completions": (
                results.completions[0].model_copy(update={"completion": changed_completion}),
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
    before, after = (
        content_hashes(results),
        content_hashes(results.model_copy(update=changed[part])),
    )
    assert {name for name in before if before[name] != after[name]} == {part}


INPUTS = digest(("what", "it is made of"))


def write_files(folder: Path, document: bytes = b"{}", page: bytes = b"<p>Better.</p>") -> None:
    (folder / "document").write_bytes(document)
    (folder / "page").write_bytes(page + fingerprint(INPUTS, sha256(document).hexdigest(), page))


def unchanged(folder: Path, inputs: str = INPUTS) -> bool:
    return is_current(inputs, folder / "document", folder / "page")


@pytest.mark.parametrize("page", [b"<p>Better.</p>", b"", b"no text \xff" * 99])
def test_saved_files_are_current_for_their_inputs_only(tmp_path: Path, page: bytes) -> None:
    write_files(tmp_path, page=page)
    assert unchanged(tmp_path)
    assert not unchanged(tmp_path, digest(("something", "else")))


@pytest.mark.parametrize("name", ["document", "page"])
def test_a_changed_byte_in_either_file_is_noticed(tmp_path: Path, name: str) -> None:
    write_files(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not unchanged(tmp_path), place
    for other in (content + b" ", b" " + content, content[:-1], b""):
        file.write_bytes(other)
        assert not unchanged(tmp_path), other
    file.write_bytes(content)
    assert unchanged(tmp_path)
    file.unlink()
    assert not unchanged(tmp_path)


def test_a_page_without_fingerprint_is_not_current(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "page").write_bytes(b"<p>Better.</p>")
    assert not unchanged(tmp_path)
    (tmp_path / "page").unlink()
    (tmp_path / "page").mkdir()
    assert not unchanged(tmp_path)


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_digests_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    assert (digest(first) == digest(second)) == (first == second)


def test_lone_surrogates_have_digests() -> None:
    assert digest(("\ud800",)) != digest(("\udc00",))


def test_evidence_config_and_package_versions_change_the_input_digest() -> None:
    evidence, context = sample_results().evidence, [{"seed": 1}, {"packages": {"bakeoff": "1.0"}}]
    digests = [
        input_digest(evidence, context),
        input_digest(sample_results("Other.").evidence, context),
        input_digest(evidence, [{"seed": 2}, context[1]]),
        input_digest(evidence, [context[0], {"packages": {"bakeoff": "1.1"}}]),
    ]
    assert len(set(digests)) == 4
    assert input_digest(sample_results().evidence, context) == digests[0]
