"""The functions of `bakeoff.stats` on real evaluations."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from bakeoff.analysis.verdict import interval_outcome
from bakeoff.stats.agreement import cohen_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.alpaca_eval import GRID, bootstrap_se, length_controlled_win_rate
from bakeoff.stats.bias import order_effect
from bakeoff.stats.calibration import ppi_plus_plus
from bakeoff.stats.intervals import cluster_t_interval, proportion, t_interval, win_rate
from bakeoff.stats.power import detectable_effect, difference_sd, prompts_needed, z_sum
from bakeoff.stats.ratings import PairwiseOutcomes
from bakeoff.stats.sequential import anytime_test, mean_confidence_sequence, sign_e_process
from bakeoff.stats.tests import holm, mcnemar, sign_test
from tests.real_evaluations.data import alpaca, alpaca_inputs, expected, records, rows
from tests.unit.stats.checks import same, sound
from tests.unit.stats.test_alpaca_eval import own_rows
from tests.unit.stats.test_confidence_sequences import first_decision, log_wealth_at_each_look
from tests.unit.stats.test_ratings import fit, log_strengths


@pytest.mark.parametrize(
    "model", ["claude-2", "FuseChat-Llama-3.2-3B-Instruct", "FuseChat-Gemma-2-9B-Instruct"]
)
def test_win_rates_and_standard_errors_match_alpaca_eval(model: str) -> None:
    known = expected()["alpaca_eval"][model]
    estimate = win_rate(alpaca(model)[0])
    assert 100 * estimate.estimate == pytest.approx(known["win_rate"], abs=1e-5)
    assert estimate.se is not None
    assert 100 * estimate.se == pytest.approx(known["standard_error"], abs=1e-5)
    published = cluster_t_interval(alpaca(model)[0], None)
    assert (published.estimate, published.se) == (estimate.estimate, estimate.se)
    assert [100 * published.low, 100 * published.high] == pytest.approx(known["ci95_t"], abs=0.05)
    assert (published.n, published.method) == (805, "t")
    # The interval that decides is centred a little nearer to 50 %, and as wide.
    widths = estimate.high - estimate.low, published.high - published.low
    assert widths[0] == pytest.approx(widths[1], rel=0.02)


def test_interval_of_an_even_match_contains_half() -> None:
    estimate = win_rate(alpaca("FuseChat-Llama-3.2-3B-Instruct")[0])
    assert 100 * estimate.estimate == pytest.approx(51.2967, abs=1e-4)
    assert estimate.low < 0.5 < estimate.high


def test_model_against_itself_has_rate_half_and_no_error() -> None:
    estimate = win_rate(alpaca("gpt4_1106_preview")[0])
    assert (estimate.estimate, estimate.se, estimate.n) == (0.5, 0, 805)
    assert estimate.low < 0.5 < estimate.high
    assert sound(estimate)


def test_paired_difference_of_models_with_a_common_baseline() -> None:
    (name, known), *_ = expected()["alpaca_eval_paired"].items()
    first, second = (alpaca(model)[0] for model in name.split(" - "))
    estimate = t_interval(100 * (first - second))
    assert estimate.estimate == pytest.approx(known["diff"], abs=1e-3)
    assert estimate.se == pytest.approx(known["paired_se"], abs=1e-3)
    assert [estimate.low, estimate.high] == pytest.approx(known["ci95_t"], abs=1e-3)


@pytest.mark.parametrize(
    "pair", ["claude-2.1 - claude-2", "gpt-4-1106-preview - gpt-4-0314"], ids=["claude", "gpt"]
)
def test_score_differences_of_arena_bench(pair: str) -> None:
    known = expected()["arena_bench_v1"]["pairs"][pair]
    scores_by_model: dict[str, dict[str, float]] = {}
    for row in rows("arena_hard/arena_bench_v1_scores.csv.gz"):
        if row["score"]:
            scores_by_model.setdefault(row["model"], {})[row["question_id"]] = float(row["score"])
    first, second = (scores_by_model[model] for model in pair.split(" - "))
    both = sorted(first.keys() & second.keys())
    estimate = t_interval(np.array([first[question] - second[question] for question in both]))
    assert estimate.n == known["n"]
    assert estimate.estimate == pytest.approx(known["diff"], abs=1e-6)
    assert estimate.se == pytest.approx(known["paired_se"], abs=1e-6)
    assert [estimate.low, estimate.high] == pytest.approx(known["ci95_t"], abs=1e-6)


def test_ten_repeats_of_100_prompts_are_100_prompts() -> None:
    known = expected()["open_r1_impute"]["gpt4_10_repeats"]
    judged = [row for row in rows("open_r1_impute/winners.csv.gz") if row["judge"] == "gpt-4"]
    (text, _), *_ = Counter(row["completions_hash"] for row in judged).most_common(1)
    repeated = [row for row in judged if row["completions_hash"] == text]
    values = np.array(
        [{"model1": 1.0, "model2": 0.0, "tie": 0.5}[row["winner"]] for row in repeated]
    )
    prompts = np.array([int(row["i"]) for row in repeated])
    assert len(values) == known["judgments"]
    estimate = win_rate(values, prompts)
    assert estimate.n == 100
    assert estimate.se is not None
    assert 100 * estimate.estimate == pytest.approx(known["win_rate_model1"], abs=1e-9)
    assert 100 * estimate.se == pytest.approx(known["cluster_se"], abs=1e-6)
    published = cluster_t_interval(values, prompts)
    assert [100 * published.low, 100 * published.high] == pytest.approx(
        known["ci95_cluster_t"], abs=1e-6
    )
    naive = win_rate(values).se
    assert naive is not None
    assert 100 * naive == pytest.approx(known["naive_se"], abs=1e-6)
    means = np.bincount(prompts, values) / np.bincount(prompts)
    assert same(win_rate(means), estimate)


def test_battles_are_clustered_by_question() -> None:
    for pair, known in expected()["arena_hard_battles"].items():
        battles = [
            row
            for row in records("arena_hard/arena_hard_battles_57a9881.jsonl.gz")
            if f"{row['model_a']} vs {row['model_b']}" == pair
        ]
        values = np.array([{"model_a": 1.0, "model_b": 0.0}.get(b["winner"], 0.5) for b in battles])
        estimate = win_rate(values, np.array([battle["question_id"] for battle in battles]))
        assert (len(values), estimate.n) == (known["rows"], known["questions"])
        assert estimate.se is not None
        assert 100 * estimate.estimate == pytest.approx(known["win_rate"], abs=1e-6)
        assert 100 * estimate.se == pytest.approx(known["cluster_se"], abs=1e-6)


def test_small_samples() -> None:
    known = expected()["small"]
    assert sign_test(55, 45).p == pytest.approx(known["sign_test_55_45"], abs=1e-9)
    assert sign_test(15, 5).p == pytest.approx(known["sign_test_15_5"], abs=1e-9)
    assert mcnemar(10, 2).p == pytest.approx(known["mcnemar_exact_b10_c2"], abs=1e-9)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(known["holm_[.01,.04,.03,.005]"])


def test_pandalm_pairs_by_majority_of_human_labels() -> None:
    counts: dict[str, list[int]] = {}
    for row in rows("pandalm/labels.csv.gz"):
        models = row["model_1"], row["model_2"]
        votes = [row[f"human{i}"] for i in (1, 2, 3)]
        kind = {"1": 0, "2": 1, "0": 2}[max("012", key=votes.count)]
        if models[0] > models[1] and kind < 2:
            kind = 1 - kind
        counts.setdefault(" vs ".join(sorted(models)), [0, 0, 0])[kind] += 1
    known = expected()["pandalm"]["pairs_human_majority"]
    assert counts == {name: [k["win"], k["lose"], k["tie"]] for name, k in known.items()}
    ps = [sign_test(*counts[name][:2]).p for name in known]
    assert ps == pytest.approx([k["sign_p"] for k in known.values()], abs=1e-9)
    assert holm(ps) == pytest.approx([k["holm_p"] for k in known.values()], abs=1e-6)


def test_sign_test_on_alpaca_eval() -> None:
    for known in expected()["alpaca_eval"].values():
        tested = sign_test(known["n_wins"], known["n_wins_base"])
        assert tested.p == pytest.approx(known["sign_test_p"], rel=1e-6)


def test_power_matches_miller_example() -> None:
    known = expected()["small"]
    n = known["miller_n_omega2=1/9_delta=.03_a=.05_power=.8"]
    assert (z_sum() * difference_sd(1 / 9) / 0.03) ** 2 == pytest.approx(n, abs=1e-6)
    assert prompts_needed(difference_sd(1 / 9), 0.03) == 969
    effect = known["mde_n=100_winrate_no_ties_sd=.5"]
    assert detectable_effect(0.5 / 10) == pytest.approx(effect, abs=1e-9)
    assert detectable_effect(1.0) == pytest.approx(known["mde_n=805_claude2_se=1.0"], abs=1e-9)


@pytest.mark.parametrize("model", ["claude-2", "gpt-3.5-turbo-1106_concise"])
def test_alpaca_eval_judge_prefers_the_second_position(model: str) -> None:
    known = expected()["alpaca_eval"][model]["position"]
    preferences, prompts, shown_first, _ = alpaca(model)
    known_order = ~np.isnan(shown_first)
    effect = order_effect(
        preferences[known_order], prompts[known_order], shown_first[known_order] == 1
    )
    assert effect.identified == "random order"
    assert effect.effect.n == known["n"]
    assert 100 * effect.effect.estimate == pytest.approx(known["first_minus_second"], abs=1e-6)
    assert 100 * effect.effect.se == pytest.approx(known["se"], abs=0.02)
    balanced = 100 * effect.balanced.estimate
    assert balanced == pytest.approx(known["order_balanced_win_rate"], abs=1e-6)
    assert effect.shown_first == pytest.approx(known["n_first"] / known["n"])
    for side, name in ((1, "first"), (-1, "second")):
        rate = balanced + side * 50 * effect.effect.estimate
        assert rate == pytest.approx(known[f"win_rate_shown_{name}"], abs=1e-6)


def test_order_effect_of_llmbar_judges() -> None:
    assert len(expected()["llmbar"]) == 8
    for name, known in expected()["llmbar"].items():
        judged = [
            row
            for row in rows("llmbar/judgments.csv.gz")
            if f"{row['set']}|{row['judge']}|{row['strategy']}" == name
        ]
        picks = np.array([(row["winner_order12"], row["winner_order21"]) for row in judged])
        gold = np.array([row["label"] for row in judged])
        n = known["n"]
        effect = order_effect(
            (picks == "1").astype(float).ravel(), np.repeat(np.arange(n), 2), np.tile([1, 0], n) > 0
        )
        assert effect.identified == "both orders"
        assert effect.first_twice == known["inconsistent_prefers_first"]
        assert effect.second_twice == known["inconsistent_prefers_second"]
        assert n - effect.first_twice - effect.second_twice == known["agree"]
        assert effect.p == pytest.approx(known["position_mcnemar_exact_p"], rel=1e-9)
        assert effect.p == sign_test(effect.first_twice, effect.second_twice).p
        pick_first = effect.pick_first.estimate
        assert pick_first == pytest.approx(known["first_position_pick_rate"], abs=1e-9)

        correct = (picks == gold[:, None]).astype(float)
        assert correct.sum(axis=0).tolist() == [known["correct_order12"], known["correct_order21"]]
        accuracy = win_rate(correct.mean(axis=1)).estimate
        assert accuracy == pytest.approx(known["swap_averaged_score_vs_gold"], abs=1e-9)
        both = proportion(int(correct.all(axis=1).sum()), n)
        assert both.estimate == known["correct_both"] / n
        assert [both.low, both.high] == pytest.approx(known["accuracy_ci95_wilson_both"], abs=1e-9)

        kappas = {
            "between_orders": picks,
            "vs_gold_order12": np.stack((picks[:, 0], gold), axis=1),
            "vs_gold_order21": np.stack((picks[:, 1], gold), axis=1),
        }
        for which, pair in kappas.items():
            kappa = cohen_kappa(pair.astype(float))
            assert kappa.estimate == pytest.approx(known[f"kappa_{which}"], abs=1e-9), which


def test_agreement_of_pandalm_labels_and_judge() -> None:
    known = expected()["pandalm"]
    raters = ["human1", "human2", "human3", "pandalm7b"]
    table = np.array([[float(row[r]) for r in raters] for row in rows("pandalm/labels.csv.gz")])
    for i, j in itertools.combinations(range(3), 2):
        name, pair = f"{raters[i]}-{raters[j]}", table[:, [i, j]]
        assert cohen_kappa(pair).estimate == pytest.approx(known["human_kappas"][name], abs=1e-4)
        assert gwet_ac1(pair).estimate == pytest.approx(known["human_ac1"][name], abs=1e-4)
    alpha = krippendorff_alpha(table[:, :3])
    assert alpha.estimate == pytest.approx(known["human_alpha_nominal"], abs=1e-4)
    assert sound(alpha)
    assert 0.83 < alpha.low < alpha.high < 0.9

    majority = [max((0.0, 1.0, 2.0), key=row.tolist().count) for row in table[:, :3]]
    judge = np.stack((majority, table[:, 3]), axis=1)
    assert cohen_kappa(judge).estimate == pytest.approx(known["pandalm7b"]["kappa"], abs=1e-4)
    assert gwet_ac1(judge).estimate == pytest.approx(known["pandalm7b"]["ac1"], abs=1e-4)


def from_table(path: str) -> tuple[PairwiseOutcomes, list[str]]:
    games = rows(path)
    names = sorted({row[side] for row in games for side in ("left", "right")})
    left, right = (
        np.array([names.index(row[side]) for row in games]) for side in ("left", "right")
    )
    values = np.array([{"left": 1.0, "right": 0.0, "tie": 0.5}[row["winner"]] for row in games])
    return PairwiseOutcomes(left, right, values, np.arange(len(games))), names


@pytest.mark.parametrize("name", ["food", "simple"])
def test_ratings_match_evalica_examples(name: str) -> None:
    known = expected()["evalica"][name]
    outcomes, names = from_table(f"evalica/{name}.csv")
    plain = fit(outcomes, len(names))
    published = [known["log_strength"][item] for item in names]
    assert log_strengths(plain) == pytest.approx(published, abs=1e-3)
    davidson = fit(outcomes, len(names), ties=True)
    published = [known["davidson_log_strength"][item] for item in names]
    assert log_strengths(davidson) == pytest.approx(published, abs=1e-3)
    assert davidson.tie_parameter == pytest.approx(known["davidson_nu"], abs=1e-3)


def test_ppi_with_200_pandalm_labels() -> None:
    known = expected()["pandalm"]["ppi_first200_pandalm7b"]["ppi_pp"]
    value_of = {"1": 1.0, "2": 0.0, "0": 0.5}
    table = rows("pandalm/labels.csv.gz")
    votes = [[row[f"human{i}"] for i in (1, 2, 3)] for row in table]
    labels = np.array([value_of[max("012", key=vote.count)] for vote in votes])
    judged = np.array([value_of[row["pandalm7b"]] for row in table])
    estimate = ppi_plus_plus(labels[:200], judged[:200], judged[200:])
    assert estimate.value.estimate == pytest.approx(known["estimate"], abs=1e-4)
    assert estimate.value.se == pytest.approx(known["se"], abs=1e-4)
    assert [estimate.value.low, estimate.value.high] == pytest.approx(known["ci95"], abs=1e-4)
    assert estimate.weight == pytest.approx(known["lam"], abs=1e-4)
    assert (estimate.labeled, estimate.unlabeled) == (200, 799)


@pytest.mark.parametrize(
    "model", ["claude-2", "FuseChat-Gemma-2-9B-Instruct", "FuseChat-Llama-3.2-3B-Instruct"]
)
def test_e_process_on_alpaca_eval_in_file_order(model: str) -> None:
    known = expected()["sequential_beta5"][model]
    values = alpaca(model)[0]
    look = sign_e_process(values)
    assert look.stopped == known["stop_n"]
    assert look.log_e[-1] == pytest.approx(known["log_e_final"], abs=1e-6)
    assert max(look.log_e) == pytest.approx(math.log(known["e_max"]), abs=1e-6)
    assert look.p == pytest.approx(1 / known["e_max"], rel=1e-6)
    if known["stop_n"]:
        until = values[: known["stop_n"]]
        assert [(until > 0.5).sum(), (until < 0.5).sum()] == known["wins_losses_at_stop"]


@pytest.mark.parametrize(
    ("model", "side"), [("claude-2", "worse"), ("FuseChat-Gemma-2-9B-Instruct", "better")]
)
def test_sequential_test_stops_early_on_alpaca_eval(model: str, side: str) -> None:
    values = alpaca(model)[0]
    decision = first_decision(values)
    assert decision is not None
    count, result = decision
    assert result == "different"
    assert interval_outcome(mean_confidence_sequence(values[:count]), 0.05) == side
    assert interval_outcome(mean_confidence_sequence(values), 0.05) == side
    by_signs = expected()["sequential_beta5"][model]["stop_n"]
    assert by_signs - 10 <= count <= by_signs + 10
    assert anytime_test(values).p < 1e-20


def test_sequential_test_of_similar_models_is_equivalent() -> None:
    values = alpaca("FuseChat-Llama-3.2-3B-Instruct")[0]
    count, result = first_decision(values) or (0, "")
    assert result == "equivalent"
    assert 700 < count < len(values)
    assert interval_outcome(mean_confidence_sequence(values[:count]), 0.05) == "equivalent"
    assert log_wealth_at_each_look(values, 0.5).max() < math.log(20)


def test_sequential_test_of_a_model_against_itself_is_equivalent() -> None:
    decision = first_decision(alpaca("gpt4_1106_preview")[0])
    assert decision is not None
    assert decision[1] == "equivalent"


MODELS = [
    "claude-2",
    "FuseChat-Gemma-2-9B-Instruct",
    "FuseChat-Llama-3.2-3B-Instruct",
    "gpt-3.5-turbo-1106_concise",
]


@pytest.mark.parametrize("model", MODELS)
def test_length_controlled_win_rates_match_alpaca_eval(model: str) -> None:
    known = expected()["alpaca_eval"][model]["length_controlled"]
    rows = alpaca_inputs(model)
    rate = length_controlled_win_rate(rows)
    assert 100 * rate.win_rate == pytest.approx(known["published"], abs=0.15)
    for name, c in (("C2.78", GRID[5]), ("C21.5", GRID[6]), ("C1e4", GRID[9])):
        fixed = length_controlled_win_rate(rows, c)
        assert 100 * fixed.win_rate == pytest.approx(known[name], abs=0.005), name
    bare = length_controlled_win_rate(own_rows(rows), GRID[6])
    assert 100 * bare.win_rate == pytest.approx(known["no_gamed_rows"], abs=0.15)


@pytest.mark.parametrize("model", list(MODELS[:3]))
def test_bootstrap_error_is_twice_the_published_one(model: str) -> None:
    known = expected()["lc_bootstrap_se_reference"][model]
    se = bootstrap_se(alpaca_inputs(model), 21.54)
    assert 100 * se == pytest.approx(known, abs=0.2)


def test_length_controlled_rate_of_the_baseline_is_half() -> None:
    rate = length_controlled_win_rate(alpaca_inputs("gpt4_1106_preview"))
    assert 100 * rate.win_rate == pytest.approx(50, abs=0.01)
