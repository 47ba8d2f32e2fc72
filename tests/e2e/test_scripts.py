"""The thin fronts: the script's flags, the bash script's choice, the example."""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from types import ModuleType

import pytest

from bakeoff.cli import run_with_exit_code
from bakeoff.config import Config, Spec
from bakeoff.errors import ConfigError
from bakeoff.records import Results
from bakeoff.testing import OpenAIServer, Reply

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "model_comparison.py"
EXAMPLE = ROOT / "examples" / "model_comparison_example.py"
QUICK = ROOT / "bash_scripts" / "quick_model_comparison.sh"


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _loaded(SCRIPT)
FLAGS = {flag for action in script.parser()._actions for flag in action.option_strings}


def config_of(*flags: str) -> Config:
    return script.config_of(script.parser().parse_args(flags))


def judge_of(*flags: str) -> Spec:
    return Spec.parse(config_of(*flags).judge[0])


def test_defaults_are_the_guides() -> None:
    config = config_of()
    trained, baseline = config.model
    assert trained == (
        "friendshipkim/Qwen2.5-1.5B-ultrachat-qrm-p16-g8-ts300-lr2e-6-warmup0.05-ps0.2-preps0.0-rho0"
    )
    assert baseline == "Qwen/Qwen2.5-1.5B-Instruct"
    assert (config.judge, config.prompts, config.limit) == (("gpt-4",), "ultrachat", 50)
    assert (config.temperature, config.top_p, config.max_tokens) == (0.7, 0.9, 1024)
    assert (config.seed, config.show_samples) == (42, 5)
    assert config.out.parent == Path("comparison_results")
    assert config == Config(  # what has no flag stays bakeoff's
        model=config.model, judge=config.judge, prompts=config.prompts, out=config.out
    )


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["--num-samples", "7"], "limit", 7),
        (["--show-samples", "0"], "show_samples", 0),
        (["--seed", "7"], "seed", 7),
        (["--temperature", "0"], "temperature", 0),
        (["--top-p", "1"], "top_p", 1),
        (["--max-tokens", "8"], "max_tokens", 8),
        (["--judge-model", "anthropic:x"], "judge", ("anthropic:x",)),
        (["--dataset", "hf:me/data?column=q"], "prompts", "hf:me/data?column=q"),
        (["--dataset", "starter"], "prompts", "starter"),
        (["--dataset", "custom"], "prompts", "starter"),
        (["--dataset", "custom", "--custom-prompts", "p.jsonl"], "prompts", "p.jsonl"),
        (["--custom-prompts", "p.jsonl"], "prompts", "p.jsonl"),
        (["--stop", "when-sure"], "stop", "when-sure"),
        (["--orders", "adaptive"], "orders", "adaptive"),
        (["--pairs", "adaptive"], "pairs", "adaptive"),
        (["--samples", "3"], "samples", 3),
        (["--ray", "auto"], "ray", "auto"),
    ],
)
def test_one_flag_sets_one_field(flags: list[str], field: str, value: object) -> None:
    config, default = config_of(*flags), config_of()
    assert getattr(config, field) == value
    assert config == default.model_copy(update={field: value})


def test_one_model_given_keeps_the_other() -> None:
    assert config_of("--model1", "./mine").model == ("./mine", script.MODEL2)
    assert config_of("--model2", "./mine").model == (script.MODEL1, "./mine")


def test_more_models_are_compared_too_or_each_with_the_baseline() -> None:
    more = config_of("--model1", "a", "--model2", "b", "--model", "c", "--model", "d")
    assert (more.model, more.baseline) == (("a", "b", "c", "d"), None)
    assert "-vs-3-others-" in more.out.name
    one = config_of("--model1", "a", "--baseline", "z")
    assert (one.model, one.contestants) == (("a",), ("a", "z"))
    named = config_of("--model1", "a", "--model2", "base=b", "--model", "c", "--baseline", "base")
    assert named.contestants == ("a", "c", "base=b")
    assert len({more.out, one.out, named.out, config_of("--model1", "a").out}) == 4


def test_each_part_has_a_folder_and_a_store_of_its_own() -> None:
    parts = [config_of("--shard", f"{which}/2").resolved() for which in (1, 2)]
    assert [part.out.name for part in parts] == ["shard-1-of-2", "shard-2-of-2"]
    assert {part.out.parent for part in parts} == {config_of().out}
    assert [part.store.name for part in parts] == ["shard-1-of-2.sqlite", "shard-2-of-2.sqlite"]


