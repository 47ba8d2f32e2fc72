"""The whole summary: every model, every pair, and what holds only for all pairs together."""

from bakeoff.analysis.completions import model_summary
from bakeoff.analysis.flags import flags_of
from bakeoff.analysis.null_check import null_checks
from bakeoff.analysis.pair import numbers
from bakeoff.analysis.pair_data import Terms, Trial, trials
from bakeoff.analysis.ratings import ratings_of
from bakeoff.analysis.slices import slices_of
from bakeoff.analysis.spending import spending
from bakeoff.analysis.verdict import decide
from bakeoff.records import Evidence, PairSummary, Summary
from bakeoff.stats.tests import holm

ESTIMAND = (
    "A win rate is the probability that the first model's completion beats the second's on a "
    "prompt like these, a tie counting half. Orders, repeats, completions and judges are averaged "
    "within a prompt first; the prompt is the unit of every interval and test."
)


def summarize(evidence: Evidence, terms: Terms = Terms()) -> Summary:  # noqa: B008 - immutable
    """What the evidence says about each model and each two of them, in the order of the models.

    Two models are equivalent where the whole interval lies within the margin around 50 %.
    """
    pairs = trials(evidence, terms)
    found = [numbers(trial) for trial in pairs]
    if len(found) > 1:
        adjusted = holm([pair.sign_test.p if pair.sign_test else 1.0 for pair in found])
        found = [
            pair.model_copy(update={"holm_p": p}) for pair, p in zip(found, adjusted, strict=True)
        ]
    models = tuple(model_summary(model, evidence) for model in evidence.models)
    decided = tuple(_finished(pair, trial) for pair, trial in zip(found, pairs, strict=True))
    checks, notes = null_checks(evidence.null_check, terms)
    standings, model = ratings_of(evidence.models, pairs)
    return Summary(
        estimand=ESTIMAND,
        models=models,
        pairs=decided,
        ratings=tuple(standings),
        rating_model=model,
        null_checks=tuple(checks),
        usage=tuple(spending(evidence)),
        notes=tuple(dict.fromkeys((*evidence.notes, *notes))),
    )


def _finished(pair: PairSummary, trial: Trial) -> PairSummary:
    decided = decide(pair, trial)
    slices = slices_of(trial, withheld=decided.outcome == "withheld")
    return decided.model_copy(
        update={"slices": tuple(slices), "flags": tuple(flags_of(decided, trial))}
    )
