"""Whole runs with engines in this process, and the work of repeated runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import bakeoff.analysis.summarize
from bakeoff import Config, ConfigError, Results, run
from bakeoff.evaluation.votes.vote_log import append_vote
from bakeoff.generators.transformers.generator import TransformersGenerator
from bakeoff.runtime.progress import ProgressReport, read_progress
from bakeoff.runtime.timing import Stopwatch
from bakeoff.testing import OpenAIServer, Reply, chat_completion, verdict_json
from tests.marks import long
from tests.tiny_models import make_tiny_model
from tests.unit.web.voting.builders import vote


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "tuned", tmp_path / "base"
    for seed, folder in enumerate(folders):
        make_tiny_model(folder, seed=seed)
    return folders


def config(folder: Path, **fields: Any) -> Config:
    usual = {"prompts": "starter", "limit": 3, "max_tokens": 6, "out": folder / "out"}
    return Config(**(usual | {"store": folder / "store.sqlite"} | fields))


@pytest.mark.engine
def test_checkpoint_against_a_small_real_model(
    tmp_path: Path, checkpoints: tuple[Path, Path]
) -> None:
    with OpenAIServer(lambda _: verdict_json("tie", 5, 5)) as server:
        results = run(
            config(
                tmp_path,
                model=(f"tiny=hf:{checkpoints[0]}", "real=embedded:smollm2?context=1024&slots=2"),
                judge=(f"j=api:j?base_url={server.url}",),
            )
        )
    assert not results.failures
    assert {authored.model for authored in results.completions} == {"tiny", "real"}
    assert all(authored.completion.text for authored in results.completions)
    assert results.summary.pairs[0].ties == 3


def test_exclusive_engines_run_one_after_another(
    tmp_path: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load, release = TransformersGenerator._load, TransformersGenerator.release

    def loading(self: TransformersGenerator) -> Any:
        loaded.append(f"load {Path(self.spec.target).name}")
        return load(self)

    def releasing(self: TransformersGenerator) -> None:
        loaded.append(f"free {Path(self.spec.target).name}")
        release(self)

    monkeypatch.setattr(TransformersGenerator, "_load", loading)
    monkeypatch.setattr(TransformersGenerator, "release", releasing)
    make_tiny_model(tmp_path / "judge", seed=7)
    fields = {
        "model": tuple(f"{folder.name}={folder}" for folder in checkpoints),
        "judge": (f"judge=hf:{tmp_path / 'judge'}?verdict=logprob",),
    }
    results = run(config(tmp_path, **fields))
    turns = ["load tuned", "free tuned", "load base", "free base", "load judge", "free judge"]
    assert loaded == turns
    accounting = results.summary.pairs[0].accounting
    assert accounting.asked == 6 == accounting.judged + accounting.failed
    # What it judged is kept: the same command loads a model only for verdicts that are missing.
    again = run(config(tmp_path, **fields))
    assert all(judgment in again.judgments for judgment in results.judgments)
    assert loaded == turns + (["load judge", "free judge"] if results.failures else [])


def test_checkpoint_cannot_judge_itself_under_another_name(
    tmp_path: Path, checkpoints: tuple[Path, Path]
) -> None:
    copy = tmp_path / "copy"
    make_tiny_model(copy, seed=0)  # the same files as `tuned`
    with pytest.raises(ConfigError, match="--allow-self-judge"):
        run(
            config(
                tmp_path,
                model=tuple(str(folder) for folder in checkpoints),
                judge=(f"judge=hf:{copy}",),
            )
        )


def test_results_contain_their_provenance(tmp_path: Path) -> None:
    with OpenAIServer(lambda _: verdict_json("tie")) as server:
        results = run(
            config(
                tmp_path,
                model=("a=echo:x", "b=echo:y"),
                judge=(f"j=api:gpt?base_url={server.url}",),
                seed=5,
            )
        )
    environment = results.environment
    assert {"python", "platform", "packages", "started", "seconds"} <= set(environment)
    assert results.config["seed"] == 5
    judge = json.dumps(environment["judges"])
    assert "Reply with one JSON object" in judge  # the text of the template, not its name
    assert '"seed": 5' in judge


def test_results_name_the_revision_of_their_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"row {number}", {"prompt": f"{number}?"}) for number in range(3)]
    read = lambda target, options: (rows, "c" * 40)  # noqa: E731
    monkeypatch.setattr("bakeoff.prompts.sources._read_dataset", read)
    with OpenAIServer(lambda _: verdict_json("tie")) as server:
        results = run(echo_config(tmp_path, server, prompts="hf:me/chat"))
    assert results.environment["prompts"] == {"source": "hf:me/chat", "revision": "c" * 40}


def test_run_reports_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.evaluation.session.HEARTBEAT", 0.02)
    signs: list[datetime] = []
    reports: list[ProgressReport] = []

    def beaten() -> bool:  # the judge keeps silent until the run has given signs of life
        report = read_progress(tmp_path / "out")
        if report is None:
            return False
        reports.append(report)
        signs.append(report.updated)
        written = [row.done for row in report.rows if row.stage == "completion"]
        return len(set(signs)) > 3 and written == [3, 3]

    def respond(_: dict[str, Any]) -> Reply:
        return Reply(body=chat_completion(verdict_json("tie")), until=beaten)

    with OpenAIServer(respond) as server:
        judge = f"j=api:j?base_url={server.url}"
        run(config(tmp_path, model=("a=echo:x", "b=echo:y"), judge=(judge,)))
    assert len(set(signs)) > 3
    assert {row.participant for row in reports[-1].rows} == {"a", "b", "j"}
    assert {row.done for row in reports[-1].rows if row.stage == "completion"} == {3}
    assert read_progress(tmp_path / "out") is None
    assert not list((tmp_path / "out").glob(".progress*"))


def test_failed_run_keeps_its_progress_file(tmp_path: Path) -> None:
    def respond(_: dict[str, Any]) -> Reply:
        return Reply(401, {"error": {"message": "Incorrect API key provided"}})

    with OpenAIServer(respond) as server:
        judge = f"j=api:j?base_url={server.url}"
        run_config = config(tmp_path, model=("a=echo:x", "b=echo:y"), judge=(judge,))
        with pytest.raises(ConfigError, match="refuses the key"):
            run(run_config)
    left = read_progress(tmp_path / "out")
    assert left is not None
    assert sum(row.done for row in left.rows if row.stage == "completion") > 0


AGAIN = """
import sys
from pathlib import Path
import bakeoff
bakeoff.run(bakeoff.Config.model_validate_json(Path(sys.argv[1]).read_bytes()))
large = ("torch", "transformers", "any_llm", "openai", "scipy", "numpy")
print(*(name for name in large if name in sys.modules))
"""


def test_second_run_imports_no_large_module(
    tmp_path: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    prompts = [{"prompt": f"What is {number}?"} for number in range(3)]
    for name, more in (("prompts", {}), ("said", {"completion": "A number."})):
        rows = "".join(json.dumps(row | more) + "\n" for row in prompts)
        (tmp_path / f"{name}.jsonl").write_text(rows)
    with OpenAIServer() as server:
        url = f"?base_url={server.url}"
        run_config = config(
            tmp_path,
            prompts=str(tmp_path / "prompts.jsonl"),
            model=(
                f"checkpoint={checkpoints[0]}",
                f"file=file:{tmp_path / 'said.jsonl'}",
                f"served=api:m{url}",
            ),
            judge=(f"openai:gpt-4{url}",),
        )
        first = run(run_config)
    assert not first.failures
    (tmp_path / "config.json").write_text(run_config.model_dump_json(by_alias=True))
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, tmp_path / "config.json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "\n"


def echo_config(folder: Path, server: OpenAIServer, **more: Any) -> Config:
    """Config of two echo models and a judge on a server."""
    judge = (f"j=api:j?base_url={server.url}",)
    return config(folder, **{"model": ("a=echo:good", "b=echo:bad"), "judge": judge} | more)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time and content of each output file."""
    return {
        file.name: (file.stat().st_mtime_ns, file.read_bytes())
        for file in (folder / "out").iterdir()
    }


