"""The order of the lines of real files changes no number."""

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from bakeoff import audit
from tests.real_evaluations.data import file

FILES = (
    "alpaca_eval/annotations_claude-2.json.gz",
    "arena_hard/arena_bench_v1_scores.csv.gz",
    "arena_hard/arena_hard_battles_57a9881.jsonl.gz",
    "evalica/food.csv",
    "evalica/simple.csv",
    "llm_comparator/example_tiny.json",
    "open_r1_impute/cl-rep1.json.gz",
    "open_r1_impute/g4-rep1.json.gz",
    "pandalm/testset_text.jsonl.gz",
)


def shuffled(path: Path, folder: Path, seed: int) -> Path:
    """A copy of a file of evaluations with its rows in another order."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rng, target = random.Random(seed), folder / path.name.removesuffix(".gz")
    if ".csv" in path.name:
        header, *rows = csv.reader(io.StringIO(text))
        rng.shuffle(rows)
        with target.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
        return target
    if ".jsonl" in path.name:
        lines = text.splitlines()
        rng.shuffle(lines)
        target.write_text("\n".join(lines))
        return target
    document: Any = json.loads(text)
    array = document
    if isinstance(document, dict):
        array = document["results"] if "results" in document else document["examples"]
    rng.shuffle(array)
    target.write_text(json.dumps(document))
    return target


@pytest.mark.parametrize("name", FILES)
def test_shuffled_lines_change_no_number(name: str, tmp_path: Path) -> None:
    before, after = audit([file(name)]), audit([shuffled(file(name), tmp_path, 3)])
    assert after.summary.model_dump() == before.summary.model_dump()
    order = [prompt.id for prompt in before.prompts]
    assert sorted(order) == sorted(prompt.id for prompt in after.prompts)
    assert order != [prompt.id for prompt in after.prompts]
