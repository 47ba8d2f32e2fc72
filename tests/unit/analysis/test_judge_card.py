"""The card of each judge: its statistics, its problems, and the panel without it."""

import pytest

from bakeoff.records import JudgeCard, Scores
from tests.unit.analysis.builders import both, failure, judgment, pair, texts, won


def card(rows, **more) -> JudgeCard:  # type: ignore[no-untyped-def]
    (judge_card,) = pair(rows, **more).judges
    return judge_card


def test_the_card_shows_a_judge_that_always_picks_first() -> None:
    judge_card = card([judgment(n, first, 1.0) for n in range(20) for first in "ab"])
    assert judge_card.consistency is not None
    assert judge_card.first_wins is not None
    assert (judge_card.consistency.estimate, judge_card.first_wins.estimate) == (0, 1)
    assert judge_card.win_rate.estimate == 0.5


def test_problems_are_counted_by_kind_and_failures_by_judge() -> None:
    rows = won(2, 2)
    rows += both(4, 1.0, retry_reason="unreadable") + both(5, 1.0, contradictory=True)
    rows += both(6, 1.0, shown_characters=400)
    rows += [judgment(7, "a", 1.0, scores=Scores(3, 8))]  # as an audited file may have it
    kinds = ("verdict", "verdict", "refused", "backend")
    judge_card = card(rows, failures=tuple(failure(kind=kind) for kind in kinds))
    assert (judge_card.asked, judge_card.judged, judge_card.failed) == (19, 15, 4)
    assert (judge_card.unreadable, judge_card.refused) == (2, 1)
    assert (judge_card.retried, judge_card.contradicted, judge_card.truncated) == (2, 3, 2)


def test_cost_is_per_100_pairs_with_all_orders_and_repeats() -> None:
    rows = [row for n in range(4) for r in (0, 1) for row in both(n, 1.0, repeat=r, cost=0.01)]
    assert card(rows).cost == pytest.approx(100 * 4 * 0.01)
    assert card([*rows, *both(5, 1.0)]).cost is None  # a part is not known, so the sum is not


def test_the_card_has_length_bias_and_repeat_agreement() -> None:
    completions = texts("a", ["xx"] * 10) + texts("b", ["x"] * 10)
    rows = [row for n in range(10) for r in (0, 1) for row in both(n, float(n > 2), repeat=r)]
    judge_card = card(rows, completions=tuple(completions))
    assert judge_card.longer_wins is not None
    assert judge_card.longer_wins.estimate == 0.7
    assert judge_card.repeat_agreement is not None
    assert judge_card.repeat_agreement.share == 1


def test_each_card_has_the_panels_win_rate_without_that_judge() -> None:
    rows = won(30, 2, judge="j") + won(18, 14, judge="k") + won(18, 14, judge="l")
    summary = pair(rows)
    j, k, _ = summary.judges
    assert summary.win_rate is not None
    assert summary.win_rate.low > 0.5
    assert j.win_rate_without is not None
    assert j.win_rate_without.estimate == pytest.approx(18 / 32)
    assert (j.outcome, j.outcome_without) == ("better", "not enough data")
    assert k.outcome_without == "better"
    assert "hangs on one judge" in {flag.kind for flag in summary.flags}
    assert j.panel_agreement is not None
    assert j.panel_agreement.raters == ("j", "the others")


def test_a_single_judge_has_no_panel_fields() -> None:
    judge_card = card(won(30, 2))
    assert (
        judge_card.win_rate_without,
        judge_card.outcome_without,
        judge_card.panel_agreement,
        judge_card.opposes_panel,
    ) == (
        None,
        None,
        None,
        False,
    )


def test_a_judge_on_the_other_side_is_against_the_panel() -> None:
    summary = pair(won(20, 0, judge="j") + won(20, 0, judge="k") + won(2, 18, judge="l"))
    assert [judge_card.opposes_panel for judge_card in summary.judges] == [False, False, True]
    (flag,) = (flag for flag in summary.flags if flag.kind == "judge against the panel")
    assert flag.message.startswith("l would")


def test_a_snapshot_that_changes_within_the_results_is_a_red_flag() -> None:
    rows = both(0, 1.0, snapshot="gpt-4-0613") + both(1, 1.0, snapshot="gpt-4-1106")
    summary = pair(rows + both(2, 1.0))  # the last one without the name of a model
    assert summary.judges[0].snapshots == ("gpt-4-0613", "gpt-4-1106")
    (flag,) = (flag for flag in summary.flags if flag.kind == "judge changed")
    assert flag.message == "j was gpt-4-0613 and gpt-4-1106 within these results"
    same = pair(both(0, 1.0, snapshot="x") + both(1, 1.0, snapshot="x"))
    assert "judge changed" not in {flag.kind for flag in same.flags}


def test_shortened_completions_are_a_red_flag() -> None:
    kinds = {flag.kind for flag in pair(won(2, 0) + both(2, 1.0, shown_characters=100)).flags}
    assert "completions shortened" in kinds
