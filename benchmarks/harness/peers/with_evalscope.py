"""Driver of evalscope: `run_task` with `general_arena`, its benchmark of two models' completions.

The completions are those of an earlier evaluation, whose report and reviews the driver writes. It
shows a pair in both orders, one after the other, and 64 pairs at once; a pair with a failed request
or an unreadable reply has no verdict. Its judge prompt asks for one of five grades as JSON.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalscope import TaskConfig, run_task
from evalscope.constants import ScoreStatus
from job import MODEL, MODELS, Arguments, Outcome, Pair, parse_arguments, run_job

SUBSET = "default"
DATASET = "recorded"


def write_evaluations(arguments: Arguments) -> None:
    """Write the completions of each model as a finished evaluation: its report and its reviews."""
    for model in MODELS:
        subset = {"name": SUBSET, "score": 1.0, "num": len(arguments.pairs)}
        categories = [{"name": ["default"], "subsets": [subset]}]
        metrics = [{"name": "mean_acc", "categories": categories}]
        report = {"name": model, "dataset_name": DATASET, "model_name": model, "metrics": metrics}
        _write(arguments.folder / "reports" / model / f"{DATASET}.json", [report])
        rows = [_review(pair, getattr(pair, model)) for pair in arguments.pairs]
        _write(arguments.folder / "reviews" / model / f"{DATASET}_{SUBSET}.jsonl", rows)


def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Run the task, and count the games in its reviews."""
    models = [
        {"name": model, "report_path": str(arguments.folder / "reports" / model)}
        for model in MODELS
    ]
    judge = {
        "model_id": MODEL,
        "api_url": arguments.url,
        "api_key": "none",
        "generation_config": {"temperature": 0.0, "max_tokens": 1024},
    }
    task = TaskConfig(
        model_id="arena",
        datasets=["general_arena"],
        dataset_args={"general_arena": {"extra_params": {"models": models, "baseline": MODELS[1]}}},
        judge={"models": [judge]},
        eval_batch_size=arguments.in_flight,
        ignore_errors=True,
        work_dir=str(arguments.folder / "out"),
        no_timestamp=True,
    )
    try:
        run_task(task)
    finally:  # the reviews are complete where its report fails
        count(arguments, outcome)


def count(arguments: Arguments, outcome: Outcome) -> None:
    """Count the verdicts of each order in the reviews, and the pairs that were excluded."""
    for path in (arguments.folder / "out" / "reviews").rglob("*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            score = row["sample_score"]["score"]
            pair = arguments.pairs[int(row["index"])]
            games = score["metadata"].get("battle_result", {}).get("games", [])
            for game in games:
                outcome.add(_winner(game), pair)
            if not games and score["status"] != ScoreStatus.SUCCESS:
                outcome.failed += 2
                attempts = score["metadata"].get("judge_attempts", [])
                errors = [attempt["error"] for attempt in attempts if attempt.get("error")]
                outcome.first_error = outcome.first_error or " ".join(errors)[:200]


def _winner(game: dict[str, Any]) -> str | None:
    """The model that a game's judgment prefers: `A>>B`, `A>B`, `A=B`, `B>A` or `B>>A`."""
    if "=" in game["judgment"]:
        return None
    winner: str = game["model_a" if game["judgment"].startswith("A") else "model_b"]
    return winner


def _review(pair: Pair, completion: str) -> dict[str, Any]:
    score = {"value": {"acc": 1.0}, "prediction": completion, "extracted_prediction": completion}
    messages = [{"role": "user", "content": pair.prompt}]
    sample_score = {"score": score, "sample_id": pair.number}
    return {"index": pair.number, "messages": messages, "sample_score": sample_score}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    write_evaluations(arguments)
    run_job(
        Outcome(version=version("evalscope"), asked=2 * len(arguments.pairs)),
        lambda outcome: judge_pairs(arguments, outcome),
    )
