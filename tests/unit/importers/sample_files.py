"""Small evaluations in every format, and helpers to read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.reader import read
from bakeoff.records import Evidence, Judgment
from tests.builders import write_file

Rows = list[dict[str, Any]]


def evidence(tmp_path: Path, *values: object, name: str = "a.json", **options: Any) -> Evidence:
    """The evidence in files of these values."""
    paths = [write_file(tmp_path / f"{n}-{name}", value) for n, value in enumerate(values)]
    return read(paths, **options).evidence


def error_of(path: Path, **options: Any) -> str:
    """The one-line error for a file."""
    with pytest.raises(ConfigError) as error:
        read([path], **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def first_of(judgments: tuple[Judgment, ...]) -> list[tuple[str, float]]:
    """The model shown first and the probability that it is better, per judgment."""
    return [(judgment.first, judgment.verdict.first) for judgment in judgments]


def counts_of(imported: Evidence) -> tuple[int, int]:
    """The numbers of judgments and of failed judgments."""
    return len(imported.judgments), sum(f.stage == "judgment" for f in imported.failures)


def script(rows: list[Any], **more: Any) -> dict[str, Any]:
    paths = {"model1_path": "tuned", "model2_path": "base", "judge_model": "gpt-4"}
    return {**paths, "results": rows, **more}


def compared(prompt: str = "q", winner: Any = "model1", **more: Any) -> dict[str, Any]:
    row = {"prompt": prompt, "model1_completion": "one", "model2_completion": "two"}
    return {**row, "winner": winner, "explanation": "because", **more}


def alpaca(preference: Any = 2.0, **more: Any) -> dict[str, Any]:
    return {
        "instruction": "q",
        "output_1": "from the baseline",
        "output_2": "from the tuned",
        "generator_1": "base",
        "generator_2": "tuned",
        "dataset": "koala",
        "annotator": "gpt",
        "preference": preference,
        **more,
    }


def arena(*scores: Any, **more: Any) -> dict[str, Any]:
    games = [{"user_prompt": "...", "judgment": f"said {s}", "score": s} for s in scores]
    return {"question_id": "x1", "model": "tuned", "judge": "gpt", "games": games, **more}


def comparator(*examples: Mapping[str, Any]) -> dict[str, Any]:
    texts = {"input_text": "q", "output_text_a": "one", "output_text_b": "two"}
    return {
        "metadata": {},
        "models": [{"name": "tuned"}, {"name": "base"}],
        "examples": [{**texts, **example} for example in examples],
    }


def panda(*labels: Any, **more: Any) -> dict[str, Any]:
    row = {"instruction": "do", "input": "it", "response1": "one", "response2": "two"}
    judges = {f"annotator{n}": label for n, label in enumerate(labels, 1)}
    return {"idx": 0, "cmp_key": "tuned_base", **row, **judges, **more}
