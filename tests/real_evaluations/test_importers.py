"""The importers on real files of each format."""

import csv
import gzip
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from bakeoff.importers.reader import read
from tests.real_evaluations.data import file
from tests.unit.importers.sample_files import counts_of


def test_alpaca_eval_order_is_known_for_all_rows_but_one() -> None:
    path = file("alpaca_eval/annotations_claude-2.json.gz")
    evidence = read([path]).evidence
    with gzip.open(file("alpaca_eval/judgments_compact.csv.gz"), "rt") as text:
        rows = [row for row in csv.DictReader(text) if row["model"] == "claude-2"]
    assert counts_of(evidence) == (805, 0)
    for judgment, row in zip(evidence.judgments, rows, strict=True):
        shown = str(int(judgment.first == "claude-2")) if judgment.presented == "recorded" else ""
        assert shown == row["model_shown_first"]
        first = judgment.verdict.first
        mine = first if judgment.first == "claude-2" else 1 - first
        assert mine == pytest.approx(float(row["preference"]) - 1)


def test_llm_comparator_example() -> None:
    evidence = read([file("llm_comparator/example_tiny.json")]).evidence
    assert evidence.models == ("ABC v0.6", "ABC v0.5")
    assert counts_of(evidence) == (8, 0)
    assert [j.presented for j in evidence.judgments].count("recorded") == 4


def test_pandalm_labels_and_boolean_completions() -> None:
    evidence = read([file("pandalm/testset_text.jsonl.gz")]).evidence
    assert counts_of(evidence) == (2997, 0)
    # Six rows but two completions: each was compared with three models.
    assert [(f.stage, f.participant, f.raw) for f in evidence.failures] == [
        ("completion", "bloom-7b", "True"),
        ("completion", "opt-7b", "True"),
    ]
    votes = defaultdict(list)
    for judgment in evidence.judgments:
        if (judgment.first, judgment.second) == ("bloom-7b", "llama-7b"):
            votes[judgment.prompt_id].append(1 - judgment.verdict.first)
    majority = Counter(Counter(of_three).most_common(1)[0][0] for of_three in votes.values())
    assert majority == {1: 72, 0: 28, 0.5: 11}


def test_pointwise_scores() -> None:
    evidence = read([file("arena_hard/arena_bench_v1_scores.csv.gz")]).evidence
    pair = {"claude-2.1", "claude-2"}
    assert sum({j.first, j.second} == pair for j in evidence.judgments) == 298
    assert sum({f.first, f.second} == pair for f in evidence.failures) == 2
    assert len(evidence.prompts) == 300


def test_arena_hard_battles() -> None:
    evidence = read([file("arena_hard/arena_hard_battles_57a9881.jsonl.gz")]).evidence
    assert counts_of(evidence) == (1348, 0)
    assert len(evidence.prompts) == 100
    assert evidence.models[0] == "claude-3-haiku-20240307"
    food = read([file("evalica/food.csv")]).evidence
    assert counts_of(food) == (30, 0)
    assert sum(j.verdict.first == 0.5 for j in food.judgments) == 2


def test_comparison_script_files(tmp_path: Path) -> None:
    paths = [file(f"open_r1_impute/{name}-rep1.json.gz") for name in ("g4", "cl")]
    formats, evidence = read([paths[0], paths[0], paths[1]])
    assert set(formats) == {"script"}
    assert len(evidence.prompts) == 100
    assert counts_of(evidence) == (300, 0)
    gpt = [j for j in evidence.judgments if j.judge == "gpt-4" and j.repeat == 0]
    assert [sum(j.verdict.first == p for j in gpt) for p in (1, 0, 0.5)] == [81, 17, 2]
    assert {(j.judge, j.sample, j.repeat) for j in evidence.judgments} == {
        ("gpt-4", 0, 0),
        ("gpt-4", 0, 1),
        ("claude-3-5-sonnet-20241022", 1, 0),  # other generations of the same models
    }
