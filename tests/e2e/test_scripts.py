"""The scripts: flags of model_comparison.py, the quick script, the example, helper scripts."""

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


def _load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_module(SCRIPT)
FLAGS = {flag for action in script.parser()._actions for flag in action.option_strings}


def config_of(*flags: str) -> Config:
    return script.config_of(script.parser().parse_args(flags))


def judge_of(*flags: str) -> Spec:
    return Spec.parse(config_of(*flags).judge[0])


def test_defaults_match_the_guide() -> None:
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
    assert config == Config(  # other fields have bakeoff's defaults
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
        (["--stop", "early"], "stop", "early"),
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


def test_one_model_keeps_the_other_default() -> None:
    assert config_of("--model1", "./mine").model == ("./mine", script.MODEL2)
    assert config_of("--model2", "./mine").model == (script.MODEL1, "./mine")


def test_more_models_and_a_baseline_are_accepted() -> None:
    four_models = config_of("--model1", "a", "--model2", "b", "--model", "c", "--model", "d")
    assert (four_models.model, four_models.baseline) == (("a", "b", "c", "d"), None)
    assert "-vs-3-others-" in four_models.out.name
    with_baseline = config_of("--model1", "a", "--baseline", "z")
    assert (with_baseline.model, with_baseline.contestants) == (("a",), ("a", "z"))
    named = config_of("--model1", "a", "--model2", "base=b", "--model", "c", "--baseline", "base")
    assert named.contestants == ("a", "c", "base=b")
    assert len({four_models.out, with_baseline.out, named.out, config_of("--model1", "a").out}) == 4


def test_each_shard_has_its_own_folder_and_store() -> None:
    parts = [config_of("--shard", f"{which}/2").resolved() for which in (1, 2)]
    assert [part.out.name for part in parts] == ["shard-1-of-2", "shard-2-of-2"]
    assert {part.out.parent for part in parts} == {config_of().out}
    assert [part.store.name for part in parts] == ["shard-1-of-2.sqlite", "shard-2-of-2.sqlite"]


def test_batch_size_applies_to_local_models_only() -> None:
    models = ("--model1", "t=me/tuned?dtype=bfloat16", "--model2", "openai:gpt-4")
    assert config_of(*models, "--batch-size", "4").model == (
        "t=me/tuned?dtype=bfloat16&batch_size=4",
        "openai:gpt-4",
    )
    own = config_of("--model1", "me/tuned?batch_size=2", "--batch-size", "4").model[0]
    assert own == "me/tuned?batch_size=2"


def test_judge_options_are_passed_unchanged() -> None:
    url = "http://127.0.0.1:8000/v1?a=b&c=d%20+#x"
    judge = judge_of("--base-url", url, "--api-key-env", "MY_KEY", "--delay", "0.5")
    assert judge.options == {"base_url": url, "api_key_env": "MY_KEY", "delay": "0.5"}


@pytest.mark.parametrize(
    ("argument", "name", "backend", "target"),
    [
        ("llama3", "api:llama3", "api", "llama3"),
        ("me/llama3", "api:me/llama3", "api", "me/llama3"),
        ("j=me/llama3?timeout=9", "j", "api", "me/llama3"),
        ("openai:gpt-4", "openai:gpt-4", "openai", "gpt-4"),
        ("api:qwen2.5:7b", "api:qwen2.5:7b", "api", "qwen2.5:7b"),
    ],
)
def test_judge_without_backend_at_a_base_url_uses_api(
    argument: str, name: str, backend: str, target: str
) -> None:
    judge = judge_of("--judge-model", argument, "--base-url", "http://x/v1")
    assert (judge.name, judge.backend, judge.target) == (name, backend, target)
    assert judge.options["base_url"] == "http://x/v1"


def test_dataset_and_custom_prompts_are_exclusive() -> None:
    with pytest.raises(ConfigError, match="not both"):
        config_of("--dataset", "starter", "--custom-prompts", "p.jsonl")


def test_output_folders_are_safe_and_unique() -> None:
    models = ["me/x", "me-x", "ME/x", "me/x?seed=1", "hf:me/x", "../x", "/x", "日本", "a" * 300]
    models += [f"./runs/{'long-' * 30}{step}/checkpoint" for step in (100, 200)]
    names = [script.folder_of(a, b) for a, b in permutations(models, 2)]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", name) for name in names)
    default = config_of().out.name
    assert "ultrachat-qrm" in default
    assert "Qwen2.5-1.5B-Instruct" in default


def test_output_folder_does_not_depend_on_batch_size_and_judge() -> None:
    assert config_of("--batch-size", "2", "--judge-model", "x").out == config_of().out


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    with OpenAIServer() as server:
        yield os.environ | {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.url}


def run(command: list[object], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.long
def test_other_baselines_keep_existing_results(tmp_path: Path, env: dict[str, str]) -> None:
    command = [sys.executable, SCRIPT, "--model1", "echo:good", "--num-samples", "2"]
    for baseline in ("echo:bad", "echo:worse"):
        done = run([*command, "--dataset", "custom", "--model2", baseline], tmp_path, env)
        assert done.returncode == 0, done.stderr
        assert "no --custom-prompts: taking the starter set" in done.stderr
    paths = sorted((tmp_path / "comparison_results").glob("*/results.json"))
    pairs = [Results.model_validate_json(path.read_text()).summary.pairs[0] for path in paths]
    assert {(pair.a, pair.b) for pair in pairs} == {
        ("echo:good", "echo:bad"),
        ("echo:good", "echo:worse"),
    }
    assert len(paths) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
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
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_with_exit_code(lambda: script.main(flags)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not captured.out


def test_help_opens_with_commands(tmp_path: Path) -> None:
    done = run([sys.executable, SCRIPT, "--help"], tmp_path, dict(os.environ))
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in FLAGS)
    assert "    python scripts/model_comparison.py\n" in done.stdout


def test_argument_errors_set_the_exit_code(tmp_path: Path) -> None:
    done = run([sys.executable, SCRIPT, "--bogus"], tmp_path, dict(os.environ))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bakeoff: unrecognized arguments: --bogus\n"


def run_quick_script(folder: Path, *extra: str, **env: str) -> tuple[argparse.Namespace, str]:
    """The arguments that a copy of the bash script passes to the Python script, and its stderr."""
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


def test_quick_with_a_key_runs_the_comparison_of_the_guide(tmp_path: Path) -> None:
    args, stderr = run_quick_script(tmp_path, OPENAI_API_KEY="x")
    assert vars(args) == vars(script.parser().parse_args([])) | {
        "output_dir": Path("model_comparison_results")
    }
    assert "OPENAI_API_KEY is set" in stderr


def test_quick_without_a_key_runs_the_embedded_comparison(tmp_path: Path) -> None:
    args, stderr = run_quick_script(tmp_path)
    config, embedded = script.config_of(args), Config().resolved()
    for field in ("model", "judge", "prompts", "limit", "max_tokens"):
        assert getattr(config, field) == getattr(embedded, field)
    assert "OPENAI_API_KEY is not set" in stderr


def test_quick_passes_flags_which_override_defaults(tmp_path: Path) -> None:
    args, _ = run_quick_script(tmp_path, "--num-samples", "3", "--custom-prompts", "my file.txt")
    assert (args.num_samples, args.custom_prompts) == (3, "my file.txt")


def test_quick_reports_a_missing_installation(tmp_path: Path) -> None:
    copy = Path(shutil.copy(QUICK, tmp_path))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run(["bash", copy], tmp_path, {"PATH": path})
    assert done.returncode == 2
    assert "bakeoff is not installed" in done.stderr


def test_example_compares_on_its_five_prompts(
    tmp_path: Path,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    _load_module(EXAMPLE).main(["echo:good", "echo:bad"])
    printed = capsys.readouterr().out
    assert "echo:good said the same to 5 of 5 prompts, except for the prompt" in printed
    assert "win rate 100.0 %" in printed
    assert "10 of 10 verdicts" in printed
    results = tmp_path / "results" / "example" / "results.json"
    assert len(Results.model_validate_json(results.read_text()).prompts) == 5


def test_example_prints_errors_as_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    done = run([sys.executable, EXAMPLE, "echo:a", "file:none.jsonl"], tmp_path, env)
    assert done.returncode == 2
    assert done.stderr.startswith("cannot read the completions in 'none.jsonl'")
    assert len(done.stderr.splitlines()) == 1


def test_benchmark_lines_update_their_table_rows_only(tmp_path: Path) -> None:
    make_performance = _load_module(ROOT / "scripts" / "make_performance.py")
    page = tmp_path / "performance.md"
    page.write_text(f"# Above\n{make_performance.BEGIN}{make_performance.END}\nbelow\n")

    def line(benchmark: str, figure: float, ratio: float) -> str:
        fields = {"figure": figure, "unit": "tokens/s", "peer": "a loop", "ratio": ratio}
        return json.dumps({"benchmark": benchmark, **fields, "cores": 2})

    make_performance.main(
        [line("b:fp32", 25004.2, 5.6789), "a warning", line("b:bf16", 1, 2)], page
    )
    make_performance.main([line("a", 0.25, 0.957)], page)
    rows = ["| `a` | 0.25 tokens/s | a loop | 0.957x |", "| `b:bf16` | 1 tokens/s | a loop | 2x |"]
    fp32 = "| `b:fp32` | 25,000 tokens/s | a loop | 5.68x |"
    table = "\n".join([*make_performance.HEAD, *rows, fp32])
    assert (
        page.read_text()
        == f"# Above\n{make_performance.BEGIN}{table}\n{make_performance.END}\nbelow\n"
    )
    make_performance.main(
        [line("b:fp16", 3, 4)], page
    )  # a new run of a benchmark replaces its old rows
    assert "b:bf16" not in page.read_text()
    assert "b:fp16" in page.read_text()


# ------------------------------------------------------------------------- dependency audit

audit = _load_module(ROOT / "scripts" / "audit_dependencies.py")
# A stub of pip-audit; PIP_AUDIT_REPORT holds its report as JSON.
PIP_AUDIT = """
import json, os, sys, time
response = json.loads(os.environ["PIP_AUDIT_REPORT"])
time.sleep(response.get("slow", 0))
if "trouble" in response:
    sys.exit("Traceback\\n" + response["trouble"])
pinned = open(sys.argv[sys.argv.index("-r") + 1]).read().split()
names = [line.partition("==") for line in pinned]
audited = [(name, version) for name, _, version in names if name != "unknown"]
report = [{"name": n, "version": v, "vulns": response.get(n, [])} for n, v in audited]
print(json.dumps({"dependencies": report, "fixes": []}))
sys.exit(any(package["vulns"] for package in report))
"""


@pytest.fixture
def run_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the script with a given report of pip-audit; returns the exit code."""
    (tmp_path / "site" / "pip_audit").mkdir(parents=True)
    (
        tmp_path / "site" / "pip_audit" / "__init__.py"
    ).touch()  # else the installed one is imported first
    (tmp_path / "site" / "pip_audit" / "__main__.py").write_text(PIP_AUDIT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    packages = {"one": "1.0", "two": "2.0", "unknown": "3"}
    monkeypatch.setattr(audit, "required_packages", lambda: packages)
    monkeypatch.setattr(audit, "SECONDS", 120.0)  # for a busy machine

    def run(**response: object) -> int:
        monkeypatch.setenv("PIP_AUDIT_REPORT", json.dumps(response))
        code: int = audit.main([])
        return code

    return run


def test_audit_covers_dependencies_without_development_tools() -> None:
    packages = audit.required_packages()
    assert {"pydantic", "openai", "xllamacpp", "torch", "starlette", "datasets"} <= packages.keys()
    assert not {"bakeoff", "pytest", "mypy", "ruff"} & packages.keys()
    assert not [
        version for version in packages.values() if "+" in version
    ]  # local versions are on no index


def test_vulnerable_package_fails_the_audit_with_the_fixed_version(
    run_audit: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    flaws = [{"id": "CVE-1", "fix_versions": ["2.1"]}, {"id": "CVE-2", "fix_versions": []}]
    assert run_audit(two=flaws) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "vulnerable: two 2.0: CVE-1, fixed in 2.1",
        "vulnerable: two 2.0: CVE-2, not fixed",
    ]
    assert lines[2] == "warning: 1 of 3 packages were not audited: the index does not know them"


def test_ignored_vulnerabilities_have_a_reason_and_match_aliases(
    run_audit: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert all(len(reason) > 20 for reason in audit.IGNORED.values())
    monkeypatch.setattr(
        audit, "IGNORED", {"CVE-1": "it affects a function that bakeoff does not use"}
    )
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}
    assert run_audit(one=[flaw]) == 0
    assert run_audit(one=[flaw | {"aliases": []}]) == 1
    assert capsys.readouterr().out.count("vulnerable") == 1


def test_unreachable_index_is_a_warning(
    run_audit: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_audit(trouble="requests.exceptions.ConnectionError: no route") == 0
    reason = "requests.exceptions.ConnectionError: no route"
    assert capsys.readouterr().out == f"warning: 3 of 3 packages were not audited: {reason}\n"
    monkeypatch.setattr(audit, "SECONDS", 0.5)
    assert run_audit(slow=600) == 0
    reason = "not ready within 0.5 s"
    assert capsys.readouterr().out == f"warning: 3 of 3 packages were not audited: {reason}\n"
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    if importlib.util.find_spec("pip_audit") is None:
        assert run_audit() == 0
        assert "No module named pip_audit" in capsys.readouterr().out


def test_output_of_pip_audit_is_parsed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit queries a loopback service that reports one vulnerability."""
    pytest.importorskip("pip_audit")
    event = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
    about = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": [event]}
    day = "2024-01-01T00:00:00Z"
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "s", "details": "d"}
    flaw |= {"modified": day, "published": day, "affected": [about]}
    flaws = {"jinja2": {"vulns": [flaw]}}
    monkeypatch.setattr(audit, "required_packages", lambda: {"jinja2": "3.1.0", "rich": "14.0.0"})
    monkeypatch.setattr(audit, "SECONDS", 120.0)  # for a busy machine
    monkeypatch.setattr(audit, "SECONDS", 120.0)
    with OpenAIServer(lambda body: Reply(body=flaws.get(body["package"]["name"], {}))) as server:
        assert audit.main(["--service", f"{server.url}/query"]) == 1
    assert capsys.readouterr().out == "vulnerable: jinja2 3.1.0: PYSEC-1, fixed in 99.1\n"
