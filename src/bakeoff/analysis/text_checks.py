"""Checks of the completions: identical and placeholder texts, length."""

from collections import Counter
from collections.abc import Iterator

from bakeoff.analysis.findings import CheckInput, Finding, VerdictCheck, is_against

MAX_SAME_TEXT = 0.5  # of the completions of a model: above this the text is a placeholder


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


def _length_decides(inputs: CheckInput) -> Iterator[Finding]:
    rate = inputs.pair.length.controlled if inputs.pair.length else None
    if rate and is_against(inputs.outcome, rate.estimate - 0.5):
        yield Finding(
            "length decides",
            rate.estimate,
            f"at equal length the win rate is {100 * rate.estimate:.1f} %, on the other side of 50",
            "read pairs of like length; ask for an explicit length, or a judge that is told of it",
        )


TEXT_CHECKS: tuple[VerdictCheck, ...] = (
    _suspicious_texts,
    _length_decides,
)
