"""Merges stores, for example those of the shards of a run, into one store."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError, StoreError
from bakeoff.storage import Store
from bakeoff.storage.database import wal_path
from bakeoff.storage.salvage import StoreScan, copy_records


class MergedStore(NamedTuple):
    """A source store of a merge."""

    path: Path
    records: int
    """Number of its records."""
    new: int
    """Those of `records` that the target did not have."""


def merge(stores: Sequence[Path], into: Path) -> list[MergedStore]:
    """Copy the records of several stores into `into`, which is created if it is missing.

    Existing keys keep their record; the source stores are not changed. Raises ConfigError if a
    source is missing or is `into` itself, StoreError if a source is damaged or `into` cannot be
    written. Records copied before an error stay; calling `merge` again adds the missing ones.
    """
    for path in stores:
        if not path.is_file() and not wal_path(path).is_file():
            raise ConfigError(f"there is no store {str(path)!r}: name the file that --store named")
        if into.exists() and path.exists() and path.samefile(into):
            raise ConfigError(f"{str(path)!r} is what the others are to be put into: leave it out")
    with Store(into) as store:
        return [_merge_one(path, store) for path in stores]


def lines(merged: Sequence[MergedStore], into: Path) -> dict[str, list[str]]:
    """Return the result of a merge as titled lines."""
    counts = [
        f"{str(store.path)!r}: {store.records:,} records, {store.new:,} of them new"
        for store in merged
    ]
    return {"Merged": [*counts, f"all of them are in {str(into)!r} now"]}


def _merge_one(path: Path, store: Store) -> MergedStore:
    scan = StoreScan(path)
    new = copy_records(scan, store)
    if not scan.sound:
        reason = scan.problems[0] if scan.problems else f"{scan.changed} records were changed"
        raise StoreError(
            f"{str(path)!r} is damaged ({reason}); what can be read of it is in "
            f"{str(store.path)!r}, and a run asks again for the rest"
        )
    return MergedStore(path, scan.total, new)
