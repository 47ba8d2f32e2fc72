"""Comparison of numbers with expected ones, within the tolerance of each source."""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.golden import reference, reference_statistics
from tests.golden.reference import Numbers

# bakeoff rounds each preference to 9 decimals, which moves a mean by 5e-10 at most and a bound by a
# small multiple of that; the expected numbers have 10 significant digits.
ROUNDING = 1e-8

TOLERANCES = {
    reference.COUNT: 0.0,
    reference.SIZE: 0.0,  # whole numbers
    reference.FITS: 0.0,
    # A ridge of 1e-6 keeps the strengths finite and changes each by 2e-6 times its value, divided
    # by the information of its outcomes, which is about 5 here.
    reference.NEWMAN: 3e-6,
    reference.LOGLINEAR: 3e-6,
    reference_statistics.BT: 3e-6,
    # A ridge of 1e-3 does the same for the fit at equal length; the information about the slope
    # of 20 to 60 prompts is 1 to 5.
    reference.GLM: 1e-3,
    # solve_power counts the far tail too (1e-6 of the power) and searches to 1e-6.
    reference.POWER: 2e-6,
    # Coordinate descent against a quasi-Newton method.
    reference_statistics.LASSO: 1e-6,
    reference_statistics.LEE: 5.1e-5,  # published with four decimals
}


@cache
def read(path: Path) -> Any:
    """The parsed file of expected numbers."""
    return json.loads(path.read_text("utf-8"))


def sources(numbers: Numbers) -> dict[str, str]:
    """Name -> source of each number."""
    return {name: source for source, values in numbers.items() for name in values}


def differences(expected: Numbers, actual: Mapping[str, float]) -> dict[str, str]:
    """Name -> source, expected and actual number, of all that differ or are missing."""
    different = {}
    for source, values in expected.items():
        for name, expected_value in values.items():
            actual_value = actual.get(name, math.nan)
            if not abs(actual_value - expected_value) <= _tolerance(source, name, values):
                different[name] = f"{source}: expected {expected_value}, got {actual_value}"
    return different


def unexpected(expected: Numbers, actual: Mapping[str, float]) -> set[str]:
    """Names of numbers without an expected value, except bootstrap intervals.

    Expected bootstrap intervals are slow, so one of each kind is computed.
    """
    bootstrapped = (
        ".alpha.",
        ".cohen.",
        ".fleiss.",
        ".ac1.",
    )
    return {
        name
        for name in actual.keys() - sources(expected).keys()
        if name.endswith(".estimate") or not any(part in name for part in bootstrapped)
    }


def changeable(expected: Numbers) -> set[str]:
    """Names of the numbers that change with the data.

    Excluded: numbers set by the design (counts of rows, the share shown first), shares and p-values
    at their bounds, and p-values of score differences below their tolerance.
    """
    return {
        name
        for source, values in expected.items()
        if source != reference.COUNT
        for name, number in values.items()
        if number % 1
        and name != "order.shown_first"
        and not (source == reference.SCORE_FLIPS and number < 0.01)
    }


def _tolerance(source: str, name: str, values: Mapping[str, float]) -> float:
    if source == reference.BCA:
        # bakeoff draws 2,000 resamples. Their 2.5 % quantile has a standard error of
        # sqrt(.025 .975 / 2000) / .058 = 0.06 standard errors of the number, the standard
        # deviation one of 1/sqrt(2 2000) = 1.6 %: four of each, plus those of the reference.
        spread = values[f"{name.rpartition('.')[0]}.se"]
        return (0.08 if name.endswith(".se") else 0.3) * spread
    if source == reference.SCORE_FLIPS:
        # bakeoff rounds more than 16 differences to a grid of 1/100 of their size, which counts
        # some of the sums that equal the observed one as nearer to 0.
        p = values[name]
        return 4 * 2 * math.sqrt(p / 2 * (1 - p / 2) / 9_999) + 2 / 9_999
    return TOLERANCES.get(source, ROUNDING) * max(1.0, abs(values[name]))
