"""vLLM: what is around it, with a stand-in that the same command starts, and then a real one."""

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
from bakeoff.evaluation.participants import cast_of
from bakeoff.generators.llamacpp.fetch import fetched
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.generators.server_process import Child
from bakeoff.generators.transformers.generator import Hf
from bakeoff.generators.vllm import generator as vllm_module
from bakeoff.generators.vllm.generator import Vllm
from bakeoff.generators.vllm.launch import cause
from bakeoff.plugins import Setting, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.runtime import Halt
from tests.marks import long
from tests.openai_server import OpenAIServer, Reply
from tests.workers import outcomes

STANDIN = Path(__file__).parents[3] / "vllm_stub"


@dataclasses.dataclass
class Start:
    """What a stand-in says that it was started with and asked for."""

    pid: int
    argv: list[str]
    env: dict[str, str]
    engine: int
    began: float
    beside: list[int]  # the others that were there
    asked: list[dict[str, Any]]

    def said(self, flag: str) -> str:
        return self.argv[self.argv.index(flag) + 1]


class Diary:
    """What the stand-ins of a test wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def starts(self) -> list[Start]:
        found = []
        for path in self.folder.glob("*.json"):
            lines = path.with_suffix(".jsonl")
            asked = lines.read_text().splitlines() if lines.exists() else []
            facts = json.loads(path.read_text())
            found.append(Start(int(path.stem), asked=[json.loads(one) for one in asked], **facts))
        return sorted(found, key=lambda start: start.began)

    def only(self) -> Start:
        (start,) = self.starts()
        return start


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diary:
    """A Python that has the stand-in as its vLLM, and what was written there."""
    (tmp_path / "diary").mkdir()
    monkeypatch.setenv("STANDIN_DIARY", str(tmp_path / "diary"))
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    return Diary(tmp_path / "diary")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "model")


def checkpoint(folder: Path, **files: str) -> Path:
    """The files of a model, for who looks at their names only."""
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


def opened(spec: str, **sampling: Any) -> Vllm:
    worker = open_generator(Spec.parse(spec), Setting(Sampling(**sampling), 4))
    assert isinstance(worker, Vllm)
    return worker


def turn(*texts: str) -> Prompt:
    roles = ("user", "assistant") * len(texts)
    pairs = zip(roles, texts, strict=False)
    return Prompt(messages=tuple(Message(role=role, content=text) for role, text in pairs))


def ask(worker: Vllm, *texts: str) -> list[Completion | WorkError]:
    return outcomes(worker, [turn(text) for text in texts])


def refusal(spec: str, *texts: str) -> str:
    """The one line that stands in the way of the work."""
    with pytest.raises(ConfigError) as caught:
        ask(opened(spec), *(texts or ("hi",)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# ------------------------------------------------------------------------- started, asked, ended


def test_it_is_started_for_a_model_asked_and_gone(model: Path, diary: Diary) -> None:
    done = ask(opened(f"vllm:{model}", seed=7, temperature=0.3), "one", "two")
    assert [one.text for one in done if isinstance(one, Completion)] == ["to one", "to two"]
    assert [one.thinking for one in done if isinstance(one, Completion)] == ["hm, one", "hm, two"]
    start = diary.only()
    assert gone(start.pid)
    assert gone(start.engine)
    assert start.said("--host") == "127.0.0.1"
    assert start.said("--generation-config") == "vllm"
    assert {one["model"] for one in start.asked} == {str(model)}
    neutral = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    for asked in start.asked:
        assert asked.items() >= (neutral | {"seed": 7, "temperature": 0.3, "top_p": 0.9}).items()


def test_nobody_sees_the_key_and_the_server_sees_no_other(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-servers")
    worker = opened(f"vllm:{model}")

    async def go() -> str:
        await worker.prepare()
        await worker.opened()
        try:
            listed = await asyncio.create_subprocess_exec(
                "ps", "-eww", "-o", "args", stdout=asyncio.subprocess.PIPE
            )
            return (await listed.communicate())[0].decode()
        finally:
            await worker.close()

    listed = asyncio.run(go())
    start = diary.only()
    key = start.env["VLLM_API_KEY"]
    assert len(key) >= 40
    assert str(model) in listed  # it was there to be seen
    assert key not in listed
    assert "sk-not-for-servers" not in start.env.values()
    kept = json.dumps(worker.identity) + "".join(
        path.read_text() for path in Path("cache").rglob("*.log")
    )
    assert key not in kept


def test_each_start_has_a_key_and_a_port_of_its_own(model: Path, diary: Diary) -> None:
    worker = opened(f"vllm:{model}")
    assert isinstance(ask(worker, "one")[0], Completion)
    assert isinstance(ask(worker, "two")[0], Completion)  # closed workers can be opened again
    first, second = diary.starts()
    assert first.env["VLLM_API_KEY"] != second.env["VLLM_API_KEY"]
    assert [one["messages"][0]["content"] for one in second.asked] == ["two"]


def test_telemetry_is_off_and_the_working_folder_shadows_nothing(model: Path, diary: Diary) -> None:
    Path("vllm.py").write_text("raise SystemExit('not me')")
    ask(opened(f"vllm:{model}"), "hi")
    env = diary.only().env
    assert env["VLLM_NO_USAGE_STATS"] == "1"
    assert env["PATH"].startswith(str(Path(sys.executable).parent) + os.pathsep)


def test_a_proxy_is_not_asked_for_a_server_of_our_own(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not reach it, and would read the key."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(ask(opened(f"vllm:{model}?retries=0"), "hi")[0], Completion)


def test_it_is_waited_for_and_what_it_says_is_in_a_file(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STANDIN_LOAD", "1")
    caplog.set_level(logging.WARNING)
    assert isinstance(ask(opened(f"mine=vllm:{model}"), "hi")[0], Completion)
    (log,) = Path("cache").rglob("*.log")
    assert log.read_text().startswith("loading")
    assert "mine" in log.name
    assert f"mine: starting vLLM, its log: {log.absolute()}" in caplog.messages


def test_only_so_many_logs_are_kept_the_newest(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_module, "_LOGS", 3)
    folder = Path("cache/vllm")
    folder.mkdir(parents=True)
    for day in "12345":
        (folder / f"2020010{day}-000000-x-1.log").touch()
    ask(opened(f"vllm:{model}"), "hi")
    kept = sorted(path.name[:8] for path in folder.glob("*.log"))
    assert kept[:2] == ["20200104", "20200105"]
    assert len(kept) == 3


# --------------------------------------------------------------------------------- what goes wrong


def test_one_that_dies_in_its_start_is_one_line_with_its_cause_and_its_log(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = """\
(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] ValueError: No available memory for the cache
(APIServer pid=5) RuntimeError: Engine core initialization failed. See root cause above."""
    monkeypatch.setenv("STANDIN_LAST_WORDS", words)
    said = refusal(f"mine=vllm:{model}")
    assert said.startswith("'mine': vLLM did not start: ValueError: No available memory for the")
    assert "?gpu_memory_utilization=" in said
    (log,) = Path("cache").rglob("*.log")
    assert said.endswith(f"; its log: {log.absolute()}")
    assert gone(diary.only().engine)


@pytest.mark.long
def test_one_that_is_never_ready_is_ended(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_LOAD", "600")
    said = refusal(f"vllm:{model}?start_timeout=5")
    assert "not ready within 5 s" in said
    assert "loading" in said
    assert gone(diary.only().pid)


@pytest.mark.parametrize(("times", "starts"), [*long([(2, 3), (9, 3)])])
def test_a_port_that_was_taken_meanwhile_is_another_one_next_time(
    times: int, starts: int, model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("times").write_text(str(times))
    words = f"OSError: [Errno 98] Address already in use @{Path('times').absolute()}"
    monkeypatch.setenv("STANDIN_LAST_WORDS", words)
    if times < starts:
        assert isinstance(ask(opened(f"vllm:{model}"), "hi")[0], Completion)
    else:
        assert "Address already in use" in refusal(f"vllm:{model}")
    ports = [start.said("--port") for start in diary.starts()]
    assert len(ports) == starts
    assert len(set(ports)) > 1


@pytest.mark.long
def test_another_death_is_not_tried_again(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_LAST_WORDS", "KeyError: 'x'")
    assert "KeyError: 'x'" in refusal(f"vllm:{model}")
    diary.only()


def dying(monkeypatch: pytest.MonkeyPatch, after: int, times: int, holds: int = 1) -> None:
    """Have a server die of the request behind so many, when as many as it `holds` are there."""
    Path("deaths").write_text(str(times))
    monkeypatch.setenv("STANDIN_DIES_AFTER", f"{after} @{Path('deaths').absolute()}")
    monkeypatch.setenv("STANDIN_HOLDS", str(holds))


def work_of(worker: Vllm, texts: str, kept: list[Completion | WorkError]) -> None:
    """Ask for completions of letters, and keep what comes, whatever stops it."""

    async def go() -> None:
        try:
            await worker([turn(text) for text in texts], lambda _, done: kept.append(done))
        finally:
            await worker.close()

    asyncio.run(go())


def letters(asked: list[dict[str, Any]]) -> list[str]:
    return sorted(one["messages"][-1]["content"] for one in asked)


@pytest.mark.parametrize("retries", [6, *long([0])])
def test_one_that_dies_while_it_works_is_started_once_more_and_asked_what_it_owes(
    retries: int,
    model: Path,
    diary: Diary,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dying(monkeypatch, after=2, times=1, holds=4)
    done = ask(opened(f"mine=vllm:{model}?retries={retries}"), *"abcdef")
    assert [one.text for one in done if isinstance(one, Completion)] == [
        f"to {c}" for c in "abcdef"
    ]
    first, second = diary.starts()  # four saw it die, and one start came of it
    assert len(first.asked) == 6
    assert letters(second.asked) == letters(first.asked[2:])  # what was paid for is not asked again
    assert first.env["VLLM_API_KEY"] != second.env["VLLM_API_KEY"]
    assert all(map(gone, (first.pid, first.engine, second.pid, second.engine)))
    (said,) = [one for one in caplog.messages if "once more" in one]
    assert said.startswith("'mine': vLLM ended while it worked: RuntimeError: it burns")
    assert f"its log: {Path('cache').absolute()}" in said


@pytest.mark.long
@pytest.mark.parametrize("lanes", [4, *long([1])])
def test_one_that_dies_again_stops_the_run_and_says_why(
    lanes: int, model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, after=2, times=9, holds=lanes)
    worker = open_generator(Spec.parse(f"vllm:{model}"), Setting(Sampling(), lanes))
    assert isinstance(worker, Vllm)
    kept: list[Completion | WorkError] = []
    with pytest.raises(
        ConfigError, match=r"vLLM ended while it worked: RuntimeError: it burns.*once more"
    ):
        work_of(worker, "abcdefgh", kept)
    assert [type(one) for one in kept] == [Completion] * 4  # before the first death and after
    assert [gone(start.pid) for start in diary.starts()] == [True] * 2


def test_files_that_changed_when_it_is_started_once_more_are_noticed(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody of those who saw it die starts a third."""
    dying(monkeypatch, after=1, times=1, holds=4)
    worker = opened(f"vllm:{model}")
    assert worker.identity
    serve, kept = worker._serve, []

    async def changed(key: str) -> str:
        if diary.starts():
            (model / "model.safetensors").write_text("other weights")
        return await serve(key)

    monkeypatch.setattr(worker, "_serve", changed)
    with pytest.raises(ConfigError, match="changed while it was loaded"):
        work_of(worker, "abcdefgh", kept)
    assert len(kept) == 1
    assert [gone(start.pid) for start in diary.starts()] == [True] * 2


