"""Check judges on pairs whose better completion is known."""

from bakeoff.evaluation.judge_check.check import check, check_async, check_config
from bakeoff.evaluation.judge_check.labeled_pairs import (
    LabeledPair,
    LabeledPairs,
    load_labeled_pairs,
)
from bakeoff.evaluation.judge_check.results import (
    CheckResults,
    Grade,
    JudgeCheck,
    LengthBaseline,
    Miss,
)
from bakeoff.evaluation.judge_check.text import check_lines

__all__ = [
    "CheckResults",
    "Grade",
    "JudgeCheck",
    "LabeledPair",
    "LabeledPairs",
    "LengthBaseline",
    "Miss",
    "check",
    "check_async",
    "check_config",
    "check_lines",
    "load_labeled_pairs",
]
