import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.evaluation.judge_check import JudgeCheck, LabeledPair
from bakeoff.evaluation.judge_check.grading import agreements, grade_judge
from bakeoff.evaluation.judge_check.outcomes import length_baseline
from bakeoff.records import Failure, Judgment, Scores
from tests.marks import examples
from tests.unit.evaluation.judge_check.builders import failure_of, judgments_of, pair

PAIRS = [pair(number, set="ab"[number % 2], kind=f"kind {number % 3}") for number in range(12)]

FEW = examples(25)  # each draws two thousand resamples

probability = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)
preferences = st.lists(
    st.tuples(probability, probability), min_size=len(PAIRS), max_size=len(PAIRS)
)


def check_of(
    judgments: Sequence[Judgment],
    failures: Sequence[Failure] = (),
    pairs: Sequence[LabeledPair] = PAIRS,
) -> JudgeCheck:
    return grade_judge("j", pairs, judgments, failures)


def verdicts(values: Sequence[tuple[float, float]]) -> list[Judgment]:
    return [
        row for pair_, two in zip(PAIRS, values, strict=True) for row in judgments_of(pair_, *two)
    ]


@pytest.mark.parametrize(
    ("first", "second", "mark"),
    [
        (1.0, 0.0, "right"),
        (0.9, 0.45, "right"),
        (1.0, 0.5, "right"),  # a tie in one order contradicts nothing
        (0.0, 1.0, "wrong"),
        (0.4, 0.5, "wrong"),
        (1.0, 1.0, "split"),
        (0.0, 0.0, "split"),
        (0.9, 0.6, "split"),  # in the mean it is for the better one, but the orders contradict
        (0.5, 0.5, "tie"),
    ],
)
def test_outcome_of_two_orders(first: float, second: float, mark: str) -> None:
    pairs = [pair(0)]
    overall = check_of(judgments_of(pairs[0], first, second), pairs=pairs).overall
    assert getattr(overall, mark) == overall.pairs == 1
    assert overall.accuracy is not None
    assert overall.accuracy.estimate == (mark == "right")


@FEW
@given(preferences)
def test_outcome_counts_add_up_in_every_group(values: list[tuple[float, float]]) -> None:
    check = check_of(verdicts(values))
    for grades in ([check.overall], check.by_set.values(), check.by_kind.values()):
        assert sum(grade.pairs for grade in grades) == len(PAIRS)
        for name in ("right", "wrong", "split", "tie"):
            assert sum(getattr(g, name) for g in grades) == getattr(check.overall, name)
    assert set(check.by_set) == {"a", "b"}
    assert len(check.misses) == len(PAIRS) - check.overall.right


@FEW
@given(preferences)
def test_inverted_judge_swaps_right_and_wrong(
    values: list[tuple[float, float]],
) -> None:
    values = [(round(first, 6), round(second, 6)) for first, second in values]
    check = check_of(verdicts(values))
    turned = check_of(verdicts([(1 - first, 1 - second) for first, second in values]))
    assert (check.overall.right, check.overall.wrong) == (
        turned.overall.wrong,
        turned.overall.right,
    )
    assert (check.overall.split, check.overall.tie) == (turned.overall.split, turned.overall.tie)
    assert check.consistency == turned.consistency
    if check.kappa is not None:
        assert turned.kappa is not None
        ties = any(0.5 in second for second in values)
        assert ties or turned.kappa.estimate == pytest.approx(-check.kappa.estimate)


@FEW
@given(preferences, st.randoms())
def test_order_of_verdicts_does_not_matter(
    values: list[tuple[float, float]], shuffler: random.Random
) -> None:
    rows = verdicts(values)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert check_of(shuffled) == check_of(rows)


