"""The statistics of a pair: clusters of prompts, scores, power."""

import math

import numpy as np
import pytest
from hypothesis import given

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Design, Judgment, Scores
from bakeoff.stats.sequential import mean_confidence_sequence
from tests.marks import examples
from tests.unit.analysis.builders import both, evidence, judgment, pair, prompt, rows, won


def test_every_test_counts_clusters_as_units() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 10}",)) for n in range(200))
    judgments = won(140, 60)  # clusters 0 to 13 won, 14 to 19 lost, each as one
    summary = pair(judgments, prompts=prompts)
    assert (summary.prompts, summary.clusters) == (200, 20)
    assert summary.win_rate is not None
    assert summary.test is not None
    assert (summary.win_rate.n, summary.test.n) == (20, 20)
    assert summary.win_rate.se == pytest.approx((0.7 * 0.3 / 19) ** 0.5)
    assert summary.outcome == "not enough data"
    assert pair(judgments).outcome == "better"


def test_scores_of_a_cluster_are_averaged_before_the_interval() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 4}",)) for n in range(40))
    rows = [judgment(n, "a", 1.0, scores=Scores(5 + n // 4 % 3, 5)) for n in range(40)]
    difference = pair(rows, prompts=prompts).score_difference
    assert difference is not None
    assert (difference.value.n, difference.test.n) == (10, 10)
    alone = pair(rows).score_difference
    assert alone is not None
    assert alone.value.estimate == pytest.approx(difference.value.estimate)
    assert difference.value.high - difference.value.low > 1.9 * (alone.value.high - alone.value.low)


def test_a_prompt_without_a_cluster_tag_is_a_cluster() -> None:
    prompts = tuple(prompt(n, tags=("cluster:x",) if n < 2 else ()) for n in range(20))
    assert pair(won(20, 0), prompts=prompts).clusters == 19


def test_judgments_of_unknown_prompts_are_counted() -> None:
    assert pair(won(20, 0), prompts=()).outcome == "better"


def test_power_is_in_units_of_the_win_rate() -> None:
    power = pair(won(60, 40)).power
    assert power is not None
    assert power.detectable == pytest.approx(0.138, abs=0.002)
    assert power.needed == power.more + 100  # type: ignore[operator]


ANYTIME = Design(sequential=True)


@examples(25)
@given(rows)
def test_with_optional_stopping_intervals_are_anytime_valid(
    judgments: list[Judgment],
) -> None:
    plain, free = (pair(judgments, design=design) for design in (Design(), ANYTIME))
    assert (plain.wins, plain.losses, plain.prompts) == (free.wins, free.losses, free.prompts)
    for fixed, sequential in (
        (plain.win_rate, free.win_rate),
        (plain.decisive_win_rate, free.decisive_win_rate),
    ):
        assert (fixed is None) == (sequential is None)
        if fixed and sequential:
            assert sequential.low <= sequential.estimate <= sequential.high
            assert "sequence" in sequential.method
            if plain.deciding_prompts == free.deciding_prompts == plain.prompts and all(
                row.presented != "unknown" for row in judgments
            ):
                assert math.isclose(fixed.estimate, sequential.estimate, abs_tol=1e-9)
    if free.win_rate and free.test:
        assert free.test.method == "anytime test by betting"
        inside = free.win_rate.low <= 0.5 <= free.win_rate.high
        assert inside or free.test.p <= 0.05 + 1e-9
    if plain.score_difference and free.score_difference:
        ours, theirs = free.score_difference.value, plain.score_difference.value
        assert math.isclose(ours.estimate, theirs.estimate, abs_tol=1e-9)
        assert -1 <= ours.low <= ours.estimate <= ours.high <= 1
    if free.power:
        assert free.power.method.endswith("at any look")
    assert {card.win_rate.method for card in free.judges} <= {"confidence sequence by betting"}


def test_with_optional_stopping_pairs_share_alpha() -> None:
    three = [*won(24, 6), *(row for n in range(30) for row in both_orders_of(n, "a", "c", 0.5))]
    three += [row for n in range(30) for row in both_orders_of(n, "b", "c", 0.5)]
    alone = summarize(evidence(won(24, 6), design=ANYTIME)).pairs[0]
    shared = summarize(evidence(three, "abc", design=ANYTIME)).pairs[0]
    assert alone.win_rate is not None
    assert shared.win_rate is not None
    assert shared.win_rate.low < alone.win_rate.low
    values = np.repeat([1.0, 0.0], [24, 6])
    assert shared.win_rate.low == mean_confidence_sequence(values, 0.05 / 3).low
    assert alone.win_rate.low == mean_confidence_sequence(values, 0.05).low
    two, all_three = evidence(won(24, 6)), evidence(three, "abc")
    fixed = [summarize(summarized).pairs[0].win_rate for summarized in (two, all_three)]
    assert fixed[0] == fixed[1]  # there Holm's p-values see to it


def both_orders_of(number: int, first: str, second: str, value: float) -> list[Judgment]:
    return [
        judgment(number, first, value, second=second),
        judgment(number, second, 1 - value, second=first),
    ]


def test_flipped_is_a_share_of_prompts_judged_in_both_orders() -> None:
    judgments = [*both(0, 1.0), judgment(1, "a", 1.0), judgment(1, "b", 1.0)]
    judgments += [judgment(n, "a", 1.0) for n in range(2, 12)]
    summary = pair(judgments)
    assert (summary.prompts, summary.flipped, summary.consistency) == (12, 0.5, 0.5)
