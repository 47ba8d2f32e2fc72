"""Checks a judge: asks it about pairs whose better one is known, and counts what it gets right.

Knows pairs, judges and the store; no model that is compared.
"""

from bakeoff.evaluation.judge_check.check import check, check_async, check_config
from bakeoff.evaluation.judge_check.labeled_pairs import Known, Labelled, known_pairs
from bakeoff.evaluation.judge_check.results import CheckResults, Grade, JudgeCheck, Longer, Miss
from bakeoff.evaluation.judge_check.text import lines

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
