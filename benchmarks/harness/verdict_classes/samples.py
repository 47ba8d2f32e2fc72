"""Evaluations whose sample is small, dependent, skewed, incomplete or looked at twice."""

import numpy as np

from harness.evaluation_texts import Generator, choose, prompt_text
from harness.evidence_draft import EvidenceDraft
from harness.looks import EarlierLook, evidence_of_look
from harness.simulated_judge import Judge, Values
from harness.verdict_classes.case import (
    Case,
    Knobs,
    Result,
    VerdictClass,
    equal_truth,
    pair_truth,
    pick,
    result_of,
    size,
)

LOOKS = (50, 120, 280, 640)  # prompts
MAX_LOOK = LOOKS[-1]


def _copies(rng: Generator, variant: str) -> tuple[np.ndarray, list[str]]:
    """The original of each row, and the prompts' texts."""
    originals = int(rng.integers(20, 60))
    if variant == "one prompt":
        codes = np.concatenate([np.zeros(int(rng.integers(40, 90)), dtype=int), np.arange(80)])
    elif variant == "uneven":
        codes = np.repeat(np.arange(originals), 1 + rng.geometric(0.15, originals))
    else:
        codes = np.repeat(np.arange(originals), int(rng.integers(4, 12)))
    texts = [prompt_text(rng) for _ in range(int(codes.max()) + 1)]
    return codes, [texts[code] for code in codes.tolist()]


def _dependent(draft: EvidenceDraft, codes: np.ndarray, knobs: Knobs) -> Case:
    """Both orders, with differences that are nearly equal for equal codes."""
    rng = draft.rng
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2])), noise=0.4)
    correlation = min(1.0, float(rng.uniform(0.7, 0.98)) * knobs.bias)
    differences = judge.clustered_differences(rng, codes, correlation)
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate))


def duplicates(rng: Generator, knobs: Knobs) -> Case:
    """The same prompts under several ids."""
    variant = pick(rng, "exact", "case", "whitespace", "punctuation", "one prompt", "uneven")
    codes, texts = _copies(rng, variant)
    match variant:
        case "case":
            texts = [choose(rng, (t, t.upper(), t.lower(), t.title())) for t in texts]
        case "whitespace":
            texts = [t.replace(" ", choose(rng, (" ", "  ", "\n"))) + " " for t in texts]
        case "punctuation":
            texts = [choose(rng, (t, t.rstrip(".!?"), f"{t}!", t.replace(",", ""))) for t in texts]
    order = rng.permutation(len(codes))
    draft = EvidenceDraft(rng)
    draft.add_prompts(len(codes), texts=[texts[i] for i in order])
    return _dependent(draft, codes[order], knobs)._replace(variant=variant)


def _vary(rng: Generator, text: str, variant: str, number: int) -> str:
    words = text.split(" ")
    match variant:
        case "number":
            return f"{text} Use exactly {50 + 10 * number} words."
        case "prefix":
            opening = ("Please help:", "Quick question:", "Hi!", "I wonder:", "Task:")
            return f"{choose(rng, opening)} {text}"
        case "suffix":
            closing = ("Thanks!", "Think step by step.", "Be brief.", "Answer in English.")
            return f"{text} {choose(rng, closing)}"
        case "word":
            place = int(rng.integers(len(words)))
            words[place] = choose(rng, ("very", "really", "also", "indeed", "perhaps"))
            return " ".join(words)
        case "dropped word":
            del words[int(rng.integers(len(words)))]
            return " ".join(words)
    return " ".join(text.split(". ")[::-1])


def near_duplicates(rng: Generator, knobs: Knobs) -> Case:
    """Variants of the same prompts: numbers, prefixes, suffixes and single words differ."""
    variant = pick(rng, "number", "prefix", "suffix", "word", "dropped word", "uneven")
    codes, texts = _copies(rng, variant)
    draft = EvidenceDraft(rng)
    kind = choose(rng, ("word", "suffix")) if variant == "uneven" else variant
    varied = [_vary(rng, text, kind, number) for number, text in enumerate(texts)]
    order = rng.permutation(len(codes))
    draft.add_prompts(len(codes), texts=[varied[i] for i in order])
    return _dependent(draft, codes[order], knobs)._replace(variant=variant)


