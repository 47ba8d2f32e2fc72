"""Single judges and their agreement."""

import itertools

import pytest

from tests.unit.analysis.builders import both, judgment, pair, won


def test_each_judge_has_a_win_rate_of_its_own() -> None:
    summary = pair(won(20, 0, judge="k") + won(10, 10, judge="j"))
    assert [(card.judge, card.win_rate.estimate) for card in summary.judges] == [
        ("j", 0.5),
        ("k", 1.0),
    ]
    assert summary.win_rate is not None
    assert summary.win_rate.estimate == 0.75


def test_two_judges_have_cohens_kappa_and_three_have_fleiss() -> None:
    rows = won(12, 8, judge="j") + won(10, 10, judge="k")
    (two,) = pair(rows).agreement
    assert two.share == pytest.approx(0.9)
    assert two.cohen is not None
    assert two.cohen.estimate == pytest.approx((0.9 - 0.5) / 0.5)
    assert two.fleiss is None
    (three,) = pair(rows + won(12, 8, judge="l")).agreement
    assert three.raters == ("j", "k", "l")
    assert three.cohen is None
    assert three.fleiss is not None
    assert three.alpha is not None


def test_judges_of_disjoint_prompts_have_no_agreement() -> None:
    rows = [row for n in range(5) for row in both(n, 1.0, judge="j")]
    rows += [row for n in range(5, 10) for row in both(n, 1.0, judge="k")]
    assert pair(rows).agreement == ()


def test_judges_that_share_some_prompts_agree_on_those() -> None:
    rows = [row for n in range(8) for row in both(n, float(n % 2), judge="j")]
    rows += [row for n in range(4, 12) for row in both(n, float(n % 2), judge="k")]
    rows += [row for n in range(12) for row in both(n, float(n % 2), judge="l")]
    (agreement,) = pair(rows).agreement
    assert agreement.share == 1
    assert agreement.alpha is not None
    assert agreement.alpha.estimate == 1
    assert agreement.alpha.n == 12


def test_repeats_of_a_judge_are_raters_of_a_prompt() -> None:
    rows = []
    for n in range(20):
        for repeat in range(3):
            value = float(n % 2) if n else float(repeat == 0)
            rows += both(n, value, repeat=repeat)
    (agreement,) = pair(rows).agreement
    assert agreement.raters == ("j, repeat 1", "j, repeat 2", "j, repeat 3")
    assert agreement.share == pytest.approx(19 / 20)
    assert agreement.alpha is not None
    assert agreement.alpha.n == 20


def test_variance_components_need_recorded_orders() -> None:
    assert pair(won(10, 10)).variance is not None
    rows = [judgment(n, "a", float(n % 2), presented="pointwise") for n in range(20)]
    assert pair(rows).variance is None


def test_verdicts_with_the_same_repeat_are_averaged_in_any_order() -> None:
    """A file may contain two verdicts on a question."""
    rows = [judgment(0, "a", 1.0), judgment(0, "a", 0.0), judgment(0, "a", 1.0, repeat=1)]
    for some in itertools.permutations(rows):
        (agreement,) = pair(some).agreement
        assert agreement.share == 0  # a tie, and then a
