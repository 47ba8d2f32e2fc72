"""A vLLM server for benchmarks that send requests of their own.

async with running_server(checkpoint, "python=/opt/vllm/bin/python", log) as server:
    server.url, server.headers, await server.served()
"""

import json
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp

from bakeoff.config import Spec
from bakeoff.errors import ConfigError
from bakeoff.generators.server_process import ServerProcess
from bakeoff.generators.vllm import launch

KEY_VARIABLE = "BAKEOFF_BENCHMARK_KEY"
START_SECONDS = 1800.0
_SERVED = re.compile(r"^vllm:request_success_total\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class VllmServer:
    """A running server, whose key is in the environment variable `KEY_VARIABLE`."""

    url: str
    model: str
    version: str
    """Version of vLLM; empty if the server does not tell it."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        return {"Authorization": f"Bearer {os.environ[KEY_VARIABLE]}"}

    @property
    def spec(self) -> str:
        """The spec of its model."""
        url = quote(self.url, safe=":/")
        return f"vllm:{self.model}?base_url={url}&api_key_env={KEY_VARIABLE}"

    async def served(self) -> int | None:
        """The number of requests that the server has completed; None if it does not count them."""
        url = self.url.removesuffix("/v1") + "/metrics"
        async with aiohttp.ClientSession() as client, client.get(url) as reply:
            counts = _SERVED.findall(await reply.text())
        return round(sum(map(float, counts))) if counts else None


@asynccontextmanager
async def running_server(folder: Path, options: str, log: Path) -> AsyncIterator[VllmServer]:
    """Start vLLM with a checkpoint and the options of a `vllm:` spec, and stop it after the body.

    Raises ConfigError if there is no vLLM, or if it does not start.
    """
    values = dict(Spec.parse(f"vllm:{folder}?{options}").options)
    python = values.pop("python", None)
    command = [*launch.find_program(python, folder.name), str(folder)]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command += ["--served-model-name", folder.name, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--generation-config", "vllm", "--disable-uvicorn-access-log"]
    command += launch.command_flags(launch.VllmFlags.model_validate(values))
    os.environ[KEY_VARIABLE] = secrets.token_urlsafe(32)
    variables = {"VLLM_API_KEY": os.environ[KEY_VARIABLE]}
    process = ServerProcess(command, launch.server_environment(command, variables), log)
    try:
        if not await process.wait_ready(lambda: _is_healthy(port), START_SECONDS):
            cause = launch.failure_cause(process.last_lines(400))
            raise ConfigError(f"vLLM did not start: {cause}")
        version = json.loads(await _get(port, "/version")).get("version", "")
        yield VllmServer(f"http://127.0.0.1:{port}/v1", folder.name, version)
    finally:
        await process.stop()


async def _is_healthy(port: int) -> bool:
    try:
        await _get(port, "/health")
    except (TimeoutError, aiohttp.ClientError):
        return False
    return True


async def _get(port: int, path: str) -> str:
    url, timeout = f"http://127.0.0.1:{port}{path}", aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as reply:
        reply.raise_for_status()
        return await reply.text()
