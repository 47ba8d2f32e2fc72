"""A run that goes on: how far each model and judge is, how fast, and when it may be through.

Knows no win rate: before the end there is none to be seen.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from bakeoff.runtime.progress import ProgressReport, ProgressUpdate

WINDOW = 60.0  # seconds over which a rate is taken
_SHORTEST = 3.0  # seconds below which a rate is noise
_SEEN = 64  # reports of one run


class Row(NamedTuple):
    """One model or judge. `rate` is new outcomes a second, `left` seconds; None: not known yet."""

    now: ProgressUpdate
    rate: float | None
    left: float | None


class Live(NamedTuple):
    """A run as its last sign of life tells it; `stopped` where that is too long ago.

    `cost` is US dollars, None where some price is not known.
    """

    started: datetime
    updated: datetime
    stopped: bool
    rows: tuple[Row, ...]
    tokens: int
    cost: float | None

    @property
    def stages(self) -> dict[str, list[Row]]:
        """The rows under what they make."""
        titles = {"completion": "Completions", "judgment": "Judgments"}
        found = {
            title: [row for row in self.rows if row.now.stage == stage]
            for stage, title in titles.items()
        }
        return {title: rows for title, rows in found.items() if rows}

    @property
    def complete(self) -> bool:
        """Whether all is done that was asked for, and only the results are still to be written."""
        return bool(self.rows) and all(row.now.done >= row.now.total for row in self.rows)


class Pace:
    """Remembers what it saw of each run in the last minute, for want of which no rate is known."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[ProgressReport]] = {}

    def of(self, key: str, report: ProgressReport, now: datetime) -> Live:
        """How a run goes on at this moment."""
        seen = self._seen.setdefault(key, deque(maxlen=_SEEN))
        if not seen or seen[-1].updated != report.updated:
            seen.append(report)
        while _apart(seen[0], report) > WINDOW or seen[0].started != report.started:
            seen.popleft()
        stopped = report.is_stale(now)
        costs = [row.cost for row in report.rows]
        known = [cost for cost in costs if cost is not None]
        return Live(
            started=report.started,
            updated=report.updated,
            stopped=stopped,
            rows=tuple(_row(row, seen, report, stopped=stopped) for row in report.rows),
            tokens=sum(row.tokens + row.tokens_in_progress for row in report.rows),
            cost=sum(known) if len(known) == len(costs) else None,
        )


def _row(
    row: ProgressUpdate, seen: Sequence[ProgressReport], report: ProgressReport, *, stopped: bool
) -> Row:
    rate = None if stopped or row.done >= row.total else _rate(row, seen[0], report)
    return Row(row, rate, (row.total - row.done) / rate if rate else None)


def _rate(row: ProgressUpdate, before: ProgressReport, report: ProgressReport) -> float | None:
    """New outcomes a second since an earlier report, or since the start where that is too near."""
    seconds, done = _apart(before, report), 0
    if seconds >= _SHORTEST:
        then = [r for r in before.rows if (r.stage, r.participant) == (row.stage, row.participant)]
        done = sum(r.done - r.stored for r in then)
    else:
        seconds = (report.updated - report.started).total_seconds()
    new = row.done - row.stored - done
    return new / seconds if seconds >= _SHORTEST and new > 0 else None


def _apart(before: ProgressReport, after: ProgressReport) -> float:
    return abs((after.updated - before.updated).total_seconds())