def graded_preferences(rng: Generator, knobs: Knobs) -> Case:
    """Preferences in degrees: many small wins and few large losses, equal in the mean.

    In the variants "few" and "many" the counts and the mean differ in sign by construction, so
    that each winner contradicts one of them.
    """
    draft = EvidenceDraft(rng)
    variant = pick(rng, "equal mean", "equal mean", "few", "many")
    n = size(rng, 40, 180)
    share = float(rng.uniform(0.6, 0.75))  # of prompts that a wins
    small = float(rng.uniform(0.02, 0.15))
    large = small * share / (1 - share)
    if variant != "equal mean":
        large = min(0.5, large * float(rng.uniform(1.8, 4)))
    count = round(share * n) if variant == "few" else int(rng.binomial(n, share))
    wins = rng.permutation(np.arange(n) < count)
    spread = rng.uniform(0.6, 1.4, n)
    values = 0.5 + np.where(wins, small * spread, -np.minimum(0.5, large * spread)) * knobs.bias
    draft.add_prompts(n)
    for side in (True, False):
        draft.add_judgments(values, side)
    return Case(draft.evidence(), equal_truth(draft), variant)


def failures(rng: Generator, knobs: Knobs) -> Case:
    """Up to 2 % of the verdicts failed, on prompts that b wins."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "both orders", "one order", "whole prompts", "two judges")
    n = size(rng, 300, 500)
    draft.add_prompts(n)
    judge = Judge(knobs.rate, ties=float(rng.uniform(0.85, 0.94)), noise=0.2)
    share = float(rng.uniform(0.012, 0.0195)) * knobs.bias
    differences = judge.differences(rng, n)
    failed = np.zeros(n, dtype=bool)
    failed[np.argsort(differences)[: round(share * n)]] = True
    names = ("judge", "second judge") if variant == "two judges" else ("judge",)
    for name in names:
        for side in (True, False):
            values = judge.verdicts(rng, differences, side)
            if variant != "one order" or side:
                values = np.where(failed, np.nan, values)
            draft.add_judgments(values, side, judge=name)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def interval_against_test(rng: Generator, knobs: Knobs) -> Case:
    """Counts close to significance, with ties, clusters or degrees."""
    del knobs
    draft = EvidenceDraft(rng)
    variant = pick(rng, "counts", "ties", "graded", "clusters", "one order flipped")
    decisive = int(rng.integers(20, 200))
    z = float(rng.uniform(1.5, 2.5))
    wins = min(decisive, round(decisive / 2 + z * np.sqrt(decisive) / 2))
    ties = int(rng.integers(1, decisive)) if variant == "ties" else 0
    values = np.array([1.0] * wins + [0.0] * (decisive - wins) + [0.5] * ties)
    n = len(values)
    if variant == "graded":
        values = 0.5 + (values - 0.5) * rng.uniform(0.1, 1, n)
    tags = None
    if variant == "clusters":
        tags = [(f"cluster:{code}",) for code in rng.integers(0, max(25, n // 2), n).tolist()]
    draft.add_prompts(n, tags=tags)
    draft.add_judgments(values, True)
    second = values
    if variant == "one order flipped":
        second = np.where(rng.random(n) < 0.2, 1 - values, values)
    draft.add_judgments(second, False)
    return Case(draft.evidence(), pair_truth(draft, 0.5), variant)


def slices_with_clusters(rng: Generator, knobs: Knobs) -> Case:
    """Equal models on clusters of prompts, each cluster with one tag."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "cluster tags", "uneven clusters", "tags across clusters", "no clusters")
    kinds = int(rng.integers(2, 7))
    clusters = kinds * int(rng.integers(8, 20))
    sizes = np.full(clusters, int(rng.integers(3, 8)))
    if variant == "uneven clusters":
        sizes = rng.geometric(0.2, clusters)
    codes = np.repeat(np.arange(clusters), sizes)[:800]
    tag = codes % kinds
    if variant == "tags across clusters":
        tag = rng.integers(0, kinds, len(codes))
    tags: list[tuple[str, ...]] = [
        (f"cluster:c{c}", f"topic {t}") for c, t in zip(codes, tag, strict=True)
    ]
    if variant == "no clusters":
        tags = [(f"topic {t}",) for t in rng.integers(0, kinds, len(codes)).tolist()]
        codes = np.arange(len(codes))
    draft.add_prompts(len(codes), tags=tags)
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.3])))
    differences = judge.clustered_differences(rng, codes, min(1, 0.8 * knobs.bias))
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def small_samples(rng: Generator, knobs: Knobs) -> Case:
    """Equal models on few prompts: wins, ties and losses, or preferences in degrees."""
    draft = EvidenceDraft(rng)
    variant = pick(
        rng, "no ties", "ties", "mostly ties", "graded", "skewed", "one order", "repeats"
    )
    n = size(rng, 10, 120)
    if rng.random() < 0.3:
        n = int(rng.choice([20, 21, 30, 50]))
    ties = {"no ties": 0.0, "mostly ties": float(rng.uniform(0.8, 0.92))}.get(variant, 0.25)
    judge = Judge(knobs.rate, ties=ties, noise=0.4, graded=variant == "graded")
    draft.add_prompts(n)
    differences = judge.differences(rng, n)
    if variant == "skewed":
        # Few large wins of a and many small ones of b, equal in the mean.
        large, small = 0.5, 0.5 * 0.12 / 0.88
        values = 0.5 + np.where(rng.random(n) < 0.12, large, -small)
        for side in (True, False):
            draft.add_judgments(values, side)
    elif variant == "one order":
        a_first = rng.permutation(n) < n // 2
        draft.add_judgments(judge.verdicts(rng, differences, a_first), a_first)
    else:
        for repeat in range(3 if variant == "repeats" else 1):
            for side in (True, False):
                draft.add_judgments(judge.verdicts(rng, differences, side), side, repeat=repeat)
    return Case(draft.evidence(), pair_truth(draft, knobs.rate), variant)


