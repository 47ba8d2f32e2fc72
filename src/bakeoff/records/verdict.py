"""Pairs, verdicts and judgments.

`Pair` and `Verdict` name positions (`first`, `second`) and no model, so that a judge is blind.
`Judgment` and `Comparison` name models.
"""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field

from bakeoff.errors import BackendError, WorkError
from bakeoff.records.prompt import Prompt
from bakeoff.records.record import Record
from bakeoff.records.usage import Stage, Usage

Winner = Literal["a", "b", "tie"]
Presentation = Literal["recorded", "unknown", "pointwise"]
RetryReason = Literal["unreadable", "contradiction"]


class Scores(NamedTuple):
    """Scores of the two completions, each from 0 to 10."""

    first: Annotated[float, Field(ge=0, le=10)]
    second: Annotated[float, Field(ge=0, le=10)]


class RawScores(NamedTuple):
    """Rewards or log-probabilities of the two completions, on the scale of the judge."""

    first: float
    second: float


class ScoreTimes(NamedTuple):
    """Times at which the two completions were scored, in seconds since 1970."""

    first: float
    second: float


class Pair(Record):
    """The input of a judge: a prompt and two completions, without model names."""

    prompt: Prompt
    first: str
    second: str
    id: str = ""
    """Distinguishes repeats of the same question in requests; the judge does not see it."""

    def with_id(self, id: str) -> Self:
        """Return the pair with another `id`."""
        return self.model_copy(update={"id": id})

    def swapped(self) -> Self:
        """Return the pair in the other order, with an empty `id`."""
        return self.model_copy(update={"first": self.second, "second": self.first, "id": ""})


class Verdict(Record):
    """A judge's decision on a pair."""

    first: float = Field(ge=0, le=1)
    """Probability that the first completion is better; 0.5 is a tie."""
    scores: Scores | None = None
    """None if the judge gives no scores."""
    reason: str = ""
    """The judge's explanation."""
    raw: str = ""
    """The reply as received."""
    raw_scores: RawScores | None = None
    """Values of a pointwise judge: rewards or log-probabilities."""
    score_times: ScoreTimes | None = Field(default=None, exclude_if=lambda times: times is None)
    """When a pointwise judge scored the two completions; None if a file does not say it."""
    retry_reason: RetryReason | None = None
    """Problem of the first reply, for which the judge was asked a second time."""
    both_bad: bool = Field(default=False, exclude_if=lambda both_bad: not both_bad)
    """A tie because both completions are bad: a label of its own in votes of an arena."""
    contradictory: bool = False
    """Winner and scores contradicted each other in the second reply too; `first` follows the
    scores."""
    shown_characters: int | None = Field(default=None, ge=0)
    """Characters of each completion that the judge saw, if shortened to fit its context."""
    snapshot: str | None = None
    """Model name that the server returned."""
    usage: Usage | None = None
    """Tokens of all requests for this verdict."""
    cost: float | None = Field(default=None, ge=0)
    """US dollars for all requests for this verdict; None if unknown."""

    @property
    def winner_has_lower_score(self) -> bool:
        """Whether the winner is not the completion with the higher score, or is a tie.

        False for equal scores, which contradict no winner, and without scores.
        """
        if self.scores is None or self.scores.first == self.scores.second:
            return False
        return self.first == 0.5 or (self.first > 0.5) != (self.scores.first > self.scores.second)

    @property
    def contradicts_scores(self) -> bool:
        """Whether the winner that the judge named contradicts its scores."""
        return self.contradictory or self.winner_has_lower_score

    def swapped(self) -> Self:
        """Return the same verdict for the pair in the other order."""
        mirrored = {
            "first": 1 - self.first,
            "scores": self.scores and Scores(*reversed(self.scores)),
            "raw_scores": self.raw_scores and RawScores(*reversed(self.raw_scores)),
            "score_times": self.score_times and ScoreTimes(*reversed(self.score_times)),
        }
        return self.model_copy(update=mirrored)


class Judgment(Record):
    """A verdict with the names of its judge, prompt and models: a row of the results."""

    prompt_id: str
    judge: str
    first: str
    """Name of the model that was shown first."""
    second: str
    repeat: int = 0
    sample: int = Field(default=0, ge=0)
    """Index of the completions that were compared."""
    presented: Presentation = "recorded"
    """`recorded`: the order is known. `unknown`: an imported file does not record the order, and
    `first` may be either model. `pointwise`: each completion was judged separately."""
    verdict: Verdict

    def with_ids(self, prompt_id: str, sample: int, repeat: int) -> Self:
        """Return the judgment with another prompt, sample and repeat."""
        return self.model_copy(update={"prompt_id": prompt_id, "sample": sample, "repeat": repeat})


class Failure(Record):
    """A completion or verdict that could not be obtained: not in statistics, retried by the next
    run."""

    stage: Stage
    prompt_id: str
    participant: str
    """Name of the model or judge that failed."""
    kind: str
    """Kind of error, such as `backend`, `verdict` or `refused`."""
    message: str
    raw: str | None = None
    """The reply as received, if there was one."""
    status: int | None = None
    """HTTP status."""
    first: str | None = None
    """Model shown first, for a judgment."""
    second: str | None = None
    repeat: int = 0
    sample: int = Field(default=0, ge=0)
    usage: Usage | None = None
    """Tokens of requests that were answered without a usable outcome."""
    cost: float | None = Field(default=None, ge=0)
    """US dollars for these requests; None if unknown."""

    @classmethod
    def of(
        cls, error: WorkError, stage: Stage, prompt_id: str, participant: str, sample: int = 0
    ) -> Self:
        """Return the record of an error of the model or judge `participant`."""
        return cls(
            stage=stage,
            prompt_id=prompt_id,
            participant=participant,
            kind=error.kind,
            message=error.message,
            raw=error.raw,
            status=error.status if isinstance(error, BackendError) else None,
            sample=sample,
            **error.usage,
        )

    def with_ids(self, prompt_id: str, sample: int, repeat: int) -> Self:
        """Return the failure with another prompt, sample and repeat."""
        return self.model_copy(update={"prompt_id": prompt_id, "sample": sample, "repeat": repeat})

    def for_pair(self, first: str, second: str, repeat: int, sample: int = 0) -> Self:
        """Return the failure of a judgment with the names of its models."""
        return self.model_copy(
            update={"first": first, "second": second, "repeat": repeat, "sample": sample}
        )


class Comparison(Record):
    """The comparison of two models on one prompt, over all orders, repeats, samples and judges."""

    prompt_id: str
    a: str
    b: str
    preference: float = Field(ge=0, le=1)
    """Probability that `a` is better: the mean over judges of the means over orders."""
    winner: Winner
    """Winner by a majority of the judges. The winner by one judge is a tie if the two orders name
    opposite winners."""
    flipped: bool = False
    """For a majority of the judges, the two orders name opposite winners."""
    consistent: bool | None = None
    """For a majority of the judges, both orders name the same winner; None if only one order was
    judged."""
    scores: Scores | None = None
    """Mean scores of `a` and `b`, 0 to 10."""
