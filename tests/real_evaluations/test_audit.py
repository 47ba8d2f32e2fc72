"""`bakeoff.audit` on real evaluations; G1 to G13 are the acceptance checks of stats.md."""

import csv
import gzip
import json
import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import evalica
import pytest

from bakeoff import Results, audit
from bakeoff.records import PairSummary
from bakeoff.stats.intervals import proportion
from tests.real_evaluations.data import expected, file, records, rows

_WINNERS = {
    "model_a": evalica.Winner.X,
    "model_b": evalica.Winner.Y,
    "tie": evalica.Winner.Draw,
}


def alpaca(model: str, tmp_path: Path) -> Path:
    """The compact judgments in the format of AlpacaEval, without texts."""
    annotations = [
        {
            "instruction": f"instruction {row['index']}",
            "generator_1": "gpt4_1106_preview",
            "generator_2": row["model"],
            "preference": float(row["preference"]),
            "annotator": "weighted_alpaca_eval_gpt4_turbo",
        }
        for row in rows("alpaca_eval/judgments_compact.csv.gz")
        if row["model"] == model
    ]
    path = tmp_path / f"{model}.json"
    path.write_text(json.dumps(annotations))
    return path


def only_pair(results: Results) -> PairSummary:
    (pair,) = results.summary.pairs
    return pair


def pair_of(results: Results, a: str, b: str) -> PairSummary:
    return next(pair for pair in results.summary.pairs if {pair.a, pair.b} == {a, b})


def test_g1_alpaca_eval_claude_2() -> None:
    pair = only_pair(audit([file("alpaca_eval/annotations_claude-2.json.gz")]))
    published = expected()["alpaca_eval"]["claude-2"]
    assert (pair.a, pair.b, pair.prompts) == ("claude-2", "gpt4_1106_preview", 805)
    assert (pair.wins, pair.losses, pair.ties) == (131, 673, 1)
    assert pair.published is not None
    assert 100 * pair.published.estimate == pytest.approx(17.188240, abs=1e-5)
    assert 100 * pair.published.se == pytest.approx(1.174828, abs=1e-5)  # type: ignore[operator]
    interval = (100 * pair.published.low, 100 * pair.published.high)
    assert interval == pytest.approx(published["ci95_t"], abs=0.05)
    decisive = proportion(pair.wins, pair.wins + pair.losses)
    assert decisive is not None
    wilson = (decisive.low, decisive.high)
    assert wilson == pytest.approx(published["wilson95_wins_over_decisive"], abs=1e-6)
    assert pair.published_test is not None
    assert pair.published_test.p == pytest.approx(published["sign_test_p"], rel=1e-6)
    # The order was drawn at random: the win rate that decides weights both orders equally.
    assert pair.win_rate is not None
    assert 100 * pair.win_rate.estimate == pytest.approx(17.21, abs=0.02)
    assert "both orders of presentation have equal weights" in pair.published_differs
    # The judge is of the winner's family, but 83 % is more than such a preference explains.
    assert (pair.outcome, [r.kind for r in pair.reasons]) == ("worse", [])
    assert "own family" in [flag.kind for flag in pair.flags]


def test_g4_random_order_of_alpaca_eval_shows_position_bias() -> None:
    order = only_pair(audit([file("alpaca_eval/annotations_claude-2.json.gz")])).order
    assert order.identified == "random order"
    assert order.effect is not None
    assert order.balanced is not None
    assert 100 * order.effect.estimate == pytest.approx(-16.13, abs=0.02)
    assert 100 * order.effect.se == pytest.approx(2.29, abs=0.02)  # type: ignore[operator]
    assert 100 * order.balanced.estimate == pytest.approx(17.21, abs=0.02)


def test_g2_interval_that_contains_half_is_no_win(tmp_path: Path) -> None:
    pair = only_pair(audit([alpaca("FuseChat-Llama-3.2-3B-Instruct", tmp_path)]))
    assert pair.win_rate is not None
    assert 100 * pair.win_rate.estimate == pytest.approx(51.2967, abs=1e-3)
    assert 100 * pair.win_rate.se == pytest.approx(1.4826, abs=1e-3)  # type: ignore[operator]
    assert (pair.wins, pair.losses, pair.ties) == (424, 378, 3)
    assert pair.win_rate.low < 0.5 < pair.win_rate.high
    assert pair.outcome == "withheld"  # no column records the order
    assert [reason.kind for reason in pair.reasons] == ["order not recorded"]


