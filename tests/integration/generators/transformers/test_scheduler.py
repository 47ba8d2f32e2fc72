"""Batch sizes by memory and count, and recovery from out-of-memory errors."""

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

from bakeoff.generators.transformers import scheduler
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel
from bakeoff.generators.transformers.scheduler import BatchBudget, batch_budget, is_out_of_memory
from bakeoff.generators.transformers.scoring import score_in_batches
from bakeoff.generators.transformers.tokenization import EncodedPrompt, wrap_tokenizer
from bakeoff.records import Completion
from tests.tiny_models import make_tiny_model

lengths = st.lists(st.integers(1, 60), max_size=20)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    return LoadedModel(model, wrap_tokenizer(AutoTokenizer.from_pretrained(folder), model))


def score_rows(
    widths: list[int], budget: BatchBudget, fits: Any = lambda rows, width: True
) -> tuple[list[Any], list[tuple[int, int]]]:
    """Outcomes of rows of these widths, whose score is the width, and the sizes of the batches."""
    tried: list[tuple[int, int]] = []

    def score(rows: list[EncodedPrompt]) -> Any:
        tried.append((len(rows), max(len(row.tokens) for row in rows)))
        if not fits(*tried[-1]):
            raise torch.OutOfMemoryError("out of memory")
        return [Completion(text="", score=len(row.tokens)) for row in rows]

    rows = [EncodedPrompt([7] * width, 1) for width in widths]
    outcomes = score_in_batches(score, rows, budget, "name")
    return [getattr(outcome, "score", None) for outcome in outcomes], tried


@given(lengths, st.integers(1, 200), st.integers(1, 8))
def test_score_in_batches_fills_batches_with_the_longest_first(
    widths: list[int], tokens: int, rows: int
) -> None:
    scores, tried = score_rows(widths, BatchBudget(tokens, rows))
    assert scores == widths
    left = sorted(widths, reverse=True)
    for count, width in tried:
        assert width == left[0]
        assert count == 1 or (count <= rows and count * width <= tokens)
        left = left[count:]
        if left:  # one more row would not have fit
            assert count == rows or (count + 1) * width > tokens
    assert not left


@given(lengths, st.integers(1, 200))
def test_score_in_batches_fails_only_rows_that_do_not_fit_alone(
    widths: list[int], room: int
) -> None:
    budget = BatchBudget(10**6, 16)
    scores, _ = score_rows(widths, budget, lambda rows, width: rows * width <= room)
    assert scores == [width if width <= room else None for width in widths]


@given(st.integers(2, 300), st.integers(1, 5000))
def test_halve_allows_half_of_the_failed_batch(rows: int, width: int) -> None:
    budget = BatchBudget(10**9, 10**9)
    half = budget.halve(rows, width)
    assert budget.fits(half, width)
    assert not budget.fits(half + 1, width)
    assert rows / 2 <= half < rows or rows == 1
    assert budget.fits(1, 10**12)  # a single row is always tried
    tokens = budget.tokens
    budget.halve(rows * 4, width)
    assert budget.tokens == tokens  # the limit does not grow again


def test_the_budget_is_a_fraction_of_free_memory_in_tokens(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "available_memory", lambda: 10_000_000)
    cache = loaded.model(torch.zeros(3, 7, dtype=torch.long), use_cache=True)
    kept = getattr(cache, "cache", None) or cache.past_key_values
    each = sum(layer.keys.nbytes + layer.values.nbytes for layer in kept.layers) // 21
    budget = batch_budget(loaded, None, scoring=False)
    assert budget.tokens == 6_000_000 // each
    assert budget.rows > 16
    assert batch_budget(loaded, 5, scoring=False).rows == 5
    weighing = batch_budget(loaded, None, scoring=True)
    assert weighing.tokens == 6_000_000 // (each + 12 * loaded.tokenizer.vocab_size)


def test_free_bytes_of_cuda_and_mps(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5_000, 80_000))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2_000)
    assert scheduler._free_bytes(torch.device("cuda:1")) == 5_000
    assert scheduler._free_bytes(torch.device("mps")) == 7_000


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
def test_is_out_of_memory(error: Any, is_it: bool) -> None:
    assert is_out_of_memory(error) == is_it


# ------------------------------------------------------------ out of memory in a real process

# Completes prompts in a process whose address space may grow by a number of megabytes, counted from
# before or after the model is loaded.
STARVED = """
import json, logging, os, resource, sys
from pathlib import Path
import torch
from bakeoff.errors import ConfigError
from bakeoff.generators.transformers import scheduler
from tests.builders import make_dialogue
from tests.integration.generators.transformers.hf_generators import hf_generator
from bakeoff.testing import run_worker

folder, when, room, words = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
torch.set_num_threads(1)
logging.basicConfig(level=logging.WARNING)

def starve():
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room * 1_000_000,) * 2)

batch_budget = scheduler.batch_budget

def starved(*given, **named):
    budget = batch_budget(*given, **named)
    if when == "loaded":
        starve()
    return budget

scheduler.batch_budget = starved
worker = hf_generator(f"{folder}?batch_size=16", temperature=0, max_tokens=12)
asked = [make_dialogue(f"{n} " * count) for n, count in enumerate(words)]
worker.identity
if when == "before":
    run_worker(hf_generator(sys.argv[5], max_tokens=1), asked)  # everything is imported now
    starve()
try:
    print(json.dumps([getattr(one, "text", str(one)) for one in run_worker(worker, asked)]))
except ConfigError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose KV cache takes 16 kB per token, with little computation."""
    return make_tiny_model(tmp_path_factory.mktemp("wide"), head_dim=512)


def starved(folder: Path, when: str, room: int, words: list[int], *more: str) -> tuple[Any, str]:
    """Outcomes of prompts with these numbers of words, and the log."""
    root = str(Path(__file__).parents[4])
    command = [sys.executable, "-c", STARVED, str(folder), when, str(room), json.dumps(words)]
    command += more
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_a_process_limit_on_memory_shrinks_batches_and_loses_nothing(wide: Path) -> None:
    """Real allocations fail; the texts equal those of an unlimited process."""
    words = [100] * 16
    enough, quiet_log = starved(wide, "loaded", 100_000, words)
    assert len(enough) == 16
    assert "out of memory" not in quiet_log
    little, log = starved(wide, "loaded", 40, words)
    assert "out of memory, going on with batches of 8" in log
    assert little == enough


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_a_prompt_too_large_for_memory_fails_alone(wide: Path) -> None:
    outcomes, log = starved(wide, "loaded", 25, [10, 900, 10])
    assert "out of memory at up to" in outcomes[1]
    assert "alone in its batch" in outcomes[1]
    assert not any("out of memory" in text for text in (outcomes[0], outcomes[2]))
    assert "Traceback" not in log


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
@pytest.mark.long
def test_a_model_larger_than_memory_is_a_one_line_error(wide: Path, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "large", head_dim=32768)  # 100 MB
    message, log = starved(folder, "before", 90, [1], str(wide))
    assert message.endswith("take dtype=bfloat16, device_map=auto or a smaller model")
    assert "does not fit into the memory that is free" in message
    assert "Traceback" not in log
