"""Judgments to comparisons to a summary: pure, and the place where orders are folded back.

Knows model names and numbers; asks nobody and loads nothing. The prompt is the unit: orders,
repeats, completions and judges of one prompt become one number before anything is counted.
"""

from bakeoff.summary.folding import compare
from bakeoff.summary.trial import Terms
from bakeoff.summary.whole import summarize

__all__ = ["Terms", "compare", "summarize"]
