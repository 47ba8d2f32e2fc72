"""asked = judged + failed, by judge and order, and the worst case of failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.records import Accounting, Judgment
from tests.unit.analysis.builders import failure, judgment, pair, rows, won


def accounting_of(judgments: list[Judgment], *failures: object) -> Accounting:
    return pair(judgments, failures=failures).accounting


def test_failures_are_counted_by_kind_judge_and_order() -> None:
    accounting = accounting_of(
        won(3, 0),
        failure("p0", participant="k"),
        failure("p7", kind="backend", first="b", second="a"),
        failure("p7", kind="backend"),
    )
    assert (accounting.asked, accounting.judged, accounting.failed) == (9, 6, 3)
    assert accounting.failed_by_kind == {"backend": 2, "verdict": 1}
    assert {name: (t.judged, t.failed) for name, t in accounting.by_judge.items()} == {
        "j": (6, 2),
        "k": (0, 1),
    }
    assert {name: (t.judged, t.failed) for name, t in accounting.by_order.items()} == {
        "a first": (3, 2),
        "b first": (3, 1),
    }


@pytest.mark.parametrize(
    ("presented", "words"), [("unknown", "order not recorded"), ("pointwise", "judged apart")]
)
def test_an_unrecorded_order_is_counted_as_unrecorded(presented: str, words: str) -> None:
    assert list(accounting_of([judgment(0, "a", 1.0, presented=presented)]).by_order) == [words]


def test_the_worst_case_gives_every_failure_to_either_side() -> None:
    accounting = accounting_of(won(1, 1), failure("p0"), failure("p9"))
    assert accounting.worst_case == pytest.approx((2 / 3 / 3, (2 / 3 + 1 / 3 + 1) / 3))


def test_several_failures_of_a_prompt_count_separately_in_the_worst_case() -> None:
    accounting = accounting_of(
        won(1, 0), failure("p0"), failure("p0"), failure("p9"), failure("p9")
    )
    assert accounting.worst_case == pytest.approx((1 / 2 / 2, (1 / 2 + 1 / 2 + 1) / 2))


@given(rows, st.lists(st.sampled_from(["p0", "p3", "q"]), max_size=6))
def test_every_split_adds_up_and_the_bounds_contain_the_estimate(
    judgments: list[Judgment], lost: list[str]
) -> None:
    summary = pair(judgments, failures=tuple(map(failure, lost)))
    accounting = summary.accounting
    for split in (accounting.by_judge, accounting.by_order):
        assert sum(tally.asked for tally in split.values()) == accounting.asked
        assert sum(tally.failed for tally in split.values()) == accounting.failed
    assert sum(accounting.failed_by_kind.values()) == accounting.failed
    assert accounting.worst_case is not None
    low, high = accounting.worst_case
    assert 0 <= low <= high + 1e-9 <= 1 + 1e-9
    if not lost and summary.win_rate:
        assert low == pytest.approx(summary.win_rate.estimate, abs=1e-6)
