"""What forbids a verdict, or weakens it: gates, each with its figure and what to do about it.

A gate looks at a pair that has its numbers, and at what the interval alone would say.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bakeoff.analysis.model_families import families
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Outcome, PairSummary

FEWEST = 20  # prompts (or clusters)
MOST_FAILED = 0.02
MOST_FLIPPED = 0.5
MOST_CONTRADICTED = 0.25
BALANCED = (0.25, 0.75)  # the share of verdicts with a shown first, where the order was random
ONE_TEXT = 0.5  # of the prompts with the same text: a placeholder
NAMED = 0.02  # of the explanations that name a model

WEAKENS = ("few prompts", "many comparisons")  # the rest withholds


class Reason(NamedTuple):
    """Why not: what kind, the figure, the sentence that holds it, and what to do."""

    kind: str
    value: float
    message: str
    action: str


class Case(NamedTuple):
    """A pair with its numbers, what they are from, and what the interval alone would say."""

    pair: PairSummary
    trial: Trial
    plain: Outcome


Gate = Callable[[Case], Iterator[Reason]]


def reasons(case: Case) -> list[Reason]:
    """Every reason against saying what the interval says, in the order of the gates."""
    return [reason for gate in _GATES for reason in gate(case)]


def units(pair: PairSummary) -> int:
    """What is counted: prompts, or clusters of them."""
    return pair.clusters or pair.prompts


def _few(case: Case) -> Iterator[Reason]:
    if units(case.pair) < FEWEST:
        what = "clusters of prompts" if case.pair.clusters else "prompts"
        yield Reason(
            "few prompts",
            units(case.pair),
            f"{units(case.pair)} {what} were judged, {FEWEST} are the least",
            "judge more prompts with --limit",
        )


def _many(case: Case) -> Iterator[Reason]:
    if (
        case.plain in ("better", "worse")
        and case.pair.holm_p is not None
        and case.pair.holm_p > 0.05
    ):
        yield Reason(
            "many comparisons",
            case.pair.holm_p,
            f"with so many pairs compared this may be chance (Holm's p is {case.pair.holm_p:.2g})",
            "judge more prompts, or compare fewer models",
        )


def _order(case: Case) -> Iterator[Reason]:
    if (case.trial.columns.preference == 0.5).all():
        return  # no habit makes every verdict a tie
    order, action = case.pair.order, "judge each pair in both orders"
    shown = order.shown_first
    if order.identified == "not recorded":
        message = "nothing says which completion the judge saw first, so a habit cannot be told"
        yield Reason("order not recorded", 0.0, message, action)
    elif shown is not None and order.identified == "one order":
        first = case.pair.a if shown == 1 else case.pair.b
        message = f"{first} was always shown first ({case.pair.accounting.judged} verdicts)"
        yield Reason("one order", shown, message, action)
    elif shown is not None and not BALANCED[0] <= shown <= BALANCED[1]:
        message = f"{case.pair.a} was shown first in {100 * shown:.0f} % of the verdicts"
        yield Reason("order not balanced", shown, message, action)
    effect = abs(order.effect.estimate) if order.effect else 0.0
    if order.identified == "random order" and effect > MOST_FLIPPED:
        message = f"being shown first moves the win rate by {100 * effect:.0f} points"
        yield Reason(
            "order effect", effect, message, "take another judge: this one follows the place"
        )


def _flips(case: Case) -> Iterator[Reason]:
    told = len(case.trial.folded.told)
    few = told < min(FEWEST, len(case.trial.folded))  # of a few that were judged in both orders
    if not few and case.pair.flipped is not None and case.pair.flipped > MOST_FLIPPED:
        yield Reason(
            "flipped verdicts",
            case.pair.flipped,
            f"for {100 * case.pair.flipped:.0f} % of the prompts the judge names the opposite "
            "winner when the order is swapped",
            "take another judge: this one follows the place",
        )


def _same(case: Case) -> Iterator[Reason]:
    """Judges that say one thing of everything have looked at nothing. Two models may be equal, but
    no judge finds every two of their completions worth the same, prompt after prompt. What a file
    holds that tells no order may be a model beside itself.
    """
    if case.pair.order.identified == "not recorded":
        return
    said = {(one.verdict.first, one.verdict.scores) for one in case.trial.judgments}
    if len(said) == 1 and units(case.pair) >= FEWEST and said.pop()[0] == 0.5:
        judged = case.pair.accounting.judged
        yield Reason(
            "same verdict",
            judged,
            f"the judge said the same of all {judged} pairs that it was shown, and told nothing "
            "apart",
            "take another judge; `bakeoff judge-check` tells what it can tell apart",
        )


def _names(case: Case) -> Iterator[Reason]:
    """An explanation cannot name a model unless the judge was told, or a completion says it."""
    names = [name.rsplit("/", 1)[-1].lower() for name in (case.pair.a, case.pair.b)]
    names = [name for name in names if len(name) > 5 and any(c in "-_.0123456789" for c in name)]
    if not names:
        return
    explained = [j for j in case.trial.judgments if j.verdict.reason]
    named = 0
    for judgment in explained:
        reason = judgment.verdict.reason.lower()
        spoken = [name for name in names if name in reason]
        if spoken:
            read = case.trial.read(judgment.prompt_id)
            named += any(name not in read for name in spoken)
    if named > NAMED * len(explained):
        yield Reason(
            "names shown",
            named / len(explained),
            f"{named} of {len(explained)} explanations name a model, so the judge was not blind",
            "judge again without names",
        )


def _contradictions(case: Case) -> Iterator[Reason]:
    """A judge whose winners are not those of its own scores does not know what it says."""
    odd = case.trial.columns.odd
    wrong = int(odd.sum())
    if wrong > MOST_CONTRADICTED * len(odd):
        yield Reason(
            "contradicts itself",
            wrong / len(odd),
            f"in {wrong} of {len(odd)} verdicts the judge contradicts its own scores",
            "take another judge, or ?verdict=scores",
        )


def _failures(case: Case) -> Iterator[Reason]:
    asked, action = (
        case.pair.accounting,
        "read the messages; a run that is started again asks only for what failed",
    )
    share = asked.failed / asked.asked
    if share > MOST_FAILED:
        message = f"{asked.failed} of {asked.asked} verdicts failed ({100 * share:.1f} %)"
        yield Reason("failures", share, message, action)
    low, high = asked.worst_case or (0.5, 0.5)
    margin = case.pair.margin / 100
    turned = {
        "better": low <= 0.5,
        "worse": high >= 0.5,
        "equivalent": low < 0.5 - margin or high > 0.5 + margin,
    }
    if asked.failed and turned.get(case.plain):
        message = f"the failures could put the win rate between {100 * low:.1f} and "
        yield Reason("failures decide", share, f"{message}{100 * high:.1f} %", action)


def _texts(case: Case) -> Iterator[Reason]:
    both, same = sum(1 for _ in case.trial.both_texts()), len(case.trial.same)
    action = "check that each model is the one you mean, and its template"
    if both and both == same:
        message = f"no difference to judge: both models said the same to all {both} prompts"
        yield Reason("identical completions", 1.0, message, action)
    for model in (case.pair.a, case.pair.b):
        said = Counter(
            c.text for texts in case.trial.texts.get(model, {}).values() for c in texts[:1]
        )
        text, times = said.most_common(1)[0] if said else ("", 0)
        if times > 2 and times > ONE_TEXT * said.total():
            message = f"{model} said the same to {times} of {said.total()} prompts"
            yield Reason("placeholder", times / said.total(), f"{message} ({text[:40]!r})", action)


def _panel(case: Case) -> Iterator[Reason]:
    rates = {judge.judge: judge.win_rate.estimate for judge in case.pair.judges}
    if case.plain in ("better", "worse") and min(rates.values()) < 0.5 < max(rates.values()):
        message = ", ".join(f"{judge} {100 * rate:.1f} %" for judge, rate in rates.items())
        yield Reason(
            "judges disagree",
            max(rates.values()) - min(rates.values()),
            f"the judges are on different sides of 50 % ({message})",
            "read where they disagree; add a stronger judge, or labels of people",
        )


def _people(case: Case) -> Iterator[Reason]:
    """Labels of people, drawn at random, say the opposite of what the judges say."""
    people = case.pair.people
    found = people.corrected.value if people and people.corrected else None
    low, high = (found.low - 0.5, found.high - 0.5) if found else (0.0, 0.0)
    if found and _against(case.plain, high if case.plain == "better" else low):
        yield Reason(
            "people disagree",
            found.estimate,
            f"corrected by {people.prompts if people else 0} labels of people the win rate is "
            f"{100 * found.estimate:.1f} %, surely on the other side of 50",
            "another judge: this one prefers what people do not",
        )


def _length(case: Case) -> Iterator[Reason]:
    fair = case.pair.length.controlled if case.pair.length else None
    if fair and _against(case.plain, fair.estimate - 0.5):
        yield Reason(
            "length decides",
            fair.estimate,
            f"at equal length the win rate is {100 * fair.estimate:.1f} %, on the other side of 50",
            "read pairs of like length; ask for an explicit length, or a judge that is told of it",
        )


def _scores(case: Case) -> Iterator[Reason]:
    scored = case.pair.score_difference
    if scored and _against(case.plain, scored.value.estimate):
        yield Reason(
            "scores disagree",
            scored.value.estimate,
            f"the mean score difference is {scored.value.estimate:+.3f}, against the win rate",
            "see whether a few very bad completions make the mean",
        )


def _family(case: Case) -> Iterator[Reason]:
    """No judge decides alone for a model of its own family; against it, it may."""
    if case.plain not in ("better", "worse"):
        return
    winner, loser = (
        (case.pair.a, case.pair.b) if case.plain == "better" else (case.pair.b, case.pair.a)
    )
    known = {
        n: families((n, case.trial.origins.get(n, ""))) for n in (winner, loser, *case.trial.judges)
    }
    own = known[winner] - known[loser]
    if all(own & known[judge] for judge in case.trial.judges):
        family = ", ".join(sorted(own))
        yield Reason(
            "own family",
            1.0,
            f"the judge is of the winner's family ({family}), and a model prefers its own text",
            "add a judge of another family",
        )


def _against(plain: Outcome, towards_a: float) -> bool:
    return (plain == "better" and towards_a < 0) or (plain == "worse" and towards_a > 0)


_GATES: tuple[Gate, ...] = (
    _few,
    _many,
    _order,
    _same,
    _names,
    _flips,
    _contradictions,
    _failures,
    _texts,
    _panel,
    _people,
    _length,
    _scores,
    _family,
)
