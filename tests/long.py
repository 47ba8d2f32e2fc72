"""Cases that take long: `make test` leaves them out, `make test-long` has them."""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def long(cases: Iterable[Any]) -> list[ParameterSet]:
    """The cases of a `parametrize`, marked; a tuple is the values of several parameters."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for case in cases
    ]
