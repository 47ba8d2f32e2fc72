"""Each check: what triggers it, what does not, and its figure in the message."""

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Judgment, Scores
from tests.unit.analysis.builders import (
    both,
    evidence,
    failure,
    judgment,
    pair,
    prompt,
    reasons,
    sentences,
    texts,
    won,
)


def test_flips_of_few_prompts_in_both_orders_do_not_withhold() -> None:
    flipped = [judgment(n, model, 1.0) for n in range(19) for model in "ab"]
    rest = [judgment(n, "ab"[n % 2], float(n % 4 < 2)) for n in range(19, 200)]
    assert "flipped verdicts" not in reasons(pair([*flipped, *rest]))
    more = [
        judgment(19, "b" if 19 % 2 == 0 else "a", 1.0),
        judgment(19, "a", 1.0),
        judgment(19, "b", 1.0),
    ]
    assert "flipped verdicts" in reasons(pair([*flipped, *more, *rest[1:]]))
    assert "flipped verdicts" in reasons(pair(flipped))


def test_twenty_prompts_are_enough_and_nineteen_are_not() -> None:
    assert reasons(pair(won(19, 1))) == []
    assert reasons(pair(won(18, 1))) == ["few prompts"]


def test_few_clusters_of_many_prompts_are_few_units() -> None:
    rows = won(40, 2)
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 3}",)) for n in range(42))
    summary = pair(rows, prompts=prompts)
    assert (summary.prompts, summary.clusters, summary.outcome) == (42, 14, "not enough data")
    assert "14 clusters of prompts" in summary.verdict
    assert summary.win_rate is not None
    assert summary.win_rate.n == 14


@pytest.mark.parametrize("first", ["a", "b"])
def test_one_fixed_order_withholds_whatever_the_numbers(first: str) -> None:
    summary = pair([judgment(n, first, float(first == "a")) for n in range(50)])
    assert (summary.outcome, reasons(summary)) == ("withheld", ["one order"])
    assert f"j always saw {first} first (50 prompts)" in summary.verdict
    assert summary.order.identified == "one order"
    assert summary.order.pick_first is None


def test_an_unrecorded_order_withholds() -> None:
    summary = pair([judgment(n, "a", 1.0, presented="unknown") for n in range(50)])
    assert (summary.outcome, reasons(summary)) == ("withheld", ["order not recorded"])


def test_pointwise_verdicts_need_no_balanced_order() -> None:
    summary = pair([judgment(n, "a", 1.0, presented="pointwise") for n in range(50)])
    assert (summary.outcome, summary.order.identified) == ("better", "order-free")


def test_only_ties_need_no_order() -> None:
    ties = [judgment(n, "a", 0.5, scores=Scores(n % 9, n % 9)) for n in range(50)]
    assert pair(ties).outcome == "equivalent"


@pytest.mark.parametrize("scores", [None, Scores(5, 5)])
def test_the_same_verdict_on_every_pair_withholds(scores: Scores | None) -> None:
    ties = [judgment(n, "ab"[n % 2], 0.5, scores=scores) for n in range(50)]
    summary = pair(ties)
    assert (summary.outcome, reasons(summary)) == ("withheld", ["same verdict"])
    assert "the same of all 50 pairs" in summary.verdict
    one_more = [*ties, judgment(50, "a", 1.0)]
    assert "same verdict" not in reasons(pair(one_more))
    assert "same verdict" not in reasons(pair(ties[:19]))  # these may be chance


@pytest.mark.parametrize(("firsts", "closed"), [(20, False), (15, False), (14, True), (35, True)])
def test_a_random_order_needs_15_prompts_in_each_order(firsts: int, closed: bool) -> None:
    first = {n * 7 % 40 for n in range(firsts)}
    rows = [judgment(n, "a" if n in first else "b", float(n in first)) for n in range(40)]
    assert ("order not balanced" in reasons(pair(rows))) == closed


def test_a_random_order_that_moves_most_verdicts_withholds() -> None:
    follows = [judgment(n, "ab"[n % 2], 1.0) for n in range(40)]
    summary = pair(follows)
    assert reasons(summary) == ["order effect"]
    assert "100 points" in summary.verdict
    steady = [judgment(n, "ab"[n % 2], float(n % 2 == 0)) for n in range(40)]
    assert pair(steady).outcome == "better"


