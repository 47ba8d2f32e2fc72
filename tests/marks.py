"""Marks single parameter sets `long`, so that `make test` skips them."""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def long(cases: Iterable[Any]) -> list[ParameterSet]:
    """Cases of a `parametrize`, marked `long`; a tuple holds the values of several parameters."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for case in cases
    ]
