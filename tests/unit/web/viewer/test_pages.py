from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.stats.results import Estimate
from bakeoff.web.viewer import pages
from bakeoff.web.viewer.comparison import ComparedNumber, PairedChange

MINUS = "\u2212"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (ComparedNumber("x", 0.5, 0.543, "share"), "+4.3 points"),
        (ComparedNumber("x", 0.5, 0.4, "share"), f"{MINUS}10.0 points"),
        (ComparedNumber("x", 0.5, 0.50001, "share"), "0.0 points"),
        (ComparedNumber("x", 0.5, 0.4, "score"), f"{MINUS}0.100"),
        (ComparedNumber("x", 1200, 2400, "count"), "+1,200"),
        (ComparedNumber("x", 3, 3, "count"), "0"),
        (ComparedNumber("x", 1.5, 0.25, "dollars"), f"{MINUS}$1.25"),
        (ComparedNumber("x", 30, 630, "seconds"), "+10 min"),
        (ComparedNumber("x", None, 3, "count"), ""),
        (ComparedNumber("x", 2, 3, "count", ("the prompts are not the same",)), ""),
    ],
)
def test_difference_has_sign_and_unit(number: ComparedNumber, shown: str) -> None:
    assert pages.change(number) == shown


@given(st.floats(-1, 1))
def test_points_are_antisymmetric(share: float) -> None:
    turned = pages.points(-share)
    assert pages.points(share).replace(MINUS, "+") == turned.replace(MINUS, "+")
    if turned != "0.0":
        assert {pages.points(share)[0], turned[0]} == {"+", MINUS}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (0.4, "0.4 s"), (59, "59 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"),
     (200_000, "2 d")],
)  # fmt: skip
def test_durations_are_rounded(seconds: float, shown: str) -> None:
    assert pages.duration(seconds) == shown


@pytest.mark.parametrize(
    ("rate", "shown"), [(2.5, "2.5 / s"), (0.5, "30.0 / min"), (0.001, "3.6 / h")]
)
def test_rates_use_a_suitable_unit(rate: float, shown: str) -> None:
    assert pages.rate(rate) == shown


@pytest.mark.parametrize(("dollars", "shown"), [(0, "$0.00"), (0.0123, "$0.012"), (12.5, "$12.50")])
def test_small_amounts_keep_significant_digits(dollars: float, shown: str) -> None:
    assert pages.money(dollars) == shown


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_axis_positions_keep_order_and_stay_in_range(first: float, second: float) -> None:
    places = [pages.axis_position(value) for value in sorted((first, second))]
    assert 0 <= places[0] <= places[1] <= 100


@given(st.floats(-1, 1), st.floats(0, 1))
def test_axis_limit_contains_the_interval(middle: float, half: float) -> None:
    change = Estimate(middle, max(-1, middle - half), min(1, middle + half), "t", 9)
    end = pages.axis_limit(change)
    assert -end <= change.low <= change.high <= end


@pytest.mark.parametrize(
    ("low", "high", "interval", "expected"),
    [
        (0.01, 0.2, True, "0 is outside the interval"),
        (-0.2, -0.01, True, "0 is outside the interval"),
        (-0.1, 0.2, True, "0 is inside the interval"),
        (0.0, 0.2, True, "0 is inside the interval"),
        (0.1, 0.1, False, "Too few prompts"),
    ],
)
def test_significance_of_an_interval(
    low: float, high: float, interval: bool, expected: str
) -> None:
    change = Estimate((low + high) / 2, low, high, "t", 20)
    assert pages.significance(PairedChange(20, change, interval, ())).startswith(expected)


def test_times_are_in_the_local_time_zone() -> None:
    assert pages.when(datetime(2026, 3, 1, 9, 5).astimezone()) == "1 Mar 2026, 09:05"
