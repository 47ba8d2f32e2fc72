"""Checks of the judges: consistency, disagreement, blindness, family."""

from collections.abc import Iterable, Iterator

import numpy as np

from bakeoff.analysis.findings import CheckInput, Finding, VerdictCheck, is_against, unit_count
from bakeoff.analysis.judgment_table import POINTWISE
from bakeoff.analysis.model_families import model_families
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.sample_checks import MAX_FLIPPED, MIN_PROMPTS
from bakeoff.records import Judgment, Outcome
from bakeoff.stats.results import Estimate

MAX_CONTRADICTED = 0.25  # of the verdicts
MAX_NAMED = 0.02  # of the explanations, naming a model
MAX_STRAY = 0.05  # of the scores of a model at either end of its time, such as those of a retry
FAMILY_PREFERENCE = 0.1
"""How much a judge may prefer models of its own family, as a difference of win rates."""


def _same_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    """All verdicts are the same tie, which even equal models do not explain.

    Not checked if no order is recorded: an imported file may compare a model with itself.
    """
    if inputs.pair.order.identified == "not recorded":
        return
    ties = all(j.verdict.first == 0.5 for j in inputs.data.judgments)
    if ties and unit_count(inputs.pair) >= MIN_PROMPTS and _have_same_scores(inputs.data.judgments):
        judged = inputs.pair.accounting.judged
        yield Finding(
            "same verdict",
            judged,
            f"the judge said the same of all {judged} pairs that it was shown, and told nothing "
            "apart",
            "take another judge; `bakeoff judge-check` tells what it can tell apart",
        )


def _have_same_scores(judgments: Iterable[Judgment]) -> bool:
    return len({judgment.verdict.scores for judgment in judgments}) == 1


def _model_names_in_explanations(inputs: CheckInput) -> Iterator[Finding]:
    """Explanations name a model that neither the prompt nor a completion mentions."""
    names = [name.rsplit("/", 1)[-1].lower() for name in (inputs.pair.a, inputs.pair.b)]
    names = [name for name in names if len(name) > 5 and any(c in "-_.0123456789" for c in name)]
    if not names:
        return
    explained = [j for j in inputs.data.judgments if j.verdict.reason]
    named = 0
    for judgment in explained:
        reason = judgment.verdict.reason.lower()
        mentioned = [name for name in names if name in reason]
        if mentioned:
            text = _judged_text(inputs.data, judgment.prompt_id)
            named += any(name not in text for name in mentioned)
    if named > MAX_NAMED * len(explained):
        yield Finding(
            "names shown",
            named / len(explained),
            f"{named} of {len(explained)} explanations name a model, so the judge was not blind",
            "judge again without names",
        )


def _judged_text(data: PairData, prompt_id: str) -> str:
    """The messages and completions that a judge may have read for a prompt, in lower case."""
    prompt = data.prompts.get(prompt_id)
    texts = [message.content for message in prompt.messages] if prompt else []
    for model in (data.a, data.b):
        completions = data.completions.get(model, {}).get(prompt_id, ())
        texts += [completion.text for completion in completions]
    return "\n".join(texts).lower()


def _flipped_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    table = inputs.data.prompt_table
    enough = len(table.known_consistency) >= min(MIN_PROMPTS, len(table))
    if enough and inputs.pair.flipped is not None and inputs.pair.flipped > MAX_FLIPPED:
        yield Finding(
            "flipped verdicts",
            inputs.pair.flipped,
            f"for {100 * inputs.pair.flipped:.0f} % of the prompts the judge names the opposite "
            "winner when the order is swapped",
            "take another judge: this one follows the place",
        )


def _contradictions(inputs: CheckInput) -> Iterator[Finding]:
    """Verdicts whose winner has the lower of the judge's own scores."""
    contradictory = inputs.data.judgment_table.contradictory
    count, total = int(contradictory.sum()), len(contradictory)
    if count > MAX_CONTRADICTED * total:
        yield Finding(
            "contradicts itself",
            count / total,
            f"in {count} of {total} verdicts the judge contradicts its own scores",
            "take another judge, or ?verdict=scores",
        )


def _disagreeing_judges(inputs: CheckInput) -> Iterator[Finding]:
    rates = {judge.judge: judge.win_rate.estimate for judge in inputs.pair.judges}
    if inputs.outcome in ("better", "worse") and min(rates.values()) < 0.5 < max(rates.values()):
        message = ", ".join(f"{judge} {100 * rate:.1f} %" for judge, rate in rates.items())
        yield Finding(
            "judges disagree",
            max(rates.values()) - min(rates.values()),
            f"the judges are on different sides of 50 % ({message})",
            "read where they disagree; add a stronger judge, or labels of people",
        )


