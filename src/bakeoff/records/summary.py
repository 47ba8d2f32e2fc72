"""The summary of an evaluation: counts, estimates, flags and verdicts, derived from the records."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bakeoff.records.record import Record
from bakeoff.records.usage import StageUsage
from bakeoff.stats.results import (
    CalibratedRate,
    Estimate,
    FeatureBias,
    LeakEffect,
    LengthEffect,
    OrderEffect,
    Power,
    SignificanceResult,
    VarianceComponents,
)

MARGIN: float = 5  # default equivalence margin, in percentage points around 50%

SliceOutcome = Literal["better", "worse", "no difference shown"]
Outcome = Literal["better", "worse", "equivalent", "not enough data", "withheld"]


class ScoreStats(Record):
    """Mean and sample standard deviation of scores over prompts; scores are divided by 10."""

    mean: float
    sd: float


class ScoreDifference(Record):
    """The paired score differences a - b over prompts; scores are divided by 10."""

    value: Estimate
    """Mean, -1 to 1."""
    sd: float
    """Sample standard deviation of the differences."""
    test: SignificanceResult
    """Test of no difference: a sign-flip permutation test, or an anytime test after early
    stopping."""


class Flag(Record):
    """A warning about a number, with the action to take."""

    kind: str
    """Name of the problem; the same for all models and pairs."""
    about: str
    """A model, or a pair as `a against b`."""
    value: float
    """The figure in `message`."""
    message: str
    action: str


class Counts(Record):
    """Requested, obtained and failed verdicts; `asked = judged + failed` always holds."""

    asked: int
    judged: int
    failed: int

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if self.asked != self.judged + self.failed:
            raise ValueError(
                f"asked {self.asked} is not judged {self.judged} + failed {self.failed}"
            )
        return self


class Accounting(Counts):
    """Verdict counts of a pair, also by judge and by presentation order."""

    failed_by_kind: dict[str, int] = Field(default_factory=dict)
    """Adds up to `failed`."""
    by_judge: dict[str, Counts] = Field(default_factory=dict)
    by_order: dict[str, Counts] = Field(default_factory=dict)
    """Keys are `MODEL first`, `judged apart` and `order not recorded`."""
    worst_case: tuple[float, float] | None = None
    """Win rate of a, 0 to 1, if every failed verdict were a loss, and if every one were a win."""


class Agreement(Record):
    """Agreement of several raters (judges, or repeats of one judge) on the winner."""

    raters: tuple[str, ...]
    share: float
    """Share of prompts on which all raters agree; the coefficients correct it for chance."""
    cohen: Estimate | None = None
    """Cohen's kappa, for two raters."""
    fleiss: Estimate | None = None
    """Fleiss' kappa, for three raters or more."""
    ac1: Estimate | None = None
    """Gwet's AC1."""
    alpha: Estimate | None = None
    """Krippendorff's alpha."""


class JudgeCard(Counts):
    """What one judge of a pair decided, and diagnostics of its reliability."""

    judge: str
    win_rate: Estimate
    outcome: Outcome
    """The outcome from this judge's interval alone."""
    unreadable: int = 0
    """Failed verdicts: replies that could not be parsed, also after a retry."""
    refused: int = 0
    """Failed verdicts: the judge declined."""
    retried: int = 0
    """Verdicts whose first reply could not be parsed."""
    scored: int = 0
    """Verdicts with scores."""
    contradicted: int = 0
    """Verdicts with scores that contradict the named winner."""
    truncated: int = 0
    """Verdicts on completions that were shortened to fit the judge's context."""
    consistency: Estimate | None = None
    """Share of prompts with the same winner in both orders; None without both orders."""
    first_wins: Estimate | None = None
    """Share of decisive verdicts for the completion shown first; None if orders are unknown."""
    longer_wins: Estimate | None = None
    """Share of decisive prompts won by the longer completion; None without completions."""
    repeat_agreement: Agreement | None = None
    """Agreement of this judge's repeats of the same question."""
    panel_agreement: Agreement | None = None
    """Agreement with the panel of the other judges."""
    human_agreement: Agreement | None = None
    opposes_panel: bool = False
    """The win rate by this judge and that by the whole panel are on opposite sides of 50%."""
    win_rate_without: Estimate | None = None
    """The panel's win rate without this judge."""
    outcome_without: Outcome | None = None
    """The panel's outcome without this judge."""
    snapshots: tuple[str, ...] = ()
    """Model names that the server returned."""
    cost: float | None = None
    """US dollars for 100 pairs with all orders and repeats; None if the price is unknown."""

    def withheld(self) -> Self:
        """Return the card with its outcomes withheld."""
        without: Outcome | None = "withheld" if self.outcome_without else None
        return self.model_copy(update={"outcome": "withheld", "outcome_without": without})


