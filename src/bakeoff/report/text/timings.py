"""The wall time of a run by kind of work, as text."""

from bakeoff.report.text.summary import Sections
from bakeoff.runtime.timing import Stopwatch, WorkKind

_NAMES: dict[WorkKind, str] = {
    "load": "load",
    "generate": "generate",
    "judge": "wait for judge",
    "parse": "parse",
    "store": "store",
    "summarise": "summarise",
    "commit": "wait for disk",
}
_NOTE = (
    "Work overlaps, and each moment counts once: for loading, the store, parsing or the summary "
    "while one of these is under way, else for models while one of them completes, else for "
    "judges, and for the disk if nothing else is under way. The start of the command itself is "
    "not in it."
)


def timing_sections(watch: Stopwatch) -> Sections:
    """One section: seconds and share of the wall time by kind of work; they add up to it."""
    timings, wall = watch.timings()
    by_kind = {timing.kind: timing for timing in timings}
    rows = [(name, by_kind[kind].attributed) for kind, name in _NAMES.items()]
    rows.append(("everything else", wall - sum(seconds for _, seconds in rows)))
    lines = [_row(name, seconds, wall) for name, seconds in rows]
    totals = f"Models completed for {by_kind['generate'].total:.1f} s in all, judges judged for "
    return {
        "Where the time went": [
            *lines,
            _row("in all", wall, wall),
            f"{totals}{by_kind['judge'].total:.1f} s.",
            _NOTE,
        ]
    }


def _row(name: str, seconds: float, wall: float) -> str:
    return f"{name:<15}{seconds:>10.2f} s{seconds / wall:>8.1%}"
