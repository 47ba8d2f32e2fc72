"""Red flags of a pair: warnings that do not withhold the verdict."""

from collections.abc import Iterator
from operator import attrgetter

import numpy as np

from bakeoff.analysis.findings import Finding, interval_outcome
from bakeoff.analysis.judge_checks import FAMILY_PREFERENCE, least_effect, winners_family
from bakeoff.analysis.judgment_table import POINTWISE
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.sample_checks import MAX_FAILED, MAX_FLIPPED, single_order_finding
from bakeoff.records import Flag, PairSummary

# Bounds within which no flag is raised; all but the second are shares.
MIN_WIN_RATE = 0.4
MAX_SCORE_SD = 0.3  # standard deviation on 0-1
MAX_INCONSISTENT = 0.25  # of the prompts judged in both orders
PICK_FIRST_RANGE = (0.35, 0.65)  # of the decisive verdicts
MAX_LONGER_WINS = 0.6  # of the decisive prompts
MAX_CONTRADICTED = 0.02  # of the verdicts with scores
MAX_TRUNCATED_EXPLANATIONS = 0.05
MAX_SHORTENED = 0.02  # of the verdicts, on completions cut to fit the judge's context
_MIN_EXPLANATION = 80  # characters: a shorter explanation may be a heading
_SENTENCE_ENDS = frozenset(".!?…。！？)]}\"'”’*`>|:")  # noqa: RUF001 - full stops of other scripts


def find_flags(pair: PairSummary, data: PairData) -> list[Flag]:
    """All red flags of a pair."""
    findings = (
        *_win_rate_and_scores(pair),
        *_judge_biases(pair),
        *_judge_cards(pair),
        *_family_of_the_winner(pair, data),
        *_scored_elsewhere(pair, data),
        *_explanations(data),
        *_repeated_prompts(pair),
        *_identical_completions(pair),
        *_undecided_orders(pair, data),
    )
    return [finding.to_flag(data.name) for finding in findings]


def _win_rate_and_scores(pair: PairSummary) -> Iterator[Finding]:
    rate, difference = pair.win_rate, pair.score_difference
    if rate and rate.estimate < MIN_WIN_RATE:
        yield Finding(
            "low win rate",
            rate.estimate,
            f"{pair.a} wins {100 * rate.estimate:.1f} %, under {100 * MIN_WIN_RATE:.0f} %",
            "read the prompts that it lost; try an earlier checkpoint; check its chat template",
        )
    if difference and difference.value.estimate < 0:
        yield Finding(
            "negative score difference",
            difference.value.estimate,
            f"{pair.a} scores {-difference.value.estimate:.3f} less on average",
            "see whether a few very bad completions make the mean",
        )
    for model, scores in ((pair.a, pair.scores_a), (pair.b, pair.scores_b)):
        if scores and scores.sd > MAX_SCORE_SD:
            yield Finding(
                "high score spread",
                scores.sd,
                f"the scores of {model} spread by {scores.sd:.2f} around {scores.mean:.2f}",
                "look for a kind of prompt that it fails: long, code, another language",
            )


def _judge_biases(pair: PairSummary) -> Iterator[Finding]:
    if pair.flipped is not None and MAX_INCONSISTENT < pair.flipped <= MAX_FLIPPED:
        yield Finding(
            "inconsistent verdicts",
            pair.flipped,
            f"for {100 * pair.flipped:.0f} % of the prompts a swap of the order names the other "
            "winner",
            "a stronger judge; --repeats 3",
        )
    first = pair.order.pick_first
    low, high = PICK_FIRST_RANGE
    if first and not low <= first.estimate <= high and not first.low <= 0.5 <= first.high:
        yield Finding(
            "follows the place",
            first.estimate,
            f"the completion shown first won {100 * first.estimate:.0f} % of the decisive verdicts",
            "another judge; both orders cancel it only in the mean",
        )
    longer = pair.length.more_wins if pair.length else None
    if longer and longer.estimate > MAX_LONGER_WINS and longer.low > 0.5:
        yield Finding(
            "longer wins",
            longer.estimate,
            f"the longer completion won {100 * longer.estimate:.0f} % of the decisive prompts",
            "compare the win rate at equal length; read pairs of like length",
        )
    leaks = pair.thinking
    if leaks:
        count = leaks.only_a + leaks.only_b + leaks.both
        yield Finding(
            "thinking shown",
            count,
            f"the judge saw thinking tags for {count} prompts ({leaks.only_a} of {pair.a} only, "
            f"{leaks.only_b} of {pair.b} only)",
            "strip thinking before judging, or fix the format of the model that leaks it",
        )


