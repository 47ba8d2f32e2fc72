"""A run that watches itself: `python soak_run.py CONFIG.json TRACE.jsonl`, as `bakeoff run` is one.

Writes a line for every so many judgments: the memory of the process, its open files, sockets and
tasks, and the seconds of a processor that it took. The last line holds the longest times that the
event loop was away, in each phase: before a tenth is judged, while the rest is, and behind that. A
callback every few milliseconds measures them twice: by the clock, which also counts what others had
of the machine, and by the seconds that the loop's own thread computed meanwhile; `swept` of these
went into a search for garbage.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from bakeoff.api import run_async
from bakeoff.config import Config
from bakeoff.records import Results
from bakeoff.runtime.progress import ProgressUpdate

_EVERY = 0.005  # seconds from one heartbeat to the next
_LONG = 0.1  # seconds that it may be away


class Heart:
    """Beats in the event loop, and keeps the longest pauses of each phase."""

    def __init__(self) -> None:
        self.phase = "load"
        self.phases: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._swept = self._sweeping = 0.0
        gc.callbacks.append(self._sweep)
        self._began, self._computed = time.monotonic(), time.thread_time()
        self._loop.call_later(_EVERY, self._beat)

    def _sweep(self, begins: str, _: dict[str, int]) -> None:
        """A search for garbage begins or ends, in whatever thread has to do it."""
        now = time.thread_time()
        if begins == "start":
            self._sweeping = now
        else:
            self._swept = max(self._swept, now - self._sweeping)

    def _beat(self) -> None:
        now, computed = time.monotonic(), time.thread_time()
        seen = self.phases.setdefault(
            self.phase, dict.fromkeys(("beats", "seconds", "away", "computed", "long", "swept"), 0)
        )
        away, busy = now - self._began - _EVERY, computed - self._computed
        seen["beats"] += 1
        seen["seconds"] += now - self._began
        seen["away"] = max(seen["away"], away)
        seen["computed"] = max(seen["computed"], busy)
        seen["long"] += busy > _LONG
        seen["swept"] = max(seen["swept"], self._swept)
        self._swept = 0.0
        self._began, self._computed = now, computed
        self._loop.call_later(_EVERY, self._beat)


def open_files() -> dict[str, int]:
    """How many files the process has open, and how many of them are sockets."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue  # the one that lists them
    return {"files": len(found), "sockets": sum(name.startswith("socket:") for name in found)}


def memory() -> int:
    """The bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Tracer:
    """Takes a sample for every so many judgments, and knows the phase by what is counted."""

    def __init__(self, heart: Heart, trace: Any, every: int) -> None:
        self._heart = heart
        self._trace = trace
        self._every = every
        self._due = 0

    def watch(self, progress: ProgressUpdate) -> None:
        if progress.stage != "judgment":
            return
        if self._heart.phase == "load" and progress.done >= progress.total / 10:
            self._heart.phase = "judge"
        if progress.done >= self._due:
            self._due += self._every
            self.sample(progress.done)
        if progress.done == progress.total:
            self._heart.phase = "end"

    def sample(self, done: int) -> None:
        self._write(
            judged=done,
            rss=memory(),
            tasks=len(asyncio.all_tasks()),
            seconds=time.process_time(),
            **open_files(),
        )

    def end(self, results: Results) -> None:
        self._write(
            phases=self._heart.phases,
            judgments=len(results.judgments),
            failures=len(results.failures),
            tasks=len(asyncio.all_tasks()),
            rss=memory(),
            **open_files(),
        )

    def _write(self, **facts: Any) -> None:
        self._trace.write(json.dumps(facts) + "\n")
        self._trace.flush()


async def main(given: dict[str, Any], path: str) -> None:
    every = given.pop("every")
    heart = Heart()
    with Path(path).open("w") as trace:
        tracer = Tracer(heart, trace, every)
        heart.start()
        tracer.end(await run_async(Config.model_validate(given), tracer.watch))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
