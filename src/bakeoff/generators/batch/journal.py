"""The journal of submitted batches, which is in the store: a later run's `BatchQueue` resumes them.

A batch is recorded before it is submitted. Otherwise a killed run could lose one, and the next run
would pay for it again.
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

_RETENTION = 29 * 24 * 3600.0  # seconds for which every provider keeps the results of a batch
_BLOCK_SIZE = 64  # entries that are read at once


class Batch(Record):
    """A batch that is about to be submitted."""

    tag: str  # random; identifies the batch at a provider that stores metadata
    requests: tuple[str, ...]  # the ids of its requests
    unsupported: tuple[str, ...] = ()  # parameters that the server had refused before
    created_at: float  # seconds since the epoch


class BatchSubmitted(Record):
    """The provider accepted a batch."""

    reference: str  # the provider's id of the batch


class BatchFinished(Record):
    """All results of a batch are stored, or there will be none."""


@dataclass
class JournalEntry:
    """A batch of one model."""

    number: int  # position among the batches of the model, from 0
    batch: Batch
    reference: str | None = None  # the provider's id; None until it is known


class BatchJournal:
    """The batches of one model, numbered from 0.

    `path` is the store's; None: nothing is recorded. `model` is a key of the model. Every method
    opens the store and may block on its lock, so call it in a thread; it may raise StoreError.
    """

    def __init__(self, path: Path | None, model: str) -> None:
        self._path = path
        self._model = model
        self._next = 0

    def unfinished(self) -> list[JournalEntry]:
        """Return the batches of earlier runs that are not finished, unless older than 29 days."""
        if self._path is None:
            return []
        entries: list[JournalEntry] = []
        oldest = time.time() - _RETENTION
        with Store(self._path) as store:
            full = True
            while full:
                block = range(self._next, self._next + _BLOCK_SIZE)
                finished = self._records(store, block, BatchFinished)
                rest = [number for number in block if number not in finished]
                batches = self._records(store, rest, Batch)
                submitted = self._records(store, rest, BatchSubmitted)
                full = len(finished) + len(batches) == _BLOCK_SIZE
                self._next += len(finished) + len(batches)
                entries += [
                    JournalEntry(
                        number, batch, submitted[number].reference if number in submitted else None
                    )
                    for number, batch in sorted(batches.items())
                    if batch.created_at > oldest
                ]
        return entries

    def begin(self, requests: Sequence[str], unsupported: Sequence[str]) -> JournalEntry:
        """Record a batch that is about to be submitted."""
        tag = secrets.token_hex(16)
        batch = Batch(
            tag=tag,
            requests=tuple(requests),
            unsupported=tuple(unsupported),
            created_at=round(time.time(), 3),
        )
        while self._put(self._next, batch).tag != tag:  # another run took that number
            self._next += 1
        self._next += 1
        return JournalEntry(self._next - 1, batch)

    def submitted(self, entry: JournalEntry, reference: str) -> None:
        """Record the provider's id of a batch."""
        entry.reference = self._put(entry.number, BatchSubmitted(reference=reference)).reference

    def finish(self, entry: JournalEntry) -> None:
        """Record that a batch need not be resumed."""
        self._put(entry.number, BatchFinished())

    def _put(self, number: int, record: R) -> R:
        if self._path is None:
            return record
        with Store(self._path) as store:
            return store.put(self._key(number, type(record)), record)

    def _records(self, store: Store, numbers: Sequence[int], as_: type[R]) -> dict[int, R]:
        keys = {self._key(number, as_): number for number in numbers}
        return {keys[key]: record for key, record in store.get(list(keys), as_).items()}

    def _key(self, number: int, kind: type[Record]) -> str:
        return "batch:" + content_key(self._model, number, kind.__name__)
