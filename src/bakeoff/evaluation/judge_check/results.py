"""Records of a judge check: the document `judge-check.json`."""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from bakeoff.evaluation.judge_check.labeled_pairs import LabeledPair
from bakeoff.records import Accounting, Agreement, Failure, Judgment, Record, RetryReason, Scores
from bakeoff.stats.results import Estimate, OrderEffect

CHECK_SCHEMA = "bakeoff-check/1"

LabeledOutcome = Literal["right", "wrong", "split", "tie", "failed"]


class LengthBaseline(Record):
    """Counts of a rule that always chooses the longer completion, in characters."""

    right: int
    wrong: int
    equal: int
    """Pairs whose completions have the same length."""
    accuracy: float
    """`right` divided by all pairs."""


class Grade(Record):
    """Counts and rates of one judge on labeled pairs.

    `right + wrong + split + tie + failed = pairs`.
    """

    pairs: int
    right: int = 0
    """The preference, averaged over orders and repeats, is for the better completion."""
    wrong: int = 0
    split: int = 0
    """The two orders name opposite winners."""
    tie: int = 0
    failed: int = 0
    """Pairs with an order that has no verdict."""
    accuracy: Estimate | None = None
    """Share of `right` in the pairs that did not fail, with a Wilson interval."""
    worst_case: tuple[float, float]
    """Share of `right` in all pairs if every failed pair were wrong, and if it were right."""
    preference: Estimate | None = None
    """Mean probability given to the better completion."""
    length_baseline: LengthBaseline

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.right + self.wrong + self.split + self.tie + self.failed
        if self.pairs != total:
            raise ValueError(f"{self.pairs} pairs have {total} outcomes")
        return self


class Miss(Record):
    """A pair that a judge did not get right."""

    id: str
    set: str
    kind: str
    outcome: LabeledOutcome
    preference: float
    """Probability given to the better completion."""
    certainty: float
    """Mean distance of the verdicts from a tie, 0 to 1."""
    scores: Scores | None = None
    """Mean scores of the better and the worse completion."""


class JudgeCheck(Record):
    """The grades and biases of one judge; shares are 0 to 1."""

    judge: str
    overall: Grade
    by_set: dict[str, Grade] = Field(default_factory=dict)
    by_kind: dict[str, Grade] = Field(default_factory=dict)
    accounting: Accounting
    better_first: Estimate | None = None
    """Accuracy where the better completion is shown first."""
    better_second: Estimate | None = None
    """Accuracy where the better completion is shown second."""
    consistency: Estimate | None = None
    """Share of pairs with the same winner in both orders."""
    order: OrderEffect
    kappa: Estimate | None = None
    """Cohen's kappa of the labels and the verdicts, both as positions."""
    longer_won: Estimate | None = None
    """Share of decided pairs that the longer completion won."""
    retries: dict[RetryReason, int] = Field(default_factory=dict)
    """Verdicts that needed a second request, by reason."""
    contradictory: int = 0
    """Verdicts whose winner contradicts the scores."""
    misses: tuple[Miss, ...] = ()
    """Wrong, split and tied pairs, in this order, the most certain first."""

    @property
    def failed(self) -> int:
        """Number of missing verdicts; the next check requests them again."""
        return self.accounting.failed


class CheckResults(Record):
    """The results of a judge check.

    In `judgments` and `failures`, the two models are named `better` and `worse`, and `prompt_id`
    is the id of the pair.
    """

    schema_: str = Field(default=CHECK_SCHEMA, alias="schema")
    source: str
    """Path of the pairs, or `bakeoff's own`."""
    available: int
    """Number of pairs of the source, before `limit`."""
    config: dict[str, JsonValue]
    pairs: tuple[LabeledPair, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    chance_accuracy: float = 0.5
    """Expected accuracy of random guessing."""
    length_baseline: LengthBaseline
    judges: tuple[JudgeCheck, ...]
    agreement: tuple[Agreement, ...] = ()
    """Agreement of the judges by pair, and of each judge with its own repeats."""
    notes: tuple[str, ...] = ()
    environment: dict[str, JsonValue]

    def to_json(self) -> str:
        """Return the document, indented, with a final newline."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
