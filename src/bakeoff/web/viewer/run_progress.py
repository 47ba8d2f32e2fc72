"""Progress, rates and remaining time of a run, computed from its reports; no win rate."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from bakeoff.runtime.progress import ProgressReport, ProgressUpdate

WINDOW = 60.0  # seconds over which a rate is measured
_MIN_SPAN = 3.0  # seconds below which a rate is noise
_MAX_REPORTS = 64  # kept per run


class ParticipantProgress(NamedTuple):
    """Progress, rate and remaining time of one model or judge."""

    now: ProgressUpdate
    """Its last update."""
    rate: float | None
    """New outcomes per second; None if unknown."""
    left: float | None
    """Estimated seconds until it is done; None if unknown."""


class LiveRun(NamedTuple):
    """The progress of a run according to its last report."""

    started: datetime
    updated: datetime
    stopped: bool
    """The last report is so old that the run must have stopped."""
    rows: tuple[ParticipantProgress, ...]
    tokens: int
    cost: float | None
    """US dollars so far; None if a price is unknown."""

    @property
    def stages(self) -> dict[str, list[ParticipantProgress]]:
        """The rows by stage title."""
        titles = {"completion": "Completions", "judgment": "Judgments"}
        by_title = {
            title: [row for row in self.rows if row.now.stage == stage]
            for stage, title in titles.items()
        }
        return {title: rows for title, rows in by_title.items() if rows}

    @property
    def complete(self) -> bool:
        """Whether all requests are done and only the results are missing."""
        return bool(self.rows) and all(row.now.done >= row.now.total for row in self.rows)


class ProgressRates:
    """Measures rates from the reports of the last minute of each run."""

    def __init__(self) -> None:
        self._reports: dict[str, deque[ProgressReport]] = {}

    def update(self, key: str, report: ProgressReport, now: datetime) -> LiveRun:
        """Add a report of the run with this key; return its progress."""
        reports = self._reports.setdefault(key, deque(maxlen=_MAX_REPORTS))
        if not reports or reports[-1].updated != report.updated:
            reports.append(report)
        while _span(reports[0], report) > WINDOW or reports[0].started != report.started:
            reports.popleft()
        stopped = report.is_stale(now)
        costs = [row.cost for row in report.rows]
        known = [cost for cost in costs if cost is not None]
        return LiveRun(
            started=report.started,
            updated=report.updated,
            stopped=stopped,
            rows=tuple(_row(row, reports, report, stopped=stopped) for row in report.rows),
            tokens=sum(row.tokens + row.tokens_in_progress for row in report.rows),
            cost=sum(known) if len(known) == len(costs) else None,
        )


def _row(
    row: ProgressUpdate, reports: Sequence[ProgressReport], report: ProgressReport, *, stopped: bool
) -> ParticipantProgress:
    rate = None if stopped or row.done >= row.total else _rate(row, reports[0], report)
    return ParticipantProgress(row, rate, (row.total - row.done) / rate if rate else None)


def _rate(row: ProgressUpdate, earlier: ProgressReport, report: ProgressReport) -> float | None:
    """Return new outcomes per second since an earlier report, or since the start if too recent."""
    seconds, done = _span(earlier, report), 0
    if seconds >= _MIN_SPAN:
        same = [r for r in earlier.rows if (r.stage, r.participant) == (row.stage, row.participant)]
        done = sum(r.done - r.stored for r in same)
    else:
        seconds = (report.updated - report.started).total_seconds()
    new = row.done - row.stored - done
    return new / seconds if seconds >= _MIN_SPAN and new > 0 else None


def _span(earlier: ProgressReport, later: ProgressReport) -> float:
    return abs((later.updated - earlier.updated).total_seconds())
