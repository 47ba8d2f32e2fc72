"""Significant differences of the strengths of items, rank intervals and letter displays."""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations_with_replacement
from string import ascii_letters

import numpy as np
from scipy.special import bdtr, expit, ndtr, stdtrit

from bakeoff.stats.arrays import Codes, Mask, Values

Components = Sequence[Sequence[int]]

ALPHA = 0.05  # familywise, over all pairs
# With fewer units the bootstrap errs too often: for six equal items on ten prompts in 12 %.
_MIN_UNITS = 20
_NO_VARIATION = 1e-7  # a standard deviation below this is rounding


def significantly_stronger(
    values: Values, distribution: Values, components: Components, wins: Codes, units: int
) -> Mask:
    """Which item (rows) is significantly stronger than which (columns), at a familywise 95 %.

    `values` are the strengths, `distribution` those of B resamples of the prompts, of shape (B,
    items), `components` the strongly connected components of the win graph, `wins` the number of
    prompts that each item (rows) won against each (columns), `units` the number of units that were
    resampled. Two items differ where the share that one wins is beyond `simultaneous_margins`.

    The bootstrap does not apply to items of different components (no maximum exists), to a share
    that no resample changes, or to fewer than 20 units: these are decided by the exact sign test of
    the prompts where the two items met, at the Bonferroni level of all pairs; the level of the
    bootstrap is reduced by the same amount. Among equal items some difference was significant in 3
    to 7 of 100 simulations (3 to 10 items, 20 to 200 prompts with ties, an order effect and random
    prompt effects).
    """
    items = len(values)
    pairs = max(1, items * (items - 1) // 2)
    connected = np.zeros((items, items), dtype=np.bool_)
    for component in components:
        connected[np.ix_(component, component)] = True
    bootstrapped = connected & (_share_sd(distribution) > _NO_VARIATION) & (units >= _MIN_UNITS)
    alpha = ALPHA * bootstrapped.sum() / 2 / pairs
    margin = simultaneous_margins(values, distribution, units, bootstrapped, alpha)
    lead = expit(values[:, None] - values) - 0.5
    p = 2 * bdtr(np.minimum(wins, wins.T), wins + wins.T, 0.5)
    tested = ~bootstrapped & (lead > _NO_VARIATION) & (wins > wins.T) & (p <= ALPHA / pairs)
    stronger: Mask = (bootstrapped & (lead > margin)) | tested
    return stronger


def simultaneous_margins(
    values: Values, distribution: Values, units: int, pairs: Mask, alpha: float
) -> Values:
    """How far sigmoid(s_i - s_j) has to be from 0.5 to be significant, for all `pairs` at once.

    Of shape (items, items); 0 outside of `pairs`. sigmoid(s_i - s_j) is i's share of the decisive
    outcomes between i and j; all margins hold together with probability 1 - alpha.

    Bootstrap max-T: the quantile of the largest studentized deviation over all pairs, as for ranks
    in Mogstad, Romano, Shaikh and Wilhelm (2024, Review of Economic Studies 91:476), times the
    standard error under no difference, as in a score test: se / (2 sqrt(p (1 - p))). (A Wald test
    of log-odds loses power far from 0; the standard error of a share is too small there.) To
    account for few prompts, the quantile is replaced by that of Student's t with the same tail
    probability as the normal one.
    """
    margin = np.zeros(pairs.shape)
    left, right = np.nonzero(np.triu(pairs, 1))
    if not len(left):
        return margin
    gap = values[left] - values[right]
    deviation = expit(distribution[:, left] - distribution[:, right]) - expit(gap)
    sd = deviation.std(axis=0, ddof=1)
    quantile = float(np.quantile((np.abs(deviation) / sd).max(axis=1), 1 - alpha))
    t = -stdtrit(units - 1, ndtr(-quantile)) * np.sqrt(units / (units - 1))
    null_se = sd / (2 * np.sqrt(expit(gap) * expit(-gap)))  # positive also for gaps beyond 37
    margin[left, right] = margin[right, left] = t * null_se
    return margin


def _share_sd(distribution: Values) -> Values:
    """The standard deviation of sigmoid(s_i - s_j) over the resamples; 0 without resamples."""
    sd = np.zeros((distribution.shape[1], distribution.shape[1]))
    if len(distribution):
        for item, values in enumerate(distribution.T):
            sd[item] = expit(distribution - values[:, None]).std(axis=0, ddof=1)
    return sd


def rank_intervals(better: Mask) -> list[tuple[int, int]]:
    """The first and last rank of each item: 1 + items that are better, m - items that are worse.

    `better` is the result of `significantly_stronger`; all intervals hold at its familywise level.
    """
    above, below = better.sum(axis=0), better.sum(axis=1)
    return [(1 + int(a), len(better) - int(b)) for a, b in zip(above, below, strict=True)]


def letter_display(better: Mask, ranked: Sequence[int]) -> list[str]:
    """A compact letter display (Piepho 2004), by item.

    Two items share a letter if and only if neither is significantly better. `ranked` are the items,
    the strongest first; the group "a" includes the first of them. Each group is built greedily in
    the order of the ranking.
    """
    different = better | better.T
    pairs = combinations_with_replacement(ranked, 2)
    uncovered = dict.fromkeys(pair for pair in pairs if not different[pair])
    groups: list[list[int]] = []
    while uncovered:
        group = list(dict.fromkeys(next(iter(uncovered))))
        for item in ranked:
            if item not in group and not different[item, group].any():
                group.append(item)
        group.sort(key=ranked.index)
        groups.append(group)
        for pair in combinations_with_replacement(group, 2):
            uncovered.pop(pair, None)
    groups.sort(key=lambda group: [ranked.index(item) for item in group])
    letters = {item: "" for item in ranked}
    for letter, group in zip(_alphabet(), groups, strict=False):
        for item in group:
            letters[item] += letter
    return [letters[item] for item in sorted(ranked)]


def _alphabet() -> Iterator[str]:
    """52 Latin and 24 Greek letters, then CJK characters."""
    greek = (*range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA))  # one of the two small sigmas
    return chain(ascii_letters, map(chr, greek), map(chr, range(0x4E00, 0xA000)))
