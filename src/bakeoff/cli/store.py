"""`bakeoff merge`: several stores into one. `bakeoff store`: look at one, or salvage it.

0 sound, merged or salvaged; 2 what cannot be merged; 3 something is damaged.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bakeoff.config import STORE
from bakeoff.report.terminal import make_console, print_path, print_sections

app = App(name="store", help="Look at a store, and get out of a damaged one what can be read.")


@app.command
def check(
    path: Annotated[Path, Parameter(help="The store: what --store names.")],
    /,
) -> int:
    """Say what a store holds, and whether all of it is as it was written. Changes nothing."""
    from bakeoff.storage.salvage import check as checked
    from bakeoff.storage.salvage import lines

    found = checked(path)
    print_sections(make_console(), lines(found))
    return 0 if found.sound else 3


@app.command
def salvage(
    path: Annotated[Path, Parameter(help="The store that is damaged. It stays as it is.")],
    /,
    *,
    into: Annotated[Path, Parameter(help="A new store, which must not be there yet.")],
) -> int:
    """Put everything that can be read of a damaged store into a new one."""
    from bakeoff.storage.salvage import lines
    from bakeoff.storage.salvage import salvage as salvaged

    found = salvaged(path, into)
    print_sections(make_console(), lines(found))
    print_path(make_console(), into)
    return 0


def merge(
    stores: Annotated[tuple[Path, ...], Parameter(help="The stores of the parts. They stay.")],
    /,
    *,
    store: Annotated[
        Path, Parameter(help="The store that gets everything; it may be there already.")
    ] = STORE,
) -> int:
    """Put the stores of several machines into one: the run without --shard asks nothing then."""
    from bakeoff.storage.merge import lines
    from bakeoff.storage.merge import merge as merged

    found = merged(stores, store)
    print_sections(make_console(), lines(found, store))
    return 0
