"""The `vllm:` backend: a vLLM server that bakeoff starts, or a running one, and its client.

`model.py` has the files that a server loads, `launch.py` its command line.
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
from bakeoff.generators.api.address import public_url
from bakeoff.generators.api.generator import Api
from bakeoff.generators.server_process import ServerProcess
from bakeoff.generators.vllm import launch
from bakeoff.generators.vllm.launch import VllmFlags
from bakeoff.generators.vllm.model import ServedFileOptions, ServedModel
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, content_key
from bakeoff.runtime import run_periodically, sleep_or_stop, to_daemon_thread
from bakeoff.storage.files import cache_dir

if TYPE_CHECKING:
    from bakeoff.generators.api.client import ChatClient

log = logging.getLogger(__name__)

# Without these, a running server may apply the sampling settings of its checkpoint.
_NEUTRAL_SAMPLING = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
_NEUTRAL_SAMPLING |= {"presence_penalty": 0.0, "frequency_penalty": 0.0}
_SHARED_FRACTION = 0.5  # of the GPU's memory, up to which a server can run beside another one
_MAX_LOGS = 20
_EXIT_SECONDS = 3.0  # from a failed request to the exit of the server's main process
_POLL_SECONDS = 1.0  # between two checks that the server runs
_START_ATTEMPTS = 3  # another process may take the free port before the server does
# Flags that change a completion.
_IDENTITY_FLAGS = {"dtype", "quantization", "max_model_len", "reasoning_parser"}

# Two servers that started at the same time would both count the other's memory as their own.
_start_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class _ServerExitedError(Exception):
    """The server exited during a request."""


class VllmGenerator(Api):
    """`vllm:me/model` or `vllm:./checkpoint`, with an adapter as in `hf:`.

    With `?base_url=` it is a client of a running vLLM. Chat templates, stop tokens and reasoning
    parsers are the server's; the sampling is the same for all models. A server that bakeoff has
    started is restarted once if it exits during a run, and gets the unanswered prompts again.
    """

    class Options(VllmFlags, ServedFileOptions, Api.Options):
        """Options of the spec."""

        python: str | None = None
        """Interpreter of an environment with vLLM; None: this environment."""
        devices: str | None = None
        """Value of CUDA_VISIBLE_DEVICES, like `0,1`."""
        start_timeout: float = Field(3600.0, gt=0)
        """Seconds from the start of the server until it is ready, at most."""

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        options = self.options
        self._model = ServedModel(spec.target, options)
        self._context = context
        self._process: ServerProcess | None = None
        self._restart_lock = asyncio.Lock()
        self._restarted = False
        self._failure: str | None = None  # message of the ConfigError of all later requests
        self._old_clients: tuple[ChatClient, ...] = ()  # of a server that exited
        if options.base_url is None:
            if options.api_key_env is not None:
                raise ConfigError(f"{spec.name!r}: api_key_env is for a server at a base_url")
            fraction = options.gpu_memory_utilization or 1.0
            fills = fraction > _SHARED_FRACTION and options.devices is None
            self.traits = replace(self.traits, exclusive=fills)
            del self.identity, self.weights  # so that the cached properties are used
        elif extra := options.model_fields_set - Api.Options.model_fields.keys():
            raise ConfigError(f"{spec.name!r}: {min(extra)} is for the server at base_url to say")
        else:  # the same weights as those of `api:`
            model = {"model": spec.target, "server": public_url(options.base_url)}
            self.weights = content_key({"backend": "api", **model})

    @cached_property
    def identity(self) -> JsonValue:  # type: ignore[override]
        """Fingerprints or commits of the files, and the options that change a completion."""
        return self._identity()

    @cached_property
    def weights(self) -> str | None:  # type: ignore[override]
        """Key of the model's files, the same as that of the `hf:` backend."""
        return self._model.weights

    async def prepare(self) -> None:
        """Find vLLM and download missing files, or check that the server at `base_url` listens.

        Raises ConfigError if that fails.
        """
        if self.options.base_url is not None:
            await super().prepare()
        else:
            await to_daemon_thread(lambda: (self._program, self._model.files))

    async def connect(self) -> "ChatClient":
        """Start the server, wait until it is ready, and return a client of it."""
        if self.options.base_url is not None:
            return await super().connect()
        key = secrets.token_urlsafe(32)
        async with _start_locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            address = await self._start_server(key)
        from bakeoff.generators.api.client import openai_client

        return openai_client(self.spec.name, address, key, self.options.timeout)

    async def close(self) -> None:
        """Close the clients and stop the server, which frees its GPU memory."""
        await super().close()
        await self._stop()
        self._old_clients, self._failure = (), None

    async def process(self, prompt: Prompt) -> Completion:
        """Return the completion of a prompt.

        Raises BackendError, or ConfigError if the server has exited twice or the model has no chat
        template.
        """
        try:
            return await self._complete_with_restart(prompt)
        except (BackendError, ConfigError) as error:
            if "chat template" not in str(error):
                raise
            raise ConfigError(
                f"{self.spec.name!r} has no chat template: give one with ?chat_template=FILE, "
                "or take hf:, which asks it as Question/Answer"
            ) from None

    async def _complete_with_restart(self, prompt: Prompt) -> Completion:
        while (process := await self._running_process()) is not None:
            try:
                async with run_periodically(partial(_check_runs, process), every=_POLL_SECONDS):
                    return await super().process(prompt)
            except _ServerExitedError:
                log.info("%s: its server has ended under a request", self.spec.name)
            except (BackendError, ConfigError) as error:
                status = getattr(error, "status", None)
                may_exit = status is None or status >= 500  # no connection, or its engine died
                if not (may_exit and await process.wait_exit(_EXIT_SECONDS)):
                    raise
            await self._restart(process)
        return await super().process(prompt)  # the server at base_url

    async def _running_process(self) -> ServerProcess | None:
        """Return the server process, after a start if needed; None for a server at `base_url`."""
        async with self._restart_lock:
            if self._failure is not None:
                raise ConfigError(self._failure)
            await self.open()
            return self._process

    async def _restart(self, exited: ServerProcess) -> None:
        """Restart the server after its first exit. Raises ConfigError after the second one."""
        async with self._restart_lock:
            if self._process is not exited:
                return  # another request has restarted it
            problem = self._failure_message(exited, "ended while it worked")
            if self._restarted:
                self._failure = f"{problem}; it had been started once more"
                raise ConfigError(self._failure)
            log.warning("%s; starting it once more, what was under way is asked again", problem)
            await self._stop()
            self._restarted, self._is_open = True, False
            # The old clients stay open until `close`, as other requests still use them.
            self._old_clients = tuple(self._pool.clients)
            # New limits and retry state: those of the old server do not apply to the new one.
            self._pool = type(self)(self.spec, self._context)._pool
            self._pool.clients = self._old_clients
            try:
                await self.open()
            except ConfigError as error:
                self._failure = str(error)
                raise

    async def _clients(self) -> "Sequence[ChatClient]":
        """Return the clients in use, and then the old ones, for `close`."""
        return [*await super()._clients(), *self._old_clients]

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """Return the parameters of a request, which override the checkpoint's sampling settings."""
        return _NEUTRAL_SAMPLING | super().request(prompt)

    async def _start_server(self, key: str) -> str:
        """Start the server and return its base URL once it is ready.

        Raises ConfigError if it does not start, StoppedError if the run is stopped.
        """
        await sleep_or_stop(0)  # raises StoppedError if the run was stopped before
        problem = ""
        for _ in range(_START_ATTEMPTS):
            port = _free_port()
            command, env = self._command(port), self._environment(key)
            self._process = process = ServerProcess(command, env, self._log_path())
            try:
                if await process.wait_ready(_health_check(port), self.options.start_timeout):
                    # Completions of changed files would be stored under the old identity.
                    if self._identity() != self.identity:
                        raise ConfigError(f"{self.spec.name!r} changed while it was loaded")
                    return f"http://127.0.0.1:{port}/v1"
                problem = self._failure_message(process, "did not start")
            except BaseException:
                await self._stop()
                raise
            await self._stop()
            if "address already in use" not in problem.lower():
                break
        raise ConfigError(problem)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    def _failure_message(self, process: ServerProcess, event: str) -> str:
        cause = launch.failure_cause(process.last_lines(400))
        if process.returncode is None:
            cause = f"not ready within {self.options.start_timeout:g} s, its last words: {cause}"
        return f"{self.spec.name!r}: vLLM {event}: {cause}; its log: {process.log}"

    @cached_property
    def _program(self) -> list[str]:
        return launch.find_program(self.options.python, self.spec.name)

    def _command(self, port: int) -> list[str]:
        command = [*self._program, *self._model.command_arguments()]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        # With top_k or a repetition penalty of its checkpoint, a model would not be comparable.
        command += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
        return command + launch.command_flags(self.options)

    def _environment(self, key: str) -> dict[str, str]:
        """Return the server's environment, with the key: all users can read command lines."""
        devices = self.options.devices
        variables = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
        return launch.server_environment(self._program, {"VLLM_API_KEY": key, **variables})

    def _log_path(self) -> Path:
        """Return the path of a new log of the server; delete the oldest logs."""
        folder = cache_dir() / "vllm"
        for old in sorted(folder.glob("*.log"))[: 1 - _MAX_LOGS]:
            old.unlink(missing_ok=True)
        name = re.sub(r"\W+", "-", self.spec.name)[-60:].strip("-")
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{os.getpid()}.log"
        log.warning("%s: starting vLLM, its log: %s", self.spec.name, path)
        return path

    def _identity(self) -> dict[str, JsonValue]:
        return {
            "backend": self.spec.backend,
            **self._model.identity(),
            "served": self.options.model_dump(include=_IDENTITY_FLAGS),
            "args": list(shlex.split(self.options.args)),
            "sampling": self.sampling.model_dump(),
        }


def _check_runs(process: ServerProcess) -> None:
    """Raise _ServerExitedError if the process has exited, as requests would only be retried."""
    if process.returncode is not None:
        raise _ServerExitedError


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _health_check(port: int) -> Callable[[], Awaitable[bool]]:
    """Return a function that returns whether the vLLM at a port has loaded its model."""

    def is_healthy() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return lambda: asyncio.to_thread(is_healthy)
