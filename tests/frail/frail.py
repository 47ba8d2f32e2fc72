"""Somebody's backend, which does what a prompt says: `die` ends its process, for instance.

Installed as pip would leave it (beside it lies its metadata), so that replicas find it as well.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from bakeoff.errors import BackendError, ConfigError, ContextError, RefusedError
from bakeoff.records import Completion, Usage
from bakeoff.runtime import PerItem, Traits


class OddError(BackendError):
    """An error class of this package only."""

    kind = "odd"


class Frail(PerItem[Any, Any]):
    """`frail:NAME` completes with NAME and the prompt, unless that tells it something else."""

    traits = Traits(can_score=True)

    def __init__(self, spec: Any, context: Any) -> None:
        super().__init__(context.max_concurrency)
        self._says = spec.target
        # Its identity is its process id: the driver and the nodes have different files.
        files = os.getpid() if spec.target == "elsewhere" else None
        self.identity = {"backend": "frail", "says": self._says, "files": files}
        self._unprepared = spec.target == "unprepared"

    async def prepare(self) -> None:
        if self._unprepared:
            raise ConfigError("it lacks what it needs: install it")

    async def process(self, item: Any) -> Completion:
        text = item.messages[-1].content
        verb, _, rest = text.partition(" ")
        match verb:
            case "die":
                _die()
            case "once":
                if not Path(rest).exists():
                    Path(rest).touch()
                    _die()
            case "sleep":
                await asyncio.sleep(float(rest.split()[0]))
            case "until":
                while not Path(rest.split()[0]).exists():
                    await asyncio.sleep(0.05)
            case "fail":
                error = BackendError("it is down", status=503, raw="<down>")
                error.usage = {"usage": Usage(input_tokens=3, output_tokens=4), "cost": 0.5}
                raise error
            case "long":
                raise ContextError("too long", status=400)
            case "refuse":
                raise RefusedError("it would not", raw="no")
            case "odd":
                raise OddError("nobody knows this")
            case "config":
                raise ConfigError("its key was revoked")
            case "bug":
                raise ZeroDivisionError("what nobody thought of")
        return Completion(
            text=f"{self._says} {text}", finish="stop", usage=Usage(input_tokens=1, output_tokens=2)
        )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
