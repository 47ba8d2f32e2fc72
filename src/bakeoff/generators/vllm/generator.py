"""A model by vLLM: a server that is started for it, or one that runs already, and its client.

Knows when that server has to be there and when it has to be gone. What it serves is in
`vllm_model.py`, its command in `vllm_launch.py`, its end in `child.py`, the requests in `api.py`.
"""

import asyncio
import logging
import os
import re
import secrets
import shlex
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import Field, JsonValue

from bakeoff.config import Spec
from bakeoff.errors import BackendError, ConfigError
from bakeoff.generators.api.address import place
from bakeoff.generators.api.client import client_of
from bakeoff.generators.api.generator import Api
from bakeoff.generators.api.transport import Heard
from bakeoff.generators.server_process import Child
from bakeoff.generators.vllm import launch as vllm_launch
from bakeoff.generators.vllm.launch import Flags
from bakeoff.generators.vllm.model import Choices, Model
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, content_key
from bakeoff.runtime import run_periodically, sleep_or_stop, to_daemon_thread
from bakeoff.storage.files import cache_dir

if TYPE_CHECKING:
    from any_llm import AnyLLM

log = logging.getLogger(__name__)

# A server that runs already may apply its checkpoint's own settings; what is said wins over those.
_NEUTRAL = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
_NEUTRAL |= {"presence_penalty": 0.0, "frequency_penalty": 0.0}
_HALF = 0.5  # of the GPU's memory: whoever says that it takes no more leaves room for another
_LOGS = 20  # logs that are kept
_DYING = 3.0  # seconds from the first request that fails to the end of a server
_GLANCE = 1.0  # seconds between two looks at whether it is there still
_TRIES = 3  # a free port may be taken before the server has it
# Those of vLLM's flags that change a completion.
_SERVED = {"dtype", "quantization", "max_model_len", "reasoning_parser"}

# Two that start at once would each count the other's memory as its own.
_starting: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class _EndedError(Exception):
    """Our server has ended while it was asked."""