def test_g2_difference_of_two_models_over_their_baseline(tmp_path: Path) -> None:
    files = [
        alpaca(f"FuseChat-{name}-Instruct", tmp_path) for name in ("Gemma-2-9B", "Llama-3.2-3B")
    ]
    (difference,) = audit(files).summary.baseline_differences
    published = difference.published
    assert published is not None
    assert difference.prompts == 805
    sign = 1 if "Gemma" in difference.a else -1
    assert 100 * sign * published.estimate == pytest.approx(19.2005, abs=1e-3)
    assert 100 * published.se == pytest.approx(1.4174, abs=1e-3)  # type: ignore[operator]
    assert difference.outcome == "withheld"  # no column records the order


def test_g3_model_against_itself_is_equivalent(tmp_path: Path) -> None:
    results = audit([alpaca("gpt4_1106_preview", tmp_path)], out=tmp_path / "out")
    pair = only_pair(results)
    assert (pair.a, pair.b) == ("gpt4_1106_preview", "gpt4_1106_preview (2)")
    assert (pair.wins, pair.losses, pair.ties) == (0, 0, 805)
    assert pair.win_rate is not None
    assert (pair.win_rate.estimate, pair.win_rate.se) == (0.5, 0)
    assert pair.decisive_win_rate is None
    assert (pair.test.p, pair.outcome) == (1.0, "equivalent")  # type: ignore[union-attr]
    assert pair.verdict.startswith("No difference")
    assert "NaN" not in (tmp_path / "out/results.json").read_text()
    html = (tmp_path / "out/report.html").read_text()
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert "nan" not in shown.lower().replace("nano", "")


@pytest.mark.parametrize("name", ["MT-Bench", "Natural", "Adversarial-Neighbor"])
@pytest.mark.parametrize("judge", ["ChatGPT", "GPT-4"])
def test_g6_two_orders_of_llmbar(name: str, judge: str, tmp_path: Path) -> None:
    published = expected()["llmbar"][f"{name}|{judge}|Vanilla_NoRules"]
    table = []
    for row in rows("llmbar/judgments.csv.gz"):
        if (row["set"], row["judge"], row["strategy"]) == (name, judge, "Vanilla_NoRules"):
            for order, winner in (("12", row["winner_order12"]), ("21", row["winner_order21"])):
                good = "good" if winner == row["label"] else "bad"
                first = "good" if (row["label"] == "1") == (order == "12") else "bad"
                table.append([row["i"], "good", "bad", good, first, judge])
    path = tmp_path / "llmbar.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["prompt_id", "model_a", "model_b", "winner", "first", "judge"], *table]
        )
    pair = only_pair(audit([path]))
    n, effect = published["n"], pair.order
    assert pair.prompts == n
    assert round(n * (pair.consistency or 0)) == published["agree"]
    assert pair.wins == published["correct_both"]
    assert pair.win_rate is not None
    assert 100 * pair.win_rate.estimate == pytest.approx(published["accuracy_avg_pct"])
    assert effect.identified == "both orders"
    twice = (effect.first_twice, effect.second_twice)
    assert twice == (
        published["inconsistent_prefers_first"],
        published["inconsistent_prefers_second"],
    )
    assert effect.p == pytest.approx(published["position_mcnemar_exact_p"], rel=1e-6)
    assert effect.pick_first is not None
    assert effect.pick_first.estimate == pytest.approx(published["first_position_pick_rate"])


def test_g8_human_labels_of_pandalm_with_holm_over_ten_pairs() -> None:
    results = audit([file("pandalm/testset_text.jsonl.gz")])
    published = expected()["pandalm"]["pairs_human_majority"]
    assert len(results.summary.pairs) == len(published) == 10
    for names, numbers in published.items():
        a, b = names.split(" vs ")
        pair = pair_of(results, a, b)
        counts = (pair.wins, pair.losses) if pair.a == a else (pair.losses, pair.wins)
        assert (*counts, pair.ties) == (numbers["win"], numbers["lose"], numbers["tie"])
        assert pair.published_test is not None
        assert pair.published_test.p == pytest.approx(numbers["sign_p"], abs=1e-6)
    llama = pair_of(results, "llama-7b", "bloom-7b")
    assert sorted((llama.wins, llama.losses, llama.ties)) == [11, 28, 72]
    # Six rows contain a boolean instead of a completion: two failures; their human labels count.
    mute = [failure for failure in results.failures if failure.kind == "not text"]
    assert {(failure.stage, failure.raw) for failure in mute} == {("completion", "True")}
    assert sum(pair.accounting.judged for pair in results.summary.pairs) == 3 * 999


