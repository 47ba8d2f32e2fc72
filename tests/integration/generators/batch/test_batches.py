"""Batched models against a loopback server with both providers' batch APIs."""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, WorkError
from bakeoff.generators.batch import batches, provider
from bakeoff.generators.batch.provider import chunks
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import Generator, notify_committed
from bakeoff.testing import Reply, chat_completion
from bakeoff.testing.openai_server import completion_of
from tests.batch_server import BatchServer, Job
from tests.builders import make_prompt

BOTH = pytest.mark.parametrize("model", ["openai:gpt-4", "anthropic:claude-sonnet-4-5"])
STORE = Path("store.sqlite")


@pytest.fixture(autouse=True)
def _store_and_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")


def prompts(count: int, first: int = 0) -> list[Prompt]:
    numbers = range(first, first + count)
    return [make_prompt(f"Number {n}?") for n in numbers]


def open_model(
    server: BatchServer, model: str = "openai:gpt-4", options: str = "", **more: Any
) -> Generator:
    at = server.address if model.startswith("anthropic") else server.url
    context = {"batch": True, "store": STORE, **more}
    batches = context["batch"] and "batch=false" not in options and model[:4] != "api:"
    poll = "&poll=0.02" if batches or "batch=true" in options else ""
    spec = Spec.parse(f"{model}?base_url={at}{poll}{options}")
    return open_generator(spec, RunContext(Sampling(), **context))


def outcomes(worker: Generator, items: Sequence[Prompt]) -> list[Completion | WorkError]:
    """Return the outcomes of a run that stores them."""
    results: dict[int, Completion | WorkError] = {}

    async def run() -> None:
        await worker.prepare()
        try:
            await worker(items, results.__setitem__)
            notify_committed(worker)
        finally:
            await worker.close()

    asyncio.run(run())
    return [results[index] for index in range(len(items))]


def texts(results: Sequence[Completion | WorkError]) -> list[str]:
    assert all(isinstance(outcome, Completion) for outcome in results), results
    return [outcome.text for outcome in results if isinstance(outcome, Completion)]


def expected(model: str, count: int) -> list[str]:
    return [completion_of(model.partition(":")[2], f"Number {n}?") for n in range(count)]


def number(body: dict[str, Any]) -> int:
    """Return the number of the prompt of a request."""
    return int(body["messages"][0]["content"].removeprefix("Number ").removesuffix("?"))


def numbers(bodies: Sequence[dict[str, Any]]) -> list[int]:
    return sorted(map(number, bodies))


# ---------------------------------------------------------------------------------- requests


@BOTH
def test_requests_and_completions_equal_direct_ones(model: str) -> None:
    with BatchServer() as server:
        batched = outcomes(open_model(server, model), prompts(6))
        sent, direct = server.sent, list(server.direct)
        server.direct.clear()
        plain = outcomes(open_model(server, model, batch=False), prompts(6))
        assert texts(batched) == texts(plain) == expected(model, 6)
        assert (numbers(direct), numbers(sent)) == ([0], [1, 2, 3, 4, 5])
        assert sorted(direct + sent, key=number) == sorted(server.direct, key=number)
        for batched_outcome, plain_outcome in zip(batched, plain, strict=True):
            assert isinstance(batched_outcome, Completion)
            assert batched_outcome.model_copy(update={"cost": None}) == plain_outcome.model_copy(  # type: ignore[union-attr]
                update={"cost": None}
            )


@BOTH
def test_batched_completions_cost_half(model: str) -> None:
    with BatchServer() as server:
        results = outcomes(open_model(server, model), prompts(3))
        plain = outcomes(open_model(server, model, batch=False), prompts(1))[0]
    costs = [outcome.cost for outcome in results if isinstance(outcome, Completion)]
    assert isinstance(plain, Completion)
    assert plain.cost
    assert costs == pytest.approx([plain.cost, plain.cost / 2, plain.cost / 2])


def test_flag_and_option_select_batches_with_one_identity() -> None:
    with BatchServer() as server:
        batched, plain = open_model(server), open_model(server, options="&batch=false")
        by_option = open_model(server, options="&batch=true", batch=False)
        direct = open_model(server, "api:m")
        chosen = open_model(server, "api:m", "&batch=true", batch=False)
    assert (batched.traits.batch_only, plain.traits.batch_only, by_option.traits.batch_only) == (
        True,
        False,
        True,
    )
    assert [direct.traits.batch_only, chosen.traits.batch_only] == [False, True]
    assert batched.identity == plain.identity == by_option.identity


