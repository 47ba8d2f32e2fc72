"""The records that cross JSON, SQLite, HTTP and processes.

They are frozen and validated; an unknown field is an error.

`Pair` and `Verdict` name positions; `Judgment` and what is derived from it name models.
"""

from bakeoff.records.completion import Completion, Finish, ModelCompletion
from bakeoff.records.plan import Plan
from bakeoff.records.prompt import CLUSTER_TAG, Criterion, Message, PrefixedPrompt, Prompt, Role
from bakeoff.records.record import Record, content_key, intern_fields_set
from bakeoff.records.results import (
    HUMAN_PREFIX,
    SCHEMA,
    Design,
    Evidence,
    HumanSample,
    Judgments,
    Results,
    register_views,
)
from bakeoff.records.summary import (
    MARGIN,
    Accounting,
    Agreement,
    Counts,
    Flag,
    HumanVotes,
    JudgeCard,
    ModelSummary,
    NullCheck,
    Outcome,
    PairSummary,
    Rating,
    RatingModel,
    ScoreDifference,
    ScoreStats,
    Slice,
    SliceOutcome,
    Summary,
)
from bakeoff.records.usage import Stage, StageUsage, Usage
from bakeoff.records.verdict import (
    Comparison,
    Failure,
    Judgment,
    Pair,
    Presentation,
    RawScores,
    RetryReason,
    Scores,
    Verdict,
    Winner,
)

__all__ = [
    "CLUSTER_TAG",
    "HUMAN_PREFIX",
    "MARGIN",
    "SCHEMA",
    "Accounting",
    "Agreement",
    "Comparison",
    "Completion",
    "Counts",
    "Criterion",
    "Design",
    "Evidence",
    "Failure",
    "Finish",
    "Flag",
    "HumanSample",
    "HumanVotes",
    "JudgeCard",
    "Judgment",
    "Judgments",
    "Message",
    "ModelCompletion",
    "ModelSummary",
    "NullCheck",
    "Outcome",
    "Pair",
    "PairSummary",
    "Plan",
    "PrefixedPrompt",
    "Presentation",
    "Prompt",
    "Rating",
    "RatingModel",
    "RawScores",
    "Record",
    "Results",
    "RetryReason",
    "Role",
    "ScoreDifference",
    "ScoreStats",
    "Scores",
    "Slice",
    "SliceOutcome",
    "Stage",
    "StageUsage",
    "Summary",
    "Usage",
    "Verdict",
    "Winner",
    "content_key",
    "intern_fields_set",
    "register_views",
]
