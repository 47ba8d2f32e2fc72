"""Whole runs with engines in this process: a checkpoint, a small real model, and their turns."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, ConfigError, run
from bakeoff.generators.hf import Hf
from bakeoff.progress import Report, read
from tests.openai_server import OpenAIServer, Reply, chat, verdict
from tests.tiny import make_tiny_model


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
def test_a_checkpoint_against_a_small_real_model(
    tmp_path: Path, checkpoints: tuple[Path, Path]
) -> None:
    with OpenAIServer(lambda _: verdict("tie", 5, 5)) as server:
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


def test_engines_that_fill_the_accelerator_take_turns(
    tmp_path: Path, checkpoints: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load, release = Hf._load, Hf.release

    def loading(self: Hf) -> Any:
        loaded.append(f"load {Path(self.spec.target).name}")
        return load(self)

    def releasing(self: Hf) -> None:
        loaded.append(f"free {Path(self.spec.target).name}")
        release(self)

    monkeypatch.setattr(Hf, "_load", loading)
    monkeypatch.setattr(Hf, "release", releasing)
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


def test_a_checkpoint_is_no_judge_of_itself_by_any_name(
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


def test_the_results_hold_what_made_them(tmp_path: Path) -> None:
    with OpenAIServer(lambda _: verdict("tie")) as server:
        results = run(
            config(
                tmp_path,
                model=("a=echo:x", "b=echo:y"),
                judge=(f"j=api:gpt?base_url={server.url}",),
                seed=5,
            )
        )
    made = results.environment
    assert {"python", "platform", "packages", "started", "seconds"} <= set(made)
    assert results.config["seed"] == 5
    judge = json.dumps(made["judges"])
    assert "Reply with one JSON object" in judge  # the text of the template, not its name
    assert '"seed": 5' in judge


def test_a_run_tells_how_far_it_is_and_that_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.session.BEAT", 0.02)
    signs: list[datetime] = []
    reports: list[Report] = []

    def beaten() -> bool:  # the judge keeps silent until the run has given signs of life
        report = read(tmp_path / "out")
        if report is not None:
            reports.append(report)
            signs.append(report.updated)
        return len(set(signs)) > 3

    def brain(_: dict[str, Any]) -> Reply:
        return Reply(body=chat(verdict("tie")), until=beaten)

    with OpenAIServer(brain) as server:
        judge = f"j=api:j?base_url={server.url}"
        run(config(tmp_path, model=("a=echo:x", "b=echo:y"), judge=(judge,)))
    assert len(set(signs)) > 3
    assert {row.who for row in reports[-1].rows} == {"a", "b", "j"}
    assert {row.done for row in reports[-1].rows if row.stage == "completion"} == {3}
    assert read(tmp_path / "out") is None
    assert not list((tmp_path / "out").glob(".progress*"))


def test_a_run_that_ends_in_an_error_leaves_how_far_it_came(tmp_path: Path) -> None:
    def brain(_: dict[str, Any]) -> Reply:
        return Reply(401, {"error": {"message": "Incorrect API key provided"}})

    with OpenAIServer(brain) as server:
        judge = f"j=api:j?base_url={server.url}"
        asked = config(tmp_path, model=("a=echo:x", "b=echo:y"), judge=(judge,))
        with pytest.raises(ConfigError, match="refuses the key"):
            run(asked)
    left = read(tmp_path / "out")
    assert left is not None
    assert sum(row.done for row in left.rows if row.stage == "completion") > 0
