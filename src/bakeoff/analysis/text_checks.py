"""Checks of the completions: identical and placeholder texts, text for the judge, length, style."""

from collections.abc import Iterator

import numpy as np

from bakeoff.analysis.deciding_rate import deciding_rate
from bakeoff.analysis.findings import CheckInput, Finding, VerdictCheck, interval_outcome
from bakeoff.analysis.injection import detect_injection
from bakeoff.analysis.judging_prompts import is_about_judging
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.placeholders import repeated_text
from bakeoff.stats.controls import covariates_may_decide
from bakeoff.stats.intervals import proportion
from bakeoff.stats.results import ControlledRate, Estimate

MIN_INJECTIONS = 3  # prompts with text for the judge, below which only their number of wins counts
MAX_INJECTED = 0.01  # of the prompts, by the lower bound of the interval of their share
WAYS_OUT = (
    "ask people for labels of some prompts; judge the prompts with completions of equal length; or "
    "complete again with matched length, by a limit or a word count in the prompt"
)


def _suspicious_texts(inputs: CheckInput) -> Iterator[Finding]:
    total = sum(1 for _ in inputs.data.paired_completions())
    action = "check that each model is the one you mean, and its template"
    if total and total == len(inputs.data.identical_prompts):
        message = f"no difference to judge: both models said the same to all {total} prompts"
        yield Finding("identical completions", 1.0, message, action)
    for model, other in ((inputs.pair.a, inputs.pair.b), (inputs.pair.b, inputs.pair.a)):
        repeated = repeated_text(inputs.data, model, other)
        if repeated:
            message = f"{model} said the same to {repeated.prompts} of {repeated.total} prompts"
            if repeated.varying:
                message += f", except for {repeated.varying}"
            message += f" ({repeated.text[:40]!r})"
            yield Finding("placeholder", repeated.prompts / repeated.total, message, action)


def _text_for_the_judge(inputs: CheckInput) -> Iterator[Finding]:
    """Completions speak to the judge, and the outcome may have come by that.

    Those of the winner are counted as its losses; without a winner, those of each model.
    """
    pair = inputs.pair
    favored = {"better": (pair.a,), "worse": (pair.b,), "equivalent": (pair.a, pair.b)}
    for model in favored.get(inputs.outcome, ()):
        other = pair.b if model == pair.a else pair.a
        injected = _injected_prompts(inputs.data, model)
        if not injected:
            continue
        total = sum(1 for id_ in inputs.data.prompt_ids if id_ in inputs.data.completions[model])
        share = proportion(len(injected), total)
        rate = _rate_without_wins(inputs.data, injected, other)
        survives = interval_outcome(rate, pair.margin / 100) == inputs.outcome
        often = len(injected) >= MIN_INJECTIONS and share is not None and share.low > MAX_INJECTED
        if survives and not often:
            continue
        by_other = len(_injected_prompts(inputs.data, other))
        lost = 100 * (rate.estimate if model == pair.a else 1 - rate.estimate)
        yield Finding(
            "speaks to the judge",
            len(injected) / total,
            f"completions of {model} speak to the judge, or hide something, for {len(injected)} of "
            f"{total} prompts (those of {other} for {by_other}): with these lost, {model} wins "
            f"{lost:.1f} %",
            f"read them under `suspicious` of {model}: what fools a judge is not better",
        )


def _injected_prompts(data: PairData, model: str) -> set[str]:
    """The judged prompts, not about judging, of which a completion speaks to the judge."""
    by_prompt = data.completions.get(model, {})
    return {
        prompt_id
        for prompt_id in data.prompt_ids
        if any(detect_injection(completion.text) for completion in by_prompt.get(prompt_id, ()))
        and not (prompt_id in data.prompts and is_about_judging(data.prompts[prompt_id]))
    }


def _rate_without_wins(data: PairData, lost: set[str], winner: str) -> Estimate:
    """The deciding win rate if this model had won all of these prompts."""
    indices = [index for index, prompt_id in enumerate(data.prompt_ids) if prompt_id in lost]
    table = data.judgment_table
    table = table.with_preferences(np.isin(table.prompt, indices), float(winner == data.a))
    return deciding_rate(data.order_design_of(table), data.inference).rate


def _length_or_style_decides(inputs: CheckInput) -> Iterator[Finding]:
    """The judge may have followed length or style, as far as the completions tell."""
    controls = inputs.pair.controls
    sign = _explained_sign(inputs)
    if controls is None or sign is None:
        return
    a, b = inputs.pair.a, inputs.pair.b
    claimed = "the verdict" if inputs.outcome != "equivalent" else "no difference"
    for name in controls.without_overlap:
        more = "longer text" if name == "length" else "text with more markup"
        yield Finding(
            f"{name} decides",
            1.0,
            f"{claimed} cannot be told from {name}: one model nearly always wrote the {more}, so "
            f"no win rate at equal {name} can be estimated",
            WAYS_OUT,
        )
    if controls.rate and controls.explained:
        main = _main_covariate(controls, sign)
        points = f"{100 * sign * controls.explained.estimate:.1f} points"
        winner, loser = (a, b) if sign > 0 else (b, a)
        rate = _percent_of_winner(controls.rate, sign > 0)
        says = f"which does not show it better than {loser}: {main} explains {points} of its"
        if inputs.outcome == "equivalent":
            margin = f"{inputs.pair.margin:g} points of 50 %"
            says = f"which may not be within {margin}: {main} adds {points} to its"
        ends = "win rate" if inputs.outcome == "equivalent" else "advantage"
        yield Finding(
            f"{main} decides",
            controls.rate.estimate,
            f"at equal length and style {winner} wins {rate}, {says} {ends}",
            WAYS_OUT,
        )


def _explained_sign(inputs: CheckInput) -> int | None:
    """1 if a may have its outcome by the covariates alone, -1 if b may; None otherwise.

    That two models are equivalent makes two claims: a win rate above the lower end of the margin,
    and one below the upper end.
    """
    controls, margin = inputs.pair.controls, inputs.pair.margin / 100
    if inputs.pair.ties == inputs.pair.prompts:
        return None  # no verdict follows anything
    claims = {
        "better": ((1, 0.5),),
        "worse": ((-1, 0.5),),
        "equivalent": ((1, 0.5 - margin), (-1, 0.5 + margin)),
    }
    for sign, bound in claims.get(inputs.outcome, ()):
        if controls and covariates_may_decide(controls, better=sign > 0, bound=bound):
            return sign
    return None


def _main_covariate(controls: ControlledRate, sign: int) -> str:
    """The covariate that adds most to the win rate of the winner."""
    return max(controls.effects, key=lambda effect: sign * effect.explained.estimate).name


def _percent_of_winner(rate: Estimate, is_a: bool) -> str:
    share, low, high = rate.estimate, rate.low, rate.high
    if not is_a:
        share, low, high = 1 - share, 1 - high, 1 - low
    return f"{100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


TEXT_CHECKS: tuple[VerdictCheck, ...] = (
    _suspicious_texts,
    _text_for_the_judge,
    _length_or_style_decides,
)
