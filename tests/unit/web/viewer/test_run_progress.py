from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.runtime.progress import ProgressReport, ProgressUpdate
from bakeoff.web.viewer.run_progress import WINDOW, ProgressRates

START = datetime(2026, 1, 1, tzinfo=UTC)


def report(
    at: float, done: int, *, kept: int = 0, total: int = 100, **more: object
) -> ProgressReport:
    row = ProgressUpdate(
        stage="completion",
        participant="tuned",
        done=done,
        total=total,
        stored=kept,
        **more,  # type: ignore[arg-type]
    )
    return ProgressReport(started=START, updated=START + timedelta(seconds=at), rows=(row,))


def rates_of(
    *reports: ProgressReport, silent: float = 0
) -> list[tuple[float | None, float | None]]:
    """Return rate and time left after each report."""
    pace, rates_ = ProgressRates(), []
    for report_ in reports:
        live = pace.update("key", report_, report_.updated + timedelta(seconds=silent))
        rates_.append((live.rows[0].rate, live.rows[0].left))
    return rates_


def test_rate_is_measured_over_the_last_minute() -> None:
    (*_, (rate, left)) = rates_of(report(1000, 10), report(1010, 30), report(1020, 50))
    assert rate == pytest.approx(2)
    assert left == pytest.approx(25)


def test_first_rate_is_measured_since_the_start() -> None:
    assert rates_of(report(20, 40))[0] == (pytest.approx(2), pytest.approx(30))


def test_stored_outcomes_do_not_count_in_the_rate() -> None:
    assert rates_of(report(20, 60, kept=40))[0][0] == pytest.approx(1)


@pytest.mark.parametrize("report_", [report(1, 40), report(20, 0), report(20, 50, kept=50)])
def test_unknown_rate_is_none(report_: ProgressReport) -> None:
    assert rates_of(report_) == [(None, None)]


def test_complete_or_stopped_rows_have_no_rate() -> None:
    assert rates_of(report(20, 100)) == [(None, None)]
    assert rates_of(report(20, 40), silent=60) == [(None, None)]


@given(st.lists(st.tuples(st.floats(0.1, 90), st.integers(0, 5)), min_size=1, max_size=30))
def test_time_left_is_remaining_work_divided_by_the_rate(steps: list[tuple[float, int]]) -> None:
    at, done, reports = 0.0, 0, []
    for seconds, more in steps:
        at, done = at + seconds, done + more
        reports.append(report(at, done, total=200))
    for report_, (rate, left) in zip(reports, rates_of(*reports), strict=True):
        assert (rate is None) == (left is None)
        if rate and left:
            assert rate > 0
            assert left * rate == pytest.approx(200 - report_.rows[0].done)


def test_old_reports_and_other_runs_are_dropped() -> None:
    (*_, (rate, _)) = rates_of(report(0, 0), report(1000, 10), report(1000 + WINDOW, 16))
    assert rate == pytest.approx(6 / WINDOW)
    again = report(1020, 40).model_copy(update={"started": START + timedelta(seconds=1000)})
    (*_, (rate, _)) = rates_of(report(1000, 90), again)
    assert rate == pytest.approx(2)


def test_cost_is_none_if_any_is_unknown() -> None:
    report_ = report(5, 1, cost=0.25, tokens=7)
    row = report_.rows[0]
    unknown = report_.model_copy(update={"rows": (row, row.model_copy(update={"cost": None}))})
    assert ProgressRates().update("key", report_, report_.updated).cost == 0.25
    assert ProgressRates().update("key", unknown, report_.updated).cost is None
    assert ProgressRates().update("key", unknown, report_.updated).tokens == 14


def test_run_is_complete_when_all_requests_are_done() -> None:
    live = ProgressRates().update("key", report(5, 100), START)
    assert live.complete
    assert not ProgressRates().update("key", report(5, 99), START).complete
    nothing = ProgressReport(started=START, updated=START)
    assert not ProgressRates().update("key", nothing, START).complete
    assert ProgressRates().update("key", nothing, START).stages == {}
