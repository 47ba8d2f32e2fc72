"""One replica of a generator, in a process of Ray's on some machine: opened from plain data.

Knows the generator that it holds; neither the store, nor the run, nor how many others there are.
Loads the model when the first block comes, and works on as many blocks at once as it gets.
"""

import asyncio
import json
import os
import platform
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakeoff.config import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.generators.ray.rows import Outcome, items_of, refusal_of, reply_of
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import content_key
from bakeoff.runtime import Generator

COLUMN = "block"  # of the rows that Ray carries: a row is a block of ours


def described(spec: Spec, context: RunContext, identity: JsonValue) -> dict[str, JsonValue]:
    """All that a replica has to know, as plain data."""
    return {
        "version": version("bakeoff"),
        "spec": spec.model_dump(mode="json"),
        "sampling": context.sampling.model_dump(mode="json"),
        "lanes": context.max_concurrency,
        "judging": context.for_judge,
        "identity": content_key(identity),
        "folder": str(Path.cwd()),
    }


class Replica:
    """A callable class for `map_batches`: a block of prompts becomes what came of each.

    What keeps it from working travels as data too, and is raised where the run is: Ray would only
    log it, and try again.
    """

    def __init__(self, told: str) -> None:
        self._told: dict[str, Any] = json.loads(told)
        self._opening: asyncio.Task[Generator] | None = None

    async def __call__(self, batch: Mapping[str, Sequence[Any]]) -> AsyncIterator[dict[str, Any]]:
        """A reply per block. Blocks that come while it works share the generator."""
        yield {COLUMN: [await self._reply(str(block)) for block in batch[COLUMN]]}

    async def _reply(self, block: str) -> str:
        try:
            generator = await self._opened()
            items = items_of(block)
            found: list[tuple[int, Outcome]] = []

            def take(place: int, outcome: Outcome) -> None:
                found.append((items[place][0], outcome))

            await generator([prompt for _, prompt in items], take)
            return reply_of(found)
        except Exception as error:
            return refusal_of(error, platform.node(), traceback.format_exc())

    async def _opened(self) -> Generator:
        """The generator, once it is ready: those who come meanwhile wait for the same one."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Generator:
        told = self._told
        if told["version"] != version("bakeoff"):
            raise ConfigError(
                f"the driver has bakeoff {told['version']}, and a node of the cluster "
                f"{version('bakeoff')}: install the same everywhere"
            )
        with suppress(OSError):  # where the driver works, if that is here too: paths are its
            os.chdir(told["folder"])
        spec = Spec.model_validate(told["spec"])
        context = RunContext(
            Sampling.model_validate(told["sampling"]), told["lanes"], for_judge=told["judging"]
        )
        generator = open_generator(spec, context)
        await generator.prepare()
        if content_key(generator.identity) != told["identity"]:  # it would be kept as the driver's
            raise ConfigError(
                f"{spec.name!r} is not the model that it is at the driver: are its files the same?"
            )
        return generator
