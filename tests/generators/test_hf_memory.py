"""How much goes at once: by the device's memory and by count, and less when it was too much."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from bakeoff.generators import hf_memory
from bakeoff.generators.hf_loading import Loaded
from bakeoff.generators.hf_memory import Budget, budget_of, groups, out_of_memory
from bakeoff.generators.hf_tokens import Row, tokens_of
from tests.tiny import make_tiny_model

lengths = st.lists(st.integers(1, 60), max_size=20)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    return Loaded(model, tokens_of(AutoTokenizer.from_pretrained(folder), model))


def rows_of(widths: list[int]) -> list[Row]:
    return [Row([7] * width, 1) for width in widths]


@given(lengths, st.integers(1, 200), st.integers(1, 8))
def test_groups_hold_what_fits_the_longest_first(widths: list[int], tokens: int, rows: int) -> None:
    budget = Budget(tokens, rows)
    found = groups(rows_of(widths), budget)
    assert sorted(index for group in found for index in group) == list(range(len(widths)))
    laid = [widths[index] for group in found for index in group]
    assert laid == sorted(widths, reverse=True)
    for group, after in zip(found, [*found[1:], None], strict=False):
        widest = widths[group[0]]
        assert len(group) == 1 or (len(group) <= rows and len(group) * widest <= tokens)
        if after:  # one more would have been too many
            assert len(group) == rows or (len(group) + 1) * widest > tokens


@given(st.integers(2, 300), st.integers(1, 5000))
def test_half_of_what_was_too_much_fits_the_next_time(rows: int, width: int) -> None:
    budget = Budget(10**9, 10**9)
    half = budget.halve(rows, width)
    assert budget.fits(half, width)
    assert not budget.fits(half + 1, width)
    assert rows / 2 <= half < rows or rows == 1
    assert budget.fits(1, 10**12)  # alone it is at least tried
    tokens = budget.tokens
    budget.halve(rows * 4, width)
    assert budget.tokens == tokens  # nor does it grow again


def test_the_budget_is_the_share_of_the_memory_that_the_cache_may_fill(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf_memory, "available", lambda: 10_000_000)
    cache = loaded.model(torch.zeros(3, 7, dtype=torch.long), use_cache=True)
    kept = getattr(cache, "cache", None) or cache.past_key_values
    each = sum(layer.keys.nbytes + layer.values.nbytes for layer in kept.layers) // 21
    budget = budget_of(loaded, None, weigh=False)
    assert budget.tokens == 6_000_000 // each
    assert budget.rows > 16
    assert budget_of(loaded, 5, weigh=False).rows == 5
    weighing = budget_of(loaded, None, weigh=True)
    assert weighing.tokens == 6_000_000 // (each + 12 * loaded.tokens.known)


def test_other_devices_say_themselves_what_is_free(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5_000, 80_000))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2_000)
    assert hf_memory._free_bytes(torch.device("cuda:1")) == 5_000
    assert hf_memory._free_bytes(torch.device("mps")) == 7_000


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: ...)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("a bug"), False),
    ],
)
def test_which_errors_say_that_memory_ran_out(error: Any, is_it: bool) -> None:
    assert out_of_memory(error) == is_it
