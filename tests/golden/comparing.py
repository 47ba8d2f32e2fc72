"""Which numbers differ from the expected ones by more than their sources allow."""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.golden import reference, reference_statistics
from tests.golden.reference import Numbers

# bakeoff rounds each preference to 9 decimals, which moves a mean by 5e-10 at most and a bound on
# the logit scale by a small multiple of that; the expected numbers have 10 significant digits.
ROUNDING = 1e-8

TOLERANCES = {
    reference.COUNT: 0.0,
    reference.SIZE: 0.0,  # whole numbers
    reference.FITS: 0.0,
    # A ridge of 1e-6 keeps the strengths finite: it moves one by 2e-6 times its value over the
    # information of its outcomes, which is about 5 here.
    reference.NEWMAN: 3e-6,
    reference.LOGLINEAR: 3e-6,
    reference_statistics.BT: 3e-6,
    # A ridge of 1e-3 does the same for the fit at equal length; the information about the slope
    # of 20 to 60 prompts is 1 to 5.
    reference.GLM: 1e-3,
    # solve_power counts the far tail too (1e-6 of the power) and searches to 1e-6.
    reference.POWER: 2e-6,
    # Coordinate descent of one, a quasi-Newton method of the other.
    reference_statistics.LASSO: 1e-6,
    reference_statistics.LEE: 5.1e-5,  # published with four decimals
}


@cache
def read(path: Path) -> Any:
    """A file of expected numbers."""
    return json.loads(path.read_text("utf-8"))


def named(numbers: Numbers) -> dict[str, str]:
    """The name of each number and its source."""
    return {name: source for source, held in numbers.items() for name in held}


def differing(expected: Numbers, found: Mapping[str, float]) -> dict[str, str]:
    """Name -> source, expected and found number, of all that differ or are missing."""
    wrong = {}
    for source, held in expected.items():
        for name, wanted in held.items():
            got = found.get(name, math.nan)
            if not abs(got - wanted) <= _tolerance(source, name, held):
                wrong[name] = f"{source}: expected {wanted}, found {got}"
    return wrong


def unexpected(expected: Numbers, found: Mapping[str, float]) -> set[str]:
    """Names that were found and have no expected number, but for bootstrap intervals.

    Those are computed for one number of each kind only: they are slow.
    """
    bootstrapped = (
        ".alpha.",
        ".cohen.",
        ".fleiss.",
        ".ac1.",
        "length.controlled.",
        "length.slope.",
    )
    return {
        name
        for name in found.keys() - named(expected).keys()
        if name.endswith(".estimate") or not any(part in name for part in bootstrapped)
    }


def changeable(expected: Numbers) -> set[str]:
    """Names of numbers that other data of the same kind would change.

    Not what the design of the evaluation sets (counts of rows, the share shown first), nor shares
    and p-values at their bounds, nor a p-value that is less than what 9,999 flips tell apart.
    """
    return {
        name
        for source, held in expected.items()
        if source != reference.COUNT
        for name, number in held.items()
        if number % 1
        and name != "order.shown_first"
        and not (source == reference.ALL_FLIPS and number < 0.01)
    }


def _tolerance(source: str, name: str, held: Mapping[str, float]) -> float:
    if source == reference.BCA:
        # bakeoff draws 2,000 resamples. The 2.5 % quantile of so many has a standard error of
        # sqrt(.025 .975 / 2000) / .058 = 0.06 standard errors of the number, the standard
        # deviation one of 1/sqrt(2 2000) = 1.6 %; four of each, and the reference's own on top.
        spread = held[f"{name.rpartition('.')[0]}.se"]
        return (0.08 if name.endswith(".se") else 0.3) * spread
    if source == reference.ALL_FLIPS:
        # bakeoff draws 9,999 flips; twice a tail of p/2, and the flip that was observed.
        p = held[name]
        return 4 * 2 * math.sqrt(p / 2 * (1 - p / 2) / 9_999) + 2 / 9_999
    return TOLERANCES.get(source, ROUNDING) * max(1.0, abs(held[name]))
