"""The benchmark against other tools: every driver gets the same faults and counts its losses.

The benchmark creates the environments of the peers; these tests run drivers that need none.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import peers
from harness.labeled_judge import Faults, verdict_for
from harness.peers.job import FLAWED, SOUND, Outcome, make_pairs
from peers import (
    JOBS,
    PeerUnavailableError,
    account_of,
    peer_environment,
    peer_python,
    print_comparison,
    run_peer,
)

PYTHON = Path(sys.executable)


def test_bare_client_counts_unreadable_replies_as_failed() -> None:
    account = run_peer("openai", PYTHON, "unreadable", 24)
    assert (account["asked"], account["verdicts"], account["failed"]) == (48, 30, 18)
    assert (account["wrong"], account["ties"], account["missing"]) == (0, 0, 0)
    assert (account["requests"], account["refused"]) == (48, 0)
    assert account["first_error"] == "ValueError: no verdict in the reply"


@pytest.mark.long
def test_bare_client_retries_server_errors() -> None:
    account = run_peer("openai", PYTHON, "failing", 24)
    assert (account["verdicts"], account["failed"]) == (33, 15)
    assert (
        account["requests"] == 48 + 3 + 2 * 6
    )  # one retry after a transient fault, two after a permanent one


@pytest.mark.long
def test_bakeoff_counts_unreadable_replies_as_failed() -> None:
    account = run_peer("bakeoff", PYTHON, "unreadable", 24)
    assert (account["verdicts"], account["failed"]) == (36, 12)
    assert (account["wrong"], account["ties"], account["missing"]) == (0, 0, 0)
    assert account["first_error"].startswith("12 failed, the first: ")
    assert account["stopped"] is None


@pytest.mark.parametrize("job", ["failing", "unreadable"])
def test_half_of_the_faults_are_transient(job: str) -> None:
    faults = Faults(160, JOBS[job].sorts)
    rounds = [[faults.take(case) for case in range(160)] for _ in range(2)]
    assert [sum(fault is not None for fault in taken) for taken in rounds] == [12, 6]
    assert {fault for fault in rounds[1] if fault} == set(JOBS[job].sorts)


def test_without_sorts_nothing_fails() -> None:
    assert not any(Faults(160, ()).take(case) for case in range(160))


@pytest.mark.parametrize("sound_first", [True, False])
def test_judge_prefers_the_sound_text_in_every_format(sound_first: bool) -> None:
    texts = [SOUND, FLAWED] if sound_first else [FLAWED, SOUND]
    reply = verdict_for({}, "\n".join(texts))[0]
    assert f'"winner": "{"A" if sound_first else "B"}"' in reply
    one_token = verdict_for({"logprobs": True}, "\n".join(texts))
    assert one_token == (("m", "m") if sound_first else ("M", "M"))
    shown = [json.dumps({"actual_output": text}, indent=2) for text in texts]
    arena = json.dumps(
        {"arena_test_cases": dict(zip(("Bob", "Eve"), shown, strict=True))}, indent=2
    )
    assert f'"winner": "{"Bob" if sound_first else "Eve"}"' in verdict_for({}, arena)[0]
    graded = verdict_for({}, "\n".join([*texts, 'exactly one of "A>>B" or "A=B"']))[0]
    assert json.loads(graded)["verdict"] == ("A>>B" if sound_first else "B>>A")


def test_outcome_counts_wrong_tied_and_missing() -> None:
    pairs = make_pairs(5)
    assert [pair.better for pair in pairs] == ["tuned"] * 3 + ["base"] * 2
    outcome = Outcome(version="1", asked=10)
    outcome.add("tuned", pairs[0])
    outcome.add("base", pairs[0])
    outcome.add(None, pairs[4])
    outcome.add_raised([None, KeyError("Both"), ValueError("x")])
    assert (outcome.verdicts, outcome.wrong, outcome.ties) == (3, 1, 1)
    assert (outcome.failed, outcome.missing) == (2, 5)
    assert outcome.first_error == "KeyError: 'Both'"


def test_account_is_per_server_request() -> None:
    outcome = {"seconds": 2.0, "cpu_seconds": 0.06}
    stats = {"rows": [[3, 1], [2, 0]], "most_in_flight": 4}
    account = account_of(outcome, stats, 2.5)
    assert (account["requests"], account["refused"], account["requests_per_s"]) == (6, 1, 3.0)
    assert account["cpu_ms_per_request"] == 10.0


def test_peer_without_verdicts_counts_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    lost = {"version": "2", "seconds": 1.0, "cpu_ms_per_request": 2.0, "wrong": 0, "ties": 0}
    ours = lost | {"asked": 320, "verdicts": 308, "failed": 12, "missing": 0, "stopped": None}
    theirs = lost | {"asked": 320, "verdicts": 0, "failed": 0, "missing": 320, "stopped": "E: x"}
    print_comparison("unreadable", ours, "deepeval", theirs)
    line = json.loads(capsys.readouterr().out)
    assert (line["figure"], line["ratio"]) == (308, 308)
    assert line["peer"] == (
        "deepeval 2: 1.0 s, 2.0 ms CPU a request, 320 missing, stopped by an error"
    )


@pytest.mark.long
def test_peer_that_cannot_be_installed_raises_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(PeerUnavailableError, match="No matching distribution found for openai"):
        peer_environment("openai")


def test_peer_that_needs_a_newer_python_gets_one_from_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = sys.version_info[:2]
    monkeypatch.setattr(peers, "NEWER_PYTHONS", {"newer": (major, minor + 1)})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert peer_python("openai") == sys.executable
    with pytest.raises(PeerUnavailableError, match=rf"it needs Python {major}\.{minor + 1}$"):
        peer_python("newer")
    for version in (minor, minor + 1, minor + 2):
        python = tmp_path / f"python{major}.{version}"
        python.touch(mode=0o755)
    assert peer_python("newer") == str(python)
