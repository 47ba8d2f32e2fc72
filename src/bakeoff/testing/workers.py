"""Runs a worker as the pipeline does, and builds what workers take."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from bakeoff.errors import WorkError
from bakeoff.records import Message, Pair, Prompt
from bakeoff.runtime import Worker

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its result


def user_prompt(text: str, *, id: str = "") -> Prompt:
    """Return a prompt with one user turn."""
    return Prompt(id=id, messages=(Message(role="user", content=text),))


def text_pair(prompt: str, first: str, second: str) -> Pair:
    """Return an item for a judge: the completions `first` and `second` of a prompt."""
    return Pair(prompt=user_prompt(prompt), first=first, second=second)


def run_worker(worker: Worker[I, O], items: Sequence[I]) -> list[O | WorkError]:
    """Prepare, call and close a worker; return the outcomes in the order of the items.

    Raises the exceptions of the worker that are not outcomes, like ConfigError, and RuntimeError
    unless every item has exactly one outcome.
    """
    outcomes: list[list[O | WorkError]] = [[] for _ in items]

    async def run() -> None:
        await worker.prepare()
        try:
            await worker(items, lambda index, outcome: outcomes[index].append(outcome))
        finally:
            await worker.close()

    asyncio.run(run())
    for index, of_item in enumerate(outcomes):
        if len(of_item) != 1:
            raise RuntimeError(f"the worker emitted {len(of_item)} outcomes for item {index}")
    return [outcome for (outcome,) in outcomes]