class Vllm(Api):
    """`vllm:me/model` or `vllm:./checkpoint`, with an adapter as `hf:` takes one.

    With `?base_url=` it is the client of a vLLM that runs already. Chat templates, stop tokens and
    reasoning parsers are the server's; the sampling is bakeoff's, the same for all models. A server
    of our own that dies while it works is started once more, and asked again what it owes.
    """

    class Options(Flags, Choices, Api.Options):
        """Options of the spec. `start_timeout` is in seconds; `devices` are GPUs, as `0,1`.

        `python` is the interpreter of the environment that has vLLM, where that is another one.
        """

        python: str | None = None
        devices: str | None = None
        start_timeout: float = Field(3600.0, gt=0)

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        options = self.options
        self._model = Model(spec.target, options)
        self._context = context
        self._child: Child | None = None
        self._starting_anew = asyncio.Lock()
        self._again = False  # whether it was started once more
        self._over: str | None = None  # why it is not to be asked any more
        self._spent: tuple[AnyLLM, ...] = ()  # clients of the server that died
        if options.base_url is None:
            if options.api_key_env is not None:
                raise ConfigError(f"{spec.name!r}: api_key_env is for a server at a base_url")
            share = options.gpu_memory_utilization or 1.0
            fills = share > _HALF and options.devices is None
            self.traits = replace(self.traits, exclusive=fills)
            del self.identity, self.weights  # what they are here is looked up when it is needed
        elif own := options.model_fields_set - Api.Options.model_fields.keys():
            raise ConfigError(f"{spec.name!r}: {min(own)} is for the server at base_url to say")
        else:  # the same model as by `api:`
            where = {"model": spec.target, "server": place(options.base_url)}
            self.weights = content_key({"backend": "api", **where})

    @cached_property
    def identity(self) -> JsonValue:  # type: ignore[override]
        """What the files are (fingerprint or commit) and how they are served."""
        return self._identity()

    @cached_property
    def weights(self) -> str | None:  # type: ignore[override]
        """The model's files, however they are asked."""
        return self._model.weights

    async def prepare(self) -> None:
        """Find vLLM and fetch what is not here, or see whether the server is. ConfigError."""
        if self.options.base_url is not None:
            await super().prepare()
        else:
            await to_daemon_thread(lambda: (self._program, self._model.files))

    async def connect(self) -> "AnyLLM":
        """Start the server and wait until it is healthy; a client of it."""
        if self.options.base_url is not None:
            return await super().connect()
        key = secrets.token_urlsafe(32)
        async with _starting.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            address = await self._serve(key)
        return client_of(self.spec.name, address, key, self.transport())

    def _client(self, url: str | None, heard: Heard) -> "AnyLLM":
        """A client of a server that runs already; a key is sent to it where one is named."""
        named = self.options.api_key_env
        key = os.environ.get(named) if named else None
        if named and not key:
            raise ConfigError(f"{self.spec.name!r} needs a key: set {named}")
        return client_of(self.spec.name, url or "", key, self.transport(), heard)

    async def close(self) -> None:
        """Close the client and end the server: what it had of the GPU is free then."""
        await super().close()
        await self._stop()
        self._spent, self._over = (), None

    async def process(self, prompt: Prompt) -> Completion:
        """As any server's; ConfigError where our own died again, or has no chat template."""
        try:
            return await self._asked(prompt)
        except (BackendError, ConfigError) as error:
            if "chat template" not in str(error):
                raise
            raise ConfigError(
                f"{self.spec.name!r} has no chat template: give one with ?chat_template=FILE, "
                "or take hf:, which asks it as Question/Answer"
            ) from None

    async def _asked(self, prompt: Prompt) -> Completion:
        while (child := await self._there()) is not None:
            try:
                async with run_periodically(partial(_look, child), every=_GLANCE):
                    return await super().process(prompt)
            except _EndedError:
                log.info("%s: its server has ended under a request", self.spec.name)
            except (BackendError, ConfigError) as error:
                status = getattr(error, "status", None)
                fatal = status is None or status >= 500  # it is not reached, or says that it dies
                if not (fatal and await child.ended(_DYING)):
                    raise
            await self._anew(child)
        return await super().process(prompt)  # the server is not ours

    async def _there(self) -> Child | None:
        """The server that is to be asked, once it is there; None: it is not ours."""
        async with self._starting_anew:
            if self._over is not None:
                raise ConfigError(self._over)
            await self.opened()
            return self._child

    async def _anew(self, dead: Child) -> None:
        """Start the server once more, unless that was done. ConfigError where this one was that."""
        async with self._starting_anew:
            if self._child is not dead:
                return  # another request that it owed has seen to it
            why = self._why(dead, "ended while it worked")
            if self._again:
                self._over = f"{why}; it had been started once more"
                raise ConfigError(self._over)
            log.warning("%s; starting it once more, what was under way is asked again", why)
            await self._stop()
            self._again, self._llm = True, None
            # The old clients stay open for those who still wait at them, until all are closed.
            self._spent = tuple(self._servers.clients)
            # Of a worker like this one: nothing of the dead server is known of the next.
            self._servers = type(self)(self.spec, self._context)._servers
            self._servers.clients = self._spent
            try:
                await self.opened()
            except ConfigError as error:
                self._over = str(error)
                raise

    async def _clients(self) -> "Sequence[AnyLLM]":
        """Those that are asked, and behind them those that are only to be closed."""
        return [*await super()._clients(), *self._spent]

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """As for any server; with a checkpoint's own sampling switched off."""
        asked = super().request(prompt)
        asked["extra_body"] = {**_NEUTRAL, **asked.get("extra_body", {})}
        return asked

    async def _serve(self, key: str) -> str:
        """Start the server; its address when it is healthy."""
        await sleep_or_stop(0)  # a run that was stopped starts none
        why = ""
        for _ in range(_TRIES):
            port = _free_port()
            self._child = child = Child(self._command(port), self._env(key), self._log())
            try:
                if await child.becomes(_health(port), self.options.start_timeout):
                    if self._identity() != self.identity:  # or it is stored as the old files' words
                        raise ConfigError(f"{self.spec.name!r} changed while it was loaded")
                    return f"http://127.0.0.1:{port}/v1"
                why = self._why(child, "did not start")
            except BaseException:
                await self._stop()
                raise
            await self._stop()
            if "address already in use" not in why.lower():
                break
        raise ConfigError(why)

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()

    def _why(self, child: Child, what: str) -> str:
        said = vllm_launch.cause(child.last_lines(400))
        if child.code is None:
            said = f"not ready within {self.options.start_timeout:g} s, its last words: {said}"
        return f"{self.spec.name!r}: vLLM {what}: {said}; its log: {child.log}"

    @cached_property
    def _program(self) -> list[str]:
        return vllm_launch.program(self.options.python, self.spec.name)

    def _command(self, port: int) -> list[str]:
        line = [*self._program, *self._model.line(), "--host", "127.0.0.1", "--port", str(port)]
        # Its own top_k or repetition penalty would make models be drawn differently.
        line += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
        return line + vllm_launch.flags(self.options)

    def _env(self, key: str) -> dict[str, str]:
        """The server's environment; on its command line everybody could read the key."""
        devices = self.options.devices
        placed = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
        return vllm_launch.environment(self._program, {"VLLM_API_KEY": key, **placed})

    def _log(self) -> Path:
        folder = cache_dir() / "vllm"
        for old in sorted(folder.glob("*.log"))[: 1 - _LOGS]:
            old.unlink(missing_ok=True)
        name = re.sub(r"\W+", "-", self.spec.name)[-60:].strip("-")
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{os.getpid()}.log"
        log.warning("%s: starting vLLM, its log: %s", self.spec.name, path)
        return path

    def _identity(self) -> dict[str, JsonValue]:
        return {
            "backend": self.spec.backend,
            **self._model.identity(),
            "served": self.options.model_dump(include=_SERVED),
            "args": list(shlex.split(self.options.args)),
            "sampling": self.sampling.model_dump(),
        }


def _look(child: Child) -> None:
    """Those who wait for a server that has ended would wait for its address to come back."""
    if child.code is not None:
        raise _EndedError


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def _health(port: int) -> Callable[[], Awaitable[bool]]:
    """Whether a vLLM at a port says that it is well: it listens when its model is loaded."""

    def well() -> bool:
        link = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            link.request("GET", "/health")
            return link.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            link.close()

    return lambda: asyncio.to_thread(well)