@FEW
@given(preferences, st.sets(st.integers(0, len(PAIRS) - 1)))
def test_failures_are_counted_and_not_wrong(
    values: list[tuple[float, float]], lost: set[int]
) -> None:
    rows = verdicts(values)
    kept = [row for n, row in enumerate(rows) if n // 2 not in lost or n % 2]
    check = check_of(kept, [failure_of(PAIRS[n]) for n in lost])
    overall = check.overall
    rest = [pair_ for n, pair_ in enumerate(PAIRS) if n not in lost]
    assert overall.failed == len(lost)
    assert check.accounting.asked == 24 == check.accounting.judged + len(lost)
    if rest:
        alone = check_of([row for n, row in enumerate(rows) if n // 2 not in lost], pairs=rest)
        assert overall.accuracy == alone.overall.accuracy
        assert overall.preference == alone.overall.preference
    low, high = overall.worst_case
    assert low * 12 == pytest.approx(overall.right)
    assert high * 12 == pytest.approx(overall.right + len(lost))


def test_judge_that_always_names_the_first_has_kappa_zero() -> None:
    check = check_of(verdicts([(1.0, 1.0)] * 12))
    assert check.overall.split == 12
    assert check.consistency is not None
    assert check.consistency.estimate == 0
    assert check.order.pick_first is not None
    assert check.order.pick_first.estimate == 1
    assert check.kappa is not None
    assert check.kappa.estimate == pytest.approx(0)
    assert check.better_first is not None
    assert check.better_second is not None
    assert (check.better_first.estimate, check.better_second.estimate) == (1, 0)


def test_pair_with_a_failed_order_fails() -> None:
    rows = [row for row in verdicts([(1.0, 1.0)] * 12) if row.first == "better"]
    check = check_of(rows, [failure_of(pair, "worse") for pair in PAIRS])
    assert (check.overall.right, check.overall.failed) == (0, 12)
    assert check.overall.accuracy is None
    assert check.overall.worst_case == (0, 1)


def test_judge_without_verdicts_fails_all_pairs() -> None:
    check = check_of([], [failure_of(pair, side) for pair in PAIRS for side in ("better", "worse")])
    assert check.overall.failed == 12
    assert check.accounting.failed_by_kind == {"verdict": 24}
    assert (check.kappa, check.consistency, check.longer_won) == (None, None, None)
    assert check.misses == ()


def test_pointwise_judge_has_kappa_without_order() -> None:
    rows = [
        row.model_copy(update={"presented": "pointwise"})
        for row in verdicts([(1.0, 0.0)] * 9 + [(0.0, 0.0)] * 3)
        if row.first == "better"
    ]
    check = check_of(rows)
    assert (check.overall.right, check.overall.wrong) == (9, 3)
    assert check.order.identified == "order-free"
    assert (check.consistency, check.better_first, check.better_second) == (None, None, None)
    assert check.kappa is not None
    assert check.kappa.estimate == pytest.approx(0.5)  # agrees on 3 of 4, a half by chance


def test_repeats_are_averaged_within_an_order() -> None:
    rows = [
        row.model_copy(update={"repeat": repeat})
        for repeat, values in enumerate([(1.0, 0.0), (0.0, 0.0), (1.0, 0.0)])
        for row in judgments_of(PAIRS[0], *values)
    ]
    check = check_of(rows, pairs=PAIRS[:1])
    assert check.overall.right == 1
    assert check.better_first is not None
    assert (check.better_first.estimate, check.better_first.n) == (1, 1)
    (agreement,) = agreements(rows)
    assert agreement.raters == tuple(f"j, repeat {n}" for n in (1, 2, 3))


def test_retries_and_contradictions_are_counted() -> None:
    odd = [
        judgments_of(PAIRS[0], 1.0, 0.0, verdict={"retry_reason": "unreadable"}),
        judgments_of(
            PAIRS[1], 1.0, 0.0, verdict={"retry_reason": "contradiction", "contradictory": True}
        ),
        judgments_of(PAIRS[2], 1.0, 0.0),
    ]
    check = check_of([row for rows in odd for row in rows], pairs=PAIRS[:3])
    assert check.retries == {"contradiction": 2, "unreadable": 2}
    assert check.contradictory == 2


def test_misses_are_sorted_by_certainty() -> None:
    values = [(0.0, 1.0), (0.4, 0.6), (1.0, 1.0), (0.5, 0.5), (0.1, 0.9)] + [(1.0, 0.0)] * 7
    misses = check_of(verdicts(values)).misses
    assert [(miss.id, miss.outcome) for miss in misses] == [
        ("p0", "wrong"),
        ("p4", "wrong"),
        ("p1", "wrong"),
        ("p2", "split"),
        ("p3", "tie"),
    ]
    assert [miss.certainty for miss in misses] == pytest.approx([1, 0.8, 0.2, 1, 0])
    assert misses[0].preference == 0


def test_equally_certain_misses_are_sorted_by_scores() -> None:
    rows = [
        row
        for pair_, lead in zip(PAIRS[:3], (2.0, 6.0, 4.0), strict=True)
        for row in judgments_of(pair_, 0.0, 1.0)
        for row in [
            row.model_copy(
                update={
                    "verdict": row.verdict.model_copy(
                        update={
                            "scores": Scores(2, 2 + lead)
                            if row.first == "better"
                            else Scores(2 + lead, 2)
                        }
                    )
                }
            )
        ]
    ]
    misses = check_of(rows, pairs=PAIRS[:3]).misses
    assert [miss.id for miss in misses] == ["p1", "p2", "p0"]
    assert misses[0].scores == (2, 8)


def test_kinds_are_graded_in_sets_with_several() -> None:
    pairs = [
        pair(0, set="easy", kind="empty"),
        pair(1, set="easy", kind="echo"),
        pair(2, set="hard", kind="wrong fact"),
        pair(3, set="hard", kind="wrong fact"),
        pair(4),
    ]
    check = check_of([row for pair in pairs for row in judgments_of(pair, 1.0, 0.0)], pairs=pairs)
    assert set(check.by_kind) == {"easy: empty", "easy: echo"}
    assert set(check.by_set) == {"easy", "hard"}
    assert check.overall.right == 5


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=1))
def test_length_baseline_counts(texts: list[tuple[str, str]]) -> None:
    pairs = [pair(0).model_copy(update={"better": b, "worse": w}) for b, w in texts]
    longer = length_baseline(pairs)
    assert longer.right == sum(len(better) > len(worse) for better, worse in texts)
    assert longer.right + longer.wrong + longer.equal == len(texts)
    assert longer.accuracy == longer.right / len(texts)


def test_agreement_of_two_judges() -> None:
    first = verdicts([(1.0, 0.0)] * 12)
    other = [
        row.model_copy(update={"judge": "k"})
        for row in verdicts([(1.0, 0.0)] * 9 + [(1.0, 1.0)] * 3)
    ]
    (agreement,) = agreements([*first, *other])
    assert set(agreement.raters) == {"j", "k"}
    assert agreement.share == pytest.approx(0.75)
