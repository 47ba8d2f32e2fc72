"""Prepare the summary and the page while requests are in flight."""

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from bakeoff.records import Completion

log = logging.getLogger(__name__)

MODULES = ("bakeoff.analysis.summarize", "bakeoff.report.page.page")
"""What the end of a run imports, with numpy, scipy and jinja2: 0.6 s of CPU."""

_WINDOW = 0.02  # seconds in which the CPU time of the event loop is measured
_MAX_LOAD = 0.5  # CPU time of the loop, as a share: it waits for replies for the rest
_MAX_WINDOWS = 50  # then the import begins anyway: in a run of this length it delays little
_INTERVAL = 0.5  # seconds between two looks for new completions


@asynccontextmanager
async def preload_summary(completions: Collection[object]) -> AsyncIterator[None]:
    """Load modules and files, and check completions, as soon as the loop waits for replies.

    A daemon thread imports `MODULES`, loads the assets of the page, and searches the texts of
    `completions`, a view that grows, for injections: the summary finds the results in a cache. The
    requests of the body are so sent first. If the body ends before, nothing is loaded. An import
    that goes on at the end of the body is finished by that of the importer of the module.
    """
    ended = threading.Event()
    watching = asyncio.create_task(_preload_when_idle(completions, ended))
    try:
        yield
    finally:
        watching.cancel()
        ended.set()


async def _preload_when_idle(completions: Collection[object], ended: threading.Event) -> None:
    for _ in range(_MAX_WINDOWS):
        before = time.thread_time()
        await asyncio.sleep(_WINDOW)
        if time.thread_time() - before < _MAX_LOAD * _WINDOW:
            break
    arguments = (completions, ended)
    threading.Thread(target=_preload, args=arguments, name="bakeoff-preload", daemon=True).start()


def _preload(completions: Collection[object], ended: threading.Event) -> None:
    try:
        for name in MODULES:
            importlib.import_module(name)
        from bakeoff.analysis.injection import detect_injection
        from bakeoff.report.page.page import load_assets

        load_assets()
    except (ImportError, OSError) as error:  # the summary raises it again, where it is handled
        log.debug("cannot prepare the summary early (%s)", error)
        return
    checked = 0
    while not ended.is_set():
        new = list(completions)[checked:]  # a copy: the event loop adds more
        for outcome in new:
            if isinstance(outcome, Completion) and not ended.is_set():
                detect_injection(outcome.text)
                time.sleep(0)  # let the event loop run
        checked += len(new)
        ended.wait(_INTERVAL)
