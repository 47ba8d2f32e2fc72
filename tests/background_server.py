"""Runs an asyncio server in a background thread for the duration of a `with` block."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

Serves = Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, None]]


@contextmanager
def serving(work: Serves) -> Iterator[str]:
    """Run `work(announce, stop)` in a thread and yield the address that it announces.

    Setting `stop` at the end of the block ends it; it may also end earlier. Raises the exception
    of a `work` that fails before it announces an address.
    """
    announced: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
    ends = threading.Event()

    async def main() -> None:
        until = asyncio.Event()
        opened = asyncio.create_task(work(announced.put, until))
        waiting = asyncio.create_task(asyncio.to_thread(ends.wait))
        await asyncio.wait([opened, waiting], return_when=asyncio.FIRST_COMPLETED)
        until.set()
        ends.set()
        await waiting
        await opened

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            announced.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        address = announced.get(timeout=60)
        if isinstance(address, BaseException):
            raise address
        yield address
    finally:
        ends.set()
        thread.join(60)
    assert not thread.is_alive()