def test_batch_size_is_for_models_that_are_loaded_here() -> None:
    models = ("--model1", "t=me/tuned?dtype=bfloat16", "--model2", "openai:gpt-4")
    assert config_of(*models, "--batch-size", "4").model == (
        "t=me/tuned?dtype=bfloat16&batch_size=4",
        "openai:gpt-4",
    )
    own = config_of("--model1", "me/tuned?batch_size=2", "--batch-size", "4").model[0]
    assert own == "me/tuned?batch_size=2"


def test_judge_options_survive_as_they_are() -> None:
    url = "http://127.0.0.1:8000/v1?a=b&c=d%20+#x"
    judge = judge_of("--base-url", url, "--api-key-env", "MY_KEY", "--delay", "0.5")
    assert judge.options == {"base_url": url, "api_key_env": "MY_KEY", "delay": "0.5"}


@pytest.mark.parametrize(
    ("given", "name", "backend", "target"),
    [
        ("llama3", "api:llama3", "api", "llama3"),
        ("me/llama3", "api:me/llama3", "api", "me/llama3"),
        ("j=me/llama3?timeout=9", "j", "api", "me/llama3"),
        ("openai:gpt-4", "openai:gpt-4", "openai", "gpt-4"),
        ("api:qwen2.5:7b", "api:qwen2.5:7b", "api", "qwen2.5:7b"),
    ],
)
def test_bare_judge_at_an_address_is_that_servers(
    given: str, name: str, backend: str, target: str
) -> None:
    judge = judge_of("--judge-model", given, "--base-url", "http://x/v1")
    assert (judge.name, judge.backend, judge.target) == (name, backend, target)
    assert judge.options["base_url"] == "http://x/v1"


def test_dataset_and_file_are_not_both() -> None:
    with pytest.raises(ConfigError, match="not both"):
        config_of("--dataset", "starter", "--custom-prompts", "p.jsonl")


def test_folders_are_safe_and_never_shared() -> None:
    models = ["me/x", "me-x", "ME/x", "me/x?seed=1", "hf:me/x", "../x", "/x", "日本", "a" * 300]
    models += [f"./runs/{'long-' * 30}{step}/checkpoint" for step in (100, 200)]
    names = [script.folder_of(a, b) for a, b in permutations(models, 2)]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", name) for name in names)
    default = config_of().out.name
    assert "ultrachat-qrm" in default
    assert "Qwen2.5-1.5B-Instruct" in default


def test_folder_does_not_depend_on_how_it_is_run() -> None:
    assert config_of("--batch-size", "2", "--judge-model", "x").out == config_of().out


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    with OpenAIServer() as server:
        yield os.environ | {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.url}


def run(command: list[object], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.long
def test_other_baselines_leave_what_is_there(tmp_path: Path, env: dict[str, str]) -> None:
    command = [sys.executable, SCRIPT, "--model1", "echo:good", "--num-samples", "2"]
    for baseline in ("echo:bad", "echo:worse"):
        done = run([*command, "--dataset", "custom", "--model2", baseline], tmp_path, env)
        assert done.returncode == 0, done.stderr
        assert "no --custom-prompts: taking the starter set" in done.stderr
    kept = sorted((tmp_path / "comparison_results").glob("*/results.json"))
    pairs = [Results.model_validate_json(path.read_text()).summary.pairs[0] for path in kept]
    assert {(pair.a, pair.b) for pair in pairs} == {
        ("echo:good", "echo:bad"),
        ("echo:good", "echo:worse"),
    }
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--num-sample", "3"], "unrecognized arguments: --num-sample 3"),
        (["--num-samples", "many"], "--num-samples: invalid int value: 'many'"),
        (["--num-samples", "0"], "limit = 0"),
        (["--model1", "echo:x?bogus=1"], "no option 'bogus'"),
        (["--custom-prompts", "none.jsonl", "--model1", "echo:a", "--model2", "echo:b"], "no such"),
    ],
)
def test_bad_input_is_one_line(
    flags: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_with_exit_code(lambda: script.main(flags)) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out


def test_help_opens_with_commands(tmp_path: Path) -> None:
    done = run([sys.executable, SCRIPT, "--help"], tmp_path, dict(os.environ))
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in FLAGS)
    assert "    python scripts/model_comparison.py\n" in done.stdout


def test_a_fault_of_a_process_is_its_exit_code(tmp_path: Path) -> None:
    done = run([sys.executable, SCRIPT, "--bogus"], tmp_path, dict(os.environ))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bakeoff: unrecognized arguments: --bogus\n"


