import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.merge import with_votes
from bakeoff.evaluation.votes.queue import all_voted
from bakeoff.evaluation.votes.vote_log import append_vote, read_votes
from bakeoff.web.voting.serve import serve_voting
from tests.background_server import background_server
from tests.unit.web.voting.builders import MODELS, VOTES, evidence, vote
from tests.web_clients import Browser, voting_browser

OF = evidence()

SERVES = """
import asyncio, resource, sys
from pathlib import Path
from bakeoff.records import Evidence
from bakeoff.web.voting.serve import serve_voting
evidence = Evidence.model_validate_json(Path("evidence.json").read_bytes())
most, limits = int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
try:
    asyncio.run(
        serve_voting(evidence, Path("votes.jsonl"), announce=lambda url: print(url, flush=True))
    )
except KeyboardInterrupt:
    print("interrupted")
else:
    print("finished")
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)  # coverage data may be written at the end
"""

Serve = Callable[..., tuple[subprocess.Popen[str], Browser]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Fixture that serves voting pages in processes, which end with the test."""
    started: list[tuple[subprocess.Popen[str], Browser]] = []
    Path("evidence.json").write_text(OF.model_dump_json())

    def start(most: int = 0) -> tuple[subprocess.Popen[str], Browser]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SERVES, str(most)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        started.append((process, Browser(process.stdout.readline().strip())))
        return started[-1]

    yield start
    for process, browser in started:
        browser.__exit__()
        process.kill()
        process.communicate(timeout=300)


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert err == ""
    return out


def test_killed_server_loses_no_acknowledged_vote(serve: Serve) -> None:
    process, browser = serve()
    browser.vote("first")
    browser.vote("skip")
    browser.vote("tie", "Bo")
    before = {name: browser.state(name) for name in ("Anna", "Bo")}
    process.send_signal(signal.SIGKILL)
    process.wait(300)
    _, browser = serve()
    for name, state in before.items():
        again = browser.state(name)
        assert state.pop("pair").pop("id") != again["pair"].pop("id")
        assert again["pair"]["turns"]
        again.pop("pair")
        assert again == state
    assert [vote.choice for vote in read_votes(VOTES)] == ["first", "skip", "tie"]


@pytest.mark.long
def test_ctrl_c_ends_the_vote_and_keeps_votes(serve: Serve) -> None:
    process, browser = serve()
    browser.vote("second")
    process.send_signal(signal.SIGINT)
    assert ended(process) == "interrupted\n"
    assert [vote.choice for vote in read_votes(VOTES)] == ["second"]


def test_finish_ends_serving() -> None:
    ended = threading.Event()

    async def serve(announce: Callable[[str], None], _: object) -> None:
        await serve_voting(OF, VOTES, announce=announce)  # nothing else ends it
        ended.set()

    with background_server(serve) as address, Browser(address) as browser:
        browser.vote("second")
        assert not ended.is_set()
        browser.press("finish")
        assert ended.wait(300)
    assert [one.choice for one in read_votes(VOTES)] == ["second"]


def test_full_disk_is_reported_and_not_acknowledged(serve: Serve) -> None:
    process, browser = serve(800)
    acknowledged = 0
    while True:
        shown = browser.state()["pair"]
        reply = browser.post("vote", voter="Anna", id=shown["id"], choice="first")
        if reply.status_code != 200:
            break
        acknowledged += 1
    assert reply.status_code == 507
    assert reply.json()["error"].startswith("This was not saved (")
    assert browser.state()["pair"] == shown
    assert browser.state()["done"] == acknowledged == len(read_votes(VOTES)) > 0
    assert VOTES.read_bytes().endswith(b"\n")
    process.send_signal(signal.SIGINT)
    assert ended(process) == "interrupted\n"
    _, browser = serve()  # with room again
    assert browser.state()["done"] == acknowledged
    assert browser.vote("first")["done"] == acknowledged + 1


def test_two_concurrent_voters() -> None:
    with voting_browser(OF) as browser, Browser(browser.url) as other:
        authors = {completion.completion.text: completion.model for completion in OF.completions}
        for turn in range(4):
            shown = browser.state("Anna")["pair"]
            for voter_browser, name in ((browser, "Anna"), (other, "Bo")):
                mine = voter_browser.state(name)["pair"]
                assert mine["turns"] == shown["turns"]  # the same way
                first = authors[mine["first"]] == MODELS[turn % 2]
                voter_browser.vote("first" if first else "second", name)
    labels = with_votes(OF, VOTES)
    winners = {
        (judgment.prompt_id, judgment.judge): judgment.first
        if judgment.verdict.first == 1
        else judgment.second
        for judgment in labels.evidence.judgments
        if judgment.judge in labels.voters
    }
    assert len(winners) == 8
    for number in range(4):
        assert len({winners[f"prompt-{number}", name] for name in ("Anna", "Bo")}) == 1
    assert sorted(winners.values()) == [MODELS[0]] * 4 + [MODELS[1]] * 4


def test_until_ends_serving_without_a_vote() -> None:
    addresses = []

    async def main() -> None:
        until = asyncio.Event()

        def announce(url: str) -> None:
            addresses.append(url)
            until.set()

        await serve_voting(OF, VOTES, announce=announce, until=until)

    asyncio.run(main())
    assert len(addresses) == 1
    assert not VOTES.exists()


def test_unreadable_votes_are_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def opening() -> None:
        asyncio.run(serve_voting(OF, VOTES, announce=lambda url: pytest.fail(url)))

    VOTES.write_text("no vote\n")
    with pytest.raises(ConfigError, match="line 1"):
        opening()
    VOTES.unlink()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match="pip install"):
        opening()


def test_all_voted_once_every_pair_has_a_vote_or_skip() -> None:
    assert not all_voted(OF, VOTES)
    for number, (choice, voter) in enumerate([("first", "Anna"), ("skip", "Bo"), ("tie", "Bo")]):
        append_vote(VOTES, vote(OF, number, choice, voter=voter))
    assert not all_voted(OF, VOTES)
    append_vote(VOTES, vote(evidence(replacements={(3, MODELS[0]): "another text"}), 3))
    assert not all_voted(OF, VOTES)
    append_vote(VOTES, vote(OF, 3))
    assert all_voted(OF, VOTES)
    assert all_voted(OF, VOTES, VoteOptions(draw="order"))
    append_vote(VOTES, vote(OF, 3, "undone"))
    assert not all_voted(OF, VOTES)
    assert all_voted(OF, VOTES, VoteOptions(draw="order", labels=3))
