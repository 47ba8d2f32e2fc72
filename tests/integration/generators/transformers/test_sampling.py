"""Sampling of a token: its distribution, and the row's own random generator."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TopPLogitsWarper

from bakeoff.config import Sampling
from bakeoff.generators.transformers import sampling as sampling_module
from bakeoff.generators.transformers.sampling import row_generator, top_p_set


def sample(logits: torch.Tensor, seeds: range | None = None, **sampling: Any) -> torch.Tensor:
    seeds = seeds or range(len(logits))
    generators = [row_generator(97 * seed, logits.device) for seed in seeds]
    return sampling_module.sample(logits, Sampling(**sampling), generators)


def top_p_filter(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """The scores, with -inf for all tokens that are not in the set."""
    kept, tokens = top_p_set(scores, top_p)
    return torch.full_like(scores, -math.inf).scatter(-1, tokens, kept)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_sample_frequencies_match_the_probabilities(temperature: float) -> None:
    logits = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0, -3.0]])
    count = 20_000
    samples = sample(logits.expand(count, -1), temperature=temperature, top_p=1.0)
    shares = torch.bincount(samples, minlength=6) / count
    assert torch.allclose(shares, (logits[0] / temperature).softmax(-1), atol=0.015)


def test_top_p_excludes_the_tail() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    samples = sample(probabilities.log().expand(5000, -1), temperature=1.0, top_p=0.7)
    assert set(samples.tolist()) == {0, 1}
    assert (samples == 0).float().mean().item() == pytest.approx(0.5 / 0.8, abs=0.03)


def test_temperature_zero_takes_the_most_likely_token_without_random_numbers() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.9], [0.0, -2.0, -1.9]])
    assert sampling_module.sample(logits, Sampling(temperature=0), []).tolist() == [1, 0]


def test_a_rows_sample_does_not_depend_on_other_rows() -> None:
    logits = torch.randn(6, 500, generator=torch.Generator().manual_seed(1))
    together = sample(logits, temperature=1.0, top_p=0.8)
    alone = [
        sample(logits[row : row + 1], range(row, row + 1), temperature=1.0, top_p=0.8).item()
        for row in range(6)
    ]
    assert together.tolist() == alone


@given(
    seed=st.integers(0, 10**6),
    spread=st.floats(0.001, 6),
    size=st.sampled_from([3, 255, 256, 257, 3000, 9000]),
    top_p=st.floats(0.01, 0.99),
)
def test_top_p_filter_equals_that_of_transformers(
    seed: int, spread: float, size: int, top_p: float
) -> None:
    logits = spread * torch.randn(3, size, generator=torch.Generator().manual_seed(seed))
    ours, theirs = top_p_filter(logits, top_p), TopPLogitsWarper(top_p)(None, logits)
    likely = logits.softmax(-1)
    for row in range(3):
        left = ours[row].isfinite() ^ theirs[row].isfinite()
        # The two sum in another order, and ours keeps ties with the last token: they may differ in
        # tokens at which the sum reaches `top_p`.
        for token in likely[row][left]:
            likelier = likely[row][likely[row] > token].double().sum()
            with_it = likely[row][likely[row] >= token].double().sum()
            assert likelier - 1e-5 <= top_p <= with_it + 1e-5
        kept = ours[row].isfinite()
        assert torch.equal(ours[row][kept], logits[row][kept])
        assert likely[row][kept].sum() >= top_p - 1e-5


def test_top_p_filter_keeps_or_drops_equally_likely_tokens_together() -> None:
    logits = torch.tensor([[3.0, 1.0, 1.0, 1.0, 1.0, -9.0]])
    assert top_p_filter(logits, 0.8).isfinite().tolist() == [[True] * 5 + [False]]
    assert top_p_filter(logits, 0.5).isfinite().tolist() == [[True] + [False] * 5]


def test_a_row_of_nan_does_not_affect_the_others() -> None:
    logits = torch.tensor([[float("nan")] * 3, [0.0, 9.0, 0.0]])
    assert sample(logits, temperature=1.0, top_p=0.5)[1] == 1


@given(
    seed=st.integers(0, 10**6),
    spread=st.floats(0.001, 6),
    size=st.sampled_from([255, 257, 3000, 9000]),
    top_p=st.floats(0.01, 1),
)
def test_a_sample_is_the_best_of_the_whole_vocabulary_with_noise(
    seed: int, spread: float, size: int, top_p: float
) -> None:
    """The noise of a token does not depend on the size of the top-p set."""
    logits = spread * torch.randn(3, size, generator=torch.Generator().manual_seed(seed))
    scores = logits / 0.7
    uniform = torch.empty_like(scores)
    for row in range(3):
        uniform[row].uniform_(generator=row_generator(97 * row, scores.device))
    kept = top_p_filter(scores, top_p) if top_p < 1 else scores
    best = (kept - uniform.log().neg().log()).argmax(-1)
    assert torch.equal(sample(logits, temperature=0.7, top_p=top_p), best)
