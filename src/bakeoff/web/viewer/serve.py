"""Serves the runs below a path to whoever sits at this machine, until told to end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.web.server import check_installed, served


async def serve_async(
    path: Path,
    *,
    port: int = 0,
    announce: Callable[[str], None],
    until: asyncio.Event | None = None,
) -> None:
    """Show the runs below a folder, or one run (its `results.json`, or the folder of it).

    `announce` gets the address to open; `until` ends it. `port` 0 takes a free one. ConfigError
    where the path is not there, or nothing can be served.
    """
    check_installed()
    if not path.exists():  # noqa: ASYNC240 - nothing is served yet
        raise ConfigError(f"there is no {str(path)!r}: name a results.json, or a folder with runs")
    from bakeoff.web.viewer.routes import Viewer

    async with served(Viewer(path).app(), port=port) as url:
        announce(url)
        await (until or asyncio.Event()).wait()