def test_mostly_flipped_verdicts_withhold() -> None:
    rows = [judgment(n, "a", 1.0) for n in range(20)]
    rows += [judgment(n, "b", 1.0 if n < 12 else 0.0) for n in range(20)]
    summary = pair(rows)
    assert summary.win_rate is not None
    assert summary.win_rate.low > 0.5
    assert (summary.outcome, summary.flipped, reasons(summary)) == (
        "withheld",
        0.6,
        ["flipped verdicts"],
    )
    half = [judgment(n, "a", 1.0) for n in range(20)]
    half += [judgment(n, "b", 1.0 if n < 10 else 0.0) for n in range(20)]
    assert "flipped verdicts" not in reasons(pair(half))


@pytest.mark.parametrize(("wrong", "closed"), [(10, False), (11, True)])
@pytest.mark.parametrize("kept", [False, True])
def test_frequent_contradictions_of_own_scores_withhold(
    wrong: int, closed: bool, kept: bool
) -> None:
    odd = {"contradictory": True, "scores": Scores(8, 3)} if kept else {"scores": Scores(3, 8)}
    rows = [
        judgment(n, "a", 1.0, **(odd if n < wrong else {"scores": Scores(8, 3)})) for n in range(40)
    ]
    assert ("contradicts itself" in reasons(pair(rows))) == closed


def test_explanations_that_name_a_model_withhold() -> None:
    models = ("me/qwen-grpo", "me/qwen-base")

    def findings_of(reason: str, text: str = "fine") -> list[str]:
        rows = [
            row.model_copy(update={"first": models["ab".index(row.first)]}).model_copy(
                update={"second": models["ab".index(row.second)]}
            )
            for row in won(20, 0, reason=reason)
        ]
        completions = texts(models[0], [text] * 20)
        summary = summarize(evidence(rows, models=models, completions=tuple(completions)))
        return [kind for kind in reasons(summary.pairs[0]) if kind == "names shown"]

    assert findings_of("qwen-grpo is better") == ["names shown"]
    assert findings_of("The first is better.") == []
    assert findings_of("qwen-grpo is better", text="I am Qwen-GRPO.") == []


def test_failures_over_two_percent_withhold() -> None:
    rows = won(49, 0)
    assert pair(rows, failures=(failure("p0"),) * 2).outcome == "better"
    summary = pair(rows, failures=(failure("p0"),) * 3)
    assert (summary.outcome, reasons(summary)) == ("withheld", ["failures"])
    assert "3 of 101 verdicts failed (3.0 %)" in summary.verdict


def test_any_failures_that_could_change_the_winner_withhold() -> None:
    rows = won(30, 10, 960)
    assert pair(rows, margin=0).outcome == "better"
    lost = tuple(failure(f"lost{n // 2}") for n in range(40))
    summary = pair(rows, margin=0, failures=lost)
    assert summary.accounting.worst_case == pytest.approx((510 / 1020, 530 / 1020))
    assert summary.accounting.worst_case_interval == pytest.approx((0.4947, 0.5249), abs=1e-3)
    assert reasons(summary) == ["failures decide"]
    assert "between 49.5 and 52.5 %" in summary.verdict
    assert pair(rows, margin=0, failures=lost[:8]).outcome == "better"


def test_failures_that_could_end_equivalence_withhold() -> None:
    lost = tuple(failure(f"lost{n}") for n in range(40))
    summary = pair(won(10, 10, 380), failures=lost, margin=4)
    assert {"failures", "failures decide"} == set(reasons(summary))


def test_identical_completions_withhold() -> None:
    contents = sentences(20)
    completions = (*texts("a", contents), *texts("b", contents))
    summary = pair(won(20, 0), completions=completions)
    assert reasons(summary) == ["identical completions"]
    assert "no difference to judge: both models said the same to all 20 prompts" in summary.verdict
    almost = (*texts("a", contents), *texts("b", ["other", *contents[1:]]))
    summary = pair(won(20, 0), completions=almost)
    assert (summary.wins, summary.ties, summary.identical) == (1, 19, 19)
    assert (summary.outcome, reasons(summary)) == ("not enough data", [])


@pytest.mark.parametrize(("same", "closed"), [(20, True), (11, True), (10, False)])
def test_one_text_for_many_prompts_is_a_placeholder(same: int, closed: bool) -> None:
    contents = ["Pick me!"] * same + sentences(20 - same)
    summary = pair(won(20, 0), completions=tuple(texts("a", contents)))
    assert (reasons(summary) == ["placeholder"]) == closed
    if closed:
        assert f"a said the same to {same} of 20 prompts ('Pick me!')" in summary.verdict


