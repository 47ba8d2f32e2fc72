"""Excludes the records of a run, which live until its end, from garbage collection.

A full collection would traverse all of them and block the event loop: for 0.4 s with 30,000
verdicts, 1.2 s with 100,000.
"""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from bakeoff.runtime.tasks import run_periodically

# New objects between two collections of the youngest generation; Python's default is 700. The
# objects of a few requests exceed that: 10,000 saves a seventh of the CPU time of judging.
_THRESHOLD = 10_000

_freezing = False  # within `gc_frozen`: `gc.get_freeze_count` takes 5 ms for 400,000 objects


@asynccontextmanager
async def gc_frozen(every: float) -> AsyncIterator[None]:
    """Freeze existing objects out of garbage collection, and collect less often in the body.

    Freezes again every `every` seconds. Does nothing if objects are frozen already, or if the
    collector is disabled.
    """
    global _freezing
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    thresholds = gc.get_threshold()
    gc.set_threshold(_THRESHOLD, *thresholds[1:])
    _freeze()
    _freezing = True
    try:
        async with run_periodically(_freeze, every):
            yield
    finally:
        _freezing = False
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def _freeze() -> None:
    gc.collect(1)  # the young generations, which are small
    gc.freeze()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause garbage collection while the body builds many records: it would triple the time.

    Does nothing if the collector is disabled. Frozen objects stay frozen.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not (_freezing or gc.get_freeze_count()):
            gc.freeze()  # moves the new objects to the oldest generation without traversing them
            gc.unfreeze()
        gc.enable()
