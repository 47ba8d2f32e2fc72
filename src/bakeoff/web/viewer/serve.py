"""Serve the viewer on loopback."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.web.server import check_installed, serve_app


async def serve_async(
    path: Path,
    *,
    port: int = 0,
    announce: Callable[[str], None],
    until: asyncio.Event | None = None,
) -> None:
    """Show the runs below a folder, or one run (`results.json` or its folder).

    Returns when `until` is set. `announce` is called with the address; `port` 0 selects a free
    port. Raises ConfigError if the path does not exist or nothing can be served.
    """
    check_installed()
    if not path.exists():  # noqa: ASYNC240 - nothing is served yet
        raise ConfigError(f"there is no {str(path)!r}: name a results.json, or a folder with runs")
    from bakeoff.web.viewer.routes import Viewer  # late: starlette is optional

    async with serve_app(Viewer(path).app(), port=port) as url:
        announce(url)
        await (until or asyncio.Event()).wait()