def _judge_cards(pair: PairSummary) -> Iterator[Finding]:
    """Findings in the cards of the judges."""
    for card in pair.judges:
        if len(card.snapshots) > 1:
            yield Finding(
                "judge changed",
                len(card.snapshots),
                f"{card.judge} was {' and '.join(card.snapshots)} within these results",
                "name one snapshot in the spec, and judge again with another --store",
            )
        if card.truncated > MAX_SHORTENED * card.judged:
            yield Finding(
                "completions shortened",
                card.truncated / card.judged,
                f"{card.judge} saw completions cut in the middle in {card.truncated} of "
                f"{card.judged} verdicts: they did not fit into its context",
                "take a judge with a larger context",
            )
    against = [card.judge for card in pair.judges if card.opposes_panel]
    if against:
        yield Finding(
            "judge against the panel",
            len(against) / len(pair.judges),
            f"{' and '.join(against)} would put the win rate on the other side of 50 %",
            "read where it disagrees with the others",
        )
    rate = pair.win_rate
    outcome = interval_outcome(rate, pair.margin / 100) if rate else "not enough data"
    if outcome in ("better", "worse"):
        decisive = [card for card in pair.judges if card.outcome_without not in (None, outcome)]
        for card in decisive:
            share = card.win_rate_without.estimate if card.win_rate_without else 0.0
            yield Finding(
                "hangs on one judge",
                share,
                f"without {card.judge} the win rate is {100 * share:.1f} %, and not shown to be "
                f"{outcome}",
                "add a judge, or labels of people",
            )


def _scored_elsewhere(pair: PairSummary, data: PairData) -> Iterator[Finding]:
    """Scores of a file, which were given to each model separately."""
    table = data.judgment_table
    apart = np.bincount(table.judge[table.presented == POINTWISE], minlength=len(table.judges))
    judges = [j for j, n in zip(table.judges, apart, strict=True) if n and j not in data.origins]
    if judges:
        yield Finding(
            "scored separately",
            float(apart.sum()) / max(1, pair.accounting.judged),
            f"the file has scores that {' and '.join(judges)} gave to each model separately: a "
            "judge that changed in between looks like a difference of the models",
            "score both in one run, in turns; or have the judge compare the completions",
        )


def _family_of_the_winner(pair: PairSummary, data: PairData) -> Iterator[Finding]:
    """All judges are of the winner's family only, but the win is too large to be explained by it.

    A smaller one is withheld.
    """
    rate = pair.win_rate
    outcome = interval_outcome(rate, pair.margin / 100) if rate else "not enough data"
    family = winners_family(data, outcome)
    if rate and family and least_effect(rate, outcome) > FAMILY_PREFERENCE:
        yield Finding(
            "own family",
            1.0,
            f"the judge is of the winner's family ({family}); the win is larger than a preference "
            "for text of its own family",
            "add a judge of another family, to be sure of its size",
        )


def _explanations(data: PairData) -> Iterator[Finding]:
    table = data.judgment_table
    wrong, scored = int(table.contradictory[table.scored].sum()), int(table.scored.sum())
    if wrong > MAX_CONTRADICTED * scored:
        yield Finding(
            "scores contradict winners",
            wrong / scored,
            f"in {wrong} of {scored} verdicts the winner is not the one with more points",
            "read them; a judge that contradicts itself is too weak, or its template unclear",
        )
    explanations = map(attrgetter("verdict.reason"), data.judgments)
    reasons = [reason for reason in explanations if len(reason) >= _MIN_EXPLANATION]
    cut = sum(reason.rstrip()[-1:] not in _SENTENCE_ENDS for reason in reasons)
    if cut > MAX_TRUNCATED_EXPLANATIONS * len(reasons):
        yield Finding(
            "explanations cut off",
            cut / len(reasons),
            f"{cut} of {len(reasons)} explanations stop in the middle of a sentence",
            "give the judge more tokens: what it cut off may have been its verdict",
        )


def _repeated_prompts(pair: PairSummary) -> Iterator[Finding]:
    if pair.repeated:
        yield Finding(
            "prompts repeat",
            pair.repeated / pair.prompts,
            f"{pair.repeated} of {pair.prompts} prompts repeat the text of another one; each group "
            f"of them counts as one cluster ({pair.clusters} clusters)",
            "leave the repeated prompts out: they tell little that is new",
        )


def _identical_completions(pair: PairSummary) -> Iterator[Finding]:
    if 0 < pair.identical < pair.prompts:
        yield Finding(
            "identical completions",
            pair.identical / pair.prompts,
            f"on {pair.identical} of {pair.prompts} prompts the two completions are identical, "
            "which is a tie whatever the judge says",
            "check that the models are the two that you mean",
        )


def _undecided_orders(pair: PairSummary, data: PairData) -> Iterator[Finding]:
    """Prompts in a single order that do not decide, beside others that do.

    A few of them are those with a failed verdict in the other order, and are no design.
    """
    if data.order_design.identified:
        for single in data.order_design.singles:
            if single.a_first + single.b_first <= MAX_FAILED * pair.prompts:
                continue
            finding = single_order_finding(
                single, (pair.a, pair.b), "judge these prompts in the other order, too"
            )
            yield finding._replace(message=f"{finding.message}, so these prompts do not decide")
