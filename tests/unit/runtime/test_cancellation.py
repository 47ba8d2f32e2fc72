"""Stop tokens: no new work starts, and work in flight finishes."""

import asyncio
from collections.abc import Sequence

import pytest

from bakeoff.errors import ConfigError, StoppedError, WorkError
from bakeoff.runtime import (
    Batched,
    PerItem,
    RequestQueue,
    StopToken,
    current_stop_token,
    has_stop_token,
    sleep_or_stop,
)
from bakeoff.runtime.rate_limits import LimitConfig, Server


class Slow(PerItem[int, int]):
    """Waits for `go`; raises ConfigError at the item `fails`."""

    def __init__(self, max_concurrency: int, fails: int | None = None) -> None:
        super().__init__(max_concurrency)
        self.identity = "slow"
        self.go = asyncio.Event()
        self.begun: list[int] = []
        self._fails = fails

    async def process(self, item: int) -> int:
        self.begun.append(item)
        if item == self._fails:
            raise ConfigError("the key was revoked")
        await self.go.wait()
        return item


async def outcomes_of(worker: PerItem[int, int], count: int) -> dict[int, int | WorkError]:
    outcomes: dict[int, int | WorkError] = {}
    await worker(range(count), outcomes.__setitem__)
    return outcomes


def test_a_stop_finishes_items_in_flight_and_starts_no_others() -> None:
    async def main() -> tuple[dict[int, int | WorkError], list[int]]:
        run, worker = StopToken(), Slow(3)
        with run.activate():
            work = asyncio.create_task(outcomes_of(worker, 10))
            while len(worker.begun) < 3:
                await asyncio.sleep(0)
            run.stop("enough")
            worker.go.set()
            return await work, worker.begun

    outcomes, begun = asyncio.run(main())
    assert begun == [0, 1, 2]
    assert [outcomes[n] for n in range(3)] == [0, 1, 2]
    stopped = [outcomes[n] for n in range(3, 10)]
    assert all(
        isinstance(outcome, StoppedError) and str(outcome) == "enough" for outcome in stopped
    )


def test_a_config_error_after_a_result_stops_the_run_and_keeps_items_in_flight() -> None:
    async def main() -> tuple[StopToken, dict[int, int | WorkError]]:
        run, worker = StopToken(), Slow(2, fails=4)
        worker.go.set()
        with run.activate():
            return run, await outcomes_of(worker, 20)

    run, outcomes = asyncio.run(main())
    assert run.reason == "the key was revoked"
    assert not run.interrupted
    assert [n for n, outcome in outcomes.items() if not isinstance(outcome, WorkError)] == [
        0,
        1,
        2,
        3,
    ]
    assert len(outcomes) == 20


@pytest.mark.parametrize("inside", [True, False])
def test_a_config_error_before_a_result_or_without_a_stop_token_is_raised(inside: bool) -> None:
    async def main() -> None:
        worker = Slow(1, fails=0 if inside else 2)
        worker.go.set()
        if inside:
            with StopToken().activate():
                await outcomes_of(worker, 3)
        else:
            await outcomes_of(worker, 3)

    with pytest.raises(ConfigError, match="revoked"):
        asyncio.run(main())


def test_a_stop_ends_sleeps_and_waits_for_a_permit() -> None:
    async def main() -> list[BaseException | None]:
        run, queue = StopToken(), RequestQueue([Server(LimitConfig(1))])
        with run.activate():
            await queue.acquire(0)
            waits = [asyncio.create_task(sleep_or_stop(1e6)), asyncio.create_task(queue.acquire(1))]
            await asyncio.sleep(0)  # both wait
            run.stop("enough")
            late = asyncio.create_task(sleep_or_stop(1e6))
            await asyncio.wait([*waits, late], timeout=300)
            return [task.exception() for task in (*waits, late)]

    assert [type(error) for error in asyncio.run(main())] == [StoppedError] * 3


class Engine(Batched[int, int]):
    """Doubles numbers; stops the run in its first batch."""

    identity = "engine"

    def __init__(self, run: StopToken, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(2)
        self._run, self._loop = run, loop
        self.batches = 0

    def process_batch(self, items: Sequence[int]) -> Sequence[int]:
        self.batches += 1
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(60)
        return [2 * item for item in items]

    async def _stop(self) -> None:
        self._run.stop("enough")


def test_a_stop_lets_an_engine_finish_its_batch_only() -> None:
    async def main() -> tuple[Engine, dict[int, int | WorkError]]:
        run = StopToken()
        engine = Engine(run, asyncio.get_running_loop())
        outcomes: dict[int, int | WorkError] = {}
        with run.activate():
            await engine(range(6), outcomes.__setitem__)
            await engine(range(2), lambda index, outcome: outcomes.update({6 + index: outcome}))
        await engine.close()
        return engine, outcomes

    engine, outcomes = asyncio.run(main())
    assert engine.batches == 1
    assert [outcomes[n] for n in range(2)] == [0, 2]
    assert all(isinstance(outcomes[n], StoppedError) for n in range(2, 8))


def test_the_first_reason_is_kept_and_code_outside_a_run_has_no_token() -> None:
    run = StopToken()
    run.interrupt()
    run.stop("later")
    assert run.interrupted
    assert run.reason == "the run was interrupted"
    other = StopToken()
    other.stop("a budget")
    other.interrupt()
    assert (other.reason, other.interrupted) == ("a budget", False)
    assert not has_stop_token()
    assert current_stop_token().reason is None
    with run.activate():
        assert has_stop_token()
        assert current_stop_token() is run
    assert current_stop_token() is not run
