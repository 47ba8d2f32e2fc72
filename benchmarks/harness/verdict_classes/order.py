"""Evaluations whose verdicts depend on the order of presentation."""

from itertools import combinations

import numpy as np

from bakeoff.records import Presentation
from harness.evaluation_texts import Generator
from harness.evidence_draft import EvidenceDraft
from harness.simulated_judge import Judge
from harness.verdict_classes.case import (
    Case,
    Knobs,
    VerdictClass,
    equal_truth,
    pair_truth,
    pick,
    size,
)


def _judge(rng: Generator, knobs: Knobs, follows: tuple[float, float] = (0.2, 0.6)) -> Judge:
    """A judge that names the completion shown first in a share of the verdicts."""
    share = float(rng.uniform(*follows)) * knobs.bias
    ties = float(rng.choice([0.0, 0.1, 0.3]))
    graded = bool(rng.random() < 0.2)
    return Judge(knobs.rate, ties=ties, follows=min(share, 0.95), graded=graded)


def _finish(draft: EvidenceDraft, knobs: Knobs, variant: str) -> Case:
    if draft.rng.random() < 0.5:
        draft.add_similar_completions()
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def ratings_without_checks(rng: Generator, knobs: Knobs) -> Case:
    """Three to five equal models whose pairs have one order each, or lose a check."""
    count = int(rng.integers(3, 6))
    draft = EvidenceDraft(rng, [f"model-{letter}" for letter in "abcde"[:count]])
    variant = pick(rng, "one order per pair", "unknown order", "failures", "flips", "placeholder")
    n = size(rng, 30, 70)
    draft.add_prompts(n)
    judge = _judge(rng, knobs, (0.3, 0.7))
    random_sides = {pair: bool(rng.random() < 0.5) for pair in combinations(draft.models, 2)}
    by_name = bool(rng.random() < 0.5)
    for pair in combinations(draft.models, 2):
        differences = judge.differences(rng, n)
        first = True if by_name else random_sides[pair]
        if variant == "placeholder":
            # The judge is fair, but the first model has one text for every prompt.
            fair = judge._replace(follows=0.0, rate=0.5 + 0.3 * knobs.bias * (pair[0][-1] == "a"))
            differences = fair.differences(rng, n)
            for side in (True, False):
                draft.add_judgments(fair.verdicts(rng, differences, side), side, pair=pair)
            continue
        values = judge.verdicts(rng, differences, first)
        if variant == "flips":
            heavy = judge._replace(follows=0.97 * min(1, knobs.bias))
            for side in (True, False):
                shown = heavy.verdicts(rng, differences, side)
                if side is not first:
                    # The second order is missing for the prompts where it would decide.
                    shown = np.where(rng.random(n) < 0.35, shown, np.nan)
                    ids = [i for i, v in zip(draft.ids, shown, strict=True) if not np.isnan(v)]
                    draft.add_judgments(shown[~np.isnan(shown)], side, ids=ids, pair=pair)
                else:
                    draft.add_judgments(shown, side, pair=pair)
            continue
        if variant == "failures":
            fair = judge._replace(follows=0.0)
            for side in (True, False):
                shown = fair.verdicts(rng, differences, side)
                lost = (shown < 0.5) & (rng.random(n) < 0.5 * knobs.bias)
                draft.add_judgments(np.where(lost, np.nan, shown), side, pair=pair)
            continue
        presented: Presentation = "unknown" if variant == "unknown order" else "recorded"
        draft.add_judgments(values, first, pair=pair, presented=presented)
    if variant == "placeholder":
        draft.add_completions(draft.a, ["I am a helpful assistant."] * n)
    return Case(draft.evidence(), equal_truth(draft), variant)


