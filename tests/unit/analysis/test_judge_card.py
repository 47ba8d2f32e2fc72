"""The card of each judge: its statistics, its problems, and the panel without it."""

import pytest

from bakeoff.records import JudgeCard, Scores
from tests.unit.analysis.cases import both, failure, judgment, pair, texts, won


def card(rows, **more) -> JudgeCard:  # type: ignore[no-untyped-def]
    (found,) = pair(rows, **more).judges
    return found


def test_the_card_shows_a_judge_that_always_picks_first() -> None:
    found = card([judgment(n, first, 1.0) for n in range(20) for first in "ab"])
    assert found.consistency is not None
    assert found.first_wins is not None
    assert (found.consistency.estimate, found.first_wins.estimate) == (0, 1)
    assert found.win_rate.estimate == 0.5


def test_problems_are_counted_by_kind_and_failures_by_judge() -> None:
    rows = won(2, 2)
    rows += both(4, 1.0, retry_reason="unreadable") + both(5, 1.0, contradictory=True)
    rows += both(6, 1.0, shown_characters=400)
    rows += [judgment(7, "a", 1.0, scores=Scores(3, 8))]  # as an audited file may have it
    kinds = ("verdict", "verdict", "refused", "backend")
    found = card(rows, failures=tuple(failure(kind=kind) for kind in kinds))
    assert (found.asked, found.judged, found.failed) == (19, 15, 4)
    assert (found.unreadable, found.refused) == (2, 1)
    assert (found.retried, found.contradicted, found.truncated) == (2, 3, 2)


def test_cost_is_per_100_pairs_with_all_orders_and_repeats() -> None:
    rows = [row for n in range(4) for r in (0, 1) for row in both(n, 1.0, repeat=r, cost=0.01)]
    assert card(rows).cost == pytest.approx(100 * 4 * 0.01)
    assert card([*rows, *both(5, 1.0)]).cost is None  # a part is not known, so the sum is not


def test_the_card_has_length_bias_and_repeat_agreement() -> None:
    said = texts("a", ["xx"] * 10) + texts("b", ["x"] * 10)
    rows = [row for n in range(10) for r in (0, 1) for row in both(n, float(n > 2), repeat=r)]
    found = card(rows, completions=tuple(said))
    assert found.longer_wins is not None
    assert found.longer_wins.estimate == 0.7
    assert found.repeat_agreement is not None
    assert found.repeat_agreement.share == 1


def test_each_card_has_the_panels_win_rate_without_that_judge() -> None:
    rows = won(30, 2, judge="j") + won(18, 14, judge="k") + won(18, 14, judge="l")
    found = pair(rows)
    j, k, _ = found.judges
    assert found.win_rate is not None
    assert found.win_rate.low > 0.5
    assert j.win_rate_without is not None
    assert j.win_rate_without.estimate == pytest.approx(18 / 32)
    assert (j.outcome, j.outcome_without) == ("better", "not enough data")
    assert k.outcome_without == "better"
    assert "hangs on one judge" in {flag.kind for flag in found.flags}
    assert j.panel_agreement is not None
    assert j.panel_agreement.raters == ("j", "the others")


def test_a_single_judge_has_no_panel_fields() -> None:
    found = card(won(30, 2))
    assert (
        found.win_rate_without,
        found.outcome_without,
        found.panel_agreement,
        found.opposes_panel,
    ) == (
        None,
        None,
        None,
        False,
    )


def test_a_judge_on_the_other_side_is_against_the_panel() -> None:
    found = pair(won(20, 0, judge="j") + won(20, 0, judge="k") + won(2, 18, judge="l"))
    assert [one.opposes_panel for one in found.judges] == [False, False, True]
    (flag,) = (flag for flag in found.flags if flag.kind == "judge against the panel")
    assert flag.message.startswith("l would")


def test_a_snapshot_that_changes_within_the_results_is_a_red_flag() -> None:
    rows = both(0, 1.0, snapshot="gpt-4-0613") + both(1, 1.0, snapshot="gpt-4-1106")
    found = pair(rows)
    assert found.judges[0].snapshots == ("gpt-4-0613", "gpt-4-1106")
    (flag,) = (flag for flag in found.flags if flag.kind == "judge changed")
    assert flag.message == "j was gpt-4-0613 and gpt-4-1106 within these results"
    same = pair(both(0, 1.0, snapshot="x") + both(1, 1.0, snapshot="x"))
    assert "judge changed" not in {flag.kind for flag in same.flags}


def test_shortened_completions_are_a_red_flag() -> None:
    kinds = {flag.kind for flag in pair(won(2, 0) + both(2, 1.0, shown_characters=100)).flags}
    assert "completions shortened" in kinds
