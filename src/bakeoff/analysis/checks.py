"""Checks of a pair; a failed check withholds or weakens the verdict."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bakeoff.analysis.model_families import model_families
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Flag, Outcome, PairSummary

# Bounds within which a check passes; all but the first are shares.
MIN_PROMPTS = 20  # or clusters of prompts
MAX_FAILED = 0.02  # of the requested verdicts
MAX_FLIPPED = 0.5  # of the prompts judged in both orders
MAX_CONTRADICTED = 0.25  # of the verdicts
FIRST_SHARE_RANGE = (0.25, 0.75)  # of the verdicts with a shown first, in a random order
MAX_SAME_TEXT = 0.5  # of the completions of a model: above this the text is a placeholder
MAX_NAMED = 0.02  # of the explanations, naming a model

WEAKENING = ("few prompts", "many comparisons")  # kinds of findings; all others withhold a verdict


class Finding(NamedTuple):
    """A problem of a pair that a check found; the fields are those of `Flag`."""

    kind: str
    value: float
    message: str
    action: str

    def to_flag(self, about: str) -> Flag:
        """The finding as a record about a model or a pair."""
        return Flag(about=about, **self._asdict())


class CheckInput(NamedTuple):
    """The statistics and the data of a pair; `outcome` is that of its interval alone."""

    pair: PairSummary
    data: PairData
    outcome: Outcome


VerdictCheck = Callable[[CheckInput], Iterator[Finding]]


def run_checks(inputs: CheckInput) -> list[Finding]:
    """The findings of all checks, in the order of the checks."""
    return [finding for check in _CHECKS for finding in check(inputs)]


def unit_count(pair: PairSummary) -> int:
    """The number of units of inference: clusters of prompts if there are any, else prompts."""
    return pair.clusters or pair.prompts


def _few_prompts(inputs: CheckInput) -> Iterator[Finding]:
    if unit_count(inputs.pair) < MIN_PROMPTS:
        what = "clusters of prompts" if inputs.pair.clusters else "prompts"
        yield Finding(
            "few prompts",
            unit_count(inputs.pair),
            f"{unit_count(inputs.pair)} {what} were judged, {MIN_PROMPTS} are the least",
            "judge more prompts with --limit",
        )


def _many_comparisons(inputs: CheckInput) -> Iterator[Finding]:
    p = inputs.pair.holm_p
    if inputs.outcome in ("better", "worse") and p is not None and p > 0.05:
        yield Finding(
            "many comparisons",
            p,
            f"with so many pairs compared this may be chance (Holm's p is {p:.2g})",
            "judge more prompts, or compare fewer models",
        )


def _order_design(inputs: CheckInput) -> Iterator[Finding]:
    if (inputs.data.judgment_table.preference == 0.5).all():
        return  # no order effect makes every verdict a tie
    order, action = inputs.pair.order, "judge each pair in both orders"
    shown = order.shown_first
    if order.identified == "not recorded":
        message = "nothing says which completion the judge saw first, so a habit cannot be told"
        yield Finding("order not recorded", 0.0, message, action)
    elif shown is not None and order.identified == "one order":
        first = inputs.pair.a if shown == 1 else inputs.pair.b
        message = f"{first} was always shown first ({inputs.pair.accounting.judged} verdicts)"
        yield Finding("one order", shown, message, action)
    elif shown is not None and not FIRST_SHARE_RANGE[0] <= shown <= FIRST_SHARE_RANGE[1]:
        message = f"{inputs.pair.a} was shown first in {100 * shown:.0f} % of the verdicts"
        yield Finding("order not balanced", shown, message, action)
    effect = abs(order.effect.estimate) if order.effect else 0.0
    if order.identified == "random order" and effect > MAX_FLIPPED:
        message = f"being shown first moves the win rate by {100 * effect:.0f} points"
        yield Finding(
            "order effect", effect, message, "take another judge: this one follows the place"
        )


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


def _same_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    """All verdicts are the same tie, which even equal models do not explain.

    Not checked if no order is recorded: an imported file may compare a model with itself.
    """
    if inputs.pair.order.identified == "not recorded":
        return
    verdicts = {(j.verdict.first, j.verdict.scores) for j in inputs.data.judgments}
    if len(verdicts) == 1 and unit_count(inputs.pair) >= MIN_PROMPTS and verdicts.pop()[0] == 0.5:
        judged = inputs.pair.accounting.judged
        yield Finding(
            "same verdict",
            judged,
            f"the judge said the same of all {judged} pairs that it was shown, and told nothing "
            "apart",
            "take another judge; `bakeoff judge-check` tells what it can tell apart",
        )


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
            text = inputs.data.judged_text(judgment.prompt_id)
            named += any(name not in text for name in mentioned)
    if named > MAX_NAMED * len(explained):
        yield Finding(
            "names shown",
            named / len(explained),
            f"{named} of {len(explained)} explanations name a model, so the judge was not blind",
            "judge again without names",
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


def _failed_verdicts(inputs: CheckInput) -> Iterator[Finding]:
    counts = inputs.pair.accounting
    action = "read the messages; a run that is started again asks only for what failed"
    share = counts.failed / counts.asked
    if share > MAX_FAILED:
        message = f"{counts.failed} of {counts.asked} verdicts failed ({100 * share:.1f} %)"
        yield Finding("failures", share, message, action)
    low, high = counts.worst_case or (0.5, 0.5)
    margin = inputs.pair.margin / 100
    undecided = {
        "better": low <= 0.5,
        "worse": high >= 0.5,
        "equivalent": low < 0.5 - margin or high > 0.5 + margin,
    }
    if counts.failed and undecided.get(inputs.outcome):
        message = f"the failures could put the win rate between {100 * low:.1f} and "
        yield Finding("failures decide", share, f"{message}{100 * high:.1f} %", action)


def _suspicious_texts(inputs: CheckInput) -> Iterator[Finding]:
    total = sum(1 for _ in inputs.data.paired_completions())
    action = "check that each model is the one you mean, and its template"
    if total and total == len(inputs.data.identical_prompts):
        message = f"no difference to judge: both models said the same to all {total} prompts"
        yield Finding("identical completions", 1.0, message, action)
    for model in (inputs.pair.a, inputs.pair.b):
        by_prompt = inputs.data.completions.get(model, {})
        texts = Counter(c.text for completions in by_prompt.values() for c in completions[:1])
        text, count = texts.most_common(1)[0] if texts else ("", 0)
        total = texts.total()
        if count > 2 and count > MAX_SAME_TEXT * total:
            message = f"{model} said the same to {count} of {total} prompts ({text[:40]!r})"
            yield Finding("placeholder", count / total, message, action)


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
    """The win rate corrected by labels of people is significantly on the other side of 50 %."""
    people = inputs.pair.people
    if not people or not people.corrected:
        return
    rate = people.corrected.value
    bound = rate.high if inputs.outcome == "better" else rate.low
    if _is_against(inputs.outcome, bound - 0.5):
        yield Finding(
            "people disagree",
            rate.estimate,
            f"corrected by {people.prompts} labels of people the win rate is "
            f"{100 * rate.estimate:.1f} %, surely on the other side of 50",
            "another judge: this one prefers what people do not",
        )


def _length_decides(inputs: CheckInput) -> Iterator[Finding]:
    rate = inputs.pair.length.controlled if inputs.pair.length else None
    if rate and _is_against(inputs.outcome, rate.estimate - 0.5):
        yield Finding(
            "length decides",
            rate.estimate,
            f"at equal length the win rate is {100 * rate.estimate:.1f} %, on the other side of 50",
            "read pairs of like length; ask for an explicit length, or a judge that is told of it",
        )


def _scores_disagree(inputs: CheckInput) -> Iterator[Finding]:
    difference = inputs.pair.score_difference
    if difference and _is_against(inputs.outcome, difference.value.estimate):
        yield Finding(
            "scores disagree",
            difference.value.estimate,
            f"the mean score difference is {difference.value.estimate:+.3f}, against the win rate",
            "see whether a few very bad completions make the mean",
        )


def _own_family(inputs: CheckInput) -> Iterator[Finding]:
    """All judges are of the winner's family, and not of the loser's."""
    if inputs.outcome not in ("better", "worse"):
        return
    winner, loser = (
        (inputs.pair.a, inputs.pair.b)
        if inputs.outcome == "better"
        else (inputs.pair.b, inputs.pair.a)
    )
    families = {
        name: model_families((name, inputs.data.origins.get(name, "")))
        for name in (winner, loser, *inputs.data.judges)
    }
    winner_only = families[winner] - families[loser]
    if all(winner_only & families[judge] for judge in inputs.data.judges):
        family = ", ".join(sorted(winner_only))
        yield Finding(
            "own family",
            1.0,
            f"the judge is of the winner's family ({family}), and a model prefers its own text",
            "add a judge of another family",
        )


def _is_against(outcome: Outcome, towards_a: float) -> bool:
    return (outcome == "better" and towards_a < 0) or (outcome == "worse" and towards_a > 0)


_CHECKS: tuple[VerdictCheck, ...] = (
    _few_prompts,
    _many_comparisons,
    _order_design,
    _same_verdicts,
    _model_names_in_explanations,
    _flipped_verdicts,
    _contradictions,
    _failed_verdicts,
    _suspicious_texts,
    _disagreeing_judges,
    _disagreeing_people,
    _length_decides,
    _scores_disagree,
    _own_family,
)
