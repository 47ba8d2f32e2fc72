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

COLUMN = "block"  # of Ray Data's rows: each has one block of prompts


def replica_config(spec: Spec, context: RunContext, identity: JsonValue) -> dict[str, JsonValue]:
    """The configuration that a replica opens its generator with, as plain JSON."""
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
    """A callable class for `map_batches`: takes blocks of prompts, and replies with outcomes.

    It loads the model at its first block, and works on all blocks that it has at once. Exceptions
    are part of the reply, for the driver to raise: Ray would log them and retry.
    """

    def __init__(self, config: str) -> None:
        self._config: dict[str, Any] = json.loads(config)
        self._opening: asyncio.Task[Generator] | None = None

    async def __call__(self, batch: Mapping[str, Sequence[Any]]) -> AsyncIterator[dict[str, Any]]:
        """A reply per block. Concurrent calls share the generator."""
        yield {COLUMN: [await self._reply(str(block)) for block in batch[COLUMN]]}

    async def _reply(self, block: str) -> str:
        try:
            generator = await self._opened()
            items = decode_block(block)
            outcomes: list[tuple[int, Outcome]] = []

            def emit(index: int, outcome: Outcome) -> None:
                outcomes.append((items[index][0], outcome))

            await generator([prompt for _, prompt in items], emit)
            return encode_outcomes(outcomes)
        except Exception as error:
            return encode_failure(error, platform.node(), traceback.format_exc())

    async def _opened(self) -> Generator:
        """The prepared generator. Concurrent calls wait for the same one."""
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
        with suppress(OSError):  # relative paths are the driver's, if this node has its folder
            os.chdir(config["folder"])
        spec = Spec.model_validate(config["spec"])
        sampling = Sampling.model_validate(config["sampling"])
        context = RunContext(sampling, config["lanes"], for_judge=config["judging"])
        generator = open_generator(spec, context)
        await generator.prepare()
        # The driver stores the completions under its own generator's identity.
        if content_key(generator.identity) != config["identity"]:
            raise ConfigError(
                f"{spec.name!r} is not the model that it is at the driver: are its files the same?"
            )
        return generator
