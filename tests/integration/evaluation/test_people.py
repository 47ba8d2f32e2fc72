"""People as judges through the API: votes change the results and the files of a run."""

import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakeoff import Config, Results, read_results, run
from bakeoff.api import run_async, vote_async
from bakeoff.testing import OpenAIServer
from tests.background_server import serving
from tests.integration.evaluation.test_pipeline import config
from tests.web_clients import Browser


@contextmanager
def voting(
    work: Callable[..., Coroutine[Any, Any, Results]], *arguments: object
) -> Iterator[Browser]:
    """Run `run_async` or `vote_async` in a thread; yields a client of its voting page.

    The end of the block ends the vote, like Ctrl-C, and waits for the results.
    """

    async def serve(announce: Callable[[str], None], until: object) -> None:
        await work(*arguments, announce=announce, until=until)

    with serving(serve) as address, Browser(address) as browser:
        yield browser


def test_votes_correct_the_judge_and_a_later_run_keeps_them(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        asked = config(server, tmp_path, 6)
        before = run(asked)
        with voting(vote_async, asked.out) as browser:
            browser.prefer("This is good", "anna", 4)
    voted = read_results(asked.out)
    (pair,) = voted.summary.pairs
    assert pair.people is not None
    assert (pair.people.voters, pair.people.prompts) == (("anna",), 4)
    assert pair.people.win_rate.estimate == 1
    assert pair.people.corrected is not None
    assert pair.win_rate == before.summary.pairs[0].win_rate
    assert len((asked.out / "votes.jsonl").read_text().splitlines()) == 4
    assert "Win rate corrected by people" in (asked.out / "report.html").read_text()
    assert run(asked).summary == voted.summary  # without the server: everything is in the store


def human(asked: Config, *judges: str) -> Config:
    """The same comparison with people as judges, beside `judges`."""
    return asked.model_copy(update={"judge": (*judges, "human")})


def test_people_beside_a_judge_are_not_in_the_panel(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        asked = config(server, tmp_path, 3)
        with voting(run_async, human(asked, *asked.judge)) as browser:
            browser.prefer("This is bad", "anna", 2)
    (pair,) = read_results(asked.out).summary.pairs
    assert [card.judge for card in pair.judges] == ["judge"]
    assert pair.people is not None
    assert pair.people.win_rate.estimate == 0


def test_people_can_be_the_only_judges_and_a_complete_vote_is_not_repeated(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        asked = human(config(server, tmp_path, 3))
        with voting(run_async, asked) as browser:
            browser.prefer("This is good", "anna", 3)
            browser.prefer("This is bad", "ben", 3)
            browser.post("finish")
        requests = len(server.requests)
        assert run(asked) == read_results(asked.out)  # serves no page, so that it ends
        assert len(server.requests) == requests
    (pair,) = read_results(asked.out).summary.pairs
    assert [card.judge for card in pair.judges] == ["anna", "ben"]
    assert [card.win_rate.estimate for card in pair.judges] == [1, 0]
    assert pair.people is None
    document = json.loads((asked.out / "results.json").read_text())
    assert (document["origins"]["anna"], document["human_sample"]) == ("human:", "random")
