"""Readers of the real evaluations and of their published numbers."""

import csv
import gzip
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.stats.alpaca_eval import AlpacaEvalInputs
from tests.real_evaluations import DATA


def file(name: str) -> Path:
    """The path of a file of real data."""
    return DATA / name


@cache
def expected() -> dict[str, Any]:
    return json.loads((DATA / "expected_give.json").read_text())


@cache
def rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(_text(DATA / path))))


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _text(DATA / path).splitlines()]


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def alpaca(model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Preferences for the model, prompts, whether it was shown first (NaN: unknown), lengths."""
    model_rows = [
        row for row in rows("alpaca_eval/judgments_compact.csv.gz") if row["model"] == model
    ]
    raw = np.array([float(row["preference"]) for row in model_rows])
    return (
        np.where(raw == 0, 1.5, raw) - 1,
        np.array([int(row["index"]) for row in model_rows]),
        np.array([float(row["model_shown_first"] or "nan") for row in model_rows]),
        np.array([float(row["output_len"]) for row in model_rows]),
    )


def alpaca_inputs(model: str) -> AlpacaEvalInputs:
    preferences, index, _, lengths = alpaca(model)
    prompts = rows("alpaca_eval/prompts.csv")
    gamed = rows("alpaca_eval/df_gamed_reconstructed.csv.gz")
    assert index.tolist() == [int(row["index"]) for row in prompts]
    return AlpacaEvalInputs(
        preferences=preferences,
        length_differences=np.array([float(row["baseline_len"]) for row in prompts]) - lengths,
        difficulty=np.array([float(row["instruction_difficulty"]) for row in prompts]),
        gamed_lengths=np.array([float(row["std_delta_len"]) for row in gamed]),
        gamed_preferences=np.array([float(row["preference_equivalent"]) for row in gamed]),
        gamed_prompts=np.array([int(row["index"]) for row in gamed]),
    )