class HumanVotes(Record):
    """Votes of people on a pair that judges compared too."""

    voters: tuple[str, ...]
    prompts: int
    """Number of prompts with votes."""
    win_rate: Estimate
    """Win rate of a from votes alone."""
    judge_agreement: Agreement | None = None
    """Agreement of the votes with the judges; voters and judges are aggregated first."""
    voter_agreement: Agreement | None = None
    """Agreement of the voters with each other; None for a single one."""
    corrected: CalibratedRate | None = None
    """Win rate from votes and judges (PPI++); None if the prompts were not a random sample."""
    labels_needed: int | None = None
    """Further votes until the interval of `corrected` excludes 0.5: 0 if it does already, None if
    votes on all prompts would not suffice."""


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


class Slice(Record):
    """The prompts with one tag."""

    tag: str
    prompts: int
    win_rate: Estimate
    p: float
    """P-value of the test that decides, over the prompts or clusters of the slice."""
    adjusted_p: float
    """P-value with Holm's adjustment over all slices of the pair."""
    outcome: SliceOutcome | None
    """None if there are too few prompts, if their order of presentation allows no conclusion, or if
    the verdict on the pair is withheld."""


class PairSummary(Record):
    """The result for two models, a and b. Rates are a's and range from 0 to 1."""

    a: str
    b: str
    prompts: int
    clusters: int | None = None
    """Clusters of prompts; None if no prompt is in a cluster."""
    wins: int
    losses: int
    ties: int
    win_rate: Estimate | None = None
    """Probability that a is better on a prompt; a tie counts half."""
    decisive_win_rate: Estimate | None = None
    """Win rate over prompts without a tie."""
    deciding_prompts: int = 0
    """Prompts that `win_rate` averages: prompts whose order of presentation allows no conclusion do
    not decide."""
    test: SignificanceResult | None = None
    """The test of no difference that decides: p < 0.05 if and only if the interval of `win_rate`
    excludes 0.5, with a smaller bound where several pairs share the error rate."""
    winner_share: float | None = None
    """The mean of the winners, 1 for a, 0 for b and 0.5 for a tie, with the weights of
    `win_rate`."""
    holm_p: float | None = None
    """The p-value of `test`, adjusted for all pairs of the summary."""
    published: Estimate | None = None
    """The mean preference over all prompts with Student's t interval, as leaderboards publish it.
    It decides nothing: it ignores the order of presentation, and identical completions count as
    the judge decided."""
    published_test: SignificanceResult | None = None
    """The exact sign test of the prompts that a won against those that b won, as published."""
    published_differs: str = ""
    """Why `published` differs from `win_rate`; empty if it does not."""
    identical: int = 0
    """Prompts with identical completions, which are ties."""
    repeated: int = 0
    """Prompts in a cluster because they repeat, or nearly repeat, the text of another one."""
    scores_a: ScoreStats | None = None
    scores_b: ScoreStats | None = None
    score_difference: ScoreDifference | None = None
    scored_better: int = 0
    """Prompts on which a has the higher mean score."""
    scored_worse: int = 0
    scored_equal: int = 0
    consistency: float | None = None
    """Share of prompts whose two orders name the same winner; None without both orders."""
    flipped: float | None = None
    """Share of prompts whose two orders name opposite winners."""
    order: OrderEffect
    length: LengthEffect | None = None
    markdown: FeatureBias | None = None
    thinking: LeakEffect | None = None
    judges: tuple[JudgeCard, ...] = ()
    people: HumanVotes | None = None
    agreement: tuple[Agreement, ...] = ()
    power: Power | None = None
    variance: VarianceComponents | None = None
    slices: tuple[Slice, ...] = ()
    accounting: Accounting
    margin: float = Field(ge=0, le=50)
    """Equivalence margin in percentage points."""
    outcome: Outcome
    verdict: str
    """The outcome as a sentence."""
    reasons: tuple[Flag, ...] = ()
    """Problems that withhold or weaken the verdict."""
    flags: tuple[Flag, ...] = ()
    """Other warnings."""

    def with_holm_p(self, holm_p: float) -> Self:
        """Return a copy with `holm_p`, the p-value of the test adjusted for all pairs."""
        return self.model_copy(update={"holm_p": holm_p})

    def with_verdict(
        self,
        *,
        outcome: Outcome,
        verdict: str,
        reasons: tuple[Flag, ...],
        slices: tuple[Slice, ...],
        flags: tuple[Flag, ...],
    ) -> Self:
        """Return the summary with its verdict, slices and flags.

        A verdict that is withheld withholds the outcomes of its judges, too.
        """
        judges = self.judges
        if outcome == "withheld":
            judges = tuple(judge.withheld() for judge in judges)
        conclusions = {
            "outcome": outcome,
            "verdict": verdict,
            "reasons": reasons,
            "slices": slices,
            "flags": flags,
            "judges": judges,
        }
        return self.model_copy(update=conclusions)


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
    null_checks: tuple[NullCheck, ...] = ()
    usage: tuple[StageUsage, ...] = ()
    """Tokens and cost of the evidence per model and judge, over all runs."""
    notes: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags of all pairs and all models."""
        pairs = [flag for pair in self.pairs for flag in pair.flags]
        return (*pairs, *(flag for model in self.models for flag in model.flags))
