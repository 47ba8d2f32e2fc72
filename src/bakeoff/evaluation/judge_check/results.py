"""What a check of judges finds: counts and estimates, all derived from its verdicts."""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from bakeoff.evaluation.judge_check.labeled_pairs import Labelled
from bakeoff.records import Accounting, Agreement, Failure, Judgment, Record, RetryReason, Scores
from bakeoff.stats.results import Estimate, OrderEffect

SCHEMA = "bakeoff-check/1"

Mark = Literal["right", "wrong", "split", "tie", "failed"]


class Longer(Record):
    """What whoever always picks the longer completion (in characters) would have got."""

    right: int
    wrong: int
    equal: int
    share: float


class Grade(Record):
    """How a judge did on some pairs: pairs = right + wrong + split + tie + failed, always.

    A pair is right where the preference, averaged over orders and repeats, is for the better one,
    wrong where it is for the other, split where the two orders name opposite winners, and failed
    where an order has no verdict. `share` is what is right of those that did not fail (Wilson),
    `worst_case` the same of all pairs if every one that failed were wrong, and if right.
    `preference` is the mean probability that the judge gives to the better one.
    """

    pairs: int
    right: int = 0
    wrong: int = 0
    split: int = 0
    tie: int = 0
    failed: int = 0
    share: Estimate | None = None
    worst_case: tuple[float, float]
    preference: Estimate | None = None
    longer: Longer

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        parts = self.right + self.wrong + self.split + self.tie + self.failed
        if self.pairs != parts:
            raise ValueError(f"{self.pairs} pairs are not {parts} that have a mark")
        return self


class Miss(Record):
    """A pair that a judge did not get right. `preference` is that for the better one; `certainty`
    is how far its verdicts are from a tie, 0 to 1; `scores` are of the better and the worse one.
    """

    id: str
    set: str
    kind: str
    mark: Mark
    preference: float
    certainty: float
    scores: Scores | None = None


class JudgeCheck(Record):
    """What one judge said about pairs whose better one is known.

    `better_first` is how often it names the better one where that is shown first, `better_second`
    where it is shown second; `kappa` is Cohen's, of the labels and the verdicts as positions.
    `longer_won` is the share of decisive pairs that it gave to the longer one. `misses` are the
    pairs that are wrong, split or tied, in this order, the most certain first.
    """

    judge: str
    overall: Grade
    by_set: dict[str, Grade] = Field(default_factory=dict)
    by_kind: dict[str, Grade] = Field(default_factory=dict)
    accounting: Accounting
    better_first: Estimate | None = None
    better_second: Estimate | None = None
    consistency: Estimate | None = None
    order: OrderEffect
    kappa: Estimate | None = None
    longer_won: Estimate | None = None
    mended: dict[RetryReason, int] = Field(default_factory=dict)
    contradicting: int = 0
    misses: tuple[Miss, ...] = ()

    @property
    def failed(self) -> int:
        """How many of its verdicts are missing: the same check asks for them again."""
        return self.accounting.failed


class CheckResults(Record):
    """The whole check: what was asked, every verdict, and what each judge made of it.

    `held` is how many pairs the source has in all. In `judgments` and `failures` the two of a pair
    are called `better` and `worse`, and a pair's id stands for the prompt's. `coin` is what a toss
    would have scored. `agreement` is between the judges by pair, and between the repeats of each.
    """

    schema_: str = Field(default=SCHEMA, alias="schema")
    source: str
    held: int
    config: dict[str, JsonValue]
    pairs: tuple[Labelled, ...]
    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    coin: float = 0.5
    longer: Longer
    judges: tuple[JudgeCheck, ...]
    agreement: tuple[Agreement, ...] = ()
    notes: tuple[str, ...] = ()
    environment: dict[str, JsonValue]

    def to_json(self) -> str:
        """The document, indented, ending in a newline."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
