"""Marks of tests: parameter sets that only `make test-long` runs, and numbers of examples."""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from hypothesis import settings


def long(cases: Iterable[Any]) -> list[ParameterSet]:
    """Cases of a `parametrize`, marked `long`; a tuple holds the values of several parameters."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for case in cases
    ]


def examples(count: int) -> settings:
    """Settings of Hypothesis with `count` examples, or fewer in the profile `quick`."""
    if settings.get_current_profile_name() == "quick":
        count = min(count, settings.get_profile("quick").max_examples)
    return settings(max_examples=count)
