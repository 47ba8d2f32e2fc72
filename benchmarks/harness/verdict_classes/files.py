"""Evaluation files whose rows an importer may misread."""

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.errors import ConfigError
from bakeoff.importers.reader import read
from bakeoff.records import Evidence
from harness.evaluation_texts import Generator, completion_text, lengths, prompt_text
from harness.false_statements import Truth
from harness.simulated_judge import Judge, Values
from harness.verdict_classes.case import Case, Knobs, VerdictClass, pick, size

Rows = Sequence[Mapping[str, Any]]


def _read(*files: Rows, suffix: str = "jsonl") -> Evidence | None:
    """The evidence in these files; None if an importer refuses one."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.{suffix}" for number in range(len(files))]
        for path, rows in zip(paths, files, strict=True):
            if suffix == "csv":
                with path.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
            elif suffix == "json":
                path.write_text(json.dumps(rows))
            else:
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        try:
            return read(paths).evidence
        except ConfigError:
            return None


def _shuffled(rng: Generator, rows: Rows) -> list[Mapping[str, Any]]:
    return [rows[index] for index in rng.permutation(len(rows)).tolist()]


def _truth(rate: float) -> Truth:
    """The truth that model-a wins at this rate against model-b."""
    return Truth({"model-a": (rate - 0.5) / 2, "model-b": (0.5 - rate) / 2, "a": 0.0, "b": 0.0})


def column_of_numbers(rng: Generator, knobs: Knobs) -> Case:
    """`preference` holds 0 and 1, or 1 and 2: an index, whose meaning the file does not say."""
    variant = pick(rng, "0 is a", "0 is a, text", "1 is a, 2 is b", "2 is a", "alpaca farm")
    n = size(rng, 60, 200)
    rate = 0.68 + knobs.difference / 100
    a_wins = rng.random(n) < rate
    numbers = {"0 is a": (0, 1), "0 is a, text": ("0", "1"), "2 is a": (2, 1)}.get(variant, (1, 2))
    bodies = [completion_text(rng, length) for length in lengths(rng, 2 * n, 300)]
    rows: list[dict[str, Any]] = []
    for number, won in enumerate(a_wins.tolist()):
        texts = bodies[2 * number : 2 * number + 2]
        value = numbers[0] if won else numbers[1]
        row: dict[str, Any] = {"instruction": prompt_text(rng)}
        if variant == "alpaca farm":
            row |= {"input": "", "output_1": texts[0], "output_2": texts[1]}
        else:
            row |= {"model_a": "model-a", "model_b": "model-b"}
            row |= {"response_a": texts[0], "response_b": texts[1]}
            row |= {"first": "a" if rng.random() < 0.5 else "b"}
        rows.append(row | {"preference": value})
    suffix = pick(rng, "csv", "json", "jsonl")
    evidence = _read(_shuffled(rng, rows), suffix=suffix)
    truth = _truth(rate)
    if variant == "alpaca farm" and evidence is not None and len(evidence.models) > 1:
        # 1 is output_1, which wins; the file names no models.
        truth = truth._replace(strengths=_by_column(evidence, rate))
    return Case(evidence, truth, variant)


def _by_column(evidence: Evidence, rate: float) -> dict[str, float]:
    """The strengths of the models of output_1 and output_2, in the order of the columns."""
    first, second = evidence.models[:2]
    return {first: (rate - 0.5) / 2, second: (0.5 - rate) / 2}


def _scores(values: Values, noise: Values) -> list[float]:
    scores: list[float] = np.clip(np.round(values + noise), 1, 10).tolist()
    return scores


def _fastchat_rows(
    model: str, scores: Mapping[int, Sequence[float]], start: float
) -> list[dict[str, Any]]:
    """Rows of FastChat's `gpt-4_single.jsonl`; `scores` are by turn."""
    return [
        {
            "question_id": 81 + number,
            "model": model,
            "judge": ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"],
            "user_prompt": f"[Question] {number} [The Start of Assistant's Answer] ...",
            "judgment": f"The response is accurate. Rating: [[{score:g}]]",
            "score": score,
            "turn": turn,
            "tstamp": start + 3.1 * (number + len(values) * (turn - 1)),
        }
        for turn, values in scores.items()
        for number, score in enumerate(values)
    ]