def _disagreeing_people(inputs: CheckInput) -> Iterator[Finding]:
    """The win rate of the judges is outside the interval of the labels alone.

    Enough labels drawn at random decide themselves: see `HumanVotes.decides`.
    """
    people, rate = inputs.pair.people, inputs.pair.win_rate
    if people is None or people.decides or rate is None:
        return
    labels = people.win_rate
    if not labels.low <= rate.estimate <= labels.high:
        yield Finding(
            "people disagree",
            labels.estimate,
            f"by {people.prompts} labels of people the win rate is {100 * labels.estimate:.1f} % "
            f"(95 % interval {100 * labels.low:.1f} to {100 * labels.high:.1f} %), which excludes "
            f"the {100 * rate.estimate:.1f} % of the judges",
            "label 30 or more prompts that are drawn at random: these labels decide then",
        )


def _scores_disagree(inputs: CheckInput) -> Iterator[Finding]:
    difference = inputs.pair.score_difference
    if difference and is_against(inputs.outcome, difference.value.estimate):
        yield Finding(
            "scores disagree",
            difference.value.estimate,
            f"the mean score difference is {difference.value.estimate:+.3f}, against the win rate",
            "see whether a few very bad completions make the mean",
        )


def _scored_at_different_times(inputs: CheckInput) -> Iterator[Finding]:
    """A pointwise judge scored one model before the other, and may have changed in between."""
    apart = inputs.data.judgment_table.presented == POINTWISE
    if inputs.outcome not in ("better", "worse") or not apart.any():
        return
    times = [
        (j.verdict.score_times if j.first == inputs.pair.a else j.verdict.score_times[::-1])
        for j in inputs.data.judgments
        if j.presented == "pointwise" and j.verdict.score_times
    ]
    if len(times) < MIN_PROMPTS:
        return
    (a_start, b_start), (a_end, b_end) = np.quantile(times, (MAX_STRAY, 1 - MAX_STRAY), axis=0)
    gap = max(b_start - a_end, a_start - b_end)
    if gap > 0:
        yield Finding(
            "scored apart",
            float(gap),
            "the judge scored one model after the other, so a change of the judge cannot be told "
            "from a difference of the models",
            "score both again in one run, in turns; or have the judge compare the completions",
        )


def _own_family(inputs: CheckInput) -> Iterator[Finding]:
    """All judges are of the winner's family only, and their preference could explain the win."""
    rate, family = inputs.pair.win_rate, winners_family(inputs.data, inputs.outcome)
    if rate is None or not family:
        return
    least = least_effect(rate, inputs.outcome)
    if least <= FAMILY_PREFERENCE:
        yield Finding(
            "own family",
            least,
            f"the judge is of the winner's family ({family}), and a model may prefer its own text "
            f"by {100 * FAMILY_PREFERENCE:.0f} points: the interval begins {100 * least:.1f} "
            "points from 50 %",
            "add a judge of another family",
        )


def least_effect(rate: Estimate, outcome: Outcome) -> float:
    """The distance of the nearer bound of the interval from 0.5, where there is a winner."""
    return rate.low - 0.5 if outcome == "better" else 0.5 - rate.high


def winners_family(data: PairData, outcome: Outcome) -> str:
    """The families of the winner to which every judge belongs and the loser does not.

    Empty without a winner, or if there is no such family.
    """
    if outcome not in ("better", "worse"):
        return ""
    winner, loser = (data.a, data.b) if outcome == "better" else (data.b, data.a)
    families = {
        name: model_families((name, data.origins.get(name, "")))
        for name in (winner, loser, *data.judges)
    }
    winner_only = families[winner] - families[loser]
    shared = all(winner_only & families[judge] for judge in data.judges)
    return ", ".join(sorted(winner_only)) if shared else ""


def _drifted_judges(inputs: CheckInput) -> Iterator[Finding]:
    """A judge decides stored pairs otherwise than its stored verdicts, beyond its own noise."""
    drifts = [d for d in inputs.data.config.design.drifts if d.judge in inputs.data.judges]
    for drift in drifts:
        checks = sum(other.judge == drift.judge for other in drifts)
        if drift.p * checks < 0.05:
            yield Finding(
                "judge drifted",
                drift.changed / drift.pairs,
                f"the judge {drift.judge} judged {drift.pairs} stored pairs again and named "
                f"another winner of {drift.changed}, more than its own noise explains (p = "
                f"{drift.p:.2g}), so old and new verdicts are of two judges",
                "judge all pairs with one version of the judge: name a snapshot in its spec, and "
                "use another --store",
            )


JUDGE_CHECKS: tuple[VerdictCheck, ...] = (
    _same_verdicts,
    _model_names_in_explanations,
    _flipped_verdicts,
    _contradictions,
    _disagreeing_judges,
    _disagreeing_people,
    _scores_disagree,
    _scored_at_different_times,
    _own_family,
    _drifted_judges,
)