def test_unchanged_results_are_not_rewritten(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        run_config = echo_config(tmp_path, server)
        first = run(run_config)
        before = files(tmp_path)
        shown = {"quiet": True, "show_samples": 0, "profile": True, "max_concurrency": 2}
        again = run(run_config.model_copy(update=shown))
    assert again == first  # also when that was, and how long it took
    assert files(tmp_path) == before
    assert Results.model_validate_json(before["results.json"][1]) == again


def edit_file(name: str) -> Callable[[Path], object]:
    """Change one letter of a file."""

    def edit(out: Path) -> None:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content.replace(b"good", b"Good", 1))

    return edit


CHANGES: dict[str, Callable[[Path], object]] = {
    "the page is edited": edit_file("report.html"),
    "the results are edited": edit_file("results.json"),
    "the page is gone": lambda out: (out / "report.html").unlink(),
    "the results are gone": lambda out: (out / "results.json").unlink(),
    "the page is cut": lambda out: os.truncate(out / "report.html", 1000),
}


@pytest.mark.parametrize("change", [edit_file("report.html"), *long(CHANGES.values())])
def test_modified_output_is_rewritten(tmp_path: Path, change: Callable[[Path], object]) -> None:
    with OpenAIServer() as server:
        run_config = echo_config(tmp_path, server)
        run(run_config)
        before = files(tmp_path)
        change(tmp_path / "out")
        assert files(tmp_path) != before
        again = run(run_config)
    after = files(tmp_path)
    assert Results.model_validate_json(after["results.json"][1]) == again
    # Outcomes from the store are reported in one line.
    pages = [page["report.html"][1].partition(b">Made by ")[2] for page in (before, after)]
    assert len({len(page.partition(b"</p>")[2]) for page in pages}) == 1
    assert after["report.html"][0] > before["report.html"][0]


