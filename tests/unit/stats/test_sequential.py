import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import betaln

from bakeoff.stats.sequential import (
    CONCENTRATION,
    Values,
    log_e_value,
    sign_confidence_sequence,
    sign_e_process,
)
from tests.marks import examples
from tests.unit.stats.checks import singles, sound

counts = st.integers(0, 2_000)
LOOKS = 500


def log_e(wins: int, losses: int) -> float:
    return float(log_e_value(np.array(wins), np.array(losses)))


def log_e_against(p: float | Values, wins: int | np.ndarray, losses: int | np.ndarray) -> Values:
    """log e of the share p of decisive wins, from the definition: the mixture over the null."""
    a = CONCENTRATION
    mixture = betaln(a + wins, a + losses) - betaln(a, a)
    return mixture - wins * np.log(p) - losses * np.log1p(-p)


def cumulative_counts(
    rng: np.random.Generator, runs: int, p: float, ties: float
) -> tuple[np.ndarray, np.ndarray]:
    """Wins and losses after each of many looks."""
    decisive = rng.random((runs, LOOKS)) >= ties
    won = rng.random((runs, LOOKS)) < p
    return np.cumsum(decisive & won, axis=1), np.cumsum(decisive & ~won, axis=1)


@given(counts, counts)
def test_the_e_process_is_a_martingale_for_a_fair_coin(wins: int, losses: int) -> None:
    now = log_e(wins, losses)
    after = np.logaddexp(log_e(wins + 1, losses), log_e(wins, losses + 1)) - math.log(2)
    assert after == pytest.approx(now, abs=1e-7)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_e_value_is_the_beta_mixture_over_the_null(wins: int, losses: int) -> None:
    assert log_e(wins, losses) == pytest.approx(float(log_e_against(0.5, wins, losses)), abs=1e-8)
    assert log_e(0, 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("ties", [0.0, 0.4])
def test_testing_fair_coins_after_every_prompt_has_an_error_rate_below_5_percent(
    ties: float,
) -> None:
    wins, losses = cumulative_counts(np.random.default_rng(41), 6_000, 0.5, ties)
    share = (log_e_value(wins, losses).max(axis=1) >= math.log(20)).mean()
    print(f"ties={ties}: {share:.4f}")
    assert 0.005 < share < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.5, 0.7, 0.95])
def test_the_confidence_sequence_covers_at_every_look_at_once(p: float) -> None:
    wins, losses = cumulative_counts(np.random.default_rng(43), 6_000, p, 0.2)
    covered = (log_e_against(p, wins, losses).max(axis=1) < math.log(20)).mean()
    print(f"p={p}: {covered:.4f}")
    assert covered >= 0.95


@pytest.mark.slow
def test_a_real_difference_is_detected_early() -> None:
    """In 94 % of the trials, after 209 prompts on average."""
    wins, losses = cumulative_counts(np.random.default_rng(47), 4_000, 0.6, 0.0)
    over = log_e_value(wins, losses) >= math.log(20)
    detected = over.any(axis=1)
    assert detected.mean() == pytest.approx(0.94, abs=0.02)
    assert np.where(detected, over.argmax(axis=1) + 1, LOOKS).mean() == pytest.approx(209, abs=12)


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_confidence_sequence_is_the_set_of_shares_that_are_not_ruled_out(
    wins: int, losses: int, alpha: float
) -> None:
    low, high = sign_confidence_sequence(wins, losses, alpha)
    grid = np.linspace(0, 1, 1_003)[1:-1]
    kept = log_e_against(grid, wins, losses) < -math.log(alpha)
    inside = (grid > low) & (grid < high)
    assert np.array_equal(kept, inside)


@given(counts, counts)
def test_the_confidence_sequence_contains_the_share_and_is_mirrored(wins: int, losses: int) -> None:
    low, high = sign_confidence_sequence(wins, losses)
    assert 0 <= low < high <= 1
    assert wins + losses == 0 or low <= wins / (wins + losses) <= high
    assert sign_confidence_sequence(losses, wins) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_a_bound_next_to_0_is_0() -> None:
    """One win in very many losses: the bound is numerically 0."""
    low, high = sign_confidence_sequence(1, 1_000)
    assert low == 0
    assert 0 < high < 0.03
    assert sign_confidence_sequence(1_000, 1) == pytest.approx((1 - high, 1), abs=1e-9)


@given(singles, st.lists(st.integers(0, 60), max_size=20))
def test_ties_change_nothing_at_any_position(values: Values, places: list[int]) -> None:
    plain = sign_e_process(values)
    tied = sign_e_process(np.insert(values, [min(p, len(values)) for p in places], 0.5))
    assert (tied.p, tied.low, tied.high) == (plain.p, plain.low, plain.high)
    assert tied.log_e[-1] == plain.log_e[-1]
    assert (tied.stopped is None) == (plain.stopped is None)
    assert len(tied.log_e) == len(values) + len(places)


@given(singles)
def test_swapping_the_models_changes_no_evidence(values: Values) -> None:
    original, swapped = sign_e_process(values), sign_e_process(1 - values)
    assert sound(original)
    assert original.log_e == pytest.approx(swapped.log_e)
    assert original.p == pytest.approx(swapped.p)
    assert original.stopped == swapped.stopped
    assert (original.low, original.high) == pytest.approx(
        (1 - swapped.high, 1 - swapped.low), abs=1e-9
    )


@examples(50)
@given(st.lists(st.floats(0, 1), max_size=80).map(np.array), st.sampled_from([0.01, 0.05, 0.5]))
def test_p_never_rises_and_gives_the_stopping_time(values: Values, alpha: float) -> None:
    ps = [sign_e_process(values[:n], alpha).p for n in range(len(values) + 1)]
    assert ps[0] == 1
    assert all(later <= earlier for earlier, later in itertools.pairwise(ps))
    small = [n for n, p in enumerate(ps) if p <= alpha * (1 + 1e-12)]
    process = sign_e_process(values, alpha)
    assert process.stopped == (small[0] if small else None)
    assert process.p == pytest.approx(min(1.0, math.exp(-max(process.log_e, default=0.0))))


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_sequence_contains_a_half_unless_it_is_ruled_out(wins: int, losses: int) -> None:
    look = sign_e_process(np.repeat([1.0, 0.0], (wins, losses)))
    assume(abs(log_e(wins, losses) - math.log(20)) > 1e-6)
    assert (look.low < 0.5 < look.high) == (log_e(wins, losses) < math.log(20))


@pytest.mark.parametrize("n", [0, 1, 30])
def test_without_decisive_prompts_the_sequence_is_0_to_1(n: int) -> None:
    look = sign_e_process(np.full(n, 0.5))
    assert look.log_e == (0.0,) * n
    assert (look.stopped, look.p, look.low, look.high) == (None, 1, 0, 1)


def test_wins_alone_stop_soon() -> None:
    look = sign_e_process(np.ones(30))
    assert look.stopped is not None
    assert look.stopped < 15
    assert look.high == 1
    assert look.low > 0.5
