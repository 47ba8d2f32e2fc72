"""The summary of evidence: models, pairs, ratings, null checks and usage."""

from typing import NamedTuple

from bakeoff.analysis.baseline_differences import baseline_differences
from bakeoff.analysis.completions import summarize_model
from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.flags import find_flags
from bakeoff.analysis.null_check import null_checks
from bakeoff.analysis.pair import summarize_pair
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.analysis.ratings import rank_models
from bakeoff.analysis.sensitivity import sensitivity
from bakeoff.analysis.slices import tag_slices
from bakeoff.analysis.spending import summarize_spending
from bakeoff.analysis.verdict import decide
from bakeoff.records import Evidence, PairSummary, Summary
from bakeoff.stats.tests import holm

ESTIMAND = (
    "A win rate is the probability that the first model's completion beats the second's on a "
    "prompt like these, a tie counting half. Orders, repeats, completions and judges are averaged "
    "within a prompt first; the prompt is the unit of every interval and test."
)


class Analysis(NamedTuple):
    """The summary of evidence, and the data of its pairs, from which the page is made."""

    summary: Summary
    pair_data: list[PairData]


def summarize(
    evidence: Evidence,
    config: AnalysisConfig = AnalysisConfig(),  # noqa: B008 - immutable
) -> Summary:
    """The summary of the evidence; models and pairs are in the order of `evidence.models`."""
    return analyze(evidence, config).summary


def analyze(evidence: Evidence, config: AnalysisConfig) -> Analysis:
    """Like `summarize`, with the data of the pairs."""
    pair_data = build_pair_data(evidence, config)
    pairs = [summarize_pair(data) for data in pair_data]
    if len(pairs) > 1:
        adjusted = holm([pair.test.p if pair.test else 1.0 for pair in pairs])
        pairs = [pair.with_holm_p(p) for pair, p in zip(pairs, adjusted, strict=True)]
    checks, notes = null_checks(evidence.null_check, config)
    pairs = [_with_verdict(p, data) for p, data in zip(pairs, pair_data, strict=True)]
    summarized = [*zip(pairs, pair_data, strict=True)]
    ranking = rank_models(evidence.models, summarized)
    summary = Summary(
        estimand=ESTIMAND,
        models=tuple(summarize_model(model, evidence) for model in evidence.models),
        pairs=tuple(pairs),
        ratings=tuple(ranking.ratings),
        rating_model=ranking.model,
        ratings_withheld=ranking.withheld,
        published_ratings=tuple(ranking.published.ratings) if ranking.published else (),
        published_rating_model=ranking.published.model if ranking.published else None,
        baseline_differences=tuple(baseline_differences(evidence.models, summarized)),
        null_checks=tuple(checks),
        usage=tuple(summarize_spending(evidence)),
        notes=tuple(dict.fromkeys((*evidence.notes, *notes))),
    )
    return Analysis(summary, pair_data)


def _with_verdict(pair: PairSummary, data: PairData) -> PairSummary:
    decision = decide(pair, data)
    return pair.with_verdict(
        outcome=decision.outcome,
        verdict=decision.sentence,
        reasons=tuple(reason.to_flag(data.name) for reason in decision.reasons),
        slices=tuple(tag_slices(data, withheld=decision.outcome == "withheld")),
        flags=(
            *(finding.to_flag(data.name) for finding in decision.overridden),
            *find_flags(pair, data),
        ),
        sensitivity=sensitivity(pair, data, decision.outcome),
    )