def test_judges_on_different_sides_of_a_half_withhold_a_winner() -> None:
    rows = won(40, 0, judge="strong")
    rows += [row for n in range(40) for row in both(n, float(n < 18), judge="weak")]
    summary = pair(rows)
    assert reasons(summary) == ["judges disagree"]
    assert "strong 100.0 %, weak 45.0 %" in summary.verdict


def test_disagreeing_judges_without_a_winner_do_not_withhold() -> None:
    rows = [row for n in range(40) for row in both(n, float(n % 2), judge="j")]
    rows += [row for n in range(40) for row in both(n, float(n % 2 or n < 2), judge="k")]
    assert pair(rows).outcome == "not enough data"


def test_scores_against_the_winner_withhold() -> None:
    rows = [row for n in range(30) for row in _scored(n, 1.0, Scores(6, 5))]
    rows += [row for n in range(30, 40) for row in _scored(n, 0.0, Scores(0, 10))]
    summary = pair(rows)
    assert reasons(summary) == ["scores disagree"]
    assert "-0.175" in summary.verdict


def _scored(n: int, value: float, points: Scores) -> list[Judgment]:
    swapped = Scores(points.second, points.first)
    return [
        judgment(n, "a", value, scores=points),
        judgment(n, "b", 1 - value, scores=swapped),
    ]


@pytest.mark.parametrize(
    ("winner", "loser", "judge", "closed"),
    [
        ("qwen-tuned", "llama-3", "openai:gpt-4", False),
        ("gpt-4o-mini-tuned", "llama-3", "openai:gpt-4", True),
        ("llama-3", "gpt-4o-mini", "openai:gpt-4", False),  # against its own: it may
        ("qwen-tuned", "qwen-base", "hf:Qwen/Qwen2.5-7B", False),  # of both alike
    ],
)
def test_a_judge_of_the_winners_family_alone_withholds(
    winner: str, loser: str, judge: str, closed: bool
) -> None:
    rows = [
        Judgment(
            prompt_id=row.prompt_id,
            judge=judge,
            first=winner if row.first == "a" else loser,
            second=loser if row.first == "a" else winner,
            verdict=row.verdict,
        )
        for row in won(60, 30)
    ]
    summary = summarize(evidence(rows, models=(winner, loser))).pairs[0]
    assert (reasons(summary) == ["own family"]) == closed


def test_origins_name_families_and_another_family_on_the_panel_suffices() -> None:
    behind = {"a": "hf:Qwen/Qwen2.5-1.5B", "b": "hf:meta-llama/Llama-3", "j": "hf:Qwen/Qwen2.5-72B"}
    assert reasons(pair(won(60, 30), origins=behind)) == ["own family"]
    panel = won(60, 30) + won(60, 30, judge="claude-3-5-sonnet")
    assert pair(panel, origins=behind).outcome == "better"


def test_a_win_larger_than_a_preference_for_the_family_is_flagged_only() -> None:
    behind = {"a": "hf:Qwen/Qwen2.5-1.5B", "b": "hf:meta-llama/Llama-3", "j": "hf:Qwen/Qwen2.5-72B"}
    small, large = pair(won(75, 25), origins=behind), pair(won(80, 20), origins=behind)
    assert small.win_rate is not None
    assert large.win_rate is not None
    assert small.win_rate.low < 0.66
    assert (large.outcome, large.win_rate.low > 0.6) == ("better", True)
    assert [flag.kind for flag in large.flags] == ["own family"]
    lost = pair(won(20, 80), origins=behind | {"j": "hf:meta-llama/Llama-4"})
    assert (lost.outcome, "own family" in [flag.kind for flag in lost.flags]) == ("worse", True)


def test_a_win_that_holms_p_value_does_not_support_is_weakened() -> None:
    models = tuple("abcdefgh")
    rows = []
    for i, model in enumerate(models):
        for other in models[i + 1 :]:
            wins = 15 if (model, other) == ("a", "b") else 10
            for n in range(20):
                value = float(n < wins)
                rows.append(judgment(n, model, value, second=other))
                rows.append(judgment(n, other, 1 - value, second=model))
    summary = summarize(evidence(rows, models=models)).pairs[0]
    assert summary.win_rate is not None
    assert summary.win_rate.low > 0.5
    assert (summary.outcome, reasons(summary)) == ("not enough data", ["many comparisons"])
    assert pair(won(15, 5)).outcome == "better"
