"""What a summary holds: counts, estimates, flags and a verdict, all derived from other records."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bakeoff.records.nouns import Record
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

SliceOutcome = Literal["better", "worse", "no difference shown"]
MARGIN: float = 5  # points around 50 % within which two models are equivalent, unless declared

Outcome = Literal["better", "worse", "equivalent", "not enough data", "withheld"]


class Spread(Record):
    """A mean and a sample standard deviation, over prompts."""

    mean: float
    sd: float


class Difference(Record):
    """The mean of paired differences a - b with its interval, their standard deviation, and a
    sign-flip permutation test of no difference.
    """

    value: Estimate
    sd: float
    test: SignificanceResult


class Flag(Record):
    """Something that speaks against trusting a number: what was seen, and what to do about it.

    `about` is a model, or two as `a against b`; `value` is the figure that `message` names.
    """

    kind: str
    about: str
    value: float
    message: str
    action: str


class Tally(Record):
    """Where the verdicts that were asked for went: asked = judged + failed, always."""

    asked: int
    judged: int
    failed: int

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.asked != self.judged + self.failed:
            raise ValueError(
                f"asked {self.asked} is not judged {self.judged} + failed {self.failed}"
            )
        return self


class Accounting(Tally):
    """The tally of a pair, and the same by judge and by the model that was shown first.

    `failed_by_kind` adds up to `failed`. `worst_case` is the win rate if every verdict that failed
    had gone against a, and if every one had gone to a.
    """

    failed_by_kind: dict[str, int] = Field(default_factory=dict)
    by_judge: dict[str, Tally] = Field(default_factory=dict)
    by_order: dict[str, Tally] = Field(default_factory=dict)
    worst_case: tuple[float, float] | None = None


class Agreement(Record):
    """How far several raters (judges, or the repeats of one) name the same winners.

    `share` is raw agreement; the coefficients take out what chance would give, each in its way.
    """

    raters: tuple[str, ...]
    share: float
    cohen: Estimate | None = None
    fleiss: Estimate | None = None
    ac1: Estimate | None = None
    alpha: Estimate | None = None


class JudgeCard(Tally):
    """What one judge alone says about a pair of models, and how far it can be trusted there.

    Of the verdicts that were asked for, `failed` gave none: `unreadable` could not be read even
    when asked again, `refused` were declined. Of those judged, `mended` were unreadable at first,
    `scored` have scores and `contradicted` of them name another winner, `shortened` were on
    completions that did not fit whole. `consistency` is the share of prompts with the same winner
    in both orders, `first_wins` that of decisive verdicts for the place shown first, `longer_wins`
    that of decisive prompts for the longer completion; None where it cannot be told.

    `outcome` is what its interval alone would say, `against` that its win rate is on the other side
    of 50 % than the panel's; `without` and `outcome_without` are of the panel without it.
    `others` is its agreement with the panel of the other judges, `people` with people.
    `cost` is US dollars for 100 pairs, with all orders and repeats; None: no price is known.
    """

    judge: str
    win_rate: Estimate
    outcome: Outcome
    unreadable: int = 0
    refused: int = 0
    mended: int = 0
    scored: int = 0
    contradicted: int = 0
    shortened: int = 0
    consistency: Estimate | None = None
    first_wins: Estimate | None = None
    longer_wins: Estimate | None = None
    repeats: Agreement | None = None
    others: Agreement | None = None
    people: Agreement | None = None
    against: bool = False
    without: Estimate | None = None
    outcome_without: Outcome | None = None
    snapshots: tuple[str, ...] = ()
    cost: float | None = None


class People(Record):
    """What people say about a pair, beside the judges.

    `win_rate` is from their labels alone. `corrected` joins them with what the judges say of all
    prompts (PPI++), None where the labelled prompts were not drawn at random. `more` is how many
    more labels would settle the pair, 0 where they do already; None where labels of all prompts
    would not.
    """

    voters: tuple[str, ...]
    prompts: int
    win_rate: Estimate
    judges: Agreement | None = None
    among: Agreement | None = None
    corrected: CalibratedRate | None = None
    more: int | None = None


class NullCheck(Record):
    """A judge that compared two completions of one model: there is no better one.

    `win_rate` is the first draw's. A fair judge stays within `band` of 50 % in 95 of 100 checks.
    `decided` is the share of prompts where it named one of the two in both orders.
    """

    judge: str
    model: str
    prompts: int
    identical: int
    win_rate: Estimate
    band: tuple[float, float]
    first_wins: Estimate | None = None
    decided: float | None = None


class Slice(Record):
    """The prompts that carry one tag. `p` is the sign test's, `adjusted_p` Holm's over all slices.

    `outcome` is None where there are too few prompts to say anything.
    """

    tag: str
    prompts: int
    win_rate: Estimate
    p: float
    adjusted_p: float
    outcome: SliceOutcome | None


class PairSummary(Record):
    """What the judgments say about two models, a and b, over prompts.

    `win_rate` estimates the probability that a is better on a prompt like these, ties half.
    `decisive` is a's share of the prompts that are no tie; `sign` its exact test, and `holm_p` that
    p-value adjusted for all pairs of the summary. Scores are on 0-1. `reasons` are what withholds
    the verdict or weakens it, `flags` what else to look at.
    """

    a: str
    b: str
    prompts: int
    clusters: int | None = None
    wins: int
    losses: int
    ties: int
    win_rate: Estimate | None = None
    decisive: Estimate | None = None
    sign: SignificanceResult | None = None
    holm_p: float | None = None
    scores_a: Spread | None = None
    scores_b: Spread | None = None
    score_difference: Difference | None = None
    scored_better: int = 0
    scored_worse: int = 0
    scored_equal: int = 0
    consistency: float | None = None
    flipped: float | None = None
    order: OrderEffect
    length: LengthEffect | None = None
    markdown: FeatureBias | None = None
    thinking: LeakEffect | None = None
    judges: tuple[JudgeCard, ...] = ()
    people: People | None = None
    agreement: tuple[Agreement, ...] = ()
    power: Power | None = None
    variance: VarianceComponents | None = None
    slices: tuple[Slice, ...] = ()
    accounting: Accounting
    margin: float = Field(ge=0, le=50)
    outcome: Outcome
    verdict: str
    reasons: tuple[Flag, ...] = ()
    flags: tuple[Flag, ...] = ()

    def with_holm_p(self, holm_p: float) -> Self:
        """The same pair with its p-value adjusted for all pairs of the summary."""
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
        """The same pair with its verdict and what follows from it."""
        conclusions = {
            "outcome": outcome,
            "verdict": verdict,
            "reasons": reasons,
            "slices": slices,
            "flags": flags,
        }
        return self.model_copy(update=conclusions)


class ModelSummary(Record):
    """What happened to one model's completions. `duplicated` shares its text with another prompt's;
    `broken` leaks thinking, or leaves a `<think>` or `<answer>` open. `suspicious` speaks to the
    judge, or hides something from a reader.
    """

    model: str
    completed: int
    failed: int
    cut: int
    empty: int
    refused: int = 0
    duplicated: int = 0
    broken: int = 0
    suspicious: int = 0
    mean_tokens: float | None = None
    mean_characters: float | None = None
    flags: tuple[Flag, ...] = ()


class Standing(Record):
    """Where one of several models stands: `strength` is its Bradley-Terry log-odds, of mean 0.

    `ranks` are the first and the last rank that it may have, all models together at 95 %. `group`
    holds letters: two models share one if and only if neither is surely the stronger.
    """

    model: str
    strength: Estimate
    ranks: tuple[int, int] | None = None
    group: str | None = None


class RatingModel(Record):
    """What was fitted to rate several models, in the sentence `method`, and what it says beside
    their strengths.

    `tie` is Davidson's nu: two equal models tie with probability nu / (2 cosh(first / 2) + nu).
    `first` is what being shown first adds, in log-odds. None where it was not fitted. `parts`
    counts the strongly connected parts of the wins: with more than one, strengths of different
    parts rest on a ridge.
    """

    method: str
    prompts: int = Field(ge=1)
    clusters: int | None = None
    tie: float | None = Field(default=None, ge=0)
    first: float | None = None
    parts: int = Field(default=1, ge=1)


class Spent(Record):
    """What the outcomes of a model or judge took, whenever they were asked for: tokens `read`, of
    them `cached` by the provider, and `written`, None where nobody says; US dollars, None where any
    price is not known. The `failed` are counted in as far as they were answered.
    """

    stage: Literal["completion", "judgment"]
    who: str
    outcomes: int = Field(ge=0)
    failed: int = Field(default=0, ge=0)
    read: int | None = Field(default=None, ge=0)
    cached: int | None = Field(default=None, ge=0)
    written: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)


class Asked(Record):
    """What one run asked of a model or judge, beside what was `kept` in the store and cost nothing.

    `again` of the `requests` were made for something that had been asked before. `unanswered` had
    no reply that could be read, and may be billed all the same. `cost` is US dollars for those that
    were answered, 0 where nobody wants any, None where no price is known.
    """

    stage: Literal["completion", "judgment"]
    who: str
    kept: int = Field(default=0, ge=0)
    requests: int = Field(default=0, ge=0)
    again: int = Field(default=0, ge=0)
    unanswered: int = Field(default=0, ge=0)
    cost: float | None = Field(default=None, ge=0)


class Summary(Record):
    """What the results say: derived from the other records, and nothing else.

    `estimand` says what every win rate in it estimates. `ratings` are of three models or more, the
    strongest first, and `rating_model` what they are of.
    """

    estimand: str
    models: tuple[ModelSummary, ...]
    pairs: tuple[PairSummary, ...]
    ratings: tuple[Standing, ...] = ()
    rating_model: RatingModel | None = None
    null_checks: tuple[NullCheck, ...] = ()
    spent: tuple[Spent, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The red flags of all pairs and all models."""
        pairs = [flag for pair in self.pairs for flag in pair.flags]
        return (*pairs, *(flag for model in self.models for flag in model.flags))
