"""Runs an asyncio server in a background thread for the duration of a `with` block."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

Serve = Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, None]]


@contextmanager
def background_server(work: Serve) -> Iterator[str]:
    """Run `work(announce, stop)` in a thread and yield the address that it announces.

    `stop` is set at the end of the block; `work` may also return earlier. Raises the exception of a
    `work` that fails before it announces an address.
    """
    addresses: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
    stopped = threading.Event()

    async def main() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(work(addresses.put, stop))
        waiting = asyncio.create_task(asyncio.to_thread(stopped.wait))
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        stopped.set()
        await waiting
        await running

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            addresses.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        address = addresses.get(timeout=300)
        if isinstance(address, BaseException):
            raise address
        yield address
    finally:
        stopped.set()
        thread.join(300)
    assert not thread.is_alive()
