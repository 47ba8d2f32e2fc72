"""The nouns: what crosses JSON, SQLite, HTTP and processes. Knows no model, no judge, no file.

All records are frozen and refuse unknown fields; they are validated once, where they enter.
Two dialects meet here and stay apart: `Pair` and `Verdict` speak of first and second (positions)
and hold no model name; `Judgment` and everything after it speak of models by name.
"""

from bakeoff.records.findings import (
    Accounting,
    Agreement,
    Difference,
    Flag,
    JudgeSummary,
    ModelSummary,
    Outcome,
    PairSummary,
    Slice,
    SliceOutcome,
    Spread,
    Summary,
    Tally,
)
from bakeoff.records.nouns import (
    Authored,
    Comparison,
    Completion,
    Failure,
    Finish,
    Judgment,
    Message,
    Pair,
    Presented,
    Prompt,
    Record,
    Role,
    Scores,
    Verdict,
    Winner,
    content_key,
)
from bakeoff.records.results import SCHEMA, Evidence, Results

__all__ = [
    "SCHEMA",
    "Accounting",
    "Agreement",
    "Authored",
    "Comparison",
    "Completion",
    "Difference",
    "Evidence",
    "Failure",
    "Finish",
    "Flag",
    "JudgeSummary",
    "Judgment",
    "Message",
    "ModelSummary",
    "Outcome",
    "Pair",
    "PairSummary",
    "Presented",
    "Prompt",
    "Record",
    "Results",
    "Role",
    "Scores",
    "Slice",
    "SliceOutcome",
    "Spread",
    "Summary",
    "Tally",
    "Verdict",
    "Winner",
    "content_key",
]
