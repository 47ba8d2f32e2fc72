import pytest
from pydantic import ValidationError

from bakeoff.evaluation.judge_check import Grade, LengthBaseline

BASELINE = LengthBaseline(right=1, wrong=1, equal=0, accuracy=0.5)


def test_grade_counts_must_add_up() -> None:
    grade = Grade(
        pairs=5,
        right=2,
        wrong=1,
        split=1,
        failed=1,
        worst_case=(0.4, 0.6),
        length_baseline=BASELINE,
    )
    assert grade.tie == 0
    with pytest.raises(ValidationError, match="5 pairs have 4 outcomes"):
        Grade(pairs=5, right=2, wrong=1, split=1, worst_case=(0.4, 0.4), length_baseline=BASELINE)