def test_other_settings_or_package_versions_rewrite_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as server:
        run_config = echo_config(tmp_path, server)
        first = run(run_config)
        wider = run(run_config.model_copy(update={"margin": 50.0}))
        assert wider.summary.pairs[0].margin == 50 != first.summary.pairs[0].margin
        run(run_config)
        written = files(tmp_path)
        monkeypatch.setattr(
            "bakeoff.evaluation.session.describe", lambda: {"packages": {"scipy": "9"}}
        )
        other = run(run_config)
        rewritten = files(tmp_path)
        run(run_config)
        assert files(tmp_path) == rewritten
    assert other.environment["packages"] == {"scipy": "9"} != first.environment["packages"]
    for name in ("results.json", "report.html"):
        assert rewritten[name][0] > written[name][0]


def test_new_verdict_or_vote_rewrites_the_output(tmp_path: Path) -> None:
    rows = [json.dumps({"id": f"prompt-{number}", "prompt": f"{number}?"}) for number in range(3)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows))
    replies: list[Any] = [Reply(400, {"error": {"message": "no"}}), verdict_json("A", 8, 3)]
    with OpenAIServer(lambda _: replies[0]) as server:
        run_config = echo_config(tmp_path, server, prompts=str(tmp_path / "prompts.jsonl"))
        assert len(run(run_config).failures) == 6
        del replies[0]
        judged = run(run_config)
        assert (len(judged.failures), len(judged.judgments)) == (0, 6)
        append_vote(tmp_path / "out/votes.jsonl", vote(judged.evidence, 0, first="a"))
        voted = run(run_config)
        assert [judgment.judge for judgment in voted.judgments[6:]] == ["Anna"]
        assert run(run_config) == voted
        (tmp_path / "out/votes.jsonl").unlink()
        assert run(run_config).judgments == judged.judgments


def seconds_by_kind(watch: Stopwatch) -> dict[str, float]:
    """Return the measured seconds by kind of work."""
    return {lap.kind: lap.total for lap in watch.timings()[0] if lap.total}


@pytest.mark.long
def test_stopwatch_measures_the_parts_of_a_run(
    tmp_path: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = TransformersGenerator._load
    delay = 0.05

    def loading(self: TransformersGenerator) -> Any:  # on the engine's own thread
        time.sleep(delay)
        return load(self)

    monkeypatch.setattr(TransformersGenerator, "_load", loading)
    with OpenAIServer(
        lambda _: Reply(body=chat_completion(verdict_json("A", 8, 3)), delay=delay)
    ) as server:
        models = tuple(map(str, checkpoints))
        run_config = config(tmp_path, model=models, judge=(f"j=api:j?base_url={server.url}",))
        with Stopwatch() as watch:
            run(run_config)
        with Stopwatch() as second:
            run(run_config)
    took = seconds_by_kind(watch)
    assert took.keys() == {"load", "generate", "judge", "parse", "store", "summarise", "commit"}
    assert took["load"] >= 2 * delay
    assert took["judge"] >= delay
    assert seconds_by_kind(second).keys() == {"store", "summarise"}


def test_progress_is_written_during_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.evaluation.session.HEARTBEAT", 0.01)
    signs: set[datetime] = set()
    analyze = bakeoff.analysis.summarize.analyze

    def slowly(*arguments: Any) -> Any:
        deadline = time.monotonic() + 100
        while len(signs) < 4 and time.monotonic() < deadline:
            report = read_progress(tmp_path / "out")
            if report:
                signs.add(report.updated)
            time.sleep(0.01)
        return analyze(*arguments)

    monkeypatch.setattr("bakeoff.analysis.summarize.analyze", slowly)
    with OpenAIServer() as server:
        run(echo_config(tmp_path, server))
    assert len(signs) == 4
