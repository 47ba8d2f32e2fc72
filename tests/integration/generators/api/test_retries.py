"""When servers are asked, and again: limits that all share, several servers, an end of trying."""

import asyncio
import json
import logging
import random
import time
from contextlib import ExitStack
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.plugins import Setting, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.runtime import Generator, Limits
from tests.marks import long
from tests.openai_server import OpenAIServer, Reply, chat
from tests.workers import outcomes


def prompts(count: int, of: str = "") -> list[Prompt]:
    return [Prompt(messages=(Message(role="user", content=f"{of}{n}"),)) for n in range(count)]


def opened(
    urls: list[str], options: str = "", *, limits: Limits | None = None, lanes: int = 8
) -> Generator:
    where = "&".join(f"base_url={url}" for url in urls)
    setting = Setting(Sampling(), lanes, limits=limits or Limits())
    return open_generator(Spec.parse(f"api:m?{where}{options}"), setting)


def texts(said: list[Completion | WorkError]) -> set[str]:
    assert all(isinstance(one, Completion) for one in said), said
    return {one.text for one in said if isinstance(one, Completion)}


BUSY = {"error": {"message": "Rate limit reached"}}


def test_a_server_that_failed_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 1e6)
    monkeypatch.setattr("bakeoff.generators.api.retries._LONGEST_WAIT", 1e6)
    down = Reply(500, {"error": {"message": "x"}}, {"Retry-After-Ms": "1"})
    replies = iter([down, down, "fine"])
    with OpenAIServer(lambda _: next(replies)) as server:
        assert texts(outcomes(opened([server.url]), prompts(1))) == {"fine"}


class Limited:
    """A brain that serves so many in each period, and says when the next begins."""

    def __init__(self, limit: int, period: float) -> None:
        self.limit, self.period = limit, period
        self.began, self.count = 0.0, 0
        self.refused: list[float] = []
        self.soonest = 0.0  # when it said that it can be asked again
        self.too_soon = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        now = time.monotonic()
        if now >= self.began + self.period:
            self.began, self.count = now, 0
        if self.count < self.limit:
            self.count += 1
            return "fine"
        self.too_soon += now < self.soonest
        self.soonest = self.began + self.period
        self.refused.append(now)
        return Reply(429, BUSY, {"Retry-After-Ms": f"{1000 * (self.soonest - now):.0f}"})


def test_nothing_is_lost_to_a_limit_however_often_it_is_met() -> None:
    brain = Limited(20, 0.5)
    with OpenAIServer(brain) as server:
        said = outcomes(opened([server.url], "&retries=0", lanes=16), prompts(70))
    assert texts(said) == {"fine"}
    assert brain.refused
    assert len(server.requests) == 70 + len(brain.refused)


def test_a_refusal_holds_all_who_ask_that_server() -> None:
    """Two workers: what one of them is told, the other one obeys as well."""
    brain = Limited(6, 0.6)
    limits = Limits()

    async def work() -> None:
        with OpenAIServer(brain) as server:
            workers = [opened([server.url], limits=limits, lanes=4) for _ in range(2)]
            said: list[Any] = []
            for worker in workers:
                await worker.prepare()
            await asyncio.gather(
                *(
                    worker(prompts(10, of), lambda _, one: said.append(one))
                    for of, worker in zip("ab", workers, strict=True)
                )
            )
            for worker in workers:
                await worker.close()
            assert len(texts(said)) == 1
            assert len(said) == 20

    asyncio.run(work())
    # Those under way at the first refusal may be refused as well, and nobody after it was known.
    events = [at for n, at in enumerate(brain.refused) if n == 0 or at - brain.refused[n - 1] > 0.1]
    assert len(brain.refused) <= 8 * len(events)
    assert len(events) <= 5


