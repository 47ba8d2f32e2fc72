"""What was sent off in batches, noted in the store, so that a killed run finds it again.

Knows keys and ids; not what a request asks, and no provider. A batch is noted before it is sent:
what was sent without a note would be paid twice.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bakeoff.records import Record, content_key
from bakeoff.storage import Store

R = TypeVar("R", bound=Record)

KEPT = 29 * 24 * 3600.0  # seconds that providers keep what came of a batch, at least
_BLOCK = 64  # numbers that are looked up at once


class Batch(Record):
    """Requests that are about to be sent together: `requests` are their ids.

    `tag` is random, and how the batch is told at the provider where it can be told anything.
    `without` names the parameters that the server had refused before, `at` is in seconds since
    1970.
    """

    tag: str
    requests: tuple[str, ...]
    without: tuple[str, ...] = ()
    at: float


class Posted(Record):
    """The provider took a batch: `reference` is what it calls it."""

    reference: str


class Settled(Record):
    """Everything that came of a batch is kept elsewhere, or nothing ever will."""


@dataclass
class Noted:
    """A batch with its number among those of one model; `reference` is None until it is known."""

    number: int
    batch: Batch
    reference: str | None = None


class Notes:
    """The batches of one model, numbered. `path` is the store's; without one nothing is noted.

    Every method opens the store anew and may wait for its lock: call it on a thread of its own.
    """

    def __init__(self, path: Path | None, whose: str) -> None:
        self._path = path
        self._whose = whose
        self._next = 0

    def unsettled(self) -> list[Noted]:
        """What an earlier run sent, or was about to, and did not see through."""
        if self._path is None:
            return []
        found: list[Noted] = []
        oldest = time.time() - KEPT
        with Store(self._path) as store:
            more = True
            while more:
                block = range(self._next, self._next + _BLOCK)
                settled = self._records(store, block, Settled)
                rest = [number for number in block if number not in settled]
                batches = self._records(store, rest, Batch)
                posted = self._records(store, rest, Posted)
                more = len(settled) + len(batches) == _BLOCK
                self._next += len(settled) + len(batches)
                found += [
                    Noted(number, batch, posted[number].reference if number in posted else None)
                    for number, batch in sorted(batches.items())
                    if batch.at > oldest
                ]
        return found

    def intend(self, requests: Sequence[str], without: Sequence[str]) -> Noted:
        """Note a batch that is about to be sent."""
        tag = secrets.token_hex(16)
        batch = Batch(
            tag=tag, requests=tuple(requests), without=tuple(without), at=round(time.time(), 3)
        )
        while self._keep(self._next, batch).tag != tag:  # another run has that number
            self._next += 1
        self._next += 1
        return Noted(self._next - 1, batch)

    def posted(self, noted: Noted, reference: str) -> None:
        """Note what the provider calls it."""
        noted.reference = self._keep(noted.number, Posted(reference=reference)).reference

    def settle(self, noted: Noted) -> None:
        """Note that nobody has to look at it again."""
        self._keep(noted.number, Settled())

    def _keep(self, number: int, record: R) -> R:
        if self._path is None:
            return record
        with Store(self._path) as store:
            return store.put(self._key(number, type(record)), record)

    def _records(self, store: Store, numbers: Sequence[int], as_: type[R]) -> dict[int, R]:
        keys = {self._key(number, as_): number for number in numbers}
        return {keys[key]: record for key, record in store.get(list(keys), as_).items()}

    def _key(self, number: int, what: type[Record]) -> str:
        return "batch:" + content_key(self._whose, number, what.__name__)
