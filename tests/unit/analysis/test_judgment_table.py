"""The judgment table, and its aggregation in any order of judgments."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.aggregate import WINNER_VALUES, Panel, compare, preference_of, winner_of
from bakeoff.analysis.judgment_table import group_means, joint_codes, judgment_table
from bakeoff.records import Comparison, Judgment, Scores
from tests.unit.analysis.builders import both, judgment, rows

panels = st.sampled_from(["mean", "majority"])
# Many judgments of few prompts: several judges, orders and completions of each.
crowded = st.lists(
    st.builds(
        lambda prompt, first, value, judge, sample: judgment(
            prompt, first, value, judge=judge, sample=sample
        ),
        st.integers(0, 1),
        st.sampled_from("ab"),
        st.sampled_from([0.0, 0.3, 0.5, 1.0]),
        st.sampled_from("jkl"),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=40,
)


def expected_comparison(group: Sequence[Judgment], panel: Panel) -> Comparison:
    """The judgments of one prompt, aggregated record by record."""
    by_judge = defaultdict(list)
    for row in group:
        by_judge[row.judge].append(row)
    rows = [expected_judge_row(judged) for judged in by_judge.values()]
    preference = fmean(p for p, *_ in rows)
    (most, votes), *_ = Counter(winner for _, winner, *_ in rows).most_common()
    split = {"a", "b"} <= {winner for _, winner, *_ in rows}
    winner = most if 2 * votes > len(rows) else "tie" if split else winner_of(preference)
    answers = [consistent for *_, consistent, _ in rows if consistent is not None]
    return Comparison(
        prompt_id=group[0].prompt_id,
        a="a",
        b="b",
        preference=WINNER_VALUES[winner] if panel == "majority" and len(rows) > 1 else preference,
        winner=winner,
        flipped=2 * sum(flipped for _, _, flipped, *_ in rows) > len(rows),
        consistent=2 * sum(answers) > len(answers) if answers else None,
        scores=mean_scores([scores for *_, scores in rows]),
    )


def expected_judge_row(judged):  # type: ignore[no-untyped-def]
    """Preference, winner, flipped, consistent and scores of one judge."""
    cells = defaultdict(list)
    for item in judged:
        order = item.first if item.presented == "recorded" else "none"
        cells[item.sample, order].append(preference_of("a", item))
    means = {key: fmean(values) for key, values in cells.items()}
    orders = {order for _, order in means}
    order_means = [fmean(v for (_, o), v in means.items() if o == order) for order in orders]
    preference = fmean(order_means)
    winners = set(map(winner_of, order_means))
    flipped = {"a", "b"} <= winners
    turned = [row.verdict if row.first == "a" else row.verdict.swapped() for row in judged]
    return (
        preference,
        "tie" if flipped else winner_of(preference),
        flipped,
        len(winners) == 1 if len(orders) > 1 else None,
        mean_scores([verdict.scores for verdict in turned]),
    )


def mean_scores(all_scores: Sequence[Scores | None]) -> Scores | None:
    there = [scores for scores in all_scores if scores]
    return Scores(*map(fmean, zip(*there, strict=True))) if there else None


@given(rows | crowded, panels)
def test_aggregation_equals_a_record_by_record_computation(
    judgments: list[Judgment], panel: Panel
) -> None:
    comparisons = compare("a", "b", judgments, panel)
    ids = dict.fromkeys(row.prompt_id for row in judgments)
    assert [comparison.prompt_id for comparison in comparisons] == list(ids)
    for comparison in comparisons:
        group = [row for row in judgments if row.prompt_id == comparison.prompt_id]
        expected = expected_comparison(group, panel)
        assert comparison.model_copy(update={"preference": 0.5, "scores": None}) == (
            expected.model_copy(update={"preference": 0.5, "scores": None})
        )
        assert comparison.preference == pytest.approx(expected.preference, rel=1e-15, abs=1e-15)
        assert (comparison.scores or ()) == pytest.approx(expected.scores or (), rel=1e-15)


@given(rows, panels, st.randoms(use_true_random=False))
def test_aggregation_does_not_depend_on_the_order_of_judgments(
    judgments: list[Judgment], panel: Panel, draw: random.Random
) -> None:
    shuffled = draw.sample(judgments, len(judgments))
    first, second = (
        {comparison.prompt_id: comparison for comparison in compare("a", "b", rows_, panel)}
        for rows_ in (judgments, shuffled)
    )
    assert first.keys() == second.keys()
    for prompt_id, comparison in first.items():
        same = second[prompt_id]
        assert comparison.winner == same.winner
        assert comparison.preference == pytest.approx(same.preference, rel=1e-15, abs=1e-15)


@given(rows)
def test_a_row_has_the_fields_of_its_judgment(judgments: list[Judgment]) -> None:
    ids = sorted({expected.prompt_id for expected in judgments})
    table = judgment_table("a", judgments, ids)
    assert len(table) == len(judgments)
    in_order = sorted(judgments, key=lambda j: (j.prompt_id, j.judge, j.sample, j.repeat))
    for row, expected in enumerate(in_order):
        assert ids[table.prompt[row]] == expected.prompt_id
        assert table.judges[table.judge[row]] == expected.judge
        assert (table.sample[row], table.repeat[row]) == (expected.sample, expected.repeat)
        assert table.recorded[row] == (expected.presented == "recorded")
        assert table.a_first[row] == (expected.first == "a")
        assert table.preference[row] == preference_of("a", expected)
        assert table.contradictory[row] == expected.verdict.contradicts_scores
        turned = expected.verdict if expected.first == "a" else expected.verdict.swapped()
        assert table.scored[row] == (turned.scores is not None)
        assert turned.scores is None or tuple(table.scores[row]) == turned.scores


def test_a_row_has_the_repair_and_cost_of_its_verdict() -> None:
    judged = [
        judgment(0, "a", 1.0, retry_reason="unreadable", cost=0.5),
        judgment(1, "a", 1.0, retry_reason="contradiction", shown_characters=9),
    ]
    table = judgment_table("a", judged, ["p0", "p1"])
    assert table.retried.tolist() == [True, False]
    assert table.shortened.tolist() == [False, True]
    assert table.cost[0] == 0.5
    assert math.isnan(table.cost[1])


def test_for_judge_returns_the_rows_of_one_judge() -> None:
    judged = [*both(0, 1.0, judge="k"), *both(0, 0.0), *both(1, 0.5, judge="k")]
    table = judgment_table("a", judged, ["p0", "p1"])
    assert table.for_judge("k").preference.tolist() == [1.0, 1.0, 0.5, 0.5]
    assert table.for_judge("j").prompt.tolist() == [0, 0]


keyed = st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=60)


@given(keyed)
def test_group_means_equal_those_of_an_exact_sum(pairs: list[tuple[int, float]]) -> None:
    keys, means = group_means(np.array([k for k, _ in pairs]), np.array([v for _, v in pairs]))
    expected = {key: fmean(v for k, v in pairs if k == key) for key in sorted(dict(pairs))}
    assert keys.tolist() == list(expected)
    assert means.tolist() == pytest.approx(list(expected.values()), rel=1e-15, abs=1e-300)


def test_group_means_compensate_rounding() -> None:
    values = np.array([0.1] * 10 + [1.0, 1e-17, 1e-17, 1e-17, 1e-17, 1e-17, 1e-17, 1e-17])
    keys = np.repeat((0, 1), (10, 8))
    assert group_means(keys, values)[1].tolist() == [fmean(values[:10]), fmean(values[10:])]


def test_group_means_of_no_rows_are_empty() -> None:
    none = np.array([], dtype=np.intp)
    keys, means = group_means(none, np.array([]))
    assert (len(keys), len(means)) == (0, 0)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_joint_codes_are_ordered_lexicographically(codes: list[tuple[int, ...]]) -> None:
    joint = joint_codes(*np.array(codes, dtype=np.intp).T)
    pairs = sorted(zip(codes, joint.tolist(), strict=True))
    for (first, x), (second, y) in pairwise(pairs):
        assert (first < second) == (x < y)
        assert (first == second) == (x == y)