def at_once(server: OpenAIServer, workers: list[Generator]) -> int:
    """How many requests of all workers are in flight together, when each has ten prompts."""

    async def work() -> None:
        server.brain = lambda _: Reply(body=chat("x"), delay=0.1)
        await asyncio.gather(*(worker(prompts(10), lambda *_: None) for worker in workers))
        for worker in workers:
            await worker.close()

    asyncio.run(work())
    return server.most_in_flight


@pytest.mark.long
def test_who_asks_one_server_with_one_key_shares_it_and_a_model_with_caps_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER", "sk-other")
    for options, most in (
        (("", ""), 4),
        (("", "&api_key_env=OTHER"), 8),
        (("", "&max_concurrency=3"), 7),
        (("&rpm=60000", "&rpm=60000"), 4),
    ):
        limits = Limits()
        with OpenAIServer() as server:
            workers = [opened([server.url], o, limits=limits, lanes=4) for o in options]
            assert at_once(server, workers) == most, options


def test_requests_a_minute_are_spread() -> None:
    with OpenAIServer() as server:
        worker = opened([server.url], limits=Limits(rpm=1200))
        begun = time.monotonic()
        outcomes(worker, prompts(11))
        assert time.monotonic() - begun >= 9 * 0.05
        begun = time.monotonic()
        outcomes(opened([server.url], "&rpm=1200"), prompts(11))
        assert time.monotonic() - begun >= 9 * 0.05


def test_tokens_a_minute_are_spread() -> None:
    with OpenAIServer() as server:  # each takes 8 tokens, and more is expected of the first ones
        begun = time.monotonic()
        outcomes(opened([server.url], "&tpm=4800"), prompts(6))
        assert 0.4 <= time.monotonic() - begun < 5


def test_a_server_that_says_come_again_tomorrow_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = Reply(429, BUSY, {"Retry-After": "86400"})
    with caplog.at_level(logging.WARNING), OpenAIServer(lambda _: reply) as server:
        said = outcomes(opened([server.url], lanes=4), prompts(50))
    assert {(type(one), getattr(one, "status", 0)) for one in said} == {(BackendError, 429)}
    assert all("Rate limit reached" in str(one) for one in said)
    assert len(server.requests) <= 4
    assert "come again in 1 day, 0:00:00" in caplog.text


