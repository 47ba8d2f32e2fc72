"""Runs every fenced `bash` and `python` block of the guide, in a folder as after a checkout.

`shrink` changes a block: fewer prompts and tokens, and the loopback server in place of localhost.
That server is the judge, the hub is on loopback too, and its models are tiny. Embedded models are
real. A block that is not run has a comment `<!-- not run: REASON -->` above it; only installs may.

The first block that compares models runs each time, the others with `make test-long`, as do all
blocks that need embedded models.

Every command is a process with slow imports, so two blocks run at a time. Each has its own folder;
the store is shared, as for a reader, so completions are not generated again.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.cli import app
from bakeoff.testing import OpenAIServer
from tests.e2e.test_scripts import FLAGS, script
from tests.hub_server import loopback_hub
from tests.marks import long
from tests.tiny_models import SPECIALS, make_tiny_model, tiny_tokenizer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "MODEL_COMPARISON_GUIDE.md").read_text(encoding="utf-8")
RESULTS = Path("comparison_results/tuned-vs-base")

MODELS = {script.MODEL1: 1, script.MODEL2: 2}
DATASETS = {"HuggingFaceH4/ultrachat_200k": "test_sft", "HuggingFaceH4/MATH-500": "test"}
FOLDERS = {"checkpoints/grpo-300": 3, "checkpoints/sft": 4}
COMPARES = r"bakeoff run|python scripts/model_comparison\.py|bash bash_scripts/\S+"


class Block(NamedTuple):
    """A fenced block: number of its first line, language, text, and why it is not run."""

    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def comparisons(self) -> int:
        """The number of comparisons that the block runs."""
        return len(re.findall(rf"(?m)^ *(?:{COMPARES})", self.text))

    @property
    def needs_engine(self) -> bool:
        """Whether it needs embedded models, which are the default without a model."""
        pattern = r"\bembedded:|^bakeoff run *$|_example\.py *$"
        return re.search(pattern, self.text, re.MULTILINE) is not None


class Environment(NamedTuple):
    """The template folder of the blocks, their environment variables, and the server's URL."""

    folder: Path
    env: dict[str, str]
    server: str

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """The stdout of the command, which must succeed."""
        cwd = cwd or self.folder
        done = subprocess.run(
            command, cwd=cwd, env=self.env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def run_block(self, block: Block) -> str:
        """The stdout of the block, run in a copy of the folder."""
        cwd = self.folder.with_name(f"line-{block.line}")
        shutil.copytree(self.folder, cwd, symlinks=True)
        shell = {"python": (sys.executable, "-c"), "bash": ("bash", "-euo", "pipefail", "-c")}
        return self.run(*shell[block.language], shrink(block, self.server), cwd=cwd)


def blocks() -> list[Block]:
    fence = r"(?:<!-- not run: ([^\n]+) -->\n)?```(\w+)\n(.*?)^```$"
    return [
        Block(TEXT.count("\n", 0, match.start(3)) + 1, match[2], match[3], match[1])
        for match in re.finditer(fence, TEXT, re.DOTALL | re.MULTILINE)
    ]


BLOCKS = blocks()
EXECUTED = [block for block in BLOCKS if block.language in ("bash", "python") and not block.not_run]


def params(*, needs_engine: bool) -> pytest.MarkDecorator:
    chosen = [block for block in EXECUTED if block.needs_engine == needs_engine]
    comparing = [block for block in chosen if block.comparisons or "bakeoff.run(" in block.text]
    chosen.sort(key=comparing.__contains__)
    # `.ci/run` compares embedded models too, as the README does.
    every_run = chosen[: min(2, len(chosen) - len(comparing))]
    cases = [*every_run, *long((block,) for block in chosen[len(every_run) :])]
    return pytest.mark.parametrize("block", cases, ids=[f"line-{b.line}" for b in chosen])


def shrink(block: Block, server: str) -> str:
    """The block with few prompts and tokens; models and other flags are unchanged."""
    if block.language == "python":
        return shrink_python(block.text)
    text = re.sub(r"--(limit|num-samples|max-tokens) \d+ ?", "", block.text)
    text = re.sub(r"http://localhost:\d+/v1", server, text)

    def limit_size(command: re.Match[str]) -> str:
        prompts = "--limit" if command[0].endswith("run") else "--num-samples"
        return f"{command[0]} {prompts} {1 if block.needs_engine else 2} --max-tokens 8"

    return re.sub(rf"(?m)(?<=^)(?: *)(?:{COMPARES})", limit_size, text)


def shrink_python(code: str) -> str:
    code = re.sub(r"\bmax_tokens=\d+,", "", code)
    return re.sub(r"\blimit=[^,]+,", "limit=1, max_tokens=8,", code)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The loopback servers, and a folder as after a checkout, with checkpoints."""
    root = tmp_path_factory.mktemp("guide")
    folder = root / "checkout"
    (folder / "examples").mkdir(parents=True)
    for example in (ROOT / "examples").glob("*.py"):
        (folder / "examples" / example.name).write_text(shrink_python(example.read_text()))
    for name in FOLDERS:
        make_talkative_model(root / name, FOLDERS[name])
    (root / "store").mkdir()
    links = {".bakeoff": root / "store", "checkpoints": root / "checkpoints"}
    links |= {name: ROOT / name for name in ("scripts", "bash_scripts")}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    hub = root / "hub"
    repositories = {name: make_talkative_model(hub / name, seed) for name, seed in MODELS.items()}
    repositories |= {
        f"datasets/{name}": make_dataset(hub / name, s) for name, s in DATASETS.items()
    }
    with OpenAIServer() as server, loopback_hub(repositories) as address:
        env = clean_env() | {
            "OPENAI_API_KEY": "x",
            "OPENAI_BASE_URL": server.url,
            "HF_ENDPOINT": address,
            "HF_HOME": str(root / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        yield Environment(folder, env, server.url)


@pytest.fixture(scope="module")
def summary(environment: Environment) -> str:
    """The summary of a comparison of `tuned` with `base`, whose results the blocks read."""
    models = ("--model", "tuned=echo:good", "--model", "base=echo:bad", "--prompts", "starter")
    return environment.run("bakeoff", "run", *models, "--out", str(RESULTS), "--limit", "6")


@pytest.fixture(scope="module")
def block_outputs(
    environment: Environment, summary: str, request: pytest.FixtureRequest
) -> Iterator[dict[Block, Future[str]]]:
    """The outputs of the blocks that are selected in this session."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    selected_items = [item for item in items if item.originalname == test_block_runs.__name__]
    selected = [item.callspec.params["block"] for item in selected_items]
    with ThreadPoolExecutor(2) as pool:
        yield {block: pool.submit(environment.run_block, block) for block in selected}
        pool.shutdown(cancel_futures=True)  # do not wait for the rest after -x


def clean_env() -> dict[str, str]:
    """A shell's variables, with this Python first in PATH, without hub settings and API keys."""
    kept = ("HOME", "LANG", "XDG_CACHE_HOME", "BAKEOFF_CACHE", "TMPDIR")
    env = {k: v for k, v in os.environ.items() if k in kept or k.startswith("COVERAGE")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return env | {"PATH": path, "NO_PROXY": "127.0.0.1", "COLUMNS": "200"}


def make_talkative_model(folder: Path, seed: int) -> Path:
    """A tiny model that never samples special tokens, so its text is not empty or `<think>`."""
    from safetensors.torch import load_file, save_file

    make_tiny_model(folder, seed=seed)
    weights = load_file(folder / "model.safetensors")
    for token in tiny_tokenizer().convert_tokens_to_ids(list(SPECIALS)):
        weights["lm_head.weight"][token] = 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_dataset(folder: Path, split: str) -> Path:
    """A dataset with a conversation and a problem in each row."""
    (folder / "data").mkdir(parents=True)
    talk = (("user", "Why is {} prime?"), ("assistant", "It is not."), ("user", "And {}, again?"))
    rows = [
        {
            "problem": f"What is {number} + 1?",
            "messages": [{"role": role, "content": text.format(number)} for role, text in talk],
        }
        for number in range(9)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"data/{split}-00000-of-00001.parquet")
    return folder


@params(needs_engine=False)
def test_block_runs(block: Block, block_outputs: dict[Block, Future[str]]) -> None:
    check(block, block_outputs[block].result())


@pytest.mark.engine
@params(needs_engine=True)
def test_embedded_block_runs(block: Block, environment: Environment, summary: str) -> None:
    check(block, environment.run_block(block))  # sequential: llama.cpp uses every core


def check(block: Block, output: str) -> None:
    assert output.count("Overall winner") >= block.comparisons
    assert output or block.text.startswith("export")


def test_only_installs_are_not_run() -> None:
    installs = r"python3 -m venv .*|\. \.venv/bin/activate|pip install .*|git clone .*|cd .*"
    for block in BLOCKS:
        if block.not_run:
            for line in block.text.splitlines():
                assert re.fullmatch(installs, line), line


def test_languages_are_known() -> None:
    assert {block.language for block in BLOCKS} <= {"bash", "python", "text"}
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_summary_matches_the_example(summary: str) -> None:
    (shown,) = (block.text for block in BLOCKS if block.text.startswith("Model Comparison Summary"))

    def shape(text: str) -> list[str]:
        text = re.sub(r"\n {4,}", " ", text)  # join wrapped lines
        lines = text.partition("What it can show")[0].splitlines()
        shapes = [re.sub(r"[+-]?\d[\d.]*", "#", line) for line in lines]
        # Intervals need 15 prompts, length and style 20; scores may differ by any margin.
        shapes = [line.partition(" [")[0] if "ties half" in line else line for line in shapes]
        varying = ("at equal length", "Points that these add", "no tie", "where scores differ")
        return [line for line in shapes if not any(text in line for text in varying)]

    assert shape(shown) == shape(summary)


def test_every_line_of_the_summary_is_explained(summary: str) -> None:
    table = TEXT.partition("| line | what it says |")[2].partition("\n\n")[0]
    unwrapped = re.sub(r"\n {4,}", " ", summary)
    for line in unwrapped.partition("Win Rates")[2].partition("What it can show")[0].splitlines():
        label = re.split(r"[\d:(]", line.replace("Model 1: ", "").replace("Model 2: ", ""))[0]
        label = label.strip() or "Win Rates"
        if label not in ("Ties", "Score Analysis", "Judge card", "Model"):
            assert label in table, line


def test_flags_exist() -> None:
    commands = [app[name] for name in app if name[0] != "-" and app[name].default_command]
    flags = [command.assemble_argument_collection() for command in commands]
    known = FLAGS | {
        name for collection in flags for argument in collection for name in argument.names
    }
    known |= {"--generation-config"}  # vLLM's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", TEXT)) <= known


def test_commands_exist() -> None:
    assert set(re.findall(r"(?:`|^)bakeoff ([a-z]+)", TEXT, re.MULTILINE)) <= set(app)


def test_links_have_targets() -> None:
    titles = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    for target in re.findall(r"\]\((?!https:|#)([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
