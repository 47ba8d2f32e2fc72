"""Evaluations whose judge follows length, markdown or its own family."""

import numpy as np

from harness.evaluation_texts import Generator, Style, lengths
from harness.evidence_draft import EvidenceDraft
from harness.simulated_judge import Judge, Values
from harness.verdict_classes.case import Case, Knobs, VerdictClass, pair_truth, pick, size

# Pairs of a winner and a judge of its family, and a loser of another one.
_FAMILIES = (
    ("gpt-4o-mini", "mistral-7b-instruct", "gpt-4-turbo"),
    ("claude-3-haiku", "llama-3-8b", "claude-3-opus"),
    ("qwen2.5-7b-instruct", "gemma-2-9b-it", "qwen-max"),
    ("gemini-1.5-flash", "command-r-plus", "gemini-1.5-pro"),
    ("llama-3.1-8b-instruct", "qwen2-7b", "llama-3.1-405b"),
    ("deepseek-chat", "phi-3-mini", "deepseek-r1"),
)


def _judged(draft: EvidenceDraft, judge: Judge, lift: Values) -> None:
    rng, n = draft.rng, len(draft.ids)
    perceived = judge.differences(rng, n) + lift
    orders = (True, False) if rng.random() < 0.75 else (rng.random(n) < 0.5,)
    for side in orders:
        draft.add_judgments(judge.verdicts(rng, perceived, side), side)


def _length_lift(variant: str, a: Values, b: Values) -> Values:
    """What a judge that likes length perceives, in sd of the true differences."""
    ratio = np.log(a / b)
    match variant:
        case "any longer":
            return np.sign(ratio)
        case "much longer":
            return np.where(np.abs(ratio) > 0.2, np.sign(ratio), 0.0) * 1.2
        case "difference":
            return np.clip((a - b) / np.std(a - b), -2, 2)
        case "saturating":
            return np.tanh(2 * ratio)
    return 1.5 * ratio


