"""Terminal control characters in any input are escaped in the output of every command."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.builders import sample_results, write_file
from tests.in_process import run_command
from tests.unit.importers.sample_files import alpaca, comparator, panda, script

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2066\x00\r\nx"
TERMINAL_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def command(arguments: Sequence[object], capfd: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit code and the output; AssertionError if it contains terminal controls."""
    code, out, err = run_command(arguments, capfd)
    assert not TERMINAL_CONTROLS.search(out), out[:2000]
    assert not TERMINAL_CONTROLS.search(err), err[:2000]
    return code, out + err


def row() -> dict[str, object]:
    return {
        "prompt": HOSTILE,
        "winner": "model1",
        "explanation": HOSTILE,
        "model1_completion": HOSTILE,
    }


EVALUATIONS: dict[str, object] = {
    "script": script(
        [row(), {**row(), "winner": HOSTILE}], model1_path=f"a{HOSTILE}", judge_model=HOSTILE
    ),
    "alpaca": [
        alpaca(1.0, generator_1=HOSTILE, annotator=HOSTILE, dataset=HOSTILE),
        alpaca(HOSTILE),
    ],
    "comparator": comparator(
        {"score": 1, "input_text": HOSTILE, "tags": [HOSTILE]}, {"score": HOSTILE}
    ),
    "panda": [panda(1, cmp_key=f"a{HOSTILE}_b"), panda(HOSTILE)],
    "table": [{"prompt": HOSTILE, "winner": HOSTILE, "model_a": HOSTILE, "model_b": f"b{HOSTILE}"}],
    "nothing known": [{HOSTILE: HOSTILE}],
    "two names": [{"winner": "a", "model_a": HOSTILE, "model_b": None}],
    "no list": {"models": HOSTILE, "examples": HOSTILE},
    "other schema": {"schema": f"bakeoff/{HOSTILE}"},
    "no json": f"[{HOSTILE}",
}


@pytest.mark.parametrize("name", EVALUATIONS)
@pytest.mark.parametrize("more", [[], ["--json"], ["--show-samples", "3"]], ids=" ".join)
def test_audit_escapes_hostile_text(
    tmp_path: Path, name: str, more: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    value = EVALUATIONS[name]
    path = write_file(tmp_path / "a.json", value if isinstance(value, str) else json.dumps(value))
    code, output = command(["audit", path, *more], capfd)
    assert code in (0, 2)
    assert output
    if code == 2:
        assert output.count("\n") == 1, output


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".txt", ".yaml", ""])
def test_hostile_file_names_are_escaped(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_file(tmp_path / (HOSTILE.replace("\x00", "") + suffix), HOSTILE)
    for arguments in (
        ["audit", path],
        ["report", path],
        ["vote", path],
        ["judge-check", path],
        ["run", "--config", path],
        ["run", "--prompts", path, "--model", "echo:a", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"file:{path}", "--model", "echo:", "--judge", "echo:c"],
    ):
        code, output = command(arguments, capfd)
        if code != 3:  # any text file is a valid list of prompts
            assert code == 2, (arguments, output)
            assert output.count("\n") == 1, output


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--{HOSTILE}"],
        [HOSTILE],
        ["run", f"--{HOSTILE}"],
        ["run", "--limit", HOSTILE],
        ["run", "--orders", HOSTILE],
        ["run", "--model", HOSTILE, "--model", "b", "--judge", "echo:c"],
        ["run", "--model", f"{HOSTILE}:x", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?{HOSTILE}", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?a={HOSTILE}", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?seed={HOSTILE}", "--model", "echo:b", "--judge", "echo:c"],
        [
            "run",
            "--prompts",
            HOSTILE,
            "--model",
            "echo:a",
            "--model",
            "echo:b",
            "--judge",
            "echo:c",
        ],
        ["audit", "x.json", "--format", HOSTILE],
        ["audit", "x.json", "--columns", HOSTILE],
        ["list", HOSTILE],
        ["serve", HOSTILE],
    ],
    ids=lambda arguments: arguments[0][:6] + arguments[-1][:12].encode("unicode_escape").decode(),
)
def test_hostile_arguments_are_escaped(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, output = command(arguments, capfd)
    assert code == 2
    assert output.count("\n") == 1, output


def test_report_escapes_hostile_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = sample_results(HOSTILE, config={"prompts": HOSTILE})
    path = write_file(tmp_path / "results.json", results.to_json())
    code, output = command(["report", path, "--out", tmp_path / "\x1b[2J"], capfd)
    assert (code, output.count("\n")) == (0, 1)
    assert r"\x1b[2J" in output
