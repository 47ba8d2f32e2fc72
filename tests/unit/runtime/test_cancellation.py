"""A run that is stopped: nothing more is begun, and what is under way comes to its end."""

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
from bakeoff.runtime.rate_limits.request_queue import Server
from bakeoff.runtime.rate_limits.server_limits import LimitConfig


class Slow(PerItem[int, int]):
    """Waits for a go; `fails` at an item with a ConfigError."""

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


async def put_through(worker: PerItem[int, int], count: int) -> dict[int, int | WorkError]:
    found: dict[int, int | WorkError] = {}
    await worker(range(count), found.__setitem__)
    return found


def test_what_is_under_way_ends_and_what_is_not_is_not_begun() -> None:
    async def main() -> tuple[dict[int, int | WorkError], list[int]]:
        run, worker = StopToken(), Slow(3)
        with run.activate():
            work = asyncio.create_task(put_through(worker, 10))
            while len(worker.begun) < 3:
                await asyncio.sleep(0)
            run.stop("enough")
            worker.go.set()
            return await work, worker.begun

    found, begun = asyncio.run(main())
    assert begun == [0, 1, 2]
    assert [found[n] for n in range(3)] == [0, 1, 2]
    stopped = [found[n] for n in range(3, 10)]
    assert all(isinstance(one, StoppedError) and str(one) == "enough" for one in stopped)


def test_a_config_error_after_work_stops_the_run_and_loses_nothing_that_is_under_way() -> None:
    async def main() -> tuple[StopToken, dict[int, int | WorkError]]:
        run, worker = StopToken(), Slow(2, fails=4)
        worker.go.set()
        with run.activate():
            return run, await put_through(worker, 20)

    run, found = asyncio.run(main())
    assert run.reason == "the key was revoked"
    assert not run.interrupted
    assert [n for n, one in found.items() if not isinstance(one, WorkError)] == [0, 1, 2, 3]
    assert len(found) == 20


@pytest.mark.parametrize("inside", [True, False])
def test_a_config_error_before_any_work_or_outside_of_a_run_is_raised(inside: bool) -> None:
    async def main() -> None:
        worker = Slow(1, fails=0 if inside else 2)
        worker.go.set()
        if inside:
            with StopToken().activate():
                await put_through(worker, 3)
        else:
            await put_through(worker, 3)

    with pytest.raises(ConfigError, match="revoked"):
        asyncio.run(main())


def test_a_pause_and_a_wait_for_a_turn_end_at_once() -> None:
    async def main() -> list[BaseException | None]:
        run, queue = StopToken(), RequestQueue([Server(LimitConfig(1))])
        with run.activate():
            await queue.acquire(0)
            waits = [asyncio.create_task(sleep_or_stop(1e6)), asyncio.create_task(queue.acquire(1))]
            await asyncio.sleep(0)  # both wait
            run.stop("enough")
            late = asyncio.create_task(sleep_or_stop(1e6))
            await asyncio.wait([*waits, late], timeout=60)
            return [one.exception() for one in (*waits, late)]

    assert [type(error) for error in asyncio.run(main())] == [StoppedError] * 3


class Engine(Batched[int, int]):
    """Doubles; stops the run in its first batch."""

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


def test_an_engine_ends_its_batch_and_takes_up_no_other() -> None:
    async def main() -> tuple[Engine, dict[int, int | WorkError]]:
        run = StopToken()
        engine = Engine(run, asyncio.get_running_loop())
        found: dict[int, int | WorkError] = {}
        with run.activate():
            await engine(range(6), found.__setitem__)
            await engine(range(2), lambda index, one: found.update({6 + index: one}))
        await engine.close()
        return engine, found

    engine, found = asyncio.run(main())
    assert engine.batches == 1
    assert [found[n] for n in range(2)] == [0, 2]
    assert all(isinstance(found[n], StoppedError) for n in range(2, 8))


def test_the_first_reason_counts_and_outside_nothing_is_stopped() -> None:
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