def mixed_design(rng: Generator, knobs: Knobs) -> Case:
    """Both orders on some prompts, mostly one order on the rest."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "a first on the rest", "mostly a first", "a second judge", "by tag")
    n = size(rng, 80, 220)
    both = rng.random(n) < rng.uniform(0.3, 0.7)
    tags = [("easy",) if twice else ("hard",) for twice in both] if variant == "by tag" else None
    draft.add_prompts(n, tags=tags)
    judge = _judge(rng, knobs, (0.2, 0.5))
    differences = judge.differences(rng, n)
    a_first = rng.random(n) < (rng.uniform(0.8, 0.97) if variant == "mostly a first" else 1.0)
    names = np.array(draft.ids)
    for side in (True, False):
        mask = both | (a_first == side)
        values = judge.verdicts(rng, differences, side)[mask]
        draft.add_judgments(values, side, ids=names[mask].tolist())
    if variant == "a second judge":
        other = judge._replace(follows=judge.follows / 2)
        values = other.verdicts(rng, differences, True)
        draft.add_judgments(values, True, judge="second judge")
    return _finish(draft, knobs, variant)


def unbalanced_random_order(rng: Generator, knobs: Knobs) -> Case:
    """One order per prompt, a first in less or more than half of them."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "unbalanced", "very unbalanced", "by position", "by tag")
    n = size(rng, 80, 220)
    share = {"very unbalanced": rng.uniform(0.76, 0.93)}.get(variant, rng.uniform(0.55, 0.74))
    judge = _judge(rng, knobs, (0.25, 0.48))
    differences = judge.differences(rng, n)
    a_first = rng.random(n) < share
    if variant == "by position":
        a_first = np.arange(n) < share * n
    if variant != "by tag":
        draft.add_prompts(n)
        draft.add_judgments(judge.verdicts(rng, differences, a_first), a_first)
        return _finish(draft, knobs, variant)
    # a is better on one kind of prompts, which mostly show a first, and worse on the other.
    coding = rng.random(n) < 0.5
    gap = 0.9 * knobs.bias
    differences = differences + np.where(coding, gap, -gap)
    a_first = np.where(coding, rng.random(n) < 0.95, rng.random(n) < 0.3)
    draft.add_prompts(n, tags=[("coding",) if c else ("writing",) for c in coding])
    draft.add_judgments(judge.verdicts(rng, differences, a_first), a_first)
    ahead = pair_truth(draft, 0.5 + gap / 4).strengths
    behind = pair_truth(draft, 0.5 - gap / 4).strengths
    truth = pair_truth(draft, knobs.rate)._replace(slices={"coding": ahead, "writing": behind})
    return Case(draft.evidence(), truth, variant)


def order_pooled_over_judges(rng: Generator, knobs: Knobs) -> Case:
    """Each judge saw one order, or mostly one."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "two judges", "mostly", "three judges", "disjoint prompts")
    n = size(rng, 60, 180)
    draft.add_prompts(n)
    judge = _judge(rng, knobs, (0.3, 0.7))
    differences = judge.differences(rng, n)
    mild = judge._replace(follows=judge.follows * float(rng.uniform(-0.1, 0.2)))
    panel = [("strong judge", judge, True), ("mild judge", mild, False)]
    if variant == "three judges":
        panel.append(("third judge", mild._replace(follows=0.0), False))
    names = np.array(draft.ids)
    half = rng.random(n) < 0.5
    for name, member, side in panel:
        a_first = np.full(n, side)
        if variant == "mostly":
            a_first = np.where(rng.random(n) < 0.9, side, not side)
        values = member.verdicts(rng, differences, a_first)
        mask = np.ones(n, dtype=bool)
        if variant == "disjoint prompts":
            mask = half if side else ~half
        draft.add_judgments(values[mask], a_first[mask], ids=names[mask].tolist(), judge=name)
    return _finish(draft, knobs, variant)


def half_recorded(rng: Generator, knobs: Knobs) -> Case:
    """The order is recorded for some rows; the others show a first."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "half", "most", "few unknown", "both orders where known")
    n = size(rng, 80, 220)
    draft.add_prompts(n)
    judge = _judge(rng, knobs, (0.25, 0.48))
    differences = judge.differences(rng, n)
    low, high = {"half": (0.5, 0.6), "few unknown": (0.91, 0.98)}.get(variant, (0.6, 0.88))
    known = rng.random(n) < rng.uniform(low, high)
    a_first = np.where(known, rng.random(n) < 0.5, True)
    presented: list[Presentation] = ["recorded" if k else "unknown" for k in known]
    draft.add_judgments(judge.verdicts(rng, differences, a_first), a_first, presented=presented)
    if variant == "both orders where known":
        names = np.array(draft.ids)[known].tolist()
        values = judge.verdicts(rng, differences, ~a_first)[known]
        draft.add_judgments(values, ~a_first[known], ids=names)
    return _finish(draft, knobs, variant)


ORDER_CLASSES = (
    VerdictClass("ratings without checks", ratings_without_checks),
    VerdictClass("mixed design", mixed_design),
    VerdictClass("unbalanced random order", unbalanced_random_order),
    VerdictClass("order pooled over judges", order_pooled_over_judges),
    VerdictClass("half recorded", half_recorded),
)
