"""The table of timings: its rows add up to the wall time."""

import re

from bakeoff.report.text.timings import timing_sections
from bakeoff.runtime.timing import Stopwatch, timed


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(watch: Stopwatch) -> list[str]:
    (block,) = timing_sections(watch).values()
    return block


def test_every_kind_of_work_has_a_row_and_rows_add_up_to_wall_time() -> None:
    clock = Clock()
    with Stopwatch(clock) as watch:
        clock.now += 1
        with timed("load"):
            clock.now += 2
        with timed("judge"):
            with timed("generate"):
                clock.now += 20
                with timed("store"):
                    clock.now += 0.5
            clock.now += 10
            with timed("parse"):
                clock.now += 0.25
        with timed("commit"):
            clock.now += 0.75
            with timed("summarise"):
                clock.now += 5.5
    *rows, overlap, note = lines(watch)
    assert [re.split(r"\s{2,}", row) for row in rows] == [
        ["load", "2.00 s", "5.0%"],
        ["generate", "20.00 s", "50.0%"],
        ["wait for judge", "10.00 s", "25.0%"],
        ["parse", "0.25 s", "0.6%"],
        ["store", "0.50 s", "1.2%"],
        ["summarise", "5.50 s", "13.8%"],
        ["wait for disk", "0.75 s", "1.9%"],
        ["everything else", "1.00 s", "2.5%"],
        ["in all", "40.00 s", "100.0%"],
    ]
    assert overlap == "Models completed for 20.5 s in all, judges judged for 30.8 s."
    assert "each moment counts once" in note
    assert len({len(row) for row in rows}) == 1  # columns
