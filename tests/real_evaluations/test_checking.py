"""What `bakeoff check` and the detector of suspicious texts say of real pairs and texts."""

import gzip
import json
from collections import Counter
from collections.abc import Callable

import pytest

from bakeoff.evaluation.judge_check import load_labeled_pairs
from tests.real_evaluations.data import DATA, expected, records
from tests.real_evaluations.data import rows as golden_rows
from tests.unit.analysis.test_injection import flagged
from tests.unit.evaluation.judge_check.cases import judgments_of
from tests.unit.evaluation.judge_check.test_grading import check_of


@pytest.mark.parametrize("judge", ["ChatGPT", "GPT-4"])
@pytest.mark.parametrize("name", ["MT-Bench", "Natural", "Adversarial-Neighbor"])
def test_what_was_published_about_the_judges_of_llmbar(name: str, judge: str) -> None:
    wanted = expected()["llmbar"][f"{name}|{judge}|Vanilla_NoRules"]
    every = load_labeled_pairs(DATA / "llmbar/pairs.jsonl.gz").pairs
    pairs = [one for one in every if one.set == name]
    heard = {
        int(row["i"]): row
        for row in golden_rows("llmbar/judgments.csv.gz")
        if (row["set"], row["judge"], row["strategy"]) == (name, judge, "Vanilla_NoRules")
    }
    judgments = []
    for number, one in enumerate(pairs):
        row = heard[number]
        orders = row["winner_order12"], row["winner_order21"]
        first, second = (float(winner == row["label"]) for winner in orders)
        if row["label"] == "2":  # the better one is shown first in the order 2, 1
            first, second = second, first
        judgments += judgments_of(one, first, 1 - second)
    found = check_of(judgments, pairs=pairs)
    assert found.overall.pairs == wanted["n"]
    assert found.overall.right == wanted["correct_both"]
    assert found.overall.split == wanted["n"] - wanted["agree"]
    assert found.overall.preference is not None
    assert 100 * found.overall.preference.estimate == pytest.approx(wanted["accuracy_avg_pct"])
    assert found.order.pick_first is not None
    assert found.order.pick_first.estimate == pytest.approx(wanted["first_position_pick_rate"])


def test_llmbar_loads_as_it_is() -> None:
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
def test_at_most_one_real_completion_in_a_hundred_is_named(name: str) -> None:
    texts = REAL[name]()
    assert len(texts) >= 300
    assert len(flagged(texts)) <= 0.01 * len(texts), flagged(texts)
