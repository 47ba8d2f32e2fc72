"""Runs a comparison and traces its resource use: `python soak_run.py CONFIG.json TRACE.jsonl`.

Writes a JSON line for every `every` judgments: memory, open files, sockets, tasks and CPU seconds
of the process. The last line holds the longest event loop stalls of each phase: until a tenth of
the judgments, until the last judgment, and after it. A callback every few milliseconds measures a
stall twice: by the wall clock, which includes other processes, and by the CPU time of the loop's
thread; `gc` is the part of that which the garbage collector took.
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

_EVERY = 0.005  # seconds between ticks
_LONG = 0.1  # seconds; a longer stall is counted


class StallMonitor:
    """Periodic callback in the event loop that records the longest stalls of each phase."""

    def __init__(self) -> None:
        self.phase = "load"
        self.phases: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gc_seconds = self._gc_started = 0.0
        gc.callbacks.append(self._on_gc)
        self._began, self._computed = time.monotonic(), time.thread_time()
        self._loop.call_later(_EVERY, self._tick)

    def _on_gc(self, phase: str, _: dict[str, int]) -> None:
        """Callback at the start and the end of a garbage collection, in any thread."""
        now = time.thread_time()
        if phase == "start":
            self._gc_started = now
        else:
            self._gc_seconds = max(self._gc_seconds, now - self._gc_started)

    def _tick(self) -> None:
        now, computed = time.monotonic(), time.thread_time()
        phase = self.phases.setdefault(
            self.phase, dict.fromkeys(("ticks", "seconds", "delay", "computed", "long", "gc"), 0)
        )
        delay, busy = now - self._began - _EVERY, computed - self._computed
        phase["ticks"] += 1
        phase["seconds"] += now - self._began
        phase["delay"] = max(phase["delay"], delay)
        phase["computed"] = max(phase["computed"], busy)
        phase["long"] += busy > _LONG
        phase["gc"] = max(phase["gc"], self._gc_seconds)
        self._gc_seconds = 0.0
        self._began, self._computed = now, computed
        self._loop.call_later(_EVERY, self._tick)


def open_files() -> dict[str, int]:
    """The numbers of open files and of open sockets."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(link.readlink()))
        except FileNotFoundError:
            continue  # the descriptor of this listing is closed
    return {"files": len(targets), "sockets": sum(name.startswith("socket:") for name in targets)}


def memory() -> int:
    """The resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Tracer:
    """Writes a sample for every `every` judgments, and sets the phase from the progress."""

    def __init__(self, monitor: StallMonitor, trace: Any, every: int) -> None:
        self._monitor = monitor
        self._trace = trace
        self._every = every
        self._due = 0

    def watch(self, progress: ProgressUpdate) -> None:
        if progress.stage != "judgment":
            return
        if self._monitor.phase == "load" and progress.done >= progress.total / 10:
            self._monitor.phase = "judge"
        if progress.done >= self._due:
            self._due += self._every
            self.sample(progress.done)
        if progress.done == progress.total:
            self._monitor.phase = "end"

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
            phases=self._monitor.phases,
            judgments=len(results.judgments),
            failures=len(results.failures),
            tasks=len(asyncio.all_tasks()),
            rss=memory(),
            **open_files(),
        )

    def _write(self, **facts: Any) -> None:
        self._trace.write(json.dumps(facts) + "\n")
        self._trace.flush()


async def main(config: dict[str, Any], path: str) -> None:
    every = config.pop("every")
    monitor = StallMonitor()
    with Path(path).open("w") as trace:
        tracer = Tracer(monitor, trace, every)
        monitor.start()
        tracer.end(await run_async(Config.model_validate(config), tracer.watch))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]))