@pytest.mark.long
def test_a_run_that_is_interrupted_while_it_starts_once_more_leaves_nothing(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, after=0, times=1)
    worker = opened(f"vllm:{model}")

    async def go() -> None:
        working = asyncio.create_task(worker([turn("hi")], lambda *_: None))
        while not diary.starts():
            await asyncio.sleep(0.02)
        monkeypatch.setenv("STANDIN_LOAD", "600")
        while len(diary.starts()) < 2:
            await asyncio.sleep(0.02)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        await worker.close()

    asyncio.run(go())
    assert [gone(start.pid) for start in diary.starts()] == [True] * 2


@pytest.mark.parametrize("deaths", [1, *long([0])])
def test_a_run_that_is_stopped_while_it_starts_does_not_wait_for_it(
    deaths: int, model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, after=0, times=deaths)
    monkeypatch.setenv("STANDIN_LOAD", "0" if deaths else "600")
    worker, run, found = opened(f"vllm:{model}"), Halt(), list[Completion | WorkError]()
    begun: list[Child] = []

    def counted(*given: Any) -> Child:
        begun.append(Child(*given))
        return begun[-1]

    monkeypatch.setattr(vllm_module, "Child", counted)

    async def go() -> None:
        with run.in_force():
            asked = worker([turn(c) for c in "abc"], lambda _, one: found.append(one))
            working = asyncio.create_task(asked)
        while deaths and not diary.starts():
            await asyncio.sleep(0.02)
        monkeypatch.setenv("STANDIN_LOAD", "600")
        while len(diary.starts()) < deaths + 1:
            await asyncio.sleep(0.02)
        run.stop("enough")
        await working
        await worker.close()

    asyncio.run(go())
    assert [(type(one), str(one)) for one in found] == [(StoppedError, "enough")] * 3
    assert [gone(start.pid) for start in diary.starts()] == [True] * (deaths + 1)
    assert len(begun) == deaths + 1  # those who waited for it begin none of their own