def test_model_without_batch_api_is_direct_or_a_config_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = RunContext(Sampling(), batch=True)
    with caplog.at_level(logging.WARNING):
        assert not open_generator(Spec.parse("mistral:m"), context).traits.batch_only
    assert "mistral:m has no batches that we know of" in caplog.text
    caplog.clear()
    assert not open_generator(Spec.parse("echo:m"), context).traits.batch_only
    assert not caplog.text
    with pytest.raises(ConfigError, match=r"mistral: has no batches.*anthropic, api, openai"):
        open_generator(Spec.parse("mistral:m?batch=true"), context)
    with pytest.raises(ConfigError, match="batch"):
        open_generator(Spec.parse("openai:m?batch=perhaps"), context)


def test_batches_exclude_several_servers_and_ignore_delay() -> None:
    with BatchServer() as server:
        with pytest.raises(ConfigError, match="one server is asked in batches"):
            open_model(server, options="&base_url=http://127.0.0.1:9/v1")
        # With a pause of 5 seconds before each request this would take ten minutes.
        assert texts(outcomes(open_model(server, options="&delay=5"), prompts(121)))


@BOTH
def test_wrong_key_is_found_before_a_batch_is_sent(model: str) -> None:
    error = {"type": "authentication_error", "message": "who are you?"}
    with (
        BatchServer(lambda _: Reply(401, {"type": "error", "error": error})) as server,
        pytest.raises(ConfigError, match="refuses the key"),
    ):
        outcomes(open_model(server, model), prompts(3))
    assert not server.jobs


# ------------------------------------------------------------------------------------- what comes


@BOTH
@pytest.mark.parametrize("fate", ["expired", "cancelled", "missing"])
def test_request_without_a_result_is_unfinished(model: str, fate: str) -> None:
    with BatchServer(fate=lambda body: fate if number(body) % 2 else "replied") as server:
        results = outcomes(open_model(server, model), prompts(5))
        assert len(server.jobs) == 1
        assert texts(results[::2]) == expected(model, 5)[::2]
        for outcome in results[1::2]:
            assert isinstance(outcome, BackendError)
            assert (outcome.kind, outcome.status) == ("unfinished", None)
            assert fate in outcome.message or fate == "missing"
        server.fate = lambda body: "replied"
        again = outcomes(open_model(server, model), prompts(5)[1::2])
        assert texts(again) == expected(model, 5)[1::2]