def test_a_request_that_is_refused_while_others_are_served_fails_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A prompt that is too long for a limit of tokens is refused for ever, and by 429."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.1)

    def brain(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"] == "7":
            return Reply(429, BUSY, {"Retry-After-Ms": "1"})
        return Reply(body=chat("fine"), delay=0.05)

    with OpenAIServer(brain) as server:
        said = outcomes(opened([server.url], "&retries=2", lanes=4), prompts(60))
    assert [n for n, one in enumerate(said) if isinstance(one, WorkError)] == [7]
    assert isinstance(said[7], BackendError)
    assert said[7].status == 429
    assert len(server.requests) <= 59 + 20


def test_a_server_that_is_busy_now_and_then_is_asked_no_slower_for_that() -> None:
    """It says 529 to everybody alike: no rate follows from that, and nobody crawls at one."""
    chance = random.Random(1)
    busy = Reply(529, {"error": {"message": "Overloaded"}})
    began = time.monotonic()
    with OpenAIServer(lambda _: busy if chance.random() < 0.04 else "fine") as server:
        said = outcomes(opened([server.url], lanes=64), prompts(200))
    assert texts(said) == {"fine"}
    refused = len(server.requests) - 200
    assert refused > 4
    assert time.monotonic() - began < 20 + 2 * refused


# Several servers


def test_requests_are_spread_over_servers_by_the_room_they_have() -> None:
    with OpenAIServer() as quick, OpenAIServer() as slow:
        quick.brain = lambda _: Reply(body=chat("quick"), delay=0.01)
        slow.brain = lambda _: Reply(body=chat("slow"), delay=0.2)
        said = outcomes(opened([quick.url, slow.url], lanes=4), prompts(100))
    assert texts(said) == {"quick", "slow"}
    assert len(quick.requests) > 3 * len(slow.requests)
    assert (quick.most_in_flight, slow.most_in_flight) == (4, 4)


def test_a_server_that_is_not_there_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with OpenAIServer() as gone:
        pass
    with caplog.at_level(logging.WARNING), OpenAIServer(lambda _: "here") as server:
        said = outcomes(opened([gone.url, server.url], "&retries=0"), prompts(40))
    assert texts(said) == {"here"}
    assert f"nothing listens at {gone.url}: asking the others" in caplog.text


def test_the_requests_of_a_server_that_dies_go_to_the_others_and_it_may_come_back() -> None:
    async def work() -> None:
        said: list[Completion | WorkError] = []
        with ExitStack() as dying, OpenAIServer(lambda _: "stays") as stays:
            dies = dying.enter_context(OpenAIServer(lambda _: Reply(body=chat("dies"), delay=0.05)))
            worker = opened([dies.url, stays.url], "&retries=2", lanes=4)
            stays.brain = lambda _: Reply(body=chat("stays"), delay=0.05)
            await worker.prepare()
            going = asyncio.create_task(worker(prompts(60), lambda _, one: said.append(one)))
            while len(dies.requests) < 8:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(dying.close)
            await going
            assert texts(said) == {"dies", "stays"}
            assert len(said) == 60
            await worker.close()

    asyncio.run(work())


@pytest.mark.parametrize("count", [1, 2])
def test_where_no_server_is_there_that_is_said_before_any_work(count: int) -> None:
    urls = []
    for _ in range(count):
        with OpenAIServer() as gone:
            urls.append(gone.url)
    worker = opened(urls)
    with pytest.raises(ConfigError, match="start its server or check the address") as caught:
        asyncio.run(worker.prepare())
    assert all(url in str(caught.value) for url in urls)


def test_servers_that_all_go_away_end_the_run_and_not_the_patience() -> None:
    async def work() -> None:
        with OpenAIServer() as one, OpenAIServer() as other:
            worker = opened([one.url, other.url], "&retries=1")
            await worker.prepare()
        try:
            await worker(prompts(3), lambda *_: None)
        finally:
            await worker.close()

    with pytest.raises(ConfigError, match="cannot be reached"):
        asyncio.run(work())


@pytest.mark.parametrize("status", [503, *long([502])])
def test_a_server_that_is_gone_behind_a_proxy_is_waited_for(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than each request is tried again; one that alone fails so is not waited for."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.01)
    monkeypatch.setattr("bakeoff.runtime.rate_limits.rate_limiter._FIRST_PAUSE", 0.05)
    gone = Reply(status, {"error": {"message": "no upstream"}})
    asked: list[float] = []

    def brain(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["content"] == "poison":
            return gone
        asked.append(time.monotonic())
        back = len(asked) <= 4 or asked[-1] > asked[4] + 1.5
        return "fine" if back else gone

    poison = Prompt(messages=(Message(role="user", content="poison"),))
    with OpenAIServer(brain) as server:
        *said, last = outcomes(opened([server.url], "&retries=2"), [*prompts(40), poison])
    assert texts(said) == {"fine"}
    assert isinstance(last, BackendError)
    assert last.status == status
    assert 45 < len(asked) < 120


def test_one_more_server_changes_nothing_that_is_kept() -> None:
    def identity(*urls: str) -> str:
        where = "&".join(f"base_url={url}" for url in urls)
        worker = Api(Spec.parse(f"api:m?{where}"), Setting(Sampling()))
        return json.dumps([worker.identity, worker.weights])

    alone = identity("http://h:1/v1")
    assert alone == identity("http://h:1/v1", "http://g:2/v1")
    assert alone != identity("http://g:2/v1", "http://h:1/v1")


@pytest.mark.parametrize(
    "urls", ["http://h:1/v1&base_url=h:2", "http://h:1/v1&base_url=http://h:x"]
)
def test_every_address_is_checked(urls: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        open_generator(Spec.parse(f"api:m?base_url={urls}"), Setting(Sampling()))
