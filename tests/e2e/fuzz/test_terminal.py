"""Nothing that anybody wrote acts on a terminal, whichever command it comes through."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.cli import main
from tests.builders import sample_results
from tests.e2e.fuzz.test_findings import put
from tests.unit.importers.sample import alpaca, comparator, panda, script

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2066\x00\r\nx"
ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def command(arguments: Sequence[object], capfd: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit code, and all that was printed; AssertionError where any of it acts."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    told = capfd.readouterr()
    assert not ACTS.search(told.out), told.out[:2000]
    assert not ACTS.search(told.err), told.err[:2000]
    return ended.value.code, told.out + told.err


def row() -> dict[str, object]:
    return {"prompt": EVIL, "winner": "model1", "explanation": EVIL, "model1_completion": EVIL}


EVALUATIONS: dict[str, object] = {
    "script": script([row(), {**row(), "winner": EVIL}], model1_path=f"a{EVIL}", judge_model=EVIL),
    "alpaca": [alpaca(1.0, generator_1=EVIL, annotator=EVIL, dataset=EVIL), alpaca(EVIL)],
    "comparator": comparator({"score": 1, "input_text": EVIL, "tags": [EVIL]}, {"score": EVIL}),
    "panda": [panda(1, cmp_key=f"a{EVIL}_b"), panda(EVIL)],
    "table": [{"prompt": EVIL, "winner": EVIL, "model_a": EVIL, "model_b": f"b{EVIL}"}],
    "nothing known": [{EVIL: EVIL}],
    "two names": [{"winner": "a", "model_a": EVIL, "model_b": None}],
    "no list": {"models": EVIL, "examples": EVIL},
    "other schema": {"schema": f"bakeoff/{EVIL}"},
    "no json": f"[{EVIL}",
}


@pytest.mark.parametrize("name", EVALUATIONS)
@pytest.mark.parametrize("more", [[], ["--json"], ["--show-samples", "3"]], ids=" ".join)
def test_an_audit(
    tmp_path: Path, name: str, more: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    value = EVALUATIONS[name]
    path = put(tmp_path / "a.json", value if isinstance(value, str) else json.dumps(value))
    code, told = command(["audit", path, *more], capfd)
    assert code in (0, 2)
    assert told
    if code == 2:
        assert told.count("\n") == 1, told


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".txt", ".yaml", ""])
def test_a_file_of_an_evil_name(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path / (EVIL.replace("\x00", "") + suffix), EVIL)
    for words in (
        ["audit", path],
        ["report", path],
        ["vote", path],
        ["judge-check", path],
        ["run", "--config", path],
        ["run", "--prompts", path, "--model", "echo:a", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"file:{path}", "--model", "echo:", "--judge", "echo:c"],
    ):
        code, told = command(words, capfd)
        if code != 3:  # any text is a list of prompts, a line each
            assert code == 2, (words, told)
            assert told.count("\n") == 1, told


@pytest.mark.parametrize(
    "words",
    [
        [f"--{EVIL}"],
        [EVIL],
        ["run", f"--{EVIL}"],
        ["run", "--limit", EVIL],
        ["run", "--orders", EVIL],
        ["run", "--model", EVIL, "--model", "b", "--judge", "echo:c"],
        ["run", "--model", f"{EVIL}:x", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?{EVIL}", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?a={EVIL}", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--model", f"echo:x?seed={EVIL}", "--model", "echo:b", "--judge", "echo:c"],
        ["run", "--prompts", EVIL, "--model", "echo:a", "--model", "echo:b", "--judge", "echo:c"],
        ["audit", "x.json", "--format", EVIL],
        ["audit", "x.json", "--columns", EVIL],
        ["list", EVIL],
        ["serve", EVIL],
    ],
    ids=lambda words: words[0][:6] + words[-1][:12].encode("unicode_escape").decode(),
)
def test_a_flag(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    code, told = command(words, capfd)
    assert code == 2
    assert told.count("\n") == 1, told


def test_a_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = sample_results(EVIL, config={"prompts": EVIL})
    path = put(tmp_path / "results.json", results.to_json())
    code, told = command(["report", path, "--out", tmp_path / "\x1b[2J"], capfd)
    assert (code, told.count("\n")) == (0, 1)
    assert r"\x1b[2J" in told
