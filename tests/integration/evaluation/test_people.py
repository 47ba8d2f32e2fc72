"""People as judges through the API: votes change the results and the files of a run."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, ConfigError, Results, plan, read_results, run
from bakeoff.api import run_async, vote_async
from bakeoff.testing import OpenAIServer
from tests.background_server import background_server
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

    with background_server(serve) as address, Browser(address) as browser:
        yield browser


def test_votes_correct_the_judge_and_a_later_run_keeps_them(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        run_config = config(server, tmp_path, 6)
        before = run(run_config)
        with voting(vote_async, run_config.out) as browser:
            browser.prefer("This is good", "anna", 4)
    voted = read_results(run_config.out)
    (pair,) = voted.summary.pairs
    assert pair.people is not None
    assert (pair.people.voters, pair.people.prompts) == (("anna",), 4)
    assert pair.people.win_rate.estimate == 1
    assert pair.people.corrected is not None
    assert pair.win_rate == before.summary.pairs[0].win_rate
    assert len((run_config.out / "votes.jsonl").read_text().splitlines()) == 4
    assert "Win rate corrected by people" in (run_config.out / "report.html").read_text()
    assert (
        run(run_config).summary == voted.summary
    )  # without the server: everything is in the store


def human(run_config: Config, *judges: str) -> Config:
    """The same comparison with people as judges, beside `judges`."""
    return run_config.model_copy(update={"judge": (*judges, "human")})


def test_people_beside_a_judge_are_not_in_the_panel(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        run_config = config(server, tmp_path, 3)
        with voting(run_async, human(run_config, *run_config.judge)) as browser:
            browser.prefer("This is bad", "anna", 2)
    (pair,) = read_results(run_config.out).summary.pairs
    assert [card.judge for card in pair.judges] == ["judge"]
    assert pair.people is not None
    assert pair.people.win_rate.estimate == 0


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_missing_extra_is_named_before_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: int, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with OpenAIServer() as server:
        run_config = config(server, tmp_path, 3)
        run_config = human(run_config, *run_config.judge[:others])
        for start in (plan, run):
            with pytest.raises(ConfigError) as error:
                start(run_config)
            assert str(error.value) == "the judge 'human' needs: pip install 'bakeoff[serve]'"
        assert not server.requests


def test_people_can_be_the_only_judges_and_a_complete_vote_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as server:
        run_config = human(config(server, tmp_path, 3))
        with voting(run_async, run_config) as browser:
            browser.prefer("This is good", "anna", 3)
            browser.prefer("This is bad", "ben", 3)
            browser.post("finish")
        requests = len(server.requests)
        monkeypatch.setitem(sys.modules, "uvicorn", None)  # every pair has votes
        assert run(run_config) == read_results(run_config.out)  # serves no page, so that it ends
        assert len(server.requests) == requests
    (pair,) = read_results(run_config.out).summary.pairs
    assert [card.judge for card in pair.judges] == ["anna", "ben"]
    assert [card.win_rate.estimate for card in pair.judges] == [1, 0]
    assert pair.people is None
    document = json.loads((run_config.out / "results.json").read_text())
    assert (document["origins"]["anna"], document["human_sample"]) == ("human:", "random")
