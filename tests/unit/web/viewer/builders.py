"""Builders of results and progress files with random judgments."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Results, Scores
from bakeoff.report.export import VOTES, write_file
from bakeoff.runtime.progress import PROGRESS_FILE, ProgressReport, ProgressUpdate
from bakeoff.web.viewer.runs import find_runs
from tests.builders import make_completion, make_failure, make_judgment, make_prompt, prose

TEMPLATE = "Which of the two serves the person better?\nSay A, B or tie.\n{{ first }}\n{{ second }}"
SAMPLING: dict[str, Any] = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64, "seed": 42}
JUDGING: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 256, "seed": 42}


def model(name: str, sampling: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the identity of a model."""
    return {"backend": "hf", "model": f"fingerprint of {name}", "sampling": sampling or SAMPLING}


def judge(template: str = TEMPLATE, target: str = "judge-1", **sampling: Any) -> dict[str, Any]:
    """Return the identity of a judge."""
    generator = {"backend": "openai", "model": target, "sampling": JUDGING | sampling}
    return {"judge": "prompted", "generator": generator, "template": template, "verdict": "json"}


def results(
    models: Sequence[str] = ("tuned", "base"),
    *,
    prompts: Sequence[int] = range(40),
    better: float = 0.6,
    seed: int = 1,
    snapshot: str | None = "judge-1-0613",
    identities: dict[str, Any] | None = None,
    suffix: str = "",
    failed: int = 0,
    config: dict[str, Any] | None = None,
    started: str = "2026-03-01T09:00:00+00:00",
) -> Results:
    """Return results in which the first model wins a prompt with probability `better`.

    `identities` are the `models` and `judges` of the environment, where they are not the usual.
    """
    draw = random.Random(seed)
    prompt_records = [
        make_prompt(f"What is {number} plus {number}?{suffix}", id=f"p{number}", tags=("sums",))
        for number in prompts
    ]
    completions = [
        make_completion(
            prompt.id,
            name,
            f"{prompt.messages[0].content[8:12]} makes {prose(prompt.id + name)}.{suffix}",
            tokens=draw.randint(20, 60),
            finish="stop",
            cost=0.0004,
        )
        for prompt in prompt_records
        for name in models
    ]
    judgments, failures = [], []
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]
    for place, prompt in enumerate(prompt_records):
        for a, b in pairs:
            wins = draw.random() < better
            agreed = draw.random() < 0.8
            for first, second in ((a, b), (b, a)):
                if place < failed:
                    failures.append(
                        make_failure(
                            prompt.id, first, second, judge="judge", message=f"no verdict{suffix}"
                        )
                    )
                    continue
                first_wins = (first == a) == wins if agreed else True  # a judge with position bias
                scores = Scores(8, 5) if first_wins else Scores(4, 7)
                judgments.append(
                    make_judgment(
                        prompt.id,
                        first,
                        second,
                        float(first_wins),
                        judge="judge",
                        scores=scores,
                        reason=f"It is right.{suffix}",
                        snapshot=snapshot,
                        cost=0.001,
                    )
                )
    evidence = Evidence(
        models=tuple(models),
        prompts=tuple(prompt_records),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=tuple(failures),
        origins={name: f"hf:{name}" for name in models} | {"judge": "openai:judge-1"},
    )
    participants = {
        "models": {name: model(name) for name in models},
        "judges": {"judge": judge()},
    } | (identities or {})
    return Results.of(
        evidence,
        summarize(evidence),
        {"model": list(models), "judge": ["judge"], "seed": 42, "orders": "both"} | (config or {}),
        {"python": "3.11.2", "started": started, "seconds": 63.5} | participants,
    )


def write_results(folder: Path, document: Results) -> Path:
    """Write results as a run does; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "results.json", document.to_json())
    return folder


def write_progress(folder: Path, done: int = 30, *, seconds_ago: float = 0, kept: int = 0) -> Path:
    """Write a progress file whose last update is `seconds_ago`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    rows = (
        ProgressUpdate(
            stage="completion", participant="tuned", done=100, total=100, stored=kept, tokens=5_000
        ),
        ProgressUpdate(
            stage="completion", participant="base", done=done, total=100, failed=2, tokens=1_500
        ),
        ProgressUpdate(
            stage="judgment", participant="judge", done=done, total=200, tokens=42_000, cost=0.31
        ),
    )
    report = ProgressReport(started=now - timedelta(seconds=90), updated=now, rows=rows)
    write_file(folder / PROGRESS_FILE, report.model_dump_json(by_alias=True))
    return folder


def key_of(root: Path, name: str) -> str:
    """Return the viewer's key of the run in a folder of this name."""
    return next(run.key for run in find_runs(root).runs.values() if run.name == name)


__all__ = [
    "VOTES",
    "judge",
    "key_of",
    "model",
    "results",
    "write_progress",
    "write_results",
]
