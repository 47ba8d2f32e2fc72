"""Which of many items are surely stronger than others, and what that says of their ranks.

Knows strengths and what a bootstrap made of them; not what they were fitted to.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations_with_replacement
from string import ascii_letters

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Groups = Sequence[Sequence[int]]

ALPHA = 0.05  # of one wrong order among all pairs
_FEW = 20  # units: of six equal items on ten prompts a bootstrap is sure in 12 of 100
_STILL = 1e-7  # a difference that varies less does not vary, but for rounding


def surely_better(values: Values, drawn: Values, groups: Groups, wins: Codes, units: int) -> Mask:
    """Which item (rows) is surely stronger than which (columns): 95 % for all pairs together.

    `drawn` holds the strengths of B resamples of the prompts, of shape (B, items). Two items differ
    where what one wins is beyond the `margins`. A bootstrap says nothing of two items in different
    `groups` (no maximum exists), of a share that no resample changes, or with fewer than 20 units:
    there the exact sign test of the prompts on which the two met decides, `wins` holding the
    prompts that each won, at the Bonferroni level of all pairs. What error that may spend the
    others may not. Among equal items something was sure in 3 to 7 of 100 simulations (3 to 10
    items, 20 to 200 prompts with ties, an order effect and a random effect of each prompt).
    """
    items = len(values)
    pairs = max(1, items * (items - 1) // 2)
    joined = np.zeros((items, items), dtype=np.bool_)
    for group in groups:
        joined[np.ix_(group, group)] = True
    told = joined & (_spread(drawn) > _STILL) & (units >= _FEW)
    margin = margins(values, drawn, units, told, ALPHA * told.sum() / 2 / pairs)
    ahead = expit(values[:, None] - values) - 0.5
    p = 2 * stats.binom.cdf(np.minimum(wins, wins.T), wins + wins.T, 0.5)
    direct = ~told & (ahead > _STILL) & (wins > wins.T) & (p <= ALPHA / pairs)
    sure: Mask = (told & (ahead > margin)) | direct
    return sure


def margins(values: Values, drawn: Values, units: int, told: Mask, alpha: float) -> Values:
    """How far from a half sigmoid(s_i - s_j), what i wins of what is decided between the two, has
    to be so that it is surely beyond, for all pairs that are `told` at once with probability
    1 - alpha; of shape (items, items), 0 for other pairs.

    Bootstrap max-T: the quantile of the largest studentised deviation over all pairs, as for ranks
    in Mogstad, Romano, Shaikh and Wilhelm (2024, Review of Economic Studies 91:476), times the
    standard error that there is without a difference, as in a score test: se / (2 sqrt(p (1 - p))).
    (Wald's of log-odds is lost far from 0, that of a share too small there.) Few prompts widen it
    as they do Student's t: to the quantile with the same tail as the normal one.
    """
    margin = np.zeros(told.shape)
    left, right = np.nonzero(np.triu(told, 1))
    if not len(left):
        return margin
    gap = values[left] - values[right]
    off = expit(drawn[:, left] - drawn[:, right]) - expit(gap)
    spread = off.std(axis=0, ddof=1)
    widest = float(np.quantile((np.abs(off) / spread).max(axis=1), 1 - alpha))
    times = stats.t.isf(stats.norm.sf(widest), units - 1) * np.sqrt(units / (units - 1))
    even = spread / (2 * np.sqrt(expit(gap) * expit(-gap)))  # of gaps beyond 37 also above 0
    margin[left, right] = margin[right, left] = times * even
    return margin


def _spread(drawn: Values) -> Values:
    """The standard deviation of each of these shares over the resamples; 0 without resamples."""
    spread = np.zeros((drawn.shape[1], drawn.shape[1]))
    if len(drawn):
        for item, values in enumerate(drawn.T):
            spread[item] = expit(drawn - values[:, None]).std(axis=0, ddof=1)
    return spread


def rank_intervals(better: Mask) -> list[tuple[int, int]]:
    """The ranks that each item may have: from 1 + those surely better to m - those surely worse.

    All of them hold together where `better` does.
    """
    above, below = better.sum(axis=0), better.sum(axis=1)
    return [(1 + int(a), len(better) - int(b)) for a, b in zip(above, below, strict=True)]


def letters(better: Mask, ranked: Sequence[int]) -> list[str]:
    """A compact letter display (Piepho 2004): two items share a letter if and only if neither is
    surely better. `ranked` are the items, the strongest first; "a" is a group of the first one.

    Each group holds as many as are alike two by two, taken in the order of the ranking.
    """
    apart = better | better.T
    alike = combinations_with_replacement(ranked, 2)
    left = dict.fromkeys(pair for pair in alike if not apart[pair])
    groups: list[list[int]] = []
    while left:
        group = list(dict.fromkeys(next(iter(left))))
        for item in ranked:
            if item not in group and not apart[item, group].any():
                group.append(item)
        group.sort(key=ranked.index)
        groups.append(group)
        for pair in combinations_with_replacement(group, 2):
            left.pop(pair, None)
    groups.sort(key=lambda group: [ranked.index(item) for item in group])
    said = {item: "" for item in ranked}
    for letter, group in zip(_alphabet(), groups, strict=False):
        for item in group:
            said[item] += letter
    return [said[item] for item in sorted(ranked)]


def _alphabet() -> Iterator[str]:
    """Signs for groups without end; beyond 76 of them nobody reads them."""
    greek = (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))  # of two small sigmas one
    return chain(ascii_letters, map(chr, greek), map(chr, range(0x4E00, 0xA000)))
