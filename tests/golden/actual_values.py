"""The numbers that bakeoff computes, under the names of `expected_audit.json`.

This is the only module of the folder that depends on the field names of bakeoff's results.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bakeoff
from bakeoff.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.alpaca_eval import AlpacaEvalInputs, length_controlled_win_rate
from bakeoff.stats.calibration import corrected_rate, lee_interval, ppi_plus_plus
from bakeoff.stats.controls import Covariate, controlled_rate
from bakeoff.stats.detectable_rates import detectable_rates
from bakeoff.stats.intervals import bca, proportion, score_test_p, t_interval, win_rate
from bakeoff.stats.looks import obrien_fleming
from bakeoff.stats.panels import between_judge_interval, shrunken_rates
from bakeoff.stats.power import (
    detectable_effect,
    power_analysis,
    prompts_for_equivalence,
    prompts_needed,
    variance_components,
)
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from bakeoff.stats.results import TestedRate
from bakeoff.stats.sequential import sign_e_process
from bakeoff.stats.tests import (
    holm,
    mcnemar,
    paired_difference,
    romano_wolf,
    sign_flip_test,
    sign_test,
    tested_win_rate,
)

# Columns of the evaluation with custom column names.
COLUMNS = {
    "clusters": {
        "prompt_id": "item",
        "cluster": "document",
        "model_a": "first choice",
        "model_b": "second choice",
        "winner": "outcome",
        "first": "seen first",
        "judge": "grader",
    }
}

NumbersByPair = dict[str, dict[str, float]]  # pair, or "all" -> name -> number


def audit(name: str, paths: Sequence[Path]) -> bakeoff.Results:
    """The audit of the files of an evaluation."""
    return bakeoff.audit(paths, columns=COLUMNS.get(name))


def numbers_of(results: bakeoff.Results) -> NumbersByPair:
    """Every number of an audit that has an expected one."""
    summary = results.summary
    numbers = {f"{pair.a} vs {pair.b}": dict(_pair(pair)) for pair in summary.pairs}
    for key, ratings, model in (
        ("all", summary.ratings, summary.rating_model),
        ("all judged", summary.published_ratings, summary.published_rating_model),
    ):
        if model is not None:
            numbers[key] = {
                f"strength[{rating.model}]": rating.strength.estimate for rating in ratings
            }
            numbers[key].update(
                _present({"tie": model.tie_parameter, "first": model.first_advantage})
            )
    return {key: _present(values) for key, values in numbers.items()}


def _present(numbers: dict[str, Any]) -> dict[str, float]:
    return {name: number for name, number in numbers.items() if number is not None}


Numbers = Iterator[tuple[str, Any]]


def _pair(pair: Any) -> Numbers:
    yield from _fields("", pair, "prompts", "clusters", "wins", "losses", "ties", "holm_p")
    yield from _fields("", pair, "identical", "repeated", "deciding_prompts", "winner_share")
    yield from _estimate("win_rate", pair.win_rate)
    yield from _estimate("decisive", pair.decisive_win_rate)
    yield "test.p", pair.test.p
    yield from _estimate("published", pair.published)
    yield "published.p", pair.published_test.p
    yield from _fields("", pair, "consistency", "flipped")
    order = pair.order
    yield from _fields("order.", order, "shown_first", "p")
    if order.p is not None:
        yield from _fields("order.", order, "first_twice", "second_twice")
    for name in ("effect", "pick_first", "balanced"):
        yield from _estimate(f"order.{name}", getattr(order, name))
    if pair.length:
        yield from _length(pair.length)
    if pair.score_difference:
        yield from _scores(pair)
    for agreement in pair.agreement:
        if "repeat" not in agreement.raters[0]:
            yield from _agreement("judges", agreement)
    for card in pair.judges:
        yield from _card(f"judge[{card.judge}]", card, others=len(pair.judges) > 2)
    yield from _fields("power.", pair.power, "detectable", "needed", "more")
    yield from _accounting(pair.accounting)
    for tag_slice in pair.slices:
        yield from _fields(f"slice[{tag_slice.tag}].", tag_slice, "prompts", "p", "adjusted_p")
        yield from _estimate(f"slice[{tag_slice.tag}].win_rate", tag_slice.win_rate)
    if pair.thinking:
        for side in ("only_a", "only_b"):
            yield f"thinking.{side}", getattr(pair.thinking, side)
            yield from _estimate(
                f"thinking.{side}.win_rate", getattr(pair.thinking, f"rate_{side}")
            )
    if pair.people:
        yield from _people(pair.people)


def _length(length: Any) -> Numbers:
    yield "length.n", length.n
    yield "length.spearman", length.spearman
    yield from _estimate("length.longer_wins", length.more_wins)


def _scores(pair: Any) -> Numbers:
    for name in ("scores_a", "scores_b"):
        yield from _fields(f"{name}.", getattr(pair, name), "mean", "sd")
    yield from _estimate("score_difference", pair.score_difference.value)
    yield "score_difference.sd", pair.score_difference.sd
    yield "score_difference.p", pair.score_difference.test.p
    for name in ("better", "worse", "equal"):
        yield f"scored.{name}", getattr(pair, f"scored_{name}")


def _card(name: str, card: Any, *, others: bool) -> Numbers:
    yield from _fields(f"{name}.", card, "asked", "failed")
    for part in ("win_rate", "consistency", "first_wins", "longer_wins"):
        yield from _estimate(f"{name}.{part}", getattr(card, part))
    yield from _agreement(f"{name}.repeats", card.repeat_agreement)
    if others:
        yield from _agreement(f"{name}.others", card.panel_agreement)
        yield from _estimate(f"{name}.without", card.win_rate_without)


def _accounting(accounting: Any) -> Numbers:
    yield from _fields("", accounting, "asked", "judged", "failed")
    for kind, count in accounting.failed_by_kind.items():
        yield f"failed[{kind}]", count
    yield "worst_case.low", accounting.worst_case[0]
    yield "worst_case.high", accounting.worst_case[1]


def _people(people: Any) -> Numbers:
    yield "people.prompts", people.prompts
    yield from _estimate("people.win_rate", people.win_rate)
    yield from _agreement("people.judges", people.judge_agreement)
    yield from _agreement("people.among", people.voter_agreement)
    yield from _corrected("people.corrected", people.corrected)
    yield "people.corrected.p", people.test.p
    yield from _fields("people.", people.corrected, "labeled", "unlabeled")


def _corrected(name: str, rate: Any) -> Numbers:
    yield from _estimate(name, rate.value)
    yield from _estimate(f"{name}.published", rate.published)
    yield from _estimate(f"{name}.labels_only", rate.labels_only)


def _agreement(name: str, agreement: Any) -> Numbers:
    if agreement:
        yield f"{name}.share", agreement.share
        for coefficient in ("cohen", "fleiss", "ac1", "alpha"):
            yield from _estimate(f"{name}.{coefficient}", getattr(agreement, coefficient))


def _estimate(name: str, estimate: Any) -> Numbers:
    if estimate is not None:
        yield from _fields(f"{name}.", estimate, "estimate", "low", "high", "se")


def _fields(prefix: str, holder: Any, *names: str) -> Numbers:
    for name in names:
        yield f"{prefix}{name}", getattr(holder, name)


# The functions of `bakeoff.stats` on `vectors.json`.


def statistics(path: Path) -> NumbersByPair:
    """Group -> name -> number that bakeoff computes from the vectors in a file."""
    vectors = json.loads(path.read_text("utf-8"))
    return {name: _present(dict(group(vectors))) for name, group in _GROUPS.items()}


def _intervals(vectors: dict[str, Any]) -> Numbers:
    values = {name: np.array(vectors[name]) for name in ("singles", "few", "many", "rare")}
    for name, y in values.items():
        yield from _estimate(name, win_rate(y))
    yield from _estimate("groups", win_rate(values["many"], np.array(vectors["groups"])))
    for hits, n in ((0, 7), (11, 16), (20, 20)):
        yield from _interval(f"{hits}/{n}", proportion(hits, n))
    yield from _interval("11/16 at 99 %", proportion(11, 16, 0.99))
    d = np.array(vectors["more_differences"])
    yield from _estimate("differences", t_interval(d))
    for name, y in (("bca", values["rare"]), ("bca of differences", d)):
        (interval,) = bca(lambda weights, y=y: (weights @ y / len(y))[..., None], len(y))
        yield from _fields(f"{name}.", interval, "low", "high", "se")


def _interval(name: str, estimate: Any) -> Numbers:
    yield from _fields(f"{name}.", estimate, "estimate", "low", "high")


def _tests(vectors: dict[str, Any]) -> Numbers:
    for wins, losses in ((55, 45), (15, 5), (0, 6), (7, 7)):
        yield f"sign {wins}-{losses}", sign_test(wins, losses).p
    for b, c in vectors["discordant"]:
        yield f"mcnemar {b}-{c}", mcnemar(b, c).p
    yield "flips", sign_flip_test(np.array(vectors["differences"])).p
    yield "more flips", sign_flip_test(np.array(vectors["more_differences"])).p
    many, groups = np.array(vectors["many"]), np.array(vectors["groups"])
    for name in ("singles", "few", "many", "rare"):
        yield from _tested(f"tested {name}", tested_win_rate(np.array(vectors[name])))
    yield from _tested("tested groups", tested_win_rate(many, groups))
    paired = paired_difference(many, np.array(vectors["baseline"]))
    yield from _estimate("paired", paired.difference)
    yield "paired p", paired.test.p
    for at, p in enumerate(holm(vectors["p_values"])):
        yield f"holm {at}", p
    for at, p in enumerate(romano_wolf(np.array(vectors["families"]))):
        yield f"romano-wolf {at}", p


def _tested(name: str, tested: TestedRate) -> Numbers:
    yield from _estimate(name, tested.rate)
    yield f"{name} p", tested.test.p


def _agreement_of(vectors: dict[str, Any]) -> Numbers:
    table = np.array(vectors["ratings"], dtype=float)
    for level in ("nominal", "ordinal", "interval"):
        yield f"alpha {level}", krippendorff_alpha(table, level).estimate  # type: ignore[arg-type, union-attr]
    two = table[:, :2]
    for name, coefficient in (
        ("fleiss", fleiss_kappa(table)),
        ("ac1", gwet_ac1(table)),
        ("cohen", cohen_kappa(two)),
    ):
        yield name, coefficient.estimate  # type: ignore[union-attr]


def _ratings(vectors: dict[str, Any]) -> Numbers:
    left, right, won, prompts = np.array(vectors["battles"]).T
    outcomes = PairwiseOutcomes(left.astype(int), right.astype(int), won, prompts.astype(int))
    decided = won != 0.5
    without = PairwiseOutcomes(
        outcomes.left[decided], outcomes.right[decided], won[decided], outcomes.prompts[decided]
    )
    for name, fitted in (
        ("decided", bradley_terry(without, 5, resamples=0)),
        ("ties half", bradley_terry(outcomes, 5, resamples=0)),
        ("davidson", bradley_terry(outcomes, 5, ties=True, resamples=0)),
        ("ordered", bradley_terry(outcomes, 5, ties=True, order=True, resamples=0)),
    ):
        for item, strength in enumerate(fitted.strengths):
            yield f"{name} {item}", strength.estimate
        yield f"{name} tie", fitted.tie_parameter
        yield f"{name} first", fitted.first_advantage


def _sequential(vectors: dict[str, Any]) -> Numbers:
    look = sign_e_process(np.array(vectors["stream"]))
    yield "log e", look.log_e[-1]
    yield from _fields("", look, "p", "stopped", "low", "high")


def _planning(vectors: dict[str, Any]) -> Numbers:
    for sd, effect in ((1 / 3, 0.03), (0.5, 0.1), (0.42, 0.07)):
        yield f"prompts {sd:.3f} {effect}", prompts_needed(sd, effect)
        yield f"detectable {sd:.3f}", detectable_effect(sd / 10)
    for name in ("singles", "few", "many", "rare"):
        power = power_analysis(np.array(vectors[name]), 0.05)
        yield from _fields(f"{name} power.", power, "detectable", "needed", "more")
    for sd, away, margin in ((0.4, 0.0, 0.05), (0.3, 0.02, 0.05)):
        yield f"fits {sd} {away} {margin}", prompts_for_equivalence(sd, away, margin)
    for looks in (2, 3):
        for at, alpha in enumerate(obrien_fleming(looks), start=1):
            yield f"look {at} of {looks}", alpha
    for n in (50, 100, 805):
        yield f"tells {n}", detectable_rates(n)[1]  # type: ignore[index]


def _labels(vectors: dict[str, Any]) -> Numbers:
    labels, judged = np.array(vectors["labels"]), np.array(vectors["judged"])
    n = len(labels)
    yield from _interval("ppi", ppi_plus_plus(labels, judged[:n], judged[n:]).value)
    few = corrected_rate(labels, judged[:n], judged[n:])
    yield from _corrected("few labels", few)
    p = score_test_p(few.value.estimate, n * few.value.se**2, n, n - 1)  # type: ignore[operator]
    yield "few labels.p", p
    more = np.array(vectors["more_labels"])
    n = len(more)
    efficient = corrected_rate(more, judged[:n], judged[n:]).value
    yield from _estimate("efficient", efficient)
    yield from _interval("lee", lee_interval(0.4, 1000, (0.7, 200), (0.9, 200)).value)  # type: ignore[union-attr]


def _length_of(vectors: dict[str, Any]) -> Numbers:
    y, d = np.array(vectors["soft"]), np.array(vectors["lengths"], dtype=float)
    controls = controlled_rate(y, [Covariate("length", (np.tanh(d / d.std(ddof=1)),))])
    yield "controlled", controls.rate.estimate  # type: ignore[union-attr]
    gamed = np.array(vectors["gamed"])
    inputs = AlpacaEvalInputs(
        y, d, np.array(vectors["hardness"]), *gamed.T[:2], gamed[:, 2].astype(int)
    )
    for c in (2.78, 21.54):
        fitted = length_controlled_win_rate(inputs, c)
        yield f"alpaca_eval c={c}", fitted.win_rate
        for name, weight in zip(("length", "difficulty", "model"), fitted.weights, strict=True):
            yield f"alpaca_eval c={c} {name}", weight


def _variance(vectors: dict[str, Any]) -> Numbers:
    prompt, generation, order, repeat, y = np.array(vectors["nested"]).T
    codes = (column.astype(int) for column in (prompt, generation, order, repeat))
    yield from _fields(
        "", variance_components(y, *codes), "prompt", "generation", "order", "repeat"
    )


def _panels(vectors: dict[str, Any]) -> Numbers:
    panel = between_judge_interval(np.array(vectors["panel"], dtype=float))
    yield from _estimate("random judges", panel.rate)  # type: ignore[union-attr]
    yield "between judges", panel.between_judges  # type: ignore[union-attr]
    shrunken = shrunken_rates(*np.array(vectors["slices"]).T)
    yield from _fields("", shrunken, "overall", "between")
    for at, rate in enumerate(shrunken.rates):
        yield f"slice {at}", rate


_GROUPS: dict[str, Callable[[dict[str, Any]], Numbers]] = {
    "intervals": _intervals,
    "tests": _tests,
    "agreement": _agreement_of,
    "ratings": _ratings,
    "sequential": _sequential,
    "planning": _planning,
    "labels": _labels,
    "length": _length_of,
    "variance": _variance,
    "panels": _panels,
}
