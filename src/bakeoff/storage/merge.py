"""Puts what several stores hold into one, as they hold it: of machines that did a part each.

Knows stores and no run: what a record is for its key says.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError, StoreError
from bakeoff.storage import Store
from bakeoff.storage.salvage import Holdings
from bakeoff.storage.sqlite_file import log_of

_BLOCK = 500  # records that are read, and written, at once


class Merged(NamedTuple):
    """How many records a store held, and how many of them were new."""

    path: Path
    held: int
    new: int


def merge(stores: Sequence[Path], into: Path) -> list[Merged]:
    """Add all records of some stores to another, which is made where there is none.

    What is there under a key stays. The stores stay as they are. ConfigError where one is none, or
    is the one that they are to be put into; StoreError where one is damaged, or this one cannot be
    written: what came before is kept, and the same again adds what is lacking.
    """
    for path in stores:
        if not path.is_file() and not log_of(path).is_file():
            raise ConfigError(f"there is no store {str(path)!r}: name the file that --store named")
        if into.exists() and path.exists() and path.samefile(into):
            raise ConfigError(f"{str(path)!r} is what the others are to be put into: leave it out")
    with Store(into) as store:
        return [_added(path, store) for path in stores]


def lines(found: Sequence[Merged], into: Path) -> dict[str, list[str]]:
    """What was merged, as titled lines."""
    told = [f"{str(one.path)!r}: {one.held:,} records, {one.new:,} of them new" for one in found]
    return {"Merged": [*told, f"all of them are in {str(into)!r} now"]}


def _added(path: Path, store: Store) -> Merged:
    found, new = Holdings(path), 0
    records = iter(found)
    while block := [(one.key, one.body, one.at) for one in islice(records, _BLOCK)]:
        new += store.copy(block)
    if not found.sound:
        why = found.troubles[0] if found.troubles else f"{found.wrong} records were changed"
        raise StoreError(
            f"{str(path)!r} is damaged ({why}); what can be read of it is in {str(store.path)!r}, "
            "and a run asks again for the rest"
        )
    return Merged(path, found.total, new)
