"""The summary of one pair of models: counts, estimates, flags and the verdict."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bakeoff.records.record import Record
from bakeoff.stats.results import (
    CalibratedRate,
    ControlledRate,
    Estimate,
    FeatureBias,
    LeakEffect,
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
    worst_case_interval: tuple[float, float] | None = None
    """95 % interval of the win rate with all verdicts, whatever the failed ones would have been
    (Imbens and Manski 2004); None without failures."""


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
    """Win rate of a from votes alone, at any number of votes."""
    decides: bool = False
    """`corrected` is the win rate that decides: there are at least 30 labeled prompts, drawn at
    random, and at least 15 of them in the rarer class (won or lost by a)."""
    test: SignificanceResult | None = None
    """The test of no difference that belongs to `corrected`."""
    judge_agreement: Agreement | None = None
    """Agreement of the votes with the judges; voters and judges are aggregated first."""
    voter_agreement: Agreement | None = None
    """Agreement of the voters with each other; None for a single one."""
    corrected: CalibratedRate | None = None
    """Win rate from votes and judges; None if the prompts were not a random sample."""
    labels_needed: int | None = None
    """Further votes until the interval of `corrected` excludes 0.5: 0 if it does already, None if
    votes on all prompts would not suffice."""


class Sensitivity(Record):
    """What would overturn a verdict."""

    bias: float = Field(ge=0, le=1)
    """Bias of the judges towards the winner, a share, at which the verdict would not hold."""
    prompts: int | None = None
    """Prompts that, decided the other way, would overturn the verdict; None if people decide."""


class FlipRate(Record):
    """How often swapping the order names the opposite winner, at one range of margins."""

    low: float
    """Least mean difference of the two scores, 0 to 10."""
    high: float
    """Differences are below this number."""
    flipped: Estimate
    """Share of the prompts; `n` counts them."""


class Slice(Record):
    """The prompts with one tag."""

    tag: str
    prompts: int
    win_rate: Estimate
    p: float
    """P-value of the test that decides, over the prompts or clusters of the slice."""
    adjusted_p: float
    """P-value with Holm's adjustment over all slices of the pair."""
    shrunken: float | None = None
    """The win rate shrunk towards that of all slices (empirical Bayes): what to expect on further
    prompts with the tag. None for a single slice."""
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
    both_bad: int = 0
    """Verdicts that both completions are bad, which are ties."""
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
    length: FeatureBias | None = None
    markdown: FeatureBias | None = None
    controls: ControlledRate | None = None
    """The win rate at equal length and style; None without completions."""
    thinking: LeakEffect | None = None
    judges: tuple[JudgeCard, ...] = ()
    people: HumanVotes | None = None
    judges_win_rate: Estimate | None = None
    """The win rate by the judges alone, if people decide."""
    other_judges: Estimate | None = None
    """The win rate with the variance between judges in its interval, which is about other judges
    like these; None with one judge."""
    flip_rates: tuple[FlipRate, ...] = ()
    """By the margin of the scores; empty without scores or without both orders."""
    sensitivity: Sensitivity | None = None
    """None without a verdict."""
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
        sensitivity: Sensitivity | None,
    ) -> Self:
        """Return the summary with its verdict, slices, flags and sensitivity.

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
            "sensitivity": sensitivity,
        }
        return self.model_copy(update=conclusions)
