"""Red flags of a pair: nothing that forbids the verdict, but what a careful reader looks at."""

from collections import Counter
from collections.abc import Iterator

from bakeoff.analysis.checks import MOST_FLIPPED, Reason
from bakeoff.analysis.pair_data import Trial
from bakeoff.analysis.verdict import outcome_of
from bakeoff.records import CLUSTER_TAG, Flag, PairSummary

LOW_RATE = 0.4
WIDE_SCORES = 0.3  # standard deviation on 0-1
OFTEN_FLIPPED = 0.25
PICKS_FIRST = (0.35, 0.65)
LONGER_WINS = 0.6
CONTRADICTED = 0.02
CUT_OFF = 0.05
SHORTENED = 0.02
_LONG = 80  # characters: a shorter explanation may be a heading
_ENDS = frozenset(".!?…。！？)]}\"'”’*`>|:")  # noqa: RUF001 - full stops of other scripts


def flags_of(pair: PairSummary, trial: Trial) -> list[Flag]:
    """Every red flag of a pair, each with its figure and what to do."""
    found = (
        *_losing(pair),
        *_judging(pair),
        *_paneling(pair),
        *_explaining(trial),
        *_asking(trial),
    )
    return [Flag(about=trial.name, **reason._asdict()) for reason in found]


def _losing(pair: PairSummary) -> Iterator[Reason]:
    rate, difference = pair.win_rate, pair.score_difference
    if rate and rate.estimate < LOW_RATE:
        yield Reason(
            "low win rate",
            rate.estimate,
            f"{pair.a} wins {100 * rate.estimate:.1f} %, under {100 * LOW_RATE:.0f} %",
            "read the prompts that it lost; try an earlier checkpoint; check its chat template",
        )
    if difference and difference.value.estimate < 0:
        yield Reason(
            "negative score difference",
            difference.value.estimate,
            f"{pair.a} scores {-difference.value.estimate:.3f} less on average",
            "see whether a few very bad completions make the mean",
        )
    for model, scores in ((pair.a, pair.scores_a), (pair.b, pair.scores_b)):
        if scores and scores.sd > WIDE_SCORES:
            yield Reason(
                "high score spread",
                scores.sd,
                f"the scores of {model} spread by {scores.sd:.2f} around {scores.mean:.2f}",
                "look for a kind of prompt that it fails: long, code, another language",
            )


def _judging(pair: PairSummary) -> Iterator[Reason]:
    if pair.flipped is not None and OFTEN_FLIPPED < pair.flipped <= MOST_FLIPPED:
        yield Reason(
            "inconsistent verdicts",
            pair.flipped,
            f"for {100 * pair.flipped:.0f} % of the prompts a swap of the order names the other "
            "winner",
            "a stronger judge; --repeats 3",
        )
    first = pair.order.pick_first
    low, high = PICKS_FIRST
    if first and not low <= first.estimate <= high and not first.low <= 0.5 <= first.high:
        yield Reason(
            "follows the place",
            first.estimate,
            f"the completion shown first won {100 * first.estimate:.0f} % of the decisive verdicts",
            "another judge; both orders cancel it only in the mean",
        )
    longer = pair.length.tilt.more_wins if pair.length else None
    if longer and longer.estimate > LONGER_WINS and longer.low > 0.5:
        yield Reason(
            "longer wins",
            longer.estimate,
            f"the longer completion won {100 * longer.estimate:.0f} % of the decisive prompts",
            "compare the win rate at equal length; read pairs of like length",
        )
    leaks = pair.thinking
    if leaks:
        count = leaks.only_a + leaks.only_b + leaks.both
        yield Reason(
            "thinking shown",
            count,
            f"the judge saw thinking tags for {count} prompts ({leaks.only_a} of {pair.a} only, "
            f"{leaks.only_b} of {pair.b} only)",
            "strip thinking before judging, or fix the format of the model that leaks it",
        )


def _paneling(pair: PairSummary) -> Iterator[Reason]:
    """What the cards of the judges tell."""
    for card in pair.judges:
        if len(card.snapshots) > 1:
            yield Reason(
                "judge changed",
                len(card.snapshots),
                f"{card.judge} was {' and '.join(card.snapshots)} within these results",
                "name one snapshot in the spec, and judge again with another --store",
            )
        if card.truncated > SHORTENED * card.judged:
            yield Reason(
                "completions shortened",
                card.truncated / card.judged,
                f"{card.judge} saw completions cut in the middle in {card.truncated} of "
                f"{card.judged} verdicts: they did not fit into its context",
                "take a judge with a larger context",
            )
    against = [card.judge for card in pair.judges if card.opposes_panel]
    if against:
        yield Reason(
            "judge against the panel",
            len(against) / len(pair.judges),
            f"{' and '.join(against)} would put the win rate on the other side of 50 %",
            "read where it disagrees with the others",
        )
    rate = pair.win_rate
    decides = outcome_of(rate, pair.margin / 100) if rate else "not enough data"
    if decides in ("better", "worse"):
        hangs = [c for c in pair.judges if c.outcome_without not in (None, decides)]
        for card in hangs:
            share = card.win_rate_without.estimate if card.win_rate_without else 0.0
            yield Reason(
                "hangs on one judge",
                share,
                f"without {card.judge} the win rate is {100 * share:.1f} %, and not shown to be "
                f"{decides}",
                "add a judge, or labels of people",
            )


def _explaining(trial: Trial) -> Iterator[Reason]:
    scored = trial.columns.scored
    wrong, given = int(trial.columns.odd[scored].sum()), int(scored.sum())
    if wrong > CONTRADICTED * given:
        yield Reason(
            "scores contradict winners",
            wrong / given,
            f"in {wrong} of {given} verdicts the winner is not the one with more points",
            "read them; a judge that contradicts itself is too weak, or its template unclear",
        )
    reasons = [j.verdict.reason for j in trial.judgments if len(j.verdict.reason) >= _LONG]
    cut = sum(reason.rstrip()[-1:] not in _ENDS for reason in reasons)
    if cut > CUT_OFF * len(reasons):
        yield Reason(
            "explanations cut off",
            cut / len(reasons),
            f"{cut} of {len(reasons)} explanations stop in the middle of a sentence",
            "give the judge more tokens: what it cut off may have been its verdict",
        )


def _asking(trial: Trial) -> Iterator[Reason]:
    times: Counter[tuple[tuple[str, str], ...]] = Counter()
    for prompt_id in map(trial.ids.__getitem__, trial.folded.prompt.tolist()):
        prompt = trial.prompts.get(prompt_id)
        if prompt and not any(tag.startswith(CLUSTER_TAG) for tag in prompt.tags):
            times[tuple((message.role, message.content) for message in prompt.messages)] += 1
    repeated = sum(count for count in times.values() if count > 1)
    if repeated:
        yield Reason(
            "prompts repeat",
            repeated / len(trial.folded),
            f"{repeated} of {len(trial.folded)} prompts are the text of another one",
            "leave them out, or tag them `cluster:NAME`: they are not independent",
        )
