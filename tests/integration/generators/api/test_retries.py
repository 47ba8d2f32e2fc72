"""Retries, shared rate limits and several servers of one model."""

import asyncio
import json
import logging
import math
import random
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.api.generator import Api
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import Generator, RateLimits
from bakeoff.testing import OpenAIServer, Reply, chat_completion, refused_url, run_worker
from tests.builders import make_prompt
from tests.marks import long


def prompts(count: int, prefix: str = "") -> list[Prompt]:
    return [make_prompt(f"{prefix}{n}") for n in range(count)]


def open_model(
    urls: list[str],
    options: str = "",
    *,
    rate_limits: RateLimits | None = None,
    max_concurrency: int = 8,
) -> Generator:
    where = "&".join(f"base_url={url}" for url in urls)
    context = RunContext(Sampling(), max_concurrency, rate_limits=rate_limits or RateLimits())
    return open_generator(Spec.parse(f"api:m?{where}{options}"), context)


def texts(results: list[Completion | WorkError]) -> set[str]:
    assert all(isinstance(outcome, Completion) for outcome in results), results
    return {outcome.text for outcome in results if isinstance(outcome, Completion)}


BUSY = {"error": {"message": "Rate limit reached"}}


def test_retry_waits_as_long_as_the_server_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 1e6)
    monkeypatch.setattr("bakeoff.generators.api.retries._LONGEST_WAIT", 1e6)
    down = Reply(500, {"error": {"message": "x"}}, {"Retry-After-Ms": "1"})
    replies = iter([down, down, "fine"])
    with OpenAIServer(lambda _: next(replies)) as server:
        assert texts(run_worker(open_model([server.url]), prompts(1))) == {"fine"}


class Limited:
    """Responder that in turn serves `limit` requests and refuses all others for `period` seconds.

    Some requests are refused at any speed of the clients.
    """

    def __init__(self, limit: int, period: float) -> None:
        self.limit, self.period = limit, period
        self.count = 0
        self.opens: float | None = None  # the end of the present refusal period
        self.events = 0  # number of refusal periods
        self.refused = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        now = time.monotonic()
        if self.opens is not None and now >= self.opens:
            self.opens, self.count = None, 0
        if self.count < self.limit:
            self.count += 1
            return "fine"
        if self.opens is None:
            self.opens = now + self.period
            self.events += 1
        self.refused += 1
        left = math.ceil(1000 * (self.opens - now))
        return Reply(429, BUSY, {"Retry-After-Ms": f"{left}"})


def test_rate_limited_requests_never_fail() -> None:
    respond = Limited(20, 0.5)
    with OpenAIServer(respond) as server:
        results = run_worker(
            open_model([server.url], "&retries=0", max_concurrency=16), prompts(70)
        )
    assert texts(results) == {"fine"}
    assert respond.events >= 3
    assert len(server.requests) == 70 + respond.refused


def test_rate_limit_pauses_all_models_of_the_server() -> None:
    """A rate limit that one of two workers of a server meets pauses both."""
    respond = Limited(6, 0.6)
    rate_limits = RateLimits()

    async def work() -> None:
        with OpenAIServer(respond) as server:
            workers = [
                open_model([server.url], rate_limits=rate_limits, max_concurrency=4)
                for _ in range(2)
            ]
            results: list[Any] = []
            for worker in workers:
                await worker.prepare()
            await asyncio.gather(
                *(
                    worker(prompts(10, prefix), lambda _, outcome: results.append(outcome))
                    for prefix, worker in zip("ab", workers, strict=True)
                )
            )
            for worker in workers:
                await worker.close()
            assert len(texts(results)) == 1
            assert len(results) == 20

    asyncio.run(work())
    # Only requests that are in flight at the first refusal may be refused as well.
    assert respond.events == 3  # of 20 requests, behind every 6
    assert respond.refused <= 8 * respond.events


def at_once(server: OpenAIServer, workers: list[Generator], most: int) -> int:
    """The highest number of requests of all workers in flight, each with ten prompts.

    The server replies once `most` are in flight.
    """

    async def work() -> None:
        server.respond = lambda _: Reply(
            body=chat_completion("x"), delay=0.1, until=lambda: server.max_in_flight >= most
        )
        await asyncio.gather(*(worker(prompts(10), lambda *_: None) for worker in workers))
        for worker in workers:
            await worker.close()

    asyncio.run(work())
    return server.max_in_flight


