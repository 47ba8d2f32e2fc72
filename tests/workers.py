"""Runs items through a worker and returns their outcomes."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from bakeoff.errors import WorkError
from bakeoff.runtime import Worker

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


def outcomes(worker: Worker[I, O], items: Sequence[I]) -> list[O | WorkError]:
    """Prepare, call and close the worker; returns the outcomes in the order of the items."""
    found: dict[int, O | WorkError] = {}

    async def run() -> None:
        await worker.prepare()
        try:
            await worker(items, found.__setitem__)
        finally:
            await worker.close()

    asyncio.run(run())
    return [found[index] for index in range(len(items))]
