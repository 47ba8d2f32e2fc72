"""Clusters of equal and similar prompts, by comparing each prompt with each other one."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise

LEAST_SIMILARITY = 0.5
LEAST_SHINGLES = 11  # with less, all words of one prompt are in the other
COMMON = 0.5  # a shingle in a larger share of the texts is part of a template
RARE = 1 / 32  # of the texts: the largest weight of a shingle


def similar_prompts(texts: Mapping[str, str]) -> dict[str, str]:
    """Prompt -> name of its cluster, for the prompts that are equal or similar to another one.

    Two texts are similar if the Jaccard index of their words and pairs of adjacent words, with
    inverse document frequencies as weights, is at least 0.5; clusters are connected components.
    """
    words = {prompt: tuple(re.findall(r"\w+", text.casefold())) for prompt, text in texts.items()}
    shingles = {text: frozenset((*text, *pairwise(text))) for text in words.values()}
    weights = weights_of(shingles.values())
    cluster = {text: {text} for text in shingles}
    for left, right in combinations(shingles, 2):
        if are_similar(shingles[left], shingles[right], weights):
            joined = cluster[left] | cluster[right]
            cluster.update(dict.fromkeys(joined, joined))
    members: dict[frozenset[tuple[str, ...]], list[str]] = {}
    for prompt, text in words.items():
        members.setdefault(frozenset(cluster[text]), []).append(prompt)
    return {
        prompt: f"like {min(prompts)}"
        for prompts in members.values()
        if len(prompts) > 1
        for prompt in prompts
    }


Shingle = str | tuple[str, str]  # a word, or two adjacent ones


def weights_of(texts: Iterable[frozenset[Shingle]]) -> dict[Shingle, float]:
    """The weight of each shingle that is not part of a template."""
    texts = list(texts)
    counts = Counter(shingle for text in texts for shingle in text)
    shares = {shingle: count / len(texts) for shingle, count in counts.items()}
    return {
        shingle: -math.log(max(share, RARE)) for shingle, share in shares.items() if share <= COMMON
    }


def are_similar(
    left: frozenset[Shingle], right: frozenset[Shingle], weights: Mapping[Shingle, float]
) -> bool:
    """Whether two texts are similar, without the shingles of a template."""
    left, right = left & weights.keys(), right & weights.keys()
    shared = left & right
    if min(len(left), len(right)) < LEAST_SHINGLES:
        fewer = min(len(_words(left)), len(_words(right)))
        if len(_words(shared)) < fewer or all(word.isdigit() for word in _words(shared)):
            return False
    either = sum(weights[shingle] for shingle in left | right)
    return sum(weights[shingle] for shingle in shared) >= LEAST_SIMILARITY * either - 1e-9


def _words(shingles: Iterable[Shingle]) -> set[str]:
    return {shingle for shingle in shingles if isinstance(shingle, str)}