def false_equivalence(rng: Generator, knobs: Knobs) -> Case:
    """Models that differ by just more than the margin, nearly always tied."""
    draft = EvidenceDraft(rng)
    variant = pick(rng, "30 prompts", "50 prompts")
    n = int(variant.split()[0])
    rate = 0.5501 + knobs.difference / 100
    ties = float(rng.uniform(0.86, 0.895))
    wins = (1 - ties) / 2 + (rate - 0.5)
    values: Values = rng.choice([1.0, 0.5, 0.0], n, p=[wins, ties, 1 - ties - wins])
    draft.add_prompts(n)
    for side in (True, False):
        draft.add_judgments(values, side)
    return Case(draft.evidence(), pair_truth(draft, rate), variant)


def second_looks(rng: Generator, knobs: Knobs) -> Result:
    """Equal models; a verdict of "not enough data" is followed by the advised number of prompts.

    Up to four looks, and at most `MAX_LOOK` prompts.
    """
    variant = pick(rng, "advice", "doubling", "fixed looks")
    draft = EvidenceDraft(rng)
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2, 0.5])))
    draft.add_prompts(MAX_LOOK)
    differences = judge.differences(rng, MAX_LOOK)
    for side in (True, False):
        draft.add_judgments(judge.verdicts(rng, differences, side), side)
    evidence, truth = draft.evidence(), pair_truth(draft, knobs.rate)
    n, earlier, results = 50, list[EarlierLook](), list[Result]()
    for look in range(1, 5):
        at_look = evidence_of_look(evidence, draft.ids[:n], earlier)
        result = result_of(Case(at_look, truth, variant))
        results.append(result)
        earlier.append(EarlierLook(n, result.outcome))
        if result.outcome != "not enough data" or n == MAX_LOOK:
            break
        wanted = {"advice": n + (result.more or MAX_LOOK), "doubling": 2 * n}
        n = min(MAX_LOOK, wanted.get(variant, LOOKS[min(look, 3)]))
    return results[-1]._replace(
        false=frozenset().union(*(result.false for result in results)),
        contradiction=any(result.contradiction for result in results),
        seconds=sum(result.seconds for result in results),
    )


SAMPLE_CLASSES = (
    VerdictClass("duplicates", duplicates),
    VerdictClass("near duplicates", near_duplicates),
    VerdictClass("graded preferences", graded_preferences),
    VerdictClass("failures", failures),
    VerdictClass("interval against its test", interval_against_test, "contradictions"),
    VerdictClass("slices with clusters", slices_with_clusters),
    VerdictClass("small samples", small_samples),
    VerdictClass("false equivalence", false_equivalence),
    VerdictClass("second looks", None, play=second_looks),
)