def test_g11_pointwise_scores() -> None:
    results = audit([file("arena_hard/arena_bench_v1_scores.csv.gz")])
    pair = pair_of(results, "claude-2.1", "claude-2")
    assert (pair.a, pair.prompts, pair.order.identified) == ("claude-2", 298, "order-free")
    assert (pair.accounting.asked, pair.accounting.failed_by_kind) == (300, {"missing": 2})
    assert (pair.losses, pair.wins, pair.ties) == (100, 97, 101)
    assert pair.score_difference is not None
    value = pair.score_difference.value
    assert 10 * value.estimate == pytest.approx(0.3020, abs=1e-3)
    assert 10 * value.se == pytest.approx(0.1696, abs=1e-3)  # type: ignore[operator]
    assert (10 * value.low, 10 * value.high) == pytest.approx((-0.032, 0.636), abs=1e-3)
    assert pair.outcome == "not enough data"
    newer = pair_of(results, "gpt-4-1106-preview", "gpt-4-0314")
    assert newer.score_difference is not None
    value = newer.score_difference.value
    sign = 1 if newer.a == "gpt-4-1106-preview" else -1
    assert 10 * sign * value.estimate == pytest.approx(0.3186, abs=1e-3)
    assert sorted(abs(10 * edge) for edge in (value.low, value.high)) == pytest.approx(
        [0.047, 0.590], abs=1e-3
    )


def repeat_files(prefix: str, text: str, tmp_path: Path) -> list[Path]:
    """A file per run of the comparison script, in its format."""
    document = json.loads(_unzipped(file(text)))
    winners: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows("open_r1_impute/winners.csv.gz"):
        if row["run"].startswith(prefix):
            winners[row["run"]][int(row["i"])] = row["winner"]
    paths = []
    for run, by_prompt in winners.items():
        repeats: list[dict[str, Any]] = [dict(result) for result in document["results"]]
        for i, winner in by_prompt.items():
            repeats[i]["winner"] = winner
        paths.append(tmp_path / f"{run}.json")
        paths[-1].write_text(json.dumps(document | {"results": repeats}))
    return paths


