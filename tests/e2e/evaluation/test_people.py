"""People as judges through the command: the page opens, votes count, and Ctrl-C ends the vote."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bakeoff import Results
from bakeoff.testing import OpenAIServer
from tests.integration.cli.test_cli import bakeoff, run_arguments
from tests.web_clients import Browser


@contextmanager
def voting(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Browser]]:
    """Run the command in a process, and a browser on the page that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    try:
        address = ""
        while "Vote at " not in address:
            address = process.stderr.readline()
            assert address, "it ended without naming the page"
        with Browser(address.split("Vote at ")[1].strip()) as browser:
            yield process, browser
    finally:
        process.kill()
        process.communicate(timeout=300)


def saved(folder: Path) -> Results:
    return Results.model_validate_json((folder / "results.json").read_bytes())


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    with OpenAIServer() as server:
        done = bakeoff(*run_arguments(server, "--limit", "6", "--quiet"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "results"


@pytest.mark.long
def test_votes_correct_the_judge_and_ctrl_c_ends_the_vote(judged: Path) -> None:
    before = saved(judged)
    with voting(judged.parent, "vote", "results", "--json") as (process, browser):
        browser.prefer("This is good", "anna", 4)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    results = saved(judged)
    assert json.loads(out) == json.loads((judged / "results.json").read_text())
    (pair,) = results.summary.pairs
    assert pair.people is not None
    assert (pair.people.voters, pair.people.prompts) == (("anna",), 4)
    assert pair.people.win_rate.estimate == 1
    assert pair.people.corrected is not None
    assert pair.win_rate == before.summary.pairs[0].win_rate
    assert len((judged / "votes.jsonl").read_text().splitlines()) == 4
    assert "Win rate corrected by people" in (judged / "report.html").read_text()


@pytest.mark.long
def test_later_run_keeps_votes(judged: Path) -> None:
    with voting(judged.parent, "vote", "results/results.json", "--quiet") as (process, browser):
        browser.prefer("This is bad", "anna", 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    config = saved(judged).config
    models = [token for model in config["model"] for token in ("--model", model)]  # type: ignore[union-attr]
    judge = ["--judge", config["judge"][0]]  # type: ignore[index]
    done = bakeoff(
        "run", *models, *judge, "--prompts", "starter", "--limit", "6", "--quiet", cwd=judged.parent
    )
    assert done.returncode == 0, done.stderr  # without the server: everything is in the store
    (pair,) = saved(judged).summary.pairs
    assert pair.people is not None
    assert pair.people.win_rate.estimate == 0


@pytest.mark.long
def test_people_can_be_the_only_judges(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        arguments = run_arguments(server, "--limit", "3", "--judge", "human", "--quiet")
        place = arguments.index("--judge")
        arguments[place : place + 2] = []  # not the model
        with voting(tmp_path, *arguments) as (process, browser):
            browser.prefer("This is good", "anna", 3)
            browser.prefer("This is bad", "ben", 3)
            browser.post("finish")
            _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        requested = len(server.requests)
        second = bakeoff(
            *arguments, cwd=tmp_path
        )  # every pair has a vote, so the run does not wait
        assert second.returncode == 0
        assert len(server.requests) == requested
    (pair,) = saved(tmp_path / "results").summary.pairs
    assert [card.judge for card in pair.judges] == ["anna", "ben"]
    assert [card.win_rate.estimate for card in pair.judges] == [1, 0]
    assert pair.people is None


@pytest.mark.long
def test_people_beside_a_judge_are_not_in_the_panel(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        arguments = run_arguments(server, "--limit", "3", "--judge", "human", "--quiet")
        with voting(tmp_path, *arguments) as (process, browser):
            browser.prefer("This is bad", "anna", 2)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=300)
    assert process.returncode == 0
    (pair,) = saved(tmp_path / "results").summary.pairs
    assert [card.judge for card in pair.judges] == ["judge"]
    assert pair.people is not None
    assert pair.people.win_rate.estimate == 0


@pytest.mark.long
def test_invalid_results_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for path, words in (("nothing.json", "cannot read 'nothing.json'"), ("x.json", "no results")):
        done = bakeoff("vote", path, cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