def length_judge(rng: Generator, knobs: Knobs) -> Case:
    """The judge likes the longer completion, and a is longer on more prompts than not."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "any longer", "much longer", "difference", "saturating", "ratio")
    n = size(rng, 60, 180)
    draft.add_prompts(n)
    median, spread = float(rng.uniform(150, 900)), float(rng.uniform(0.3, 0.7))
    lengths_a = lengths(rng, n, median * float(rng.uniform(1.1, 1.6)), spread)
    lengths_b = lengths(rng, n, median, spread)
    richness = float(rng.choice([0.0, 0.5]))
    texts_a = Style(rng, n, richness).render(rng, lengths_a)
    texts_b = Style(rng, n, richness).render(rng, lengths_b)
    draft.add_completions(draft.a, texts_a)
    draft.add_completions(draft.b, texts_b)
    characters = [np.array([len(t) for t in texts], dtype=float) for texts in (texts_a, texts_b)]
    weight = float(rng.uniform(0.6, 2.5)) * knobs.bias
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2])))
    _judged(draft, judge, weight * _length_lift(variant, *characters))
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def no_overlap(rng: Generator, knobs: Knobs) -> Case:
    """a is longer on every prompt, or on nearly every one, and the judge likes that."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "constant gap", "varied gap", "ratio", "nearly all", "much shorter b")
    n = size(rng, 50, 120)
    draft.add_prompts(n)
    lengths_b = lengths(rng, n, float(rng.uniform(200, 800)), 0.3)
    gap: Values | float = rng.uniform(600, 2000, n)
    if variant == "constant gap":
        gap = float(rng.uniform(600, 1500))
    lengths_a = lengths_b + gap
    if variant == "ratio":
        lengths_a = lengths_b * rng.uniform(1.8, 4, n) + 200
    if variant == "much shorter b":
        lengths_b = lengths(rng, n, 80, 0.2)
    if variant == "nearly all":
        swapped = rng.random(n) < 0.03
        lengths_a, lengths_b = (
            np.where(swapped, lengths_b, lengths_a),
            np.where(swapped, lengths_a, lengths_b),
        )
    texts_a = Style(rng, n, 0).render(rng, lengths_a)
    texts_b = Style(rng, n, 0).render(rng, lengths_b)
    draft.add_completions(draft.a, texts_a)
    draft.add_completions(draft.b, texts_b)
    longer = np.sign([len(a) - len(b) for a, b in zip(texts_a, texts_b, strict=True)])
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2])))
    _judged(draft, judge, float(rng.uniform(0.4, 2)) * knobs.bias * longer)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def style_judge(rng: Generator, knobs: Knobs) -> Case:
    """The judge likes markdown: headers, lists, bold or code; a uses more of it."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "all", "headers", "items", "bold", "code", "any", "a only")
    n = size(rng, 60, 180)
    draft.add_prompts(n)
    sizes = lengths(rng, n, float(rng.uniform(300, 900)), 0.4)
    level = float(rng.uniform(0.3, 0.8))
    style_a, style_b = Style(rng, n, level * float(rng.uniform(1.3, 2.5))), Style(rng, n, level)
    for name in ("headers", "items", "bold", "code"):
        if variant == name:
            setattr(style_a, name, rng.poisson(1.6, n))
            setattr(style_b, name, rng.poisson(0.8, n))
        elif variant not in ("all", "any", "a only"):
            setattr(style_a, name, np.zeros(n, dtype=int))
            setattr(style_b, name, np.zeros(n, dtype=int))
    if variant == "a only":
        style_b = Style(rng, n, 0)
    draft.add_completions(draft.a, style_a.render(rng, sizes))
    draft.add_completions(draft.b, style_b.render(rng, sizes * np.exp(rng.normal(0, 0.2, n))))
    total_a, total_b = style_a.total, style_b.total
    gap = (total_a - total_b) / (total_a + total_b + 1)
    if variant == "any":
        gap = np.sign(total_a - total_b)
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2])))
    _judged(draft, judge, float(rng.uniform(0.8, 2.5)) * knobs.bias * gap)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def family_case(rng: Generator, rate: float, truth: float) -> Case:
    """Verdicts of a judge of the first model's family at this rate, with the true one."""
    winner, loser, judge_name = _FAMILIES[int(rng.integers(len(_FAMILIES)))]
    draft = EvidenceDraft(rng, (winner, loser))
    n = size(rng, 80, 220)
    draft.add_prompts(n)
    if rng.random() < 0.5:
        draft.add_similar_completions()
    judge = Judge(rate, ties=float(rng.choice([0.0, 0.1])))
    differences = judge.differences(rng, n)
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side, judge=judge_name)
    return Case(draft.evidence(), pair_truth(draft, truth), judge_name)


def own_family(rng: Generator, knobs: Knobs) -> Case:
    """The judge prefers its own family by up to 10 points."""
    preference = float(rng.uniform(0.04, 0.1)) * knobs.bias
    return family_case(rng, knobs.rate + preference, knobs.rate)


def own_family_large_effect(rng: Generator, knobs: Knobs) -> Case:
    """The model of the judge's family is better by far more than a preference explains."""
    rate = float(rng.uniform(0.85, 0.97)) + knobs.difference / 100
    return family_case(rng, rate, rate - 0.1 * knobs.bias)


def longer_and_better(rng: Generator, knobs: Knobs) -> Case:
    """a is somewhat longer and truly better; the judge does not follow length."""
    draft = EvidenceDraft(rng)
    n = size(rng, 150, 220)
    draft.add_prompts(n)
    sizes = lengths(rng, n, 500, 0.5)
    draft.add_completions(draft.a, Style(rng, n, 0.6).render(rng, sizes * 1.15))
    other = sizes * np.exp(rng.normal(0, 0.5, n))
    draft.add_completions(draft.b, Style(rng, n, 0.5).render(rng, other))
    judge = Judge(0.72 + knobs.difference / 100, ties=0.1)
    differences = judge.differences(rng, n)
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side)
    return Case(draft.evidence(), pair_truth(draft, judge.rate), "longer and better")


CONTROL_CLASSES = (
    VerdictClass("length judge", length_judge),
    VerdictClass("no overlap", no_overlap),
    VerdictClass("style judge", style_judge),
    VerdictClass("own family", own_family),
    VerdictClass("innocent: own family, large effect", own_family_large_effect, "lost"),
    VerdictClass("innocent: longer and better", longer_and_better, "lost"),
)
