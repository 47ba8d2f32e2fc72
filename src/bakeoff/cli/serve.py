"""`bakeoff serve`: view runs in a browser."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from bakeoff.cli.exit_codes import OK
from bakeoff.cli.signals import serve_until_interrupted
from bakeoff.report.terminal import log_to, make_console


def serve(
    path: Annotated[Path, Parameter(help="A results.json, or a folder with runs below it.")],
    /,
    *,
    port: Annotated[
        int,
        Parameter(
            help="Port of the page on this machine. [any]",
            validator=validators.Number(gte=0, lte=65535),
        ),
    ] = 0,
) -> int:
    """Show runs in a browser on this machine: live, compared, voted on."""
    from bakeoff.web.viewer import serve_async

    log_to(make_console(errors=True))
    asyncio.run(
        serve_until_interrupted(
            "Runs at",
            "Ctrl-C ends it.",
            lambda announce, end: serve_async(path, port=port, announce=announce, until=end),
        )
    )
    return OK
