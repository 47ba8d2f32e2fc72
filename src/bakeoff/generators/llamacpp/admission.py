"""Admission of requests to llama.cpp's server, so that neighbours share a beginning."""

import asyncio
from bisect import bisect, insort
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class PrefixQueue:
    """A semaphore that admits waiting requests in the order of their text.

    A slot of the server keeps the KV cache of its last prompt and reads only what differs from it,
    so that requests with a common beginning should follow each other. After the last text in the
    order the first one follows. Requests with equal texts are admitted in the order of arrival.
    """

    def __init__(self, permits: int) -> None:
        self._free = permits
        self._arrivals = count()
        self._waiting: list[tuple[str, int, asyncio.Future[None]]] = []
        self._position = ("", -1)  # of the request that was admitted last

    @asynccontextmanager
    async def admit(self, text: str) -> AsyncIterator[None]:
        """Wait for a permit, and hold it inside the context."""
        place = (text, next(self._arrivals))
        if self._free:
            self._free -= 1
            self._position = place
        else:
            await self._wait(place)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, place: tuple[str, int]) -> None:
        entry = (*place, asyncio.get_running_loop().create_future())
        insort(self._waiting, entry)
        try:
            await entry[2]
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:  # the permit came in the same iteration of the event loop
                self._release()
            raise

    def _release(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        index = bisect(self._waiting, self._position, key=lambda entry: entry[:2])
        text, arrival, future = self._waiting.pop(index % len(self._waiting))
        self._position = (text, arrival)
        if future.cancelled():  # its task has not run since: `_wait` releases the permit
            return
        future.set_result(None)
