"""Where the time of a run went, as a table of a few lines. Knows a stopwatch, and no run."""

from bakeoff.report.text.summary import Blocks
from bakeoff.runtime.timing import Stopwatch, WorkKind

_NAMES: dict[WorkKind, str] = {
    "load": "load",
    "generate": "generate",
    "judge": "wait for judge",
    "parse": "parse",
    "store": "store",
    "summarise": "summarise",
}
_NOTE = (
    "Work overlaps, and each moment counts once: for loading, the store, parsing or the summary "
    "while one of these is under way, else for models while one of them completes, and else for "
    "judges. The start of the command itself is not in it."
)


def laps(watch: Stopwatch) -> Blocks:
    """Seconds and shares of the wall time by kind of work; the rows add up to the last one."""
    found, wall = watch.timings()
    of = {lap.kind: lap for lap in found}
    rows = [(_NAMES[work], of[work].attributed) for work in _NAMES]
    rows.append(("everything else", wall - sum(seconds for _, seconds in rows)))
    lines = [_row(name, seconds, wall) for name, seconds in rows]
    both = f"Models completed for {of['generate'].total:.1f} s in all, judges judged for "
    return {
        "Where the time went": [
            *lines,
            _row("in all", wall, wall),
            f"{both}{of['judge'].total:.1f} s.",
            _NOTE,
        ]
    }


def _row(name: str, seconds: float, wall: float) -> str:
    return f"{name:<15}{seconds:>10.2f} s{seconds / wall:>8.1%}"
