"""Third-party backend whose prompts name a fault: `die` kills its process, for instance.

Its package metadata lies beside it, as pip installs it, so that replicas find its entry point.
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
    """An error class that only this backend defines."""

    kind = "odd"


class Faulty(PerItem[Any, Any]):
    """`faulty:NAME` completes with NAME and the prompt, or with the fault that the prompt names."""

    traits = Traits(can_score=True)

    def __init__(self, spec: Any, context: Any) -> None:
        super().__init__(context.max_concurrency)
        self._says = spec.target
        # The target `elsewhere`: driver and nodes have different files, so each process differs.
        files = os.getpid() if spec.target == "elsewhere" else None
        self.identity = {"backend": "faulty", "says": self._says, "files": files}
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
