"""Models that are asked in batches, by a real server that speaks both providers' interfaces."""

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
from bakeoff.generators.batch import batches, retrying_provider
from bakeoff.generators.batch.provider import parts
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.runtime import Generator, notify_committed
from bakeoff.testing import Reply, chat_completion
from tests.batch_server import BatchServer, Job

BOTH = pytest.mark.parametrize("model", ["openai:gpt-4", "anthropic:claude-sonnet-4-5"])
STORE = Path("store.sqlite")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")


def prompts(count: int, first: int = 0) -> list[Prompt]:
    numbers = range(first, first + count)
    return [Prompt(messages=(Message(role="user", content=f"Number {n}?"),)) for n in numbers]


def opened(
    server: BatchServer, model: str = "openai:gpt-4", options: str = "", **more: Any
) -> Generator:
    at = server.address if model.startswith("anthropic") else server.url
    context = {"batch": True, "store": STORE, **more}
    batches = context["batch"] and "batch=false" not in options and model[:4] != "api:"
    pace = "&poll=0.02" if batches or "batch=true" in options else ""
    spec = Spec.parse(f"{model}?base_url={at}{pace}{options}")
    return open_generator(spec, RunContext(Sampling(), **context))


def outcomes(worker: Generator, items: Sequence[Prompt]) -> list[Completion | WorkError]:
    """What comes of the prompts in a run that keeps it."""
    found: dict[int, Completion | WorkError] = {}

    async def run() -> None:
        await worker.prepare()
        try:
            await worker(items, found.__setitem__)
            notify_committed(worker)
        finally:
            await worker.close()

    asyncio.run(run())
    return [found[index] for index in range(len(items))]


def texts(found: Sequence[Completion | WorkError]) -> list[str]:
    assert all(isinstance(one, Completion) for one in found), found
    return [one.text for one in found if isinstance(one, Completion)]


def expected(model: str, count: int) -> list[str]:
    return [f"This is {model.partition(':')[2]} on: Number {n}?" for n in range(count)]


def number(body: dict[str, Any]) -> int:
    """Which of the prompts a request is about."""
    return int(body["messages"][0]["content"].removeprefix("Number ").removesuffix("?"))


def numbers(bodies: Sequence[dict[str, Any]]) -> list[int]:
    return sorted(map(number, bodies))


# ---------------------------------------------------------------------------------- what is asked


@BOTH
def test_requests_and_completions_are_those_of_direct_requests(model: str) -> None:
    with BatchServer() as server:
        batched = outcomes(opened(server, model), prompts(6))
        sent, direct = server.sent, list(server.direct)
        server.direct.clear()
        plain = outcomes(opened(server, model, batch=False), prompts(6))
        assert texts(batched) == texts(plain) == expected(model, 6)
        assert (numbers(direct), numbers(sent)) == ([0], [1, 2, 3, 4, 5])
        assert sorted(direct + sent, key=number) == sorted(server.direct, key=number)
        for one, other in zip(batched, plain, strict=True):
            assert isinstance(one, Completion)
            assert one.model_copy(update={"cost": None}) == other.model_copy(  # type: ignore[union-attr]
                update={"cost": None}
            )


@BOTH
def test_what_comes_in_a_batch_costs_half(model: str) -> None:
    with BatchServer() as server:
        found = outcomes(opened(server, model), prompts(3))
        plain = outcomes(opened(server, model, batch=False), prompts(1))[0]
    costs = [one.cost for one in found if isinstance(one, Completion)]
    assert isinstance(plain, Completion)
    assert plain.cost
    assert costs == pytest.approx([plain.cost, plain.cost / 2, plain.cost / 2])


def test_both_options_choose_and_the_identity_is_one() -> None:
    with BatchServer() as server:
        batched, plain = opened(server), opened(server, options="&batch=false")
        said = opened(server, options="&batch=true", batch=False)
        behind = [opened(server, "api:m"), opened(server, "api:m", "&batch=true", batch=False)]
    assert [w.traits.batch_only for w in (batched, plain, said)] == [True, False, True]
    assert [one.traits.batch_only for one in behind] == [False, True]
    assert batched.identity == plain.identity == said.identity


