"""Check judges on pairs whose better completion is known."""

from bakeoff.evaluation.judge_check.check import check, check_async, check_judges
from bakeoff.evaluation.judge_check.grades_text import check_sections
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
    "check_judges",
    "check_sections",
    "load_labeled_pairs",
]
