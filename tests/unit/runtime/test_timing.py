"""Stopwatch: overlapping work is counted once, and nothing without a stopwatch."""

import threading
import time
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.runtime.timing import WORK_KINDS, Stopwatch, WorkKind, timed


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counted(watch: Stopwatch) -> dict[str, tuple[float, float]]:
    """Return attributed and total seconds of the kinds that ran."""
    return {lap.kind: (lap.attributed, lap.total) for lap in watch.timings()[0] if lap.total}


def test_overlapping_work_is_attributed_to_the_kind_of_higher_precedence(clock: Clock) -> None:
    with Stopwatch(clock) as watch:
        clock.now += 1  # nothing is under way
        with timed("judge"):
            clock.now += 2
            with timed("generate"):
                clock.now += 4
                with timed("load"):
                    clock.now += 8
                clock.now += 16
            with timed("parse"):
                clock.now += 32
        clock.now += 64
    assert counted(watch) == {
        "load": (8, 8),
        "parse": (32, 32),
        "generate": (20, 28),
        "judge": (2, 62),
    }
    assert watch.timings()[1] == 127


def test_a_kind_runs_until_all_work_of_it_has_ended(clock: Clock) -> None:
    with Stopwatch(clock) as watch:
        first, second = timed("generate"), timed("generate")
        first.__enter__()
        clock.now += 1
        second.__enter__()
        clock.now += 2
        first.__exit__(None, None, None)
        clock.now += 4
        second.__exit__(None, None, None)
        clock.now += 8
    assert counted(watch) == {"generate": (7, 7)}


def test_running_work_is_counted_so_far(clock: Clock) -> None:
    with Stopwatch(clock) as watch, timed("store"):
        clock.now += 3
        assert counted(watch) == {"store": (3, 3)}


def test_an_error_ends_the_timing(clock: Clock) -> None:
    def fails() -> None:
        with timed("parse"):
            clock.now += 1
            raise RuntimeError

    with Stopwatch(clock) as watch:
        with pytest.raises(RuntimeError):
            fails()
        clock.now += 2
    assert counted(watch) == {"parse": (1, 1)}


def test_nothing_is_measured_without_a_stopwatch_and_each_has_its_own_times(clock: Clock) -> None:
    with timed("parse"):
        clock.now += 1
    with Stopwatch(clock) as outer:
        with Stopwatch(clock) as inner, timed("parse"):
            clock.now += 2
        with timed("store"):
            clock.now += 4
    with timed("load"):
        clock.now += 8
    assert counted(inner) == {"parse": (2, 2)}
    assert counted(outer) == {"store": (4, 4)}


def test_threads_with_a_copied_context_are_measured(clock: Clock) -> None:
    def loads() -> None:
        with timed("load"):
            clock.now += 5

    with Stopwatch(clock) as watch:
        for run in (copy_context().run, lambda work: work()):  # the second knows of no watch
            thread = threading.Thread(target=run, args=(loads,))
            thread.start()
            thread.join()
    assert counted(watch) == {"load": (5, 5)}


TURNS = st.lists(st.tuples(st.sampled_from(WORK_KINDS), st.integers(0, 9)), max_size=30)


@given(TURNS)
def test_attributed_times_add_up_to_the_time_in_which_work_was_running(
    turns: list[tuple[WorkKind, int]],
) -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    going: list[WorkKind] = []
    busy = 0
    for work, seconds in turns:  # ends it where it is under way, else begins it
        (watch.stop if work in going else watch.start)(work)
        if work in going:
            going.remove(work)
        else:
            going.append(work)
        clock.now += seconds
        busy += seconds if going else 0
    laps, wall = watch.timings()
    assert sum(lap.attributed for lap in laps) == busy <= wall
    assert all(lap.attributed <= lap.total <= wall for lap in laps)
    assert [lap.kind for lap in laps] == list(WORK_KINDS)


def test_the_default_clock_is_wall_time() -> None:
    with Stopwatch() as watch, timed("load"):
        time.sleep(0.02)
    (lap, *_), wall = watch.timings()
    assert 0.02 <= lap.attributed <= wall