def test_who_has_no_batches_is_asked_directly_or_is_a_mistake(
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


def test_several_servers_or_a_pace_are_nothing_for_batches() -> None:
    with BatchServer() as server:
        with pytest.raises(ConfigError, match="one server is asked in batches"):
            opened(server, options="&base_url=http://127.0.0.1:9/v1")
        # With a pause of 5 seconds before each request this would take ten minutes.
        assert texts(outcomes(opened(server, options="&delay=5"), prompts(121)))


@BOTH
def test_a_wrong_key_is_known_before_anything_is_sent(model: str) -> None:
    error = {"type": "authentication_error", "message": "who are you?"}
    with (
        BatchServer(lambda _: Reply(401, {"type": "error", "error": error})) as server,
        pytest.raises(ConfigError, match="refuses the key"),
    ):
        outcomes(opened(server, model), prompts(3))
    assert not server.jobs


# ------------------------------------------------------------------------------------- what comes


@BOTH
@pytest.mark.parametrize("fate", ["expired", "cancelled", "missing"])
def test_what_a_batch_ended_without_is_a_failure_of_its_own_kind(model: str, fate: str) -> None:
    with BatchServer(fate=lambda body: fate if number(body) % 2 else "replied") as server:
        found = outcomes(opened(server, model), prompts(5))
        assert len(server.jobs) == 1
        assert texts(found[::2]) == expected(model, 5)[::2]
        for one in found[1::2]:
            assert isinstance(one, BackendError)
            assert (one.kind, one.status) == ("unfinished", None)
            assert fate in one.message or fate == "missing"
        server.fate = lambda body: "replied"
        again = outcomes(opened(server, model), prompts(5)[1::2])
        assert texts(again) == expected(model, 5)[1::2]


@BOTH
def test_an_error_of_one_request_is_that_requests_outcome(model: str) -> None:
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
        found = outcomes(opened(server, model), prompts(5))
    assert texts(found[:2]) == ["fine", "fine"]
    oops, long, slow = found[2:]
    assert isinstance(oops, BackendError)
    assert (oops.kind, oops.status) == ("backend", 500)
    assert "oops" in oops.message
    assert isinstance(long, ContextError)
    assert isinstance(slow, BackendError)
    assert slow.status == 429
    assert len(server.jobs) == 1, "the official client's attempts would each be a batch"


def no_seed(body: dict[str, Any]) -> Any:
    """Takes no seed, but with the first prompt."""
    if "seed" in body and number(body):
        return Reply(400, {"error": {"message": "Unknown parameter: 'seed'.", "param": "seed"}})
    return "fine"


def test_what_one_request_is_refused_for_is_left_out_of_it_and_sent_again() -> None:
    with BatchServer(lambda body: no_seed(body) if number(body) > 2 else "fine") as server:
        found = outcomes(opened(server), prompts(5))
    assert texts(found) == ["fine"] * 5
    first, second = ([r["body"] for r in job.requests] for job in server.jobs)
    assert (numbers(first), numbers(second)) == ([1, 2, 3, 4], [3, 4])
    assert all("seed" in body for body in first)
    assert not any("seed" in body for body in second)


def test_what_the_server_takes_is_learned_before_anything_is_sent() -> None:
    def respond(body: dict[str, Any]) -> Any:
        for name in ("temperature", "top_p", "seed"):
            if name in body:
                error = {"message": f"Unsupported parameter: '{name}'.", "param": name}
                return Reply(400, {"error": error})
        return "fine"

    with BatchServer(respond) as server:
        assert texts(outcomes(opened(server), prompts(3))) == ["fine"] * 3
        assert [set(body) for body in server.sent] == [
            {"model", "messages", "max_completion_tokens"}
        ] * 2


def test_a_reply_that_is_no_completion_is_asked_for_once_more_in_a_second_batch() -> None:
    odd = [{**chat_completion("x"), "choices": []}]
    with BatchServer(lambda b: odd.pop() if number(b) == 2 and odd else "fine") as server:
        assert texts(outcomes(opened(server), prompts(4))) == ["fine"] * 4
    assert [numbers([r["body"] for r in job.requests]) for job in server.jobs] == [[1, 2, 3], [2]]


@BOTH
def test_a_separator_of_unicode_in_a_reply_is_no_end_of_a_line(model: str) -> None:
    with BatchServer(lambda _: "one\u2028two\x85three") as server:
        assert texts(outcomes(opened(server, model), prompts(3))) == ["one\u2028two\x85three"] * 3


# ---------------------------------------------------------------------------------- whole batches


@BOTH
def test_a_batch_holds_no_more_requests_than_it_may(model: str) -> None:
    with BatchServer() as server:
        found = outcomes(opened(server, model, "&batch_size=2"), prompts(6))
    assert texts(found) == expected(model, 6)
    assert sorted(len(job.requests) for job in server.jobs) == [1, 2, 2]
    assert server.most_under_way > 1


def test_parts_keep_the_order_and_both_limits() -> None:
    bodies = {f"r{n}": b"x" * 100 for n in range(10)}
    by_count = list(parts(bodies, most=4, largest=10**9))
    assert [list(part) for part in by_count] == [
        ["r0", "r1", "r2", "r3"],
        ["r4", "r5", "r6", "r7"],
        ["r8", "r9"],
    ]
    for most in range(400, 4000, 300):
        found = list(parts(bodies, most=100, largest=most))
        assert [id_ for part in found for id_ in part] == list(bodies)
        assert all(sum(len(b) for b in part.values()) <= most for part in found)
    assert [len(part) for part in parts(bodies, 100, 950)] == [3, 3, 3, 1]
    assert [len(part) for part in parts(bodies, 100, 1)] == [1] * 10
    assert list(parts({}, 1, 1)) == []


def test_a_batch_that_the_provider_does_not_take_is_a_mistake_and_is_sent_anew() -> None:
    with BatchServer() as server:
        server.refusal = lambda job: [{"code": "invalid_json_line", "message": "Line 3 is odd."}]
        with pytest.raises(ConfigError, match=r"does not take batch_0 \(Line 3 is odd\.\)"):
            outcomes(opened(server), prompts(4))
        server.refusal = lambda job: []
        assert texts(outcomes(opened(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert len(server.jobs) == 2


def crowded(most: int) -> Any:
    def refusal(job: Job) -> list[dict[str, Any]]:
        words = "Enqueued token limit reached for gpt-4. Limit: 90,000 enqueued tokens."
        full = len(job.requests) > most
        return [{"code": "token_limit_exceeded", "message": words}] if full else []

    return refusal


def test_too_many_requests_at_once_are_sent_in_parts_one_after_the_other() -> None:
    with BatchServer() as server:
        server.refusal = crowded(3)
        found = outcomes(opened(server), prompts(10))
        assert texts(found) == expected("openai:gpt-4", 10)
        taken = [len(job.requests) for job in server.jobs if job.state == "ended"]
        assert (sum(taken), max(taken)) == (9, 2)
        assert server.most_under_way == 1


def test_one_request_that_is_too_much_by_itself_ends_it() -> None:
    with BatchServer() as server:
        server.refusal = crowded(0)
        with pytest.raises(ConfigError, match="Enqueued token limit"):
            outcomes(opened(server), prompts(4))
        assert min(len(job.requests) for job in server.jobs) == 1


@BOTH
def test_a_batch_whose_making_was_not_told_is_not_made_twice(model: str) -> None:
    with BatchServer() as server:
        broken = ["made"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        server.hidden = 3
        found = outcomes(opened(server, model), prompts(5))
        assert texts(found) == expected(model, 5)
        assert len(server.jobs) == 1


@BOTH
def test_a_batch_that_is_listed_late_is_not_made_twice_by_the_next_run(model: str) -> None:
    with BatchServer() as server:
        broken = ["made"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        server.hidden = 10**6
        interrupted(server, opened(server, model), prompts(5), looks=0)
        server.hidden = 3
        found = outcomes(opened(server, model), prompts(5)[1:])
        assert texts(found) == expected(model, 5)[1:]
        assert len(server.jobs) == 1


@BOTH
def test_a_batch_that_was_not_made_is_sent_again(model: str) -> None:
    with BatchServer() as server:
        broken = ["making", "making"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        found = outcomes(opened(server, model), prompts(5))
        assert texts(found) == expected(model, 5)
        assert not broken
        assert len(server.jobs) == 1


@BOTH
def test_the_batch_of_somebody_else_is_not_taken_for_a_lost_one(model: str) -> None:
    with BatchServer() as server:
        provider = model.partition(":")[0]
        other = outcomes(opened(server, f"{provider}:other", store=None), prompts(5))
        broken = ["making"]
        server.hook = lambda when: broken.remove(when) or 1 / 0 if when in broken else None
        found = outcomes(opened(server, model), prompts(5))
        assert texts(found) == expected(model, 5)
        assert texts(other) == expected("any:other", 5)
        assert len(server.jobs) == 2


@BOTH
def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchServer(looks=10**6) as server:

        def away(request: Any) -> None:
            if "batch_" in request.url.path and server.jobs[0].looks == 2 and not gone:
                gone.append(1)
                threading.Thread(target=restart).start()

        def restart() -> None:
            server.stop()
            while "no word of its batches" not in caplog.text:
                time.sleep(0.01)
            server.looks = server.jobs[0].looks + 2
            server.start()

        gone: list[int] = []
        server.broken = away
        with caplog.at_level(logging.WARNING):
            found = outcomes(opened(server, model, "&retries=0"), prompts(5))
    assert gone
    assert "no word of its batches" in caplog.text
    assert texts(found) == expected(model, 5)
    assert len(server.jobs) == 1


@pytest.mark.long
@BOTH
def test_patience_ends_and_what_was_sent_is_fetched_the_next_time(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying_provider, "_PATIENCE", 0.2)
    with BatchServer() as server:
        server.broken = lambda request: 1 / 0 if "batch_" in request.url.path else None  # type: ignore[return-value]
        with pytest.raises(ConfigError, match=r"out of reach.*run the same command later"):
            outcomes(opened(server, model, "&retries=0"), prompts(5))
        server.broken = lambda request: None
        found = outcomes(opened(server, model), prompts(5)[1:])
        assert texts(found) == expected(model, 5)[1:]
        assert len(server.jobs) == 1
        assert len(server.direct) == 1


@BOTH
def test_a_batch_that_is_gone_is_asked_for_anew(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchServer(looks=4) as server:

        def lose(request: Any) -> None:
            if "batch_" in request.url.path and server.jobs and server.jobs[0].looks == 2:
                server.jobs[0].id = "lost"

        server.broken = lose
        with caplog.at_level(logging.WARNING):
            found = outcomes(opened(server, model), prompts(4))
    assert "batch_0 is gone" in caplog.text
    assert texts(found) == expected(model, 4)
    assert len(server.jobs) == 2


def test_results_that_cannot_be_read_are_fetched_again() -> None:
    with BatchServer() as server:
        odd = [b'{"custom_id": "r', b"<html>"]

        def broken(request: Any) -> Any:
            from starlette.responses import Response

            if request.url.path.endswith("content") and odd:
                return Response(odd.pop())
            return None

        server.broken = broken
        assert texts(outcomes(opened(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert not odd


def test_what_breaks_the_desk_is_raised_and_nobody_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bakeoff.generators.batch.openai import Files

    async def bug(self: Files, reference: str) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Files, "look", bug)
    with BatchServer() as server, pytest.raises(KeyError, match="a bug"):
        outcomes(opened(server), prompts(4))


# -------------------------------------------------------------------------------------- taken up


def interrupted(
    server: BatchServer, worker: Generator, items: list[Prompt], *, jobs: int = 1, looks: int = 1
) -> int:
    """Ask, and cancel when so many batches are there and the last was looked at so often, as Ctrl-C
    does; how many outcomes there were.
    """
    found: list[int] = []

    async def run() -> None:
        await worker.prepare()
        task = asyncio.create_task(worker(items, lambda index, _: found.append(index)))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not (len(server.jobs) == jobs and server.jobs[-1].looks >= looks):
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await worker.close()

    asyncio.run(run())
    return len(found)


@BOTH
def test_what_was_interrupted_goes_on_at_the_provider_and_is_taken_up(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchServer(looks=10**6) as server:
        with caplog.at_level(logging.WARNING):
            assert interrupted(server, opened(server, model), prompts(5), looks=2) == 1
        assert "what was sent goes on at the provider (batch_0)" in caplog.text
        server.looks = 4
        # The ones that came are in the run's store; others may be new.
        found = outcomes(opened(server, model), prompts(7)[1:])
        assert texts(found) == expected(model, 7)[1:]
        assert len(server.direct) == 1, "what the server takes was learned before"
        assert [len(job.requests) for job in server.jobs] == [4, 2]
        seen = numbers(server.paid)
        assert seen == [0, 1, 2, 3, 4, 5, 6]


def test_what_was_left_out_is_left_out_of_what_is_sent_afterwards() -> None:
    with BatchServer(lambda body: no_seed(body | {"messages": [{"content": "Number 1?"}]})) as s:
        s.looks = 10**6
        interrupted(s, opened(s), prompts(3))
        s.looks = 1
        assert texts(outcomes(opened(s), prompts(5)[1:])) == ["fine"] * 4
        assert not any("seed" in body for body in s.sent)


def test_a_run_that_came_to_its_end_leaves_nothing_to_be_taken_up() -> None:
    with BatchServer() as server:
        for _ in range(2):
            assert texts(outcomes(opened(server), prompts(4))) == expected("openai:gpt-4", 4)
        assert len(server.jobs) == 2
        assert numbers(server.paid) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_second_batch_is_taken_up_with_the_replies_of_the_first() -> None:
    """Refused in the first, sent again in a second: the same again, and nothing sent."""
    with BatchServer(no_seed) as server:

        def slow(request: Any) -> None:
            server.looks = 10**6 if len(server.jobs) == 2 else 1

        server.broken = slow
        assert interrupted(server, opened(server), prompts(4), jobs=2) == 1
        server.broken, server.looks = (lambda request: None), 1
        assert texts(outcomes(opened(server), prompts(4)[1:])) == ["fine"] * 3
        assert len(server.jobs) == 2


def test_one_store_holds_the_batches_of_many_models_and_of_two_runs_at_once() -> None:
    with BatchServer(looks=10**6) as server:
        for nth, model in enumerate(("openai:gpt-4", "openai:gpt-4o", "anthropic:c")):
            interrupted(server, opened(server, model), prompts(3), jobs=nth + 1)
        server.looks = 1
        assert [len(job.requests) for job in server.jobs] == [2, 2, 2]
        for model in ("openai:gpt-4", "openai:gpt-4o", "anthropic:c"):
            found = outcomes(opened(server, model), prompts(3)[1:])
            assert texts(found) == expected(model, 3)[1:]
        assert len(server.jobs) == 3
        assert len(server.direct) == 3


def test_what_came_and_was_not_kept_is_fetched_again_and_not_asked() -> None:
    with BatchServer() as server:
        worker = opened(server)
        worker.on_committed = lambda: None  # type: ignore[method-assign] # as where a disk is full
        assert texts(outcomes(worker, prompts(4))) == expected("openai:gpt-4", 4)
        assert texts(outcomes(opened(server), prompts(4)[1:])) == expected("openai:gpt-4", 4)[1:]
        assert len(server.jobs) == 1
        assert len(server.direct) == 1


def test_what_came_before_it_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchServer(looks=10**6) as server:
        interrupted(server, opened(server), prompts(7))
        server.looks = 1
        monkeypatch.setattr(batches, "_AT_ONCE", 2)
        assert texts(outcomes(opened(server), prompts(7)[1:])) == expected("openai:gpt-4", 7)[1:]
        assert len(server.jobs) == 1


def test_all_requests_wait_at_once_however_few_may_be_in_flight_directly() -> None:
    with BatchServer() as server:
        assert texts(outcomes(opened(server, max_concurrency=2), prompts(300))) == expected(
            "openai:gpt-4", 300
        )
        assert [len(job.requests) for job in server.jobs] == [299]