def test_limits_are_shared_per_server_and_key_except_for_own_caps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER", "sk-other")
    for options, most in (
        (("", ""), 4),
        (("", "&api_key_env=OTHER"), 8),
        (("", "&max_concurrency=3"), 7),
        (("&rpm=60000", "&rpm=60000"), 4),
    ):
        rate_limits = RateLimits()
        with OpenAIServer() as server:
            workers = [
                open_model([server.url], o, rate_limits=rate_limits, max_concurrency=4)
                for o in options
            ]
            assert at_once(server, workers, most) == most, options


def test_requests_per_minute_are_spread() -> None:
    with OpenAIServer() as server:
        worker = open_model([server.url], rate_limits=RateLimits(rpm=1200))
        begun = time.monotonic()
        run_worker(worker, prompts(11))
        assert time.monotonic() - begun >= 9 * 0.05
        begun = time.monotonic()
        run_worker(open_model([server.url], "&rpm=1200"), prompts(11))
        assert time.monotonic() - begun >= 9 * 0.05


def test_tokens_per_minute_are_spread() -> None:
    with OpenAIServer() as server:  # each takes 8 tokens, and more is expected of the first ones
        begun = time.monotonic()
        run_worker(open_model([server.url], "&tpm=4800"), prompts(6))
        # At the 800 tokens that are expected of the first ones it would be 50 seconds.
        assert 0.4 <= time.monotonic() - begun < 40


def test_long_retry_after_fails_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = Reply(429, BUSY, {"Retry-After": "86400"})
    with caplog.at_level(logging.WARNING), OpenAIServer(lambda _: reply) as server:
        results = run_worker(open_model([server.url], max_concurrency=4), prompts(50))
    assert {(type(outcome), getattr(outcome, "status", 0)) for outcome in results} == {
        (BackendError, 429)
    }
    assert all("Rate limit reached" in str(outcome) for outcome in results)
    assert len(server.requests) <= 4
    assert "come again in 1 day, 0:00:00" in caplog.text


def test_request_refused_while_others_succeed_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A prompt above a limit of tokens is refused with 429 at every attempt."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.1)

    def respond(body: dict[str, Any]) -> Any:
        if body["messages"][0]["content"] == "7":
            return Reply(429, BUSY, {"Retry-After-Ms": "1"})
        return Reply(body=chat_completion("fine"), delay=0.05)

    with OpenAIServer(respond) as server:
        results = run_worker(open_model([server.url], "&retries=2", max_concurrency=4), prompts(60))
    assert [n for n, outcome in enumerate(results) if isinstance(outcome, WorkError)] == [7]
    assert isinstance(results[7], BackendError)
    assert results[7].status == 429
    assert len(server.requests) <= 59 + 40


def test_overload_does_not_lower_the_rate() -> None:
    """529 is independent of the rate of this client, so no rate limit is learned from it."""
    chance = random.Random(1)
    busy = Reply(529, {"error": {"message": "Overloaded"}})
    with OpenAIServer(lambda _: busy if chance.random() < 0.04 else "fine") as server:
        worker = open_model([server.url], max_concurrency=64)
        results = run_worker(worker, prompts(200))
    assert texts(results) == {"fine"}
    assert len(server.requests) - 200 > 4
    assert isinstance(worker, Api)
    (server_state,) = worker._pool.servers
    assert server_state.learned.rate(time.monotonic()) == math.inf


# Several servers


def test_requests_are_distributed_by_capacity() -> None:
    with OpenAIServer() as quick, OpenAIServer() as slow:
        quick.respond = lambda _: Reply(
            body=chat_completion("quick"), until=lambda: quick.max_in_flight == 4
        )
        slow.respond = lambda _: Reply(
            body=chat_completion("slow"),
            until=lambda: len(quick.requests) > 80 and slow.max_in_flight == 4,
        )
        results = run_worker(open_model([quick.url, slow.url], max_concurrency=4), prompts(100))
    assert texts(results) == {"quick", "slow"}
    assert len(quick.requests) > 3 * len(slow.requests)
    assert (quick.max_in_flight, slow.max_in_flight) == (4, 4)