@BOTH
def test_error_of_one_request_fails_that_item(model: str) -> None:
    def respond(body: dict[str, Any]) -> Any:
        kinds = {
            2: (500, "api_error", "oops"),
            3: (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
            4: (429, "rate_limit_error", "slow down"),
        }
        if number(body) not in kinds:
            return "fine"
        status, kind, words = kinds[number(body)]
        return Reply(status, {"type": "error", "error": {"type": kind, "message": words}})

    with BatchServer(respond) as server:
        results = outcomes(open_model(server, model), prompts(5))
    assert texts(results[:2]) == ["fine", "fine"]
    oops, long, slow = results[2:]
    assert isinstance(oops, BackendError)
    assert (oops.kind, oops.status) == ("backend", 500)
    assert "oops" in oops.message
    assert isinstance(long, ContextError)
    assert isinstance(slow, BackendError)
    assert slow.status == 429
    assert len(server.jobs) == 1, "the official client's attempts would each be a batch"


def no_seed(body: dict[str, Any]) -> Any:
    """Refuse the parameter `seed` except with the first prompt."""
    if "seed" in body and number(body):
        return Reply(400, {"error": {"message": "Unknown parameter: 'seed'.", "param": "seed"}})
    return "fine"


def test_request_is_sent_again_without_its_refused_parameter() -> None:
    with BatchServer(lambda body: no_seed(body) if number(body) > 2 else "fine") as server:
        results = outcomes(open_model(server), prompts(5))
    assert texts(results) == ["fine"] * 5
    first, second = ([r["body"] for r in job.requests] for job in server.jobs)
    assert (numbers(first), numbers(second)) == ([1, 2, 3, 4], [3, 4])
    assert all("seed" in body for body in first)
    assert not any("seed" in body for body in second)


def test_refused_parameters_are_found_before_a_batch_is_sent() -> None:
    def respond(body: dict[str, Any]) -> Any:
        for name in ("temperature", "top_p", "seed"):
            if name in body:
                error = {"message": f"Unsupported parameter: '{name}'.", "param": name}
                return Reply(400, {"error": error})
        return "fine"

    with BatchServer(respond) as server:
        assert texts(outcomes(open_model(server), prompts(3))) == ["fine"] * 3
        assert [set(body) for body in server.sent] == [
            {"model", "messages", "max_completion_tokens"}
        ] * 2


def test_unreadable_reply_is_repeated_in_a_second_batch() -> None:
    odd = [{**chat_completion("x"), "choices": []}]
    with BatchServer(lambda b: odd.pop() if number(b) == 2 and odd else "fine") as server:
        assert texts(outcomes(open_model(server), prompts(4))) == ["fine"] * 4
    assert [numbers([r["body"] for r in job.requests]) for job in server.jobs] == [[1, 2, 3], [2]]


@BOTH
def test_unicode_line_separator_does_not_split_a_result(model: str) -> None:
    with BatchServer(lambda _: "one\u2028two\x85three") as server:
        assert (
            texts(outcomes(open_model(server, model), prompts(3))) == ["one\u2028two\x85three"] * 3
        )


# ---------------------------------------------------------------------------------- whole batches


@BOTH
def test_batch_size_is_respected(model: str) -> None:
    with BatchServer() as server:
        results = outcomes(open_model(server, model, "&batch_size=2"), prompts(6))
    assert texts(results) == expected(model, 6)
    assert sorted(len(job.requests) for job in server.jobs) == [1, 2, 2]
    assert server.max_running > 1


def test_chunks_keep_order_and_both_limits() -> None:
    bodies = {f"r{n}": b"x" * 100 for n in range(10)}
    by_count = list(chunks(bodies, max_requests=4, max_bytes=10**9))
    assert [list(part) for part in by_count] == [
        ["r0", "r1", "r2", "r3"],
        ["r4", "r5", "r6", "r7"],
        ["r8", "r9"],
    ]
    for most in range(400, 4000, 300):
        results = list(chunks(bodies, max_requests=100, max_bytes=most))
        assert [id_ for part in results for id_ in part] == list(bodies)
        assert all(sum(len(b) for b in part.values()) <= most for part in results)
    assert [len(part) for part in chunks(bodies, 100, 950)] == [3, 3, 3, 1]
    assert [len(part) for part in chunks(bodies, 100, 1)] == [1] * 10
    assert list(chunks({}, 1, 1)) == []


def test_rejected_batch_is_a_config_error_and_is_sent_by_the_next_run() -> None:
    with BatchServer() as server:
        server.refusal = lambda job: [{"code": "invalid_json_line", "message": "Line 3 is odd."}]
        with pytest.raises(ConfigError, match=r"does not take batch_0 \(Line 3 is odd\.\)"):
            outcomes(open_model(server), prompts(4))
        server.refusal = lambda job: []
        assert texts(outcomes(open_model(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert len(server.jobs) == 2


def crowded(most: int) -> Any:
    def refusal(job: Job) -> list[dict[str, Any]]:
        words = "Enqueued token limit reached for gpt-4. Limit: 90,000 enqueued tokens."
        full = len(job.requests) > most
        return [{"code": "token_limit_exceeded", "message": words}] if full else []

    return refusal


def test_batch_over_quota_is_sent_in_sequential_parts() -> None:
    with BatchServer() as server:
        server.refusal = crowded(3)
        results = outcomes(open_model(server), prompts(10))
        assert texts(results) == expected("openai:gpt-4", 10)
        taken = [len(job.requests) for job in server.jobs if job.state == "ended"]
        assert (sum(taken), max(taken)) == (9, 2)
        assert server.max_running == 1


def test_single_request_over_quota_is_a_config_error() -> None:
    with BatchServer() as server:
        server.refusal = crowded(0)
        with pytest.raises(ConfigError, match="Enqueued token limit"):
            outcomes(open_model(server), prompts(4))
        assert min(len(job.requests) for job in server.jobs) == 1


@BOTH
def test_batch_with_a_lost_reply_is_not_created_twice(model: str) -> None:
    with BatchServer() as server:
        broken = ["made"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        server.hidden = 3
        results = outcomes(open_model(server, model), prompts(5))
        assert texts(results) == expected(model, 5)
        assert len(server.jobs) == 1


@BOTH
def test_batch_that_is_listed_late_is_not_created_twice(model: str) -> None:
    with BatchServer() as server:
        broken = ["made"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        server.hidden = 10**6
        interrupted(server, open_model(server, model), prompts(5), polls=0)
        server.hidden = 3
        results = outcomes(open_model(server, model), prompts(5)[1:])
        assert texts(results) == expected(model, 5)[1:]
        assert len(server.jobs) == 1


@BOTH
def test_batch_that_was_not_created_is_sent_again(model: str) -> None:
    with BatchServer() as server:
        broken = ["making", "making"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        results = outcomes(open_model(server, model), prompts(5))
        assert texts(results) == expected(model, 5)
        assert not broken
        assert len(server.jobs) == 1


@BOTH
def test_batch_of_another_client_is_not_taken_for_a_lost_one(model: str) -> None:
    with BatchServer() as server:
        provider = model.partition(":")[0]
        other = outcomes(open_model(server, f"{provider}:other", store=None), prompts(5))
        broken = ["making"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        results = outcomes(open_model(server, model), prompts(5))
        assert texts(results) == expected(model, 5)
        assert texts(other) == expected("any:other", 5)
        assert len(server.jobs) == 2


@BOTH
def test_unreachable_provider_is_awaited(model: str, caplog: pytest.LogCaptureFixture) -> None:
    with BatchServer(polls=10**6) as server:

        def away(request: Any) -> None:
            if "batch_" in request.url.path and server.jobs[0].polls == 2 and not restarts:
                restarts.append(1)
                threading.Thread(target=restart).start()

        def restart() -> None:
            server.stop()
            while "no word of its batches" not in caplog.text:
                time.sleep(0.01)
            server.polls = server.jobs[0].polls + 2
            server.start()

        restarts: list[int] = []
        server.intercept = away
        with caplog.at_level(logging.WARNING):
            results = outcomes(open_model(server, model, "&retries=0"), prompts(5))
    assert restarts
    assert "no word of its batches" in caplog.text
    assert texts(results) == expected(model, 5)
    assert len(server.jobs) == 1


@BOTH
def test_outage_ends_the_run_and_the_next_fetches_the_results(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "_MAX_OUTAGE", 0.2)
    with BatchServer() as server:
        server.intercept = lambda request: 1 / 0 if "batch_" in request.url.path else None  # type: ignore[return-value]
        with pytest.raises(ConfigError, match=r"out of reach.*run the same command later"):
            outcomes(open_model(server, model, "&retries=0"), prompts(5))
        server.intercept = lambda request: None
        results = outcomes(open_model(server, model), prompts(5)[1:])
        assert texts(results) == expected(model, 5)[1:]
        assert len(server.jobs) == 1
        assert len(server.direct) == 1


@BOTH
def test_batch_that_the_provider_lost_is_sent_again(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchServer(polls=4) as server:

        def lose(request: Any) -> None:
            if "batch_" in request.url.path and server.jobs and server.jobs[0].polls == 2:
                server.jobs[0].id = "lost"

        server.intercept = lose
        with caplog.at_level(logging.WARNING):
            results = outcomes(open_model(server, model), prompts(4))
    assert "batch_0 is gone" in caplog.text
    assert texts(results) == expected(model, 4)
    assert len(server.jobs) == 2


def test_unreadable_results_are_fetched_again() -> None:
    with BatchServer() as server:
        odd = [b'{"custom_id": "r', b"<html>"]

        def broken(request: Any) -> Any:
            from starlette.responses import Response

            if request.url.path.endswith("content") and odd:
                return Response(odd.pop())
            return None

        server.intercept = broken
        assert texts(outcomes(open_model(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert not odd


def test_unexpected_error_in_the_queue_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bakeoff.generators.batch.openai import OpenAIBatches

    async def bug(self: OpenAIBatches, reference: str) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(OpenAIBatches, "_status", bug)
    with BatchServer() as server, pytest.raises(KeyError, match="a bug"):
        outcomes(open_model(server), prompts(4))


# -------------------------------------------------------------------------------------- taken up


def interrupted(
    server: BatchServer, worker: Generator, items: list[Prompt], *, jobs: int = 1, polls: int = 1
) -> int:
    """Cancel a run after `jobs` batches of which the last was polled `polls` times.

    Returns the number of outcomes.
    """
    results: list[int] = []

    async def run() -> None:
        await worker.prepare()
        task = asyncio.create_task(worker(items, lambda index, _: results.append(index)))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not (len(server.jobs) == jobs and server.jobs[-1].polls >= polls):
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await worker.close()

    asyncio.run(run())
    return len(results)


@BOTH
def test_interrupted_batch_is_resumed(model: str, caplog: pytest.LogCaptureFixture) -> None:
    with BatchServer(polls=10**6) as server:
        with caplog.at_level(logging.WARNING):
            assert interrupted(server, open_model(server, model), prompts(5), polls=2) == 1
        assert "what was sent goes on at the provider (batch_0)" in caplog.text
        server.polls = 4
        # The ones that came are in the run's store; others may be new.
        results = outcomes(open_model(server, model), prompts(7)[1:])
        assert texts(results) == expected(model, 7)[1:]
        assert len(server.direct) == 1, "what the server takes was learned before"
        assert [len(job.requests) for job in server.jobs] == [4, 2]
        paid = numbers(server.paid)
        assert paid == [0, 1, 2, 3, 4, 5, 6]


def test_unsupported_parameters_are_resumed() -> None:
    with BatchServer(lambda body: no_seed(body | {"messages": [{"content": "Number 1?"}]})) as s:
        s.polls = 10**6
        interrupted(s, open_model(s), prompts(3))
        s.polls = 1
        assert texts(outcomes(open_model(s), prompts(5)[1:])) == ["fine"] * 4
        assert not any("seed" in body for body in s.sent)


def test_finished_run_leaves_no_batch_to_resume() -> None:
    with BatchServer() as server:
        for _ in range(2):
            assert texts(outcomes(open_model(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert len(server.jobs) == 2
        assert numbers(server.paid) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_second_batch_is_resumed_with_the_replies_of_the_first() -> None:
    """Requests that the first batch refused are in the second; resuming sends nothing."""
    with BatchServer(no_seed) as server:

        def slow(request: Any) -> None:
            server.polls = 10**6 if len(server.jobs) == 2 else 1

        server.intercept = slow
        assert interrupted(server, open_model(server), prompts(4), jobs=2) == 1
        server.intercept, server.polls = (lambda request: None), 1
        assert texts(outcomes(open_model(server), prompts(4)[1:])) == ["fine"] * 3
        assert len(server.jobs) == 2


def test_one_store_has_batches_of_several_models_and_concurrent_runs() -> None:
    with BatchServer(polls=10**6) as server:
        for nth, model in enumerate(("openai:gpt-4", "openai:gpt-4o", "anthropic:c")):
            interrupted(server, open_model(server, model), prompts(3), jobs=nth + 1)
        server.polls = 1
        assert [len(job.requests) for job in server.jobs] == [2, 2, 2]
        for model in ("openai:gpt-4", "openai:gpt-4o", "anthropic:c"):
            results = outcomes(open_model(server, model), prompts(3)[1:])
            assert texts(results) == expected(model, 3)[1:]
        assert len(server.jobs) == 3
        assert len(server.direct) == 3


def test_results_that_were_not_stored_are_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchServer() as server:
        worker = open_model(server)
        monkeypatch.setattr(worker, "on_committed", lambda: None)  # as if the disk were full
        assert texts(outcomes(worker, prompts(4))) == expected("openai:gpt-4", 4)
        assert (
            texts(outcomes(open_model(server), prompts(4)[1:])) == expected("openai:gpt-4", 4)[1:]
        )
        assert len(server.jobs) == 1
        assert len(server.direct) == 1


def test_reply_before_its_request_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchServer(polls=10**6) as server:
        interrupted(server, open_model(server), prompts(7))
        server.polls = 1
        monkeypatch.setattr(batches, "_MAX_PENDING", 2)
        assert (
            texts(outcomes(open_model(server), prompts(7)[1:])) == expected("openai:gpt-4", 7)[1:]
        )
        assert len(server.jobs) == 1


def test_batches_are_not_limited_by_lanes() -> None:
    with BatchServer() as server:
        assert texts(outcomes(open_model(server, max_concurrency=2), prompts(300))) == expected(
            "openai:gpt-4", 300
        )
        assert [len(job.requests) for job in server.jobs] == [299]
