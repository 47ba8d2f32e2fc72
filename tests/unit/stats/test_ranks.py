from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from bakeoff.stats.ranks import (
    letter_display,
    rank_intervals,
    significantly_stronger,
    simultaneous_margins,
)

seeds = st.integers(0, 10**6)


def orders(seed: int, items: int, share: float) -> np.ndarray:
    """A random relation in which items are better only than items ranked lower."""
    drawn = np.random.default_rng(seed).random((items, items)) < share
    return np.triu(drawn, 1)


def resamples(seed: int, items: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = np.sort(rng.normal(0, 1, items))[::-1]
    return values, values + rng.normal(0, spread, (400, items))


@given(seeds, st.integers(1, 12), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
def test_items_share_a_letter_if_and_only_if_neither_is_better(
    seed: int, items: int, share: float
) -> None:
    better = orders(seed, items, share)
    ranked = np.random.default_rng(seed).permutation(items).tolist()
    letters = letter_display(better, ranked)
    assert all(letters)
    assert letters[ranked[0]][0] == "a"
    for i, j in combinations(range(items), 2):
        assert bool(set(letters[i]) & set(letters[j])) == (not better[i, j])
    used = {
        letter: {i for i in range(items) if letter in letters[i]} for letter in "".join(letters)
    }
    groups = list(used.values())
    assert not any(group < other for group in groups for other in groups)  # no letter is redundant


@given(seeds, st.integers(1, 9), st.floats(0, 1))
def test_renaming_the_items_renames_letters_and_ranks(seed: int, items: int, share: float) -> None:
    better = orders(seed, items, share)
    names = np.random.default_rng(seed).permutation(items)
    moved = np.zeros_like(better)
    moved[np.ix_(names, names)] = better
    letters, again = letter_display(better, range(items)), letter_display(moved, names.tolist())
    assert [again[name] for name in names] == letters
    ranks = rank_intervals(moved)
    assert [ranks[name] for name in names] == rank_intervals(better)


@given(seeds, st.integers(1, 9), st.floats(0, 1))
def test_the_rank_interval_contains_the_rank_and_narrows_with_certainty(
    seed: int, items: int, share: float
) -> None:
    better = orders(seed, items, share)
    less = better & orders(seed + 1, items, 0.5)
    for place, ((low, high), (wide, far)) in enumerate(
        zip(rank_intervals(better), rank_intervals(less), strict=True), start=1
    ):
        assert 1 <= wide <= low <= place <= high <= far <= items


def test_known_letters_and_ranks() -> None:
    better = np.zeros((4, 4), dtype=bool)
    better[0, 2] = better[0, 3] = better[1, 3] = True
    assert letter_display(better, range(4)) == ["a", "ab", "bc", "c"]
    assert rank_intervals(better) == [(1, 2), (1, 3), (2, 4), (3, 4)]


def test_there_are_letters_for_a_hundred_groups() -> None:
    better = np.triu(np.ones((100, 100), dtype=bool), 1)
    letters = letter_display(better, range(100))
    assert len(set(letters)) == 100
    assert {len(label) for label in letters} == {1}
    assert (letters[0], letters[26], letters[52], letters[76]) == ("a", "A", "\u03b1", "\u4e00")


@given(seeds, st.integers(2, 6))
def test_the_margin_of_one_pair_is_its_own_and_more_pairs_are_wider(seed: int, items: int) -> None:
    values, drawn = resamples(seed, items)
    relation = np.zeros((items, items), dtype=bool)
    relation[0, 1] = relation[1, 0] = True
    every = ~np.eye(items, dtype=bool)
    alone = simultaneous_margins(values, drawn, 10**6, relation, 0.05)
    share = expit(values[0] - values[1])
    off = np.abs(expit(drawn[:, 0] - drawn[:, 1]) - share)
    expected = np.quantile(off, 0.95) / (2 * np.sqrt(share * (1 - share)))
    assert alone[0, 1] == pytest.approx(expected, rel=1e-4)
    assert alone.sum() == 2 * alone[0, 1]
    together = simultaneous_margins(values, drawn, 10**6, every, 0.05)
    assert together[0, 1] >= alone[0, 1] - 1e-12
    assert (together == together.T).all()
    assert (together[every] > 0).all()
    assert (together[~every] == 0).all()
    few = simultaneous_margins(values, drawn, 5, relation, 0.05)[0, 1]
    spread = (expit(drawn[:, 0] - drawn[:, 1])).std(ddof=1)
    times = np.quantile(off / spread, 0.95)
    wider = stats.t.isf(stats.norm.sf(times), 4) / times * np.sqrt(5 / 4)
    assert few == pytest.approx(wider * alone[0, 1], rel=1e-3)


@pytest.mark.parametrize(("wins", "losses"), [(15, 5), (39, 1), (60, 40)])
def test_the_margin_of_two_items_is_that_of_the_score_test(wins: int, losses: int) -> None:
    n = wins + losses
    drawn = np.random.default_rng(0).binomial(n, wins / n, 20_000).clip(1e-9, n - 1e-9)
    strengths = np.stack((np.log(drawn / (n - drawn)), np.zeros(20_000)), axis=1)
    compared = ~np.eye(2, dtype=bool)
    margin = simultaneous_margins(
        np.array([np.log(wins / losses), 0]), strengths, 10**6, compared, 0.05
    )[0, 1]
    assert margin == pytest.approx(1.96 / (2 * np.sqrt(n)), rel=0.12)


def test_the_familywise_error_of_equal_items_is_at_most_alpha() -> None:
    """Equal strengths with normal noise: any significant difference is an error."""
    wrong = 0
    none = np.zeros((6, 6), dtype=int)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        drawn = rng.normal(0, 0.05, (2000, 6))
        values = rng.normal(0, 0.05, 6)
        wrong += significantly_stronger(values, values + drawn, [range(6)], none, 1000).any()
    assert 3 <= wrong <= 19  # 10 are expected


@given(seeds, st.integers(2, 6))
def test_significance_is_a_lead_beyond_the_simultaneous_margin(seed: int, items: int) -> None:
    values, drawn = resamples(seed, items, 0.3)
    none = np.zeros((items, items), dtype=int)
    sure = significantly_stronger(values, drawn, [range(items)], none, 50)
    half = simultaneous_margins(values, drawn, 50, ~np.eye(items, dtype=bool), 0.05)
    ahead = expit(values[:, None] - values) - 0.5
    assert (sure == (ahead > half) & ~np.eye(items, dtype=bool)).all()


def test_the_sign_test_is_used_if_the_bootstrap_does_not_apply() -> None:
    values = np.array([2.0, 1.0, 0.0])
    still = np.tile(values, (50, 1))
    for won, sure in ((6, False), (7, True)):  # 2 / 2^7 is below 0.05 / 3
        wins = np.zeros((3, 3), dtype=int)
        wins[0, 1] = wins[1, 0] = 0
        wins[0, 2] = won
        wins[2, 1] = won  # opposite to the strengths
        for groups in ([[0, 1, 2]], [[0], [1], [2]]):
            for drawn in (still, still[:0]):
                significant = significantly_stronger(values, drawn, groups, wins, 20)
                assert significant[0, 2] == sure
                assert significant.sum() == sure


def test_the_bootstrap_is_not_used_for_few_prompts() -> None:
    values, drawn = resamples(1, 3, 0.01)
    none = np.zeros((3, 3), dtype=int)
    assert significantly_stronger(values, drawn, [range(3)], none, 20).any()
    assert not significantly_stronger(values, drawn, [range(3)], none, 19).any()


def test_the_error_is_split_between_bootstrap_and_sign_tests() -> None:
    wins = np.zeros((4, 4), dtype=int)
    compared = np.zeros((4, 4), dtype=bool)
    compared[:2, :2] = compared[2:, 2:] = True
    compared &= ~np.eye(4, dtype=bool)
    differs = 0
    for seed in range(200):
        values, drawn = resamples(seed, 4, 0.3)
        ahead = expit(values[:, None] - values) - 0.5
        mine, all_of_it = (
            compared & (ahead > simultaneous_margins(values, drawn, 99, compared, alpha))
            for alpha in (0.05 / 3, 0.05)
        )
        assert (significantly_stronger(values, drawn, [[0, 1], [2, 3]], wins, 99) == mine).all()
        differs += (mine != all_of_it).any()
    assert differs
