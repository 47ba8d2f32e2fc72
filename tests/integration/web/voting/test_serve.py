import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.merge import people
from bakeoff.evaluation.votes.queue import complete
from bakeoff.evaluation.votes.vote_log import put, read
from bakeoff.web import server as web
from bakeoff.web.voting.serve import gather
from tests.unit.web.voting.cases import MODELS, VOTES, evidence, vote
from tests.web_clients import Browser, booth

OF = evidence()

SERVES = """
import asyncio, resource, sys
from pathlib import Path
from bakeoff.records import Evidence
from bakeoff.web.voting import gather
evidence = Evidence.model_validate_json(Path("evidence.json").read_bytes())
most, limits = int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
try:
    asyncio.run(
        gather(evidence, Path("votes.jsonl"), announce=lambda url: print(url, flush=True))
    )
except KeyboardInterrupt:
    print("interrupted")
else:
    print("finished")
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)  # who measures coverage writes at the end
"""

Serve = Callable[..., tuple[subprocess.Popen[str], Browser]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Opens booths in processes of their own; none outlives its test."""
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
        process.communicate(timeout=60)


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert err == ""
    return out


def test_a_killed_server_loses_no_vote_that_it_acknowledged(serve: Serve) -> None:
    process, browser = serve()
    browser.vote("first")
    browser.vote("skip")
    browser.vote("tie", "Bo")
    before = {name: browser.state(name) for name in ("Anna", "Bo")}
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    _, browser = serve()
    for name, state in before.items():
        again = browser.state(name)
        assert state.pop("pair").pop("id") != again["pair"].pop("id")
        assert again["pair"]["turns"]
        again.pop("pair")
        assert again == state
    assert [one.choice for one in read(VOTES)] == ["first", "skip", "tie"]


@pytest.mark.long
def test_ctrl_c_ends_it_at_once_and_keeps_what_was_said(serve: Serve) -> None:
    process, browser = serve()
    browser.vote("second")
    process.send_signal(signal.SIGINT)
    assert ended(process) == "interrupted\n"
    assert [one.choice for one in read(VOTES)] == ["second"]


@pytest.mark.long
def test_finish_ends_it(serve: Serve) -> None:
    process, browser = serve()
    browser.vote("second")
    browser.press("finish")
    assert ended(process) == "finished\n"


def test_a_full_disk_is_told_and_nothing_is_acknowledged(serve: Serve) -> None:
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
    assert browser.state()["done"] == acknowledged == len(read(VOTES)) > 0
    assert VOTES.read_bytes().endswith(b"\n")
    process.send_signal(signal.SIGINT)
    assert ended(process) == "interrupted\n"
    _, browser = serve()  # with room again
    assert browser.state()["done"] == acknowledged
    assert browser.vote("first")["done"] == acknowledged + 1


def test_two_voters_at_once_and_their_labels() -> None:
    with booth(OF) as browser, Browser(browser.url) as other:
        authors = {one.completion.text: one.model for one in OF.completions}
        for turn in range(4):
            shown = browser.state("Anna")["pair"]
            for who, name in ((browser, "Anna"), (other, "Bo")):
                mine = who.state(name)["pair"]
                assert mine["turns"] == shown["turns"]  # the same way
                first = authors[mine["first"]] == MODELS[turn % 2]
                who.vote("first" if first else "second", name)
    labels = people(OF, VOTES)
    winners = {
        (one.prompt_id, one.judge): one.first if one.verdict.first == 1 else one.second
        for one in labels.evidence.judgments
        if one.judge in labels.voters
    }
    assert len(winners) == 8
    for number in range(4):
        assert len({winners[f"prompt-{number}", name] for name in ("Anna", "Bo")}) == 1
    assert sorted(winners.values()) == [MODELS[0]] * 4 + [MODELS[1]] * 4


def test_it_can_be_ended_from_outside_without_a_vote() -> None:
    addresses = []

    async def main() -> None:
        until = asyncio.Event()

        def announce(url: str) -> None:
            addresses.append(url)
            until.set()

        await gather(OF, VOTES, announce=announce, until=until)

    asyncio.run(main())
    assert len(addresses) == 1
    assert not VOTES.exists()


def test_what_cannot_be_opened_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def opening() -> None:
        asyncio.run(gather(OF, VOTES, announce=lambda url: pytest.fail(url)))

    VOTES.write_text("no vote\n")
    with pytest.raises(ConfigError, match="line 1"):
        opening()
    VOTES.unlink()
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        opening()


def test_a_poll_is_complete_when_somebody_has_said_something_on_every_pair() -> None:
    assert not complete(OF, VOTES)
    for number, (choice, voter) in enumerate([("first", "Anna"), ("skip", "Bo"), ("tie", "Bo")]):
        put(VOTES, vote(OF, number, choice, voter=voter))
    assert not complete(OF, VOTES)
    put(VOTES, vote(evidence(said={(3, MODELS[0]): "another text"}), 3))
    assert not complete(OF, VOTES)
    put(VOTES, vote(OF, 3))
    assert complete(OF, VOTES)
    assert complete(OF, VOTES, VoteOptions(draw="order"))
    put(VOTES, vote(OF, 3, "undone"))
    assert not complete(OF, VOTES)
    assert complete(OF, VOTES, VoteOptions(draw="order", labels=3))
