"""Checks a judge: asks it about pairs whose better one is known, and counts what it gets right.

Knows pairs, judges and the store; no model that is compared.
"""

from bakeoff.checking.check import check, check_async, check_config
from bakeoff.checking.labelled import Known, Labelled, known_pairs
from bakeoff.checking.results import CheckResults, Grade, JudgeCheck, Longer, Miss
from bakeoff.checking.shown import lines

__all__ = [
    "CheckResults",
    "Grade",
    "JudgeCheck",
    "Known",
    "Labelled",
    "Longer",
    "Miss",
    "check",
    "check_async",
    "check_config",
    "known_pairs",
    "lines",
]