def test_an_unreachable_server_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        refused_url() as unreachable,
        OpenAIServer(lambda _: "here") as server,
    ):
        results = run_worker(open_model([unreachable, server.url], "&retries=0"), prompts(40))
    assert texts(results) == {"here"}
    assert f"nothing listens at {unreachable}: asking the others" in caplog.text


def test_requests_of_a_dead_server_go_to_the_others() -> None:
    async def work() -> None:
        results: list[Completion | WorkError] = []
        with ExitStack() as dying, OpenAIServer(lambda _: "stays") as alive:
            dies = dying.enter_context(
                OpenAIServer(lambda _: Reply(body=chat_completion("dies"), delay=0.05))
            )
            worker = open_model([dies.url, alive.url], "&retries=2", max_concurrency=4)
            alive.respond = lambda _: Reply(
                body=chat_completion("stays"), until=lambda: len(dies.requests) >= 8
            )
            await worker.prepare()
            call = asyncio.create_task(
                worker(prompts(60), lambda _, outcome: results.append(outcome))
            )
            while len(dies.requests) < 8:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(dying.close)
            await call
            assert texts(results) == {"dies", "stays"}
            assert len(results) == 60
            await worker.close()

    asyncio.run(work())


@pytest.mark.parametrize("count", [1, 2])
def test_unreachable_servers_are_an_error_before_any_request(count: int) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(refused_url()) for _ in range(count)]
        worker = open_model(urls)
        with pytest.raises(ConfigError, match="start its server or check the address") as caught:
            asyncio.run(worker.prepare())
    assert all(url in str(caught.value) for url in urls)


def test_loss_of_all_servers_ends_the_run() -> None:
    async def work() -> None:
        with OpenAIServer() as first, OpenAIServer() as second:
            worker = open_model([first.url, second.url], "&retries=1")
            await worker.prepare()
        try:
            await worker(prompts(3), lambda *_: None)
        finally:
            await worker.close()

    with pytest.raises(ConfigError, match="cannot be reached"):
        asyncio.run(work())


@pytest.mark.parametrize("status", [503, *long([502])])
def test_server_lost_behind_a_proxy_is_awaited(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests outlast their retries during an outage; one that always fails is not awaited."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.1)
    monkeypatch.setattr("bakeoff.runtime.rate_limits._FIRST_PAUSE", 0.05)
    bad_gateway = Reply(status, {"error": {"message": "no upstream"}})
    request_times: list[float] = []
    failed: Counter[str] = Counter()  # failures by prompt

    def respond(body: dict[str, Any]) -> Any:
        prompt = body["messages"][-1]["content"]
        if prompt == "poison":
            return bad_gateway
        request_times.append(time.monotonic())
        tried = max(failed.values(), default=0) > 2  # more often than `retries`
        if len(request_times) <= 4 or (tried and request_times[-1] > request_times[4] + 1.5):
            return "fine"
        failed[prompt] += 1
        return bad_gateway

    poison = make_prompt("poison")
    with OpenAIServer(respond) as server:
        *results, last = run_worker(open_model([server.url], "&retries=2"), [*prompts(40), poison])
    assert texts(results) == {"fine"}
    assert isinstance(last, BackendError)
    assert last.status == status
    assert len(request_times) < 160


def test_additional_server_keeps_the_identity() -> None:
    def identity(*urls: str) -> str:
        where = "&".join(f"base_url={url}" for url in urls)
        worker = Api(Spec.parse(f"api:m?{where}"), RunContext(Sampling()))
        return json.dumps([worker.identity, worker.weights])

    alone = identity("http://h:1/v1")
    assert alone == identity("http://h:1/v1", "http://g:2/v1")
    assert alone != identity("http://g:2/v1", "http://h:1/v1")


@pytest.mark.parametrize(
    "urls", ["http://h:1/v1&base_url=h:2", "http://h:1/v1&base_url=http://h:x"]
)
def test_every_base_url_is_validated(urls: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        open_generator(Spec.parse(f"api:m?base_url={urls}"), RunContext(Sampling()))