def _unzipped(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def test_g12_ten_repeats_of_100_prompts_are_withheld(tmp_path: Path) -> None:
    files = repeat_files("g4", "open_r1_impute/g4-rep1.json.gz", tmp_path)
    assert len(files) == 10
    pair = only_pair(audit(files))
    published = expected()["open_r1_impute"]["gpt4_10_repeats"]
    assert (pair.prompts, pair.accounting.judged) == (100, 1000)
    assert pair.published is not None
    assert 100 * pair.published.estimate == pytest.approx(81.4)
    assert 100 * pair.published.se == pytest.approx(3.74, abs=0.005)  # type: ignore[operator]
    interval = (100 * pair.published.low, 100 * pair.published.high)
    assert interval == pytest.approx(published["ci95_cluster_t"], abs=1e-3)
    assert (pair.outcome, [r.kind for r in pair.reasons]) == ("withheld", ["one order"])
    assert "gpt-4 always saw" in pair.verdict
    (agreement,) = pair.agreement
    assert agreement.share == pytest.approx(0.92)
    assert agreement.alpha is not None
    assert agreement.alpha.estimate == pytest.approx(0.91, abs=0.005)
    assert pair.thinking is not None
    assert pair.thinking.rate_only_b is not None
    assert pair.thinking.rate_only_a is not None
    assert pair.thinking.rate_only_b.estimate > 0.95 > 0.65 > pair.thinking.rate_only_a.estimate


def test_files_of_several_judges_are_one_evaluation(tmp_path: Path) -> None:
    files = repeat_files("g4", "open_r1_impute/g4-rep1.json.gz", tmp_path)
    files += repeat_files("cl", "open_r1_impute/cl-rep1.json.gz", tmp_path)
    pair = only_pair(audit(files))
    rates = {judge.judge: round(100 * judge.win_rate.estimate, 1) for judge in pair.judges}
    assert rates == {"gpt-4": 81.4, "claude-3-5-sonnet-20241022": 49.0}
    assert (pair.prompts, pair.accounting.judged) == (100, 1600)
    assert {reason.kind for reason in pair.reasons} == {"one order", "judges disagree"}
    by_repeat = {
        agreement.raters[0].split(",")[0]: agreement.share for agreement in pair.agreement[1:]
    }
    assert by_repeat == pytest.approx({"gpt-4": 0.92, "claude-3-5-sonnet-20241022": 1.0})


def test_g13_rows_of_a_question_are_one_cluster() -> None:
    path = file("arena_hard/arena_hard_battles_57a9881.jsonl.gz")
    clustered = audit([path], columns={"cluster": "question_id"})
    for names, published in expected()["arena_hard_battles"].items():
        a, b = names.split(" vs ")
        pair = pair_of(clustered, a, b)
        assert (pair.prompts, pair.clusters) == (published["rows"], 100)
        assert pair.published is not None
        assert 100 * pair.published.estimate == pytest.approx(published["win_rate"])
        assert 100 * pair.published.se == pytest.approx(published["cluster_se"])  # type: ignore[operator]
        assert pair.published.n == 100
    averaged = pair_of(audit([path]), "claude-3-haiku-20240307", "gpt-4o")
    assert (averaged.prompts, averaged.clusters) == (100, None)


@pytest.mark.parametrize("name", ["food", "simple"])
def test_g10_ratings_of_evalica_examples_with_ties(name: str) -> None:
    """Rows without orders and prompts: Davidson strengths of independent battles."""
    known = expected()["evalica"][name]
    summary = audit([file(f"evalica/{name}.csv")]).summary
    strengths = {rating.model: rating.strength.estimate for rating in summary.published_ratings}
    assert strengths == pytest.approx(known["davidson_log_strength"], abs=1e-3)
    assert summary.published_rating_model is not None
    assert summary.published_rating_model.tie_parameter == pytest.approx(
        known["davidson_nu"], abs=1e-3
    )
    assert (
        summary.published_rating_model.first_advantage,
        summary.published_rating_model.components,
    ) == (None, 1)
    if name == "food":
        assert (summary.published_ratings[0].model, round(strengths["Tacos"], 4)) == (
            "Tacos",
            0.9971,
        )
        assert round(summary.published_rating_model.tie_parameter or 0, 4) == 0.1573
    # The files do not record which completion was shown first: no model is ranked.
    assert (summary.ratings, summary.rating_model) == ((), None)
    assert summary.ratings_withheld
    assert {rating.ranks for rating in summary.published_ratings} == {None}


def test_g13_ratings_of_arena_hard_match_evalica_clustered_by_question() -> None:
    path = file("arena_hard/arena_hard_battles_57a9881.jsonl.gz")
    rows = records("arena_hard/arena_hard_battles_57a9881.jsonl.gz")
    summary = audit([path], columns={"cluster": "question_id"}).summary
    result = evalica.newman(
        [row["model_a"] for row in rows],
        [row["model_b"] for row in rows],
        [_WINNERS[row["winner"]] for row in rows],
        tolerance=1e-12,
        limit=100_000,
    )
    logs = {model: math.log(score) for model, score in result.scores.items()}
    mean = sum(logs.values()) / len(logs)
    theirs = {str(model): value - mean for model, value in logs.items()}
    assert {
        rating.model: rating.strength.estimate for rating in summary.published_ratings
    } == pytest.approx(theirs, abs=2e-3)
    assert summary.published_rating_model is not None
    assert summary.published_rating_model.tie_parameter == pytest.approx(2 * result.v, abs=1e-3)
    assert (summary.published_rating_model.prompts, summary.published_rating_model.clusters) == (
        len(rows),
        100,
    )
    haiku = summary.published_ratings[-1]
    assert (haiku.model, haiku.strength.n) == ("claude-3-haiku-20240307", 100)
    averaged = audit([path]).summary
    assert [rating.model for rating in averaged.published_ratings][-1] == haiku.model
    assert averaged.published_rating_model is not None
    model = averaged.published_rating_model
    assert (model.prompts, model.clusters) == (100, None)


def test_llm_comparator_example_is_audited() -> None:
    pair = only_pair(audit([file("llm_comparator/example_tiny.json")]))
    assert (pair.prompts, pair.accounting.judged) == (5, 8)
    assert [reason.kind for reason in pair.reasons] == ["few prompts", "order not recorded"]
    assert "4 of 8 verdicts do not record" in pair.verdict
