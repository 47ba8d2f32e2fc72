"""Strategies for values of every kind, and checks and comparisons of results."""

import math
from dataclasses import fields, is_dataclass

import numpy as np
from hypothesis import strategies as st

from bakeoff.stats.results import Estimate

singles = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60).map(np.array)
averages = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)
quarters = st.lists(st.integers(0, 4).map(lambda n: n / 4), min_size=1, max_size=60).map(np.array)
values_of_any_kind = singles | quarters | averages


def sound(result: object) -> bool:
    """Whether a result has finite plain values only (JSON has no NaN) and sound intervals."""
    if is_dataclass(result):
        if isinstance(result, Estimate):
            assert result.low <= result.estimate <= result.high, result
            assert result.n >= 1
            assert result.se is None or result.se >= 0
        return all(sound(getattr(result, field.name)) for field in fields(result))
    if isinstance(result, tuple | list):
        return all(sound(item) for item in result)
    assert result is None or type(result) in (int, float, str), (type(result), result)
    assert not isinstance(result, float) or math.isfinite(result), result
    return True


def close(result: Estimate, estimate: float, low: float, high: float, within: float = 1e-9) -> bool:
    ours, theirs = (result.estimate, result.low, result.high), (estimate, low, high)
    return np.allclose(ours, theirs, rtol=0, atol=within)


def mirrored(first: Estimate, second: Estimate, within: float = 1e-9) -> bool:
    return close(first, 1 - second.estimate, 1 - second.high, 1 - second.low, within)


def negated(first: Estimate, second: Estimate, within: float = 1e-9) -> bool:
    return close(first, -second.estimate, -second.high, -second.low, within)


def same(first: Estimate, second: Estimate, within: float = 1e-9) -> bool:
    return close(first, second.estimate, second.low, second.high, within)
