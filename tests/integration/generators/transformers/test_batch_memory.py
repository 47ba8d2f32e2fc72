"""How much goes at once: by the device's memory and by count, and less when it was too much."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from bakeoff.generators.transformers import batch_memory
from bakeoff.generators.transformers.batch_memory import Budget, budget_of, groups, out_of_memory
from bakeoff.generators.transformers.checkpoint_loader import Loaded
from bakeoff.generators.transformers.tokenization import Row, tokens_of
from tests.tiny_models import make_tiny_model

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
    monkeypatch.setattr(batch_memory, "available", lambda: 10_000_000)
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
    assert batch_memory._free_bytes(torch.device("cuda:1")) == 5_000
    assert batch_memory._free_bytes(torch.device("mps")) == 7_000


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: ...)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)"), True),
        (MemoryError("std::bad_alloc"), True),
        (ValueError("out of memory"), False),
        (None, False),
        (RuntimeError("a bug"), False),
    ],
)
def test_which_errors_say_that_memory_ran_out(error: Any, is_it: bool) -> None:
    assert out_of_memory(error) == is_it


# -------------------------------------------------------------- where the machine's memory is over

# Completes prompts in a process that gets so many megabytes more, when its model is there or before
# that.
STARVED = """
import json, logging, os, resource, sys
from pathlib import Path
import torch
from bakeoff.errors import ConfigError
from bakeoff.generators import hf_memory
from tests.unit.generators.transformers.models import opened, prompt
from tests.workers import outcomes

folder, when, room, words = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
torch.set_num_threads(1)
logging.basicConfig(level=logging.WARNING)

def starve():
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room * 1_000_000,) * 2)

budget_of = hf_memory.budget_of

def starved(*given, **named):
    budget = budget_of(*given, **named)
    if when == "loaded":
        starve()
    return budget

hf_memory.budget_of = starved
worker = opened(f"{folder}?batch_size=16", temperature=0, max_tokens=12)
asked = [prompt(f"{n} " * count) for n, count in enumerate(words)]
worker.identity
if when == "before":
    outcomes(opened(sys.argv[5], max_tokens=1), asked)  # all that is imported is there
    starve()
try:
    print(json.dumps([getattr(one, "text", str(one)) for one in outcomes(worker, asked)]))
except ConfigError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of which a token takes 16 kB to keep, and little to compute."""
    return make_tiny_model(tmp_path_factory.mktemp("wide"), head_dim=512)


def starved(folder: Path, when: str, room: int, words: list[int], *more: str) -> tuple[Any, str]:
    """What came of some prompts of so many words, and what was logged."""
    root = str(Path(__file__).parents[4])
    command = [sys.executable, "-c", STARVED, str(folder), when, str(room), json.dumps(words)]
    command += more
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=170, env=os.environ | {"PYTHONPATH": root}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_where_memory_really_runs_out_less_goes_at_once_and_nothing_is_lost(wide: Path) -> None:
    """The allocations fail for real; the texts are those of a process that has enough."""
    words = [100] * 16
    enough, quiet = starved(wide, "loaded", 100_000, words)
    assert len(enough) == 16
    assert "out of memory" not in quiet
    little, said = starved(wide, "loaded", 40, words)
    assert "out of memory, going on with batches of 8" in said
    assert little == enough


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_a_prompt_that_does_not_even_fit_alone_fails_alone(wide: Path) -> None:
    outcomes, said = starved(wide, "loaded", 25, [10, 900, 10])
    assert "out of memory at up to" in outcomes[1]
    assert "alone in its batch" in outcomes[1]
    assert not any("out of memory" in one for one in (outcomes[0], outcomes[2]))
    assert "Traceback" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
@pytest.mark.long
def test_a_model_that_does_not_fit_is_one_line(wide: Path, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "large", head_dim=32768)  # 100 MB
    said, logged = starved(folder, "before", 90, [1], str(wide))
    assert said.endswith("take dtype=bfloat16, device_map=auto or a smaller model")
    assert "does not fit into the memory that is free" in said
    assert "Traceback" not in logged
