"""The records that cross JSON, SQLite, HTTP and processes.

They are frozen and validated; an unknown field is an error.

`Pair` and `Verdict` name positions; `Judgment` and what is derived from it name models.
"""

from bakeoff.records.completion import Completion, Finish, ModelCompletion
from bakeoff.records.looks import Design, JudgeDrift, Look, PlannedLook, merged_design, ordinal
from bakeoff.records.pair_summary import (
    MARGIN,
    Accounting,
    Agreement,
    Counts,
    Flag,
    FlipRate,
    HumanVotes,
    JudgeCard,
    Outcome,
    PairSummary,
    ScoreDifference,
    ScoreStats,
    Sensitivity,
    Slice,
    SliceOutcome,
)
from bakeoff.records.plan import Plan
from bakeoff.records.prompt import CLUSTER_TAG, Criterion, Message, PrefixedPrompt, Prompt, Role
from bakeoff.records.record import Record, content_key, intern_fields_set, list_key
from bakeoff.records.results import (
    HUMAN_PREFIX,
    SCHEMA,
    Evidence,
    HumanSample,
    Judgments,
    Results,
)
from bakeoff.records.runs import PairRun, StoredRun
from bakeoff.records.summary import (
    BaselineDifference,
    ModelSummary,
    NullCheck,
    Rating,
    RatingModel,
    Summary,
)
from bakeoff.records.usage import Stage, StageUsage, Usage, total_or_none
from bakeoff.records.verdict import (
    Comparison,
    Failure,
    Judgment,
    Pair,
    Presentation,
    RawScores,
    RetryReason,
    Scores,
    ScoreTimes,
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
    "BaselineDifference",
    "Comparison",
    "Completion",
    "Counts",
    "Criterion",
    "Design",
    "Evidence",
    "Failure",
    "Finish",
    "Flag",
    "FlipRate",
    "HumanSample",
    "HumanVotes",
    "JudgeCard",
    "JudgeDrift",
    "Judgment",
    "Judgments",
    "Look",
    "Message",
    "ModelCompletion",
    "ModelSummary",
    "NullCheck",
    "Outcome",
    "Pair",
    "PairRun",
    "PairSummary",
    "Plan",
    "PlannedLook",
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
    "ScoreTimes",
    "Scores",
    "Sensitivity",
    "Slice",
    "SliceOutcome",
    "Stage",
    "StageUsage",
    "StoredRun",
    "Summary",
    "Usage",
    "Verdict",
    "Winner",
    "content_key",
    "intern_fields_set",
    "list_key",
    "merged_design",
    "ordinal",
    "total_or_none",
]
