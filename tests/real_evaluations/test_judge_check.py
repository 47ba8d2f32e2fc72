"""The judge check and the injection detector on real pairs and texts."""

import gzip
import json
from collections import Counter
from collections.abc import Callable

import pytest

from bakeoff.evaluation.judge_check import load_labeled_pairs
from tests.real_evaluations import DATA
from tests.real_evaluations.data import expected, records
from tests.real_evaluations.data import rows as data_rows
from tests.unit.analysis.test_injection import flagged
from tests.unit.evaluation.judge_check.builders import judgments_of
from tests.unit.evaluation.judge_check.test_grading import check_of


@pytest.mark.parametrize("judge", ["ChatGPT", "GPT-4"])
@pytest.mark.parametrize("name", ["MT-Bench", "Natural", "Adversarial-Neighbor"])
def test_judge_check_matches_published_llmbar_numbers(name: str, judge: str) -> None:
    published = expected()["llmbar"][f"{name}|{judge}|Vanilla_NoRules"]
    all_pairs = load_labeled_pairs(DATA / "llmbar/pairs.jsonl.gz").pairs
    pairs = [pair for pair in all_pairs if pair.set == name]
    row_by_index = {
        int(row["i"]): row
        for row in data_rows("llmbar/judgments.csv.gz")
        if (row["set"], row["judge"], row["strategy"]) == (name, judge, "Vanilla_NoRules")
    }
    judgments = []
    for number, pair in enumerate(pairs):
        row = row_by_index[number]
        orders = row["winner_order12"], row["winner_order21"]
        first, second = (float(winner == row["label"]) for winner in orders)
        if row["label"] == "2":  # the better completion is first in the order 2, 1
            first, second = second, first
        judgments += judgments_of(pair, first, 1 - second)
    result = check_of(judgments, pairs=pairs)
    assert result.overall.pairs == published["n"]
    assert result.overall.right == published["correct_both"]
    assert result.overall.split == published["n"] - published["agree"]
    assert result.overall.preference is not None
    assert 100 * result.overall.preference.estimate == pytest.approx(published["accuracy_avg_pct"])
    assert result.order.pick_first is not None
    assert result.order.pick_first.estimate == pytest.approx(published["first_position_pick_rate"])


def test_llmbar_pairs_are_loaded() -> None:
    known = load_labeled_pairs(DATA / "llmbar/pairs.jsonl.gz")
    assert known.available == len(known.pairs) == 885
    sizes = Counter(pair.set for pair in known.pairs)
    assert (sizes["Natural"], sizes["MT-Bench"], sizes["LLMEval2"]) == (100, 200, 200)
    assert (sizes["Adversarial-Neighbor"], sizes["FairEval"]) == (134, 66)
    for row, pair in zip(records("llmbar/pairs.jsonl.gz"), known.pairs, strict=True):
        assert pair.better == row[f"output_{row['label']}"]
        assert pair.worse == row[f"output_{3 - row['label']}"]
        assert pair.prompt.messages[-1].content == row["input"]


def alpaca_eval() -> list[str]:
    raw = gzip.decompress((DATA / "alpaca_eval/annotations_claude-2.json.gz").read_bytes())
    return [row[key] for row in json.loads(raw) for key in ("output_1", "output_2")]


def llmbar() -> list[str]:
    rows = records("llmbar/pairs.jsonl.gz")
    return [row[key] for row in rows for key in ("output_1", "output_2")]


def pandalm() -> list[str]:
    rows = records("pandalm/testset_text.jsonl.gz")
    texts = [row[key] for row in rows for key in ("response1", "response2")]
    return [text for text in texts if isinstance(text, str)]  # six are JSON booleans


def open_r1_impute() -> list[str]:
    texts = []
    for judge in ("cl", "g4"):
        path = DATA / f"open_r1_impute/{judge}-rep1.json.gz"
        for row in json.loads(gzip.decompress(path.read_bytes()))["results"]:
            texts += [row["model1_completion"], row["model2_completion"]]
    return texts


REAL: dict[str, Callable[[], list[str]]] = {
    read.__name__: read for read in (alpaca_eval, llmbar, pandalm, open_r1_impute)
}


@pytest.mark.parametrize("name", REAL)
def test_at_most_one_percent_of_real_completions_are_flagged(name: str) -> None:
    texts = REAL[name]()
    assert len(texts) >= 300
    assert len(flagged(texts)) <= 0.01 * len(texts), flagged(texts)
