"""`bakeoff store`: check a store or salvage a damaged one. `bakeoff merge`: merge stores."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bakeoff.cli.exit_codes import OK, TOO_MANY_FAILURES
from bakeoff.config import STORE
from bakeoff.report.terminal import make_console, print_path, print_sections

app = App(name="store", help="Look at a store, and get out of a damaged one what can be read.")


@app.command
def check(
    path: Annotated[Path, Parameter(help="The store: what --store names.")],
    /,
) -> int:
    """Say what a store holds, and whether all of it is as it was written. Changes nothing."""
    from bakeoff.storage import salvage as store_salvage

    scan = store_salvage.check(path)
    print_sections(make_console(), store_salvage.lines(scan))
    return OK if scan.sound else TOO_MANY_FAILURES


@app.command
def salvage(
    path: Annotated[Path, Parameter(help="The store that is damaged. It stays as it is.")],
    /,
    *,
    into: Annotated[Path, Parameter(help="A new store, which must not be there yet.")],
) -> int:
    """Put everything that can be read of a damaged store into a new one."""
    from bakeoff.storage import salvage as store_salvage

    scan = store_salvage.salvage(path, into)
    print_sections(make_console(), store_salvage.lines(scan))
    print_path(make_console(), into)
    return OK


def merge(
    stores: Annotated[tuple[Path, ...], Parameter(help="The stores of the parts. They stay.")],
    /,
    *,
    store: Annotated[
        Path, Parameter(help="The store that gets everything; it may be there already.")
    ] = STORE,
) -> int:
    """Put the stores of several machines into one: the run without --shard asks nothing then."""
    from bakeoff.storage import merge as store_merge

    merged = store_merge.merge(stores, store)
    print_sections(make_console(), store_merge.lines(merged, store))
    return OK
