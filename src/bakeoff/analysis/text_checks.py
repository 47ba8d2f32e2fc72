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
    """The winner's completions speak to the judge, and may have won by that."""
    if inputs.outcome not in ("better", "worse"):
        return
    pair = inputs.pair
    winner, loser = (pair.a, pair.b) if inputs.outcome == "better" else (pair.b, pair.a)
    injected = _injected_prompts(inputs.data, winner)
    if not injected:
        return
    total = sum(1 for id_ in inputs.data.prompt_ids if id_ in inputs.data.completions[winner])
    share = proportion(len(injected), total)
    rate = _rate_without_wins(inputs.data, injected, loser)
    survives = interval_outcome(rate, pair.margin / 100) == inputs.outcome
    often = len(injected) >= MIN_INJECTIONS and share is not None and share.low > MAX_INJECTED
    if survives and not often:
        return
    by_loser = len(_injected_prompts(inputs.data, loser))
    lost = 100 * (rate.estimate if inputs.outcome == "better" else 1 - rate.estimate)
    yield Finding(
        "speaks to the judge",
        len(injected) / total,
        f"completions of {winner} speak to the judge, or hide something, for {len(injected)} of "
        f"{total} prompts (those of {loser} for {by_loser}): with these lost, {winner} wins "
        f"{lost:.1f} %",
        f"read them under `suspicious` of {winner}: what fools a judge is not better",
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
    if inputs.outcome not in ("better", "worse") or controls is None:
        return
    better = inputs.outcome == "better"
    if not covariates_may_decide(controls, better):
        return
    winner, loser = (inputs.pair.a, inputs.pair.b) if better else (inputs.pair.b, inputs.pair.a)
    for name in controls.without_overlap:
        more = "longer text" if name == "length" else "text with more markdown"
        yield Finding(
            f"{name} decides",
            1.0,
            f"the verdict cannot be told from {name}: one model nearly always wrote the {more}, so "
            f"no win rate at equal {name} can be estimated",
            WAYS_OUT,
        )
    if controls.rate and controls.explained:
        rate, explained = controls.rate, controls.explained
        sign = 1 if better else -1
        yield Finding(
            f"{_main_covariate(controls, sign)} decides",
            rate.estimate,
            f"at equal length and style {winner} wins "
            f"{_percent_of_winner(rate, better)}, which does not show it better than {loser}: "
            f"{_main_covariate(controls, sign)} explains "
            f"{100 * sign * explained.estimate:.1f} points of its advantage",
            WAYS_OUT,
        )


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
