"""The summary of an evaluation: models, pairs, ratings and notes, derived from the records."""

from pydantic import Field

from bakeoff.records.pair_summary import Flag, Outcome, PairSummary
from bakeoff.records.record import Record
from bakeoff.records.usage import StageUsage
from bakeoff.stats.results import Estimate, SignificanceResult


class BaselineDifference(Record):
    """The difference of two models' win rates over a third one, on prompts that all three share."""

    a: str
    b: str
    baseline: str
    prompts: int
    difference: Estimate
    """Win rate of a over the baseline minus that of b, -1 to 1."""
    test: SignificanceResult
    holm_p: float
    """The p-value of `test`, adjusted for all differences of the summary."""
    published: Estimate | None = None
    """The same difference with Student's t interval over prompts, without clusters of repeated
    prompts, as leaderboards publish it."""
    outcome: Outcome
    """`better` if a is better than b; `withheld` if the verdict on either pair is."""


class NullCheck(Record):
    """A judge's verdicts on pairs of completions by one and the same model."""

    judge: str
    model: str
    prompts: int
    identical: int
    """Pairs with equal texts."""
    win_rate: Estimate
    """Win rate of the first sample."""
    band: tuple[float, float]
    """Range in which `win_rate` lies in 95% of checks of a fair judge."""
    first_wins: Estimate | None = None
    decided: float | None = None
    """Share of prompts with the same winner, and no tie, in both orders."""


class ModelSummary(Record):
    """Counts of the completions of one model, and flags where too many have a problem."""

    model: str
    completed: int
    failed: int
    truncated: int
    """Completions that ended at the token limit; guessed from the text if that is unknown."""
    empty: int
    refused: int = 0
    duplicated: int = 0
    """Completions with the same text as the completion of another prompt."""
    malformed: int = 0
    """Completions with an unbalanced tag, such as `<think>` or `<answer>`."""
    suspicious: int = 0
    """Completions with instructions to the judge or hidden text."""
    mean_tokens: float | None = None
    mean_characters: float | None = None
    flags: tuple[Flag, ...] = ()


class Rating(Record):
    """The rating of one model, where three or more are compared."""

    model: str
    strength: Estimate
    """Bradley-Terry strength in log-odds, centered at 0."""
    ranks: tuple[int, int] | None = None
    """Best and worst possible rank; the ranges of all models hold together with 95% confidence."""
    group: str | None = None
    """Letters; two models share a letter if they do not differ significantly."""


class RatingModel(Record):
    """The model that was fitted for the ratings, and its parameters other than strengths."""

    method: str
    """The model, the treatment of the order of presentation and the method of the intervals."""
    prompts: int = Field(ge=1)
    clusters: int | None = None
    """Clusters of prompts; None if no prompt is in a cluster."""
    tie_parameter: float | None = Field(default=None, ge=0)
    """Davidson's nu: equal models tie with probability nu / (2 cosh(first_advantage / 2) + nu).
    None if not fitted."""
    first_advantage: float | None = None
    """Advantage of the completion shown first, in log-odds; None if not fitted."""
    components: int = Field(default=1, ge=1)
    """Strongly connected components of the win graph; with more than one, only a ridge penalty
    relates strengths of different components."""


class Summary(Record):
    """Everything derived from the evidence of one evaluation."""

    estimand: str
    """What the win rates estimate, as a sentence."""
    models: tuple[ModelSummary, ...]
    pairs: tuple[PairSummary, ...]
    ratings: tuple[Rating, ...] = ()
    """Strongest first; empty with two models."""
    rating_model: RatingModel | None = None
    ratings_withheld: str = ""
    """Why there are no ratings of three models or more, as a sentence; empty if there are."""
    published_ratings: tuple[Rating, ...] = ()
    """Ratings from all judged pairs, without ranks and groups, as leaderboards publish them; only
    if the verdict on a pair is withheld, so that `ratings` are missing or leave it out."""
    published_rating_model: RatingModel | None = None
    baseline_differences: tuple[BaselineDifference, ...] = ()
    """Of two models that were compared with the same third one, and not with each other."""
    null_checks: tuple[NullCheck, ...] = ()
    usage: tuple[StageUsage, ...] = ()
    """Tokens and cost of the evidence per model and judge, over all runs."""
    notes: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags of all pairs and all models."""
        pairs = [flag for pair in self.pairs for flag in pair.flags]
        return (*pairs, *(flag for model in self.models for flag in model.flags))