def quick(folder: Path, *extra: str, **env: str) -> tuple[argparse.Namespace, str]:
    """What a copy of the bash script, called from elsewhere, hands to the Python script."""
    (folder / "a b" / "bash_scripts").mkdir(parents=True)
    copy = Path(shutil.copy(QUICK, folder / "a b" / "bash_scripts"))
    bin_ = folder / "bin"
    bin_.mkdir()
    python = bin_ / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || printf "%s\\n" "$@"\n')
    python.chmod(0o755)
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    done = run(["bash", copy, *extra], folder, {"PATH": path, **env})
    assert done.returncode == 0, done.stderr
    called, *flags = done.stdout.splitlines()
    assert Path(called).parts[-3:] == ("a b", "scripts", "model_comparison.py")
    return script.parser().parse_args(flags), done.stderr


def test_quick_with_a_key_is_the_guides_comparison(tmp_path: Path) -> None:
    args, said = quick(tmp_path, OPENAI_API_KEY="x")
    assert vars(args) == vars(script.parser().parse_args([])) | {
        "output_dir": Path("model_comparison_results")
    }
    assert "OPENAI_API_KEY is set" in said


def test_quick_without_a_key_is_the_embedded_comparison(tmp_path: Path) -> None:
    args, said = quick(tmp_path)
    config, embedded = script.config_of(args), Config().resolved()
    for field in ("model", "judge", "prompts", "limit", "max_tokens"):
        assert getattr(config, field) == getattr(embedded, field)
    assert "OPENAI_API_KEY is not set" in said


def test_quick_passes_more_flags_on_and_they_win(tmp_path: Path) -> None:
    args, _ = quick(tmp_path, "--num-samples", "3", "--custom-prompts", "my file.txt")
    assert (args.num_samples, args.custom_prompts) == (3, "my file.txt")


def test_quick_says_what_is_missing(tmp_path: Path) -> None:
    copy = Path(shutil.copy(QUICK, tmp_path))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run(["bash", copy], tmp_path, {"PATH": path})
    assert done.returncode == 2
    assert "bakeoff is not installed" in done.stderr


@pytest.mark.long
def test_example_compares_on_its_five_prompts(tmp_path: Path, env: dict[str, str]) -> None:
    done = run([sys.executable, EXAMPLE, "echo:good", "echo:bad"], tmp_path, env)
    assert done.returncode == 0, done.stderr
    assert "5 prompts were judged, 20 are the least" in done.stdout
    assert "win rate 100.0 %" in done.stdout
    assert "10 of 10 verdicts" in done.stdout
    results = tmp_path / "results" / "example" / "results.json"
    assert len(Results.model_validate_json(results.read_text()).prompts) == 5


def test_example_says_an_error_in_a_line(tmp_path: Path, env: dict[str, str]) -> None:
    done = run([sys.executable, EXAMPLE, "echo:a", "file:none.jsonl"], tmp_path, env)
    assert done.returncode == 2
    assert done.stderr.startswith("cannot read the completions in 'none.jsonl'")
    assert len(done.stderr.splitlines()) == 1


def test_what_a_bench_printed_becomes_the_table_and_other_rows_stay(tmp_path: Path) -> None:
    make = _loaded(ROOT / "scripts" / "make_performance.py")
    page = tmp_path / "performance.md"
    page.write_text(f"# Above\n{make.BEGIN}{make.END}\nbelow\n")

    def line(benchmark: str, figure: float, ratio: float) -> str:
        told = {"figure": figure, "unit": "tokens/s", "peer": "a loop", "ratio": ratio}
        return json.dumps({"benchmark": benchmark, **told, "cores": 2})

    make.main([line("b:fp32", 25004.2, 5.6789), "a warning", line("b:bf16", 1, 2)], page)
    make.main([line("a", 0.25, 0.957)], page)
    rows = ["| `a` | 0.25 tokens/s | a loop | 0.957x |", "| `b:bf16` | 1 tokens/s | a loop | 2x |"]
    fp32 = "| `b:fp32` | 25,000 tokens/s | a loop | 5.68x |"
    table = "\n".join([*make.HEAD, *rows, fp32])
    assert page.read_text() == f"# Above\n{make.BEGIN}{table}\n{make.END}\nbelow\n"
    make.main([line("b:fp16", 3, 4)], page)  # the benchmark was run again: its old rows are gone
    assert "b:bf16" not in page.read_text()
    assert "b:fp16" in page.read_text()