@pytest.mark.long
def test_a_worker_that_was_closed_after_a_death_starts_anew(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, after=0, times=2)
    worker = opened(f"vllm:{model}")
    with pytest.raises(ConfigError, match="once more"):
        work_of(worker, "a", [])
    assert isinstance(ask(worker, "b")[0], Completion)
    assert len(diary.starts()) == 3


def test_a_run_that_is_interrupted_while_it_starts_leaves_nothing(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_LOAD", "600")
    worker = opened(f"vllm:{model}")

    async def go() -> None:
        working = asyncio.create_task(worker([turn("hi")], lambda *_: None))
        while not diary.starts():
            await asyncio.sleep(0.05)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert gone(diary.only().pid)
        await worker.close()

    asyncio.run(go())


def test_files_that_change_while_they_are_loaded_are_noticed(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = opened(f"vllm:{model}")
    assert worker.identity  # what the store is asked by, before anything is loaded
    (model / "model.safetensors").write_text("other weights")
    with pytest.raises(ConfigError, match="changed while it was loaded"):
        ask(worker, "hi")
    assert gone(diary.only().pid)


def test_a_model_without_a_chat_template_stops_the_run(model: Path, diary: Diary) -> None:
    assert "?chat_template=FILE" in refusal(f"vllm:{model}", "no template")


@pytest.mark.parametrize(
    ("lines", "found"),
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
def test_the_cause_of_a_death_is_found_in_its_last_words(lines: list[str], found: str) -> None:
    said = cause(lines)
    assert said.startswith(found) or said.endswith(found)
    assert "[x.py:1]" not in said
    assert "root cause" not in said


# ------------------------------------------------------------------------------- where vLLM is


def test_the_command_of_a_whole_vllm_is_serve(
    model: Path, diary: Diary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build for another machine is called otherwise, and its `vllm serve` does not start."""
    ask(opened(f"vllm:{model}"), "hi")
    assert diary.only().said("--model") == str(model)
    facts = tmp_path / "site" / "vllm-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", f"{STANDIN}{os.pathsep}{facts.parent}")
    ask(opened(f"vllm:{model}"), "hi")
    assert diary.starts()[-1].argv[:2] == ["serve", str(model)]


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", f"export PYTHONPATH={STANDIN}", *lines]) + "\n")
    path.chmod(0o755)
    return path


def test_another_environments_python_serves(
    model: Path, diary: Diary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    python = script(tmp_path / "bin" / "python", f'exec {sys.executable} "$@"')
    plain = opened(f"vllm:{model}").identity
    worker = opened(f"vllm:{model}?python={python}")
    assert isinstance(ask(worker, "hi")[0], Completion)
    assert worker.identity == plain
    assert diary.only().env["PATH"].startswith(str(python.parent))


def test_without_vllm_here_the_one_on_the_path_serves(
    model: Path, diary: Diary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    serve = f'exec {sys.executable} -m vllm.entrypoints.cli.main "$@"'
    found = script(tmp_path / "bin" / "vllm", serve)
    monkeypatch.setenv("PATH", f"{found.parent}{os.pathsep}{os.environ['PATH']}")
    assert isinstance(ask(opened(f"vllm:{model}"), "hi")[0], Completion)
    assert diary.only().argv[:2] == ["serve", str(model)]


def test_what_is_missing_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = refusal(f"vllm:{model}")
    assert "pip install 'bakeoff[vllm]'" in said
    assert "?python=" in said
    assert "no Python at '/nowhere/python'" in refusal(f"vllm:{model}?python=/nowhere/python")
    assert "has no vLLM" in refusal(f"vllm:{model}?python={sys.executable}")


@pytest.mark.parametrize("lacks", ["vLLM", "weights"])
def test_what_is_missing_is_said_before_any_work(lacks: str, model: Path, diary: Diary) -> None:
    if lacks == "weights":
        (model / "model.safetensors").unlink()
    python = "/nowhere/python" if lacks == "vLLM" else sys.executable
    worker = opened(f"vllm:{model}?python={python}")
    with pytest.raises(ConfigError, match=r"no Python at|has no weights"):
        asyncio.run(worker.prepare())


# --------------------------------------------------------------------------- options, identity


def test_options_are_vllms_flags(model: Path, diary: Diary, tmp_path: Path) -> None:
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
    ask(opened(f"vllm:{model}?{query}&args=--kv-cache-dtype fp8 --seed=3"), "hi")
    start = diary.only()
    assert {key: start.said(f"--{key.replace('_', '-')}") for key in options} == options
    assert start.said("--kv-cache-dtype") == "fp8"
    assert start.said("--chat-template") == str(tmp_path / "chat.jinja")
    assert {"--enforce-eager", "--seed=3"} <= set(start.argv)
    assert not {"--trust-remote-code", "--enable-lora", "--tokenizer"} & set(start.argv)
    assert start.env["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_an_adapter_is_served_beside_its_base_and_asked_for(
    model: Path, diary: Diary, tmp_path: Path
) -> None:
    lora = adapter(tmp_path / "lora", r=8, rank_pattern={"q_proj": 20})
    (lora / "tokenizer.json").write_text("{}")
    ask(opened(f"vllm:{model}?adapter={lora}"), "hi")
    start = diary.only()
    assert json.loads(start.said("--lora-modules")) == {"name": str(model), "path": str(lora)}
    assert start.said("--max-lora-rank") == "32"
    assert start.said("--tokenizer") == str(lora)
    assert start.said("--served-model-name") != str(model)
    assert start.asked[0]["model"] == str(model)  # the adapter's name


def test_an_adapter_alone_brings_its_base(model: Path, diary: Diary, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "lora", base_model_name_or_path=str(model))
    ask(opened(f"vllm:{lora}"), "hi")
    start = diary.only()
    assert start.said("--model") == str(model)
    assert json.loads(start.said("--lora-modules"))["path"] == str(lora)
    assert "--tokenizer" not in start.argv


def test_adapters_that_cannot_be_served_are_refused_before_anything_starts(
    model: Path, diary: Diary, tmp_path: Path
) -> None:
    large = adapter(tmp_path / "large", r=1024)
    assert "is of rank 1024, and vLLM takes at most 512" in refusal(f"vllm:{model}?adapter={large}")
    odd = adapter(tmp_path / "odd", r="all")
    assert "no LoRA adapter" in refusal(f"vllm:{model}?adapter={odd}")
    assert not diary.starts()


def test_another_tokenizer_serves_a_model_without_one(
    diary: Diary, tmp_path: Path, model: Path
) -> None:
    bare = checkpoint(tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    assert "has no tokenizer" in refusal(f"vllm:{bare}")
    ask(opened(f"vllm:{bare}?tokenizer={model}"), "hi")
    assert diary.only().said("--tokenizer") == str(model)


def test_what_changes_a_completion_is_in_the_identity_and_nothing_else(
    model: Path, tmp_path: Path
) -> None:
    plain = opened(f"vllm:{model}").identity
    for same in (
        "tensor_parallel_size=2&data_parallel_size=2&pipeline_parallel_size=2",
        "gpu_memory_utilization=0.3&max_num_seqs=8&enforce_eager=true&devices=1",
        "timeout=5&retries=1&start_timeout=5&trust_remote_code=true&dtype=auto",
    ):
        assert opened(f"vllm:{model}?{same}").identity == plain, same
    copied = shutil.copytree(model, tmp_path / "copied")
    assert opened(f"vllm:{copied}").identity == plain
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
    found = [json.dumps(opened(f"vllm:{model}?{other}").identity) for other in others]
    assert len({*found, json.dumps(plain)}) == len(others) + 1
    (tmp_path / "chat.jinja").write_text("{{ other_messages }}")
    assert json.dumps(opened(f"vllm:{model}?chat_template=chat.jinja").identity) not in found
    (model / "model.safetensors").write_text("other weights")
    assert opened(f"vllm:{model}").identity != plain


def test_a_model_is_the_same_by_hf_and_so_no_judge_of_itself(model: Path, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "lora")
    for query in ("", f"?adapter={lora}"):
        other = open_generator(Spec.parse(f"hf:{model}{query}"), Setting(Sampling()))
        assert isinstance(other, Hf)
        assert opened(f"vllm:{model}{query}").weights == other.weights
    config = Config(model=(f"a=hf:{model}", "echo:x"), judge=(f"b=vllm:{model}?max_model_len=99",))
    with pytest.raises(ConfigError, match="'b' is the contestant 'a'"):
        cast_of(config)


@pytest.mark.parametrize(
    ("query", "said"),
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
def test_options_that_cannot_be_are_refused(query: str, said: str, model: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _ = opened(f"vllm:{model}?{query}").identity
    assert said in str(caught.value)


# ------------------------------------------------------------------------------- side by side


def test_who_leaves_room_works_beside_others(model: Path) -> None:
    assert opened(f"vllm:{model}").exclusive
    assert opened(f"vllm:{model}?gpu_memory_utilization=0.9").exclusive
    assert not opened(f"vllm:{model}?gpu_memory_utilization=0.45").exclusive
    assert not opened(f"vllm:{model}?devices=1").exclusive
    assert not opened("vllm:x?base_url=http://127.0.0.1:1/v1").exclusive


@pytest.mark.parametrize("query", ["", "?gpu_memory_utilization=0.45"])
def test_models_and_judge_take_turns_unless_they_fit_together(
    query: str, diary: Diary, tmp_path: Path
) -> None:
    models = [checkpoint(tmp_path / name, **{"config.json": f'"{name}"'}) for name in "abc"]
    specs = [f"{path.name}=vllm:{path}{query}" for path in models]
    Path("prompts.txt").write_text("one\n\ntwo\n")
    config = Config(
        model=tuple(specs[:2]), judge=(f"{specs[2]}",), prompts="prompts.txt", out=tmp_path / "out"
    )
    results = bakeoff.run(config)
    assert len(results.completions) == 2 * len(results.prompts)
    assert [len(start.beside) for start in diary.starts()] == ([0, 1, 2] if query else [0, 0, 0])


@pytest.mark.long
def test_those_that_work_side_by_side_start_one_after_the_other(
    model: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would count the memory that the other takes meanwhile."""
    monkeypatch.setenv("STANDIN_LOAD", "0.5")
    workers = [opened(f"vllm:{model}?gpu_memory_utilization=0.{n}") for n in (3, 4)]

    async def go() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker([turn("hi")], lambda *_: None))
        finally:
            for worker in workers:
                await worker.close()

    asyncio.run(go())
    first, second = diary.starts()
    assert second.began >= first.began + 0.5


def test_a_complete_store_starts_no_server(model: Path, diary: Diary, tmp_path: Path) -> None:
    Path("prompts.txt").write_text("one\n")
    config = Config(
        model=(f"a=vllm:{model}", f"b=vllm:{model}?dtype=float16"),
        judge=(f"c=vllm:{checkpoint(tmp_path / 'judge')}?verdict=likelihood",),
        prompts="prompts.txt",
        out=tmp_path / "out",
        allow_self_judge=True,
    )
    bakeoff.run(config)
    before = len(diary.starts())
    bakeoff.run(config)
    assert before == len(diary.starts()) == 3


# -------------------------------------------------------------------- one that runs already


@pytest.fixture
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: f"to {body['messages'][-1]['content']}") as server:
        yield server


def test_a_server_that_runs_is_asked_as_ours_with_the_samplings_extras(
    running: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "theirs")
    worker = opened(f"vllm:me/model?base_url={running.url}&api_key_env=MY_KEY")
    (done,) = ask(worker, "hi")
    assert isinstance(done, Completion)
    assert (done.text, done.cost) == ("to hi", None)
    (asked,) = running.requests
    assert asked["model"] == "me/model"
    assert (asked["top_k"], asked["min_p"], asked["repetition_penalty"]) == (0, 0, 1)
    assert b"Bearer theirs" in running.raw[0]
    assert worker.identity["server"] == running.url  # type: ignore[index, call-overload]


def test_a_key_that_is_named_is_needed_and_no_other_is_sent(
    running: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = f"vllm:me/model?base_url={running.url}"
    assert "needs a key: set MY_KEY" in refusal(f"{spec}&api_key_env=MY_KEY")
    monkeypatch.setenv("VLLM_API_KEY", "ours")
    assert isinstance(ask(opened(spec), "hi")[0], Completion)
    assert b"ours" not in b"".join(running.raw)


def test_several_that_run_share_the_work(running: OpenAIServer) -> None:
    with OpenAIServer(running.brain) as other:
        worker = opened(f"vllm:me/model?base_url={running.url}&base_url={other.url}")
        assert len([one for one in ask(worker, *"abcdef") if isinstance(one, Completion)]) == 6
        assert running.requests
        assert other.requests


def test_it_is_the_same_model_by_api(running: OpenAIServer) -> None:
    query = f"me/model?base_url={running.url}"
    other = open_generator(Spec.parse(f"api:{query}"), Setting(Sampling()))
    assert opened(f"vllm:{query}").weights == other.weights


def test_a_text_goes_on_where_it_ended_and_is_weighed(model: Path, diary: Diary) -> None:
    asked = turn("hi", "there")
    outcomes(opened(f"vllm:{model}"), [asked])
    body = diary.only().asked[0]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    (weighed,) = outcomes(opened(f"vllm:{model}", weigh=True), [asked])
    assert isinstance(weighed, Completion)
    assert weighed.weight == -3.5  # of four told tokens the last two are behind three of the prompt


def test_one_that_is_not_there_is_named() -> None:
    assert "cannot be reached" in refusal("vllm:x?base_url=http://127.0.0.1:9/v1")


def test_a_refusal_of_one_item_stays_one_items(running: OpenAIServer) -> None:
    running.brain = lambda _: Reply(400, {"error": {"message": "odd", "code": 400}})
    (done,) = ask(opened(f"vllm:x?base_url={running.url}"), "hi")
    assert isinstance(done, BackendError)


# --------------------------------------------------------------------------------- a real one

REAL = os.environ.get("BAKEOFF_TEST_VLLM") or (sys.executable if find_spec("vllm") else None)
REASON = "no vLLM here: BAKEOFF_TEST_VLLM=PATH names a Python that has it"
PROMPTS = [turn(text) for text in ("Name three colours.", "Why is the sky blue?", "Count to 5.")]
SERVED = f"python={REAL}&dtype=float32&max_model_len=512&enforce_eager=true"


def real(test: Any) -> Any:
    """It needs a real vLLM, a real model, and minutes."""
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
    file, folder = fetched(CATALOGUE["smollm2"]), tmp_path_factory.mktemp("smollm2")
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="float32")
    model.hf_quantizer = None  # its numbers are plain by now
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
    """A vLLM that we started, as one that runs already: the spec of its model."""
    with pytest.MonkeyPatch.context() as world, asyncio.Runner() as runner:
        world.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        world.setenv("BAKEOFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        worker = opened(f"vllm:{smollm2}?{SERVED}")
        try:
            runner.run(worker.prepare())
            client = runner.run(worker.opened()).client  # type: ignore[attr-defined]
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
    worker = open_generator(Spec.parse(spec), Setting(Sampling(**sampling), 4))
    done = outcomes(worker, prompts)
    assert all(isinstance(one, Completion) for one in done), done
    return [one.text for one in done if isinstance(one, Completion)]


@real
def test_real_greedy_text_is_that_of_transformers(served: str, smollm2: Path) -> None:
    greedy = {"temperature": 0, "max_tokens": 24}
    assert texts(served, **greedy) == texts(f"hf:{smollm2}", **greedy)


@real
@pytest.mark.parametrize("key", [None, "another"])
def test_a_real_one_asks_for_its_key(
    served: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = served.replace("&api_key_env=SERVED_KEY", "")
    if key:
        monkeypatch.setenv("OTHER_KEY", key)
        without += "&api_key_env=OTHER_KEY"
    with pytest.raises(ConfigError, match="check the key"):
        texts(without, PROMPTS[:1], max_tokens=1)


@real
def test_real_seeds_draw_the_same_again_and_others_otherwise(served: str) -> None:
    drawn = [texts(served, seed=seed, max_tokens=16, temperature=1) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@real
def test_real_weights_of_texts_are_those_of_transformers(served: str, smollm2: Path) -> None:
    asked = [turn("Name a colour.", "Blue."), turn("Name a colour.", "Seventeen trains.")]
    found = []
    for spec in (served, f"hf:{smollm2}"):
        worker = open_generator(Spec.parse(spec), Setting(Sampling(weigh=True), 4))
        found.append([getattr(one, "weight", one) for one in outcomes(worker, asked)])
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert found[0][0] > found[0][1]


@real
def test_real_text_fits_a_schema_goes_on_and_tells_its_odds(served: str) -> None:
    schema = {
        "type": "object",
        "properties": {"winner": {"enum": ["A", "B"]}},
        "required": ["winner"],
        "additionalProperties": False,
    }
    for text in texts(served, schema_=schema, max_tokens=32):
        assert json.loads(text)["winner"] in ("A", "B")
    going_on = turn("Count to five.", "One, two, three,")
    (text,) = texts(served, [going_on], temperature=0, max_tokens=4)
    assert "four" in text
    (one,) = outcomes(opened(served, max_tokens=1, top=5), [PROMPTS[0]])
    assert isinstance(one, Completion)
    assert one.top_logprobs is not None
    assert len(one.top_logprobs) >= 5


@real
def test_real_prompts_beyond_the_context_fail_alone(served: str) -> None:
    long, short = outcomes(opened(served, max_tokens=4), [turn("word " * 600), turn("Hello?")])
    assert isinstance(long, ContextError)
    assert isinstance(short, Completion)


@real
def test_real_adapters_are_on_the_model(smollm2: Path, lora: Path, small: None) -> None:
    greedy = {"temperature": 0, "max_tokens": 12}
    adapted = texts(f"vllm:{smollm2}?{SERVED}&adapter={lora}", **greedy)
    assert adapted == texts(f"hf:{smollm2}?adapter={lora}", **greedy)
    assert adapted != texts(f"hf:{smollm2}", **greedy)


@real
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("max_model_len=99999", "max_model_len (99999) is greater than"),
        ("args=--bogus 3", "unrecognized arguments: --bogus"),
    ],
)
def test_real_deaths_say_why(query: str, said: str, smollm2: Path, small: None) -> None:
    assert said in refusal(f"vllm:{smollm2}?python={REAL}&{query}")


@real
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_real_one_is_gone_when_its_run_is_killed(smollm2: Path, small: None) -> None:
    Path("prompts.txt").write_text("Count to a million.\n")
    model = f"vllm:{smollm2}?{SERVED}&max_tokens=400"
    command = [sys.executable, "-m", "bakeoff", "run", "--model", f"a={model}", "--model"]
    command += ["b=echo:hi", "--judge", "human", "--prompts", "prompts.txt"]
    with Path("said").open("w") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        while run.poll() is None and not any("EngineCore" in name for name in below(run.pid)):
            time.sleep(0.5)
        family = below(run.pid)
        assert family, Path("said").read_text()
    finally:
        run.kill()
        run.wait(60)
    for _ in range(600):
        if not any(Path(f"/proc/{pid}").exists() for pid in family.values()):
            return
        time.sleep(0.1)
    pytest.fail(f"{family} outlive their run")


def below(parent: int) -> dict[str, int]:
    """The processes that a process started, and those that they did: command lines and numbers."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                pid = int(stat.parent.name)
                name = stat.with_name("cmdline").read_text().replace("\0", " ")
                found |= {f"{pid} {name}": pid, **below(pid)}
    return found
