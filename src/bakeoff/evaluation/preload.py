"""Import the modules of the summary and the page while requests are in flight."""

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

MODULES = ("bakeoff.analysis.summarize", "bakeoff.report.page.page")
"""What the end of a run imports, with numpy, scipy and jinja2: 0.4 seconds."""

_WINDOW = 0.02  # seconds in which the CPU time of the event loop is measured
_MAX_LOAD = 0.5  # CPU time of the loop, as a share: it waits for replies for the rest
_MAX_WINDOWS = 50  # then the import begins anyway: in a run of this length it delays little


@asynccontextmanager
async def preload_summary() -> AsyncIterator[None]:
    """Import `MODULES` in a daemon thread as soon as the event loop waits for replies.

    The requests of the body are so sent first. If the body ends before, nothing is imported. An
    import that goes on at the end of the body is finished by that of the importer of the module.
    """
    watching = asyncio.create_task(_import_when_idle())
    try:
        yield
    finally:
        watching.cancel()


async def _import_when_idle() -> None:
    for _ in range(_MAX_WINDOWS):
        before = time.thread_time()
        await asyncio.sleep(_WINDOW)
        if time.thread_time() - before < _MAX_LOAD * _WINDOW:
            break
    threading.Thread(target=_import_modules, name="bakeoff-preload", daemon=True).start()


def _import_modules() -> None:
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:  # the summary raises it again, where it is handled
            log.debug("cannot import %s early (%s)", name, error)
            return
