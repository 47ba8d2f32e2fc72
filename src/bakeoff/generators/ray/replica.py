"""One replica of a generator, in a Ray worker process on any node of the cluster."""

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
from bakeoff.generators.ray.messages import (
    Outcome,
    decode_block,
    encode_failure,
    encode_outcomes,
)
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import content_key
from bakeoff.runtime import Generator

COLUMN = "block"  # of Ray Data's rows, each of which has one block of prompts


def replica_config(spec: Spec, context: RunContext, identity: JsonValue) -> dict[str, JsonValue]:
    """Return the configuration of a replica, as plain JSON."""
    return {
        "version": version("bakeoff"),
        "spec": spec.model_dump(mode="json"),
        "sampling": context.sampling.model_dump(mode="json"),
        "max_concurrency": context.max_concurrency,
        "for_judge": context.for_judge,
        "identity": content_key(identity),
        "folder": str(Path.cwd()),
    }


class Replica:
    """Callable class for `map_batches` that replies to blocks of prompts with their outcomes.

    It loads the model for the first block, and processes its blocks concurrently. An exception is
    sent as a reply, and the driver raises it: Ray would log it and retry.
    """

    def __init__(self, config: str) -> None:
        self._config: dict[str, Any] = json.loads(config)
        self._opening: asyncio.Task[Generator] | None = None

    async def __call__(self, batch: Mapping[str, Sequence[Any]]) -> AsyncIterator[dict[str, Any]]:
        """Yield a reply per block. Concurrent calls share the generator."""
        yield {COLUMN: [await self._reply(str(block)) for block in batch[COLUMN]]}

    async def _reply(self, block: str) -> str:
        try:
            generator = await self._get_generator()
            items = decode_block(block)
            outcomes: list[tuple[int, Outcome]] = []

            def emit(index: int, outcome: Outcome) -> None:
                outcomes.append((items[index][0], outcome))

            await generator([prompt for _, prompt in items], emit)
            return encode_outcomes(outcomes)
        except Exception as error:
            return encode_failure(error, platform.node(), traceback.format_exc())

    async def _get_generator(self) -> Generator:
        """Return the prepared generator, the same one for concurrent calls."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Generator:
        config = self._config
        if config["version"] != version("bakeoff"):
            raise ConfigError(
                f"the driver has bakeoff {config['version']}, and a node of the cluster "
                f"{version('bakeoff')}: install the same everywhere"
            )
        with suppress(OSError):  # for relative paths in the spec, if this node has the folder
            os.chdir(config["folder"])
        spec = Spec.model_validate(config["spec"])
        sampling = Sampling.model_validate(config["sampling"])
        context = RunContext(sampling, config["max_concurrency"], for_judge=config["for_judge"])
        generator = open_generator(spec, context)
        await generator.prepare()
        # The driver stores the completions under the identity of its own generator.
        if content_key(generator.identity) != config["identity"]:
            raise ConfigError(
                f"{spec.name!r} is not the model that it is at the driver: are its files the same?"
            )
        return generator