def scores_of_two_turns(rng: Generator, knobs: Knobs) -> Case:
    """Scores of two turns, of which the second is harder; lines in any order, some missing."""
    variant = pick(rng, "shuffled", "turn 2 first", "turn 1 missing", "shuffled, one better")
    n = size(rng, 40, 100)
    rate = 0.64 if variant == "shuffled, one better" else knobs.rate
    drop = float(rng.uniform(1.5, 3.5)) * knobs.bias
    rows = []
    for model, lead in (("model-a", 1.0 if rate > 0.6 else 0.0), ("model-b", 0.0)):
        quality = rng.normal(7.5 + lead, 1.2, n)
        by_turn = {
            1: _scores(quality, rng.normal(0, 0.8, n)),
            2: _scores(quality - drop, rng.normal(0, 0.8, n)),
        }
        # Interleaved in time: the two models are scored within the same seconds.
        of_model = _fastchat_rows(model, by_turn, 1.686e9 + (model == "model-b"))
        if variant == "turn 2 first" and model == "model-b":
            of_model.reverse()
        if variant == "turn 1 missing" and model == "model-b":
            of_model = [r for r in of_model if r["turn"] == 2 or rng.random() < 0.6]
        rows += of_model
    ordered = rows if variant.startswith("turn") else _shuffled(rng, rows)
    return Case(_read(ordered), _truth(rate), variant, _read(_shuffled(rng, rows)))


def _pointwise_rows(
    rng: Generator, column: str, drift: Values, times: Values, quality: Values
) -> list[dict[str, Any]]:
    n = len(quality) // 2
    scores = _scores(quality + drift, rng.normal(0, 1, 2 * n))
    return [
        {
            "prompt_id": f"q{k % n}",
            "model": "model-a" if k < n else "model-b",
            "judge": "judge",
            "score": score,
            column: float(times[k]),
        }
        for k, score in enumerate(scores)
    ]


def pointwise_scores(rng: Generator, knobs: Knobs) -> Case:
    """One model is scored after the other, by a judge that became more generous meanwhile."""
    variant = pick(rng, "two files", "one file", "fastchat")
    n = size(rng, 60, 200)
    drift = float(rng.uniform(0.4, 1.0)) * knobs.bias
    common = rng.normal(6.5, 1.5, n)
    quality = np.concatenate([common, common]) + rng.normal(0, 0.8, 2 * n)
    a_later = rng.random() < 0.5
    later = np.arange(2 * n) < n if a_later else np.arange(2 * n) >= n
    times = 1.7e9 + np.where(later, 6_000, 0) + 2.5 * np.tile(np.arange(n), 2)
    if variant == "fastchat":
        scores = _scores(quality + drift * later, rng.normal(0, 1, 2 * n))
        rows = _fastchat_rows("model-a", {1: scores[:n]}, float(times[0]))
        rows += _fastchat_rows("model-b", {1: scores[n:]}, float(times[n]))
        return Case(_read(rows), _truth(knobs.rate), variant)
    column = pick(rng, "tstamp", "timestamp", "created_at")
    rows = _pointwise_rows(rng, column, drift * later, times, quality)
    files = (rows[:n], rows[n:]) if variant == "two files" else (rows,)
    return Case(_read(*files), _truth(knobs.rate), variant)


def interleaved_scores(rng: Generator, knobs: Knobs) -> Case:
    """Both models are scored in turn, and a is truly better."""
    n = size(rng, 100, 180)
    common = rng.normal(6, 1, n)
    lead = 1.2 + knobs.difference / 10
    quality = np.concatenate([common + lead, common]) + rng.normal(0, 0.6, 2 * n)
    times = 1.7e9 + np.concatenate([np.arange(n), np.arange(n) + 0.5]) * 3
    rows = _pointwise_rows(rng, "tstamp", np.zeros(2 * n), times, quality)
    return Case(_read(rows), _truth(0.72), "interleaved")


def labeled_winners(rng: Generator, knobs: Knobs) -> Case:
    """A table that says what it means, with the order of presentation; a is truly better."""
    n = size(rng, 100, 180)
    judge = Judge(0.75 + knobs.difference / 100, ties=0.1)
    differences = judge.differences(rng, n)
    labels = {1.0: "model_a", 0.0: "model_b", 0.5: pick(rng, "tie", "tie (bothbad)", "both_bad")}
    rows = [
        {
            "question": prompt,
            "model_a": "model-a",
            "model_b": "model-b",
            "winner": labels[value],
            "first": "a" if side else "b",
        }
        for side in (True, False)
        for prompt, value in zip(
            [prompt_text(np.random.default_rng((n, k))) for k in range(n)],
            judge.verdicts(rng, differences, side).tolist(),
            strict=True,
        )
    ]
    evidence = _read(_shuffled(rng, rows), suffix=pick(rng, "csv", "json", "jsonl"))
    return Case(evidence, _truth(judge.rate), f"ties as {labels[0.5]}")


FILE_CLASSES = (
    VerdictClass("column of 0 and 1", column_of_numbers),
    VerdictClass("scores of two turns", scores_of_two_turns),
    VerdictClass("pointwise scores", pointwise_scores),
    VerdictClass("innocent: interleaved scores", interleaved_scores, "lost"),
    VerdictClass("innocent: labeled winners", labeled_winners, "lost"),
)