# ---------------------------------------------------------------- what is known to be vulnerable

audit = _loaded(ROOT / "scripts" / "audit_dependencies.py")
# As much of pip-audit as the script sees of it; what it says of a package is in the environment.
PIP_AUDIT = """
import json, os, sys, time
said = json.loads(os.environ["STANDIN_SAYS"])
time.sleep(said.get("slow", 0))
if "trouble" in said:
    sys.exit("Traceback\\n" + said["trouble"])
pinned = open(sys.argv[sys.argv.index("-r") + 1]).read().split()
names = [one.partition("==") for one in pinned]
found = [{"name": n, "version": v, "vulns": said.get(n, [])} for n, _, v in names if n != "unknown"]
print(json.dumps({"dependencies": found, "fixes": []}))
sys.exit(any(one["vulns"] for one in found))
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the script where pip-audit says something; its exit code."""
    (tmp_path / "site" / "pip_audit").mkdir(parents=True)
    (tmp_path / "site" / "pip_audit" / "__init__.py").touch()  # or the real one comes first
    (tmp_path / "site" / "pip_audit" / "__main__.py").write_text(PIP_AUDIT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    some = {"one": "1.0", "two": "2.0", "unknown": "3"}
    monkeypatch.setattr(audit, "needed", lambda: some)
    monkeypatch.setattr(audit, "SECONDS", 120.0)  # where the machine is busy

    def run(**says: object) -> int:
        monkeypatch.setenv("STANDIN_SAYS", json.dumps(says))
        code: int = audit.main([])
        return code

    return run


def test_what_is_installed_with_bakeoff_is_audited_and_no_tool_of_its_developers() -> None:
    found = audit.needed()
    assert {"pydantic", "openai", "xllamacpp", "torch", "starlette", "datasets"} <= found.keys()
    assert not {"bakeoff", "pytest", "mypy", "ruff"} & found.keys()
    assert not [version for version in found.values() if "+" in version]  # no index has those


def test_a_vulnerable_package_fails_the_check_and_says_which_version_is_not(
    index: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    flaws = [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "CVE-2", "fix_versions": []}]
    assert index(two=flaws) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "vulnerable: two 2.0: CVE-1, fixed in 2.1",
        "vulnerable: two 2.0: CVE-2, not fixed",
    ]
    assert said[2] == "warning: 1 of 3 packages were not audited: the index does not know them"


def test_what_is_ignored_has_a_reason_and_is_ignored_by_any_of_its_names(
    index: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(len(why) > 20 for why in audit.IGNORED.values())
    monkeypatch.setattr(audit, "IGNORED", {"CVE-1": "it is about what bakeoff does not use"})
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}
    assert index(one=[flaw]) == 0
    assert index(one=[flaw | {"aliases": []}]) == 1
    assert capsys.readouterr().out.count("vulnerable") == 1


def test_where_nobody_can_be_asked_that_is_a_warning(
    index: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert index(trouble="requests.exceptions.ConnectionError: no route") == 0
    why = "requests.exceptions.ConnectionError: no route"
    assert capsys.readouterr().out == f"warning: 3 of 3 packages were not audited: {why}\n"
    monkeypatch.setattr(audit, "SECONDS", 0.5)
    assert index(slow=600) == 0
    why = "not ready within 0.5 s"
    assert capsys.readouterr().out == f"warning: 3 of 3 packages were not audited: {why}\n"
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    if importlib.util.find_spec("pip_audit") is None:
        assert index() == 0
        assert "No module named pip_audit" in capsys.readouterr().out


def test_pip_audit_itself_is_understood(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It asks a service on loopback that knows one flaw."""
    pytest.importorskip("pip_audit")
    event = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
    about = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": [event]}
    day = "2024-01-01T00:00:00Z"
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "s", "details": "d"}
    flaw |= {"modified": day, "published": day, "affected": [about]}
    flaws = {"jinja2": {"vulns": [flaw]}}
    monkeypatch.setattr(audit, "needed", lambda: {"jinja2": "3.1.0", "rich": "14.0.0"})
    monkeypatch.setattr(audit, "SECONDS", 120.0)  # where the machine is busy
    monkeypatch.setattr(audit, "SECONDS", 120.0)
    with OpenAIServer(lambda body: Reply(body=flaws.get(body["package"]["name"], {}))) as server:
        assert audit.main(["--service", f"{server.url}/query"]) == 1
    assert capsys.readouterr().out == "vulnerable: jinja2 3.1.0: PYSEC-1, fixed in 99.1\n"
