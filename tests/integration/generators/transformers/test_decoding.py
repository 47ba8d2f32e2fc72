"""Continuous batching: completions do not depend on the batch, and rows are refilled at once."""

import asyncio
import itertools
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config, run
from bakeoff.config import Sampling
from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.transformers.decoding import BatchStep, _prefill_batches
from bakeoff.generators.transformers.scheduler import RunningSequence
from bakeoff.generators.transformers.tokenization import EncodedPrompt, wrap_tokenizer
from bakeoff.records import Completion, Prompt
from bakeoff.runtime.progress import ProgressUpdate
from bakeoff.testing import OpenAIServer, run_worker
from tests.builders import make_dialogue
from tests.integration.generators.transformers.hf_generators import (
    completions,
    hf_generator,
    steps,
)
from tests.marks import long
from tests.tiny_models import CONTEXT, make_tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def decoding_steps(shapes: list[tuple[int, int]]) -> int:
    """The number of forward passes over one token per row."""
    return sum(width == 1 for _, width in shapes)


# At this temperature the tiny model ends some texts early and others at max_tokens.
LOOSE = {"temperature": 1.3, "top_p": 1.0, "max_tokens": 90}
MANY = [make_dialogue(f"{'why ' * (n % 5)}{n}?") for n in range(24)]
KINDS = [
    ("Llama", {}),
    ("Mistral", {"sliding_window": 24}),  # its cache cannot be joined
    ("Qwen3", {"head_dim": 8}),
]


@pytest.mark.parametrize(("kind", "more"), [KINDS[0], *long(KINDS[1:])])
def test_completions_do_not_depend_on_batching_and_refilling(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    folder = make_tiny_model(tmp_path, kind=kind, **more)
    alone = completions(f"{folder}?batch_size=1", MANY, **LOOSE)
    lengths = {completion.tokens for completion in alone}
    assert len(lengths) > 5
    assert 90 in lengths
    for size in (3, 8, 24):
        with steps(kind) as shapes:
            assert completions(f"{folder}?batch_size={size}", MANY, **LOOSE) == alone
        read = [rows for rows, width in shapes if width > 1]
        assert sum(read) == len(MANY)  # no prompt is read twice


def test_rows_of_finished_sequences_are_refilled_at_once(tiny: Path) -> None:
    generator = hf_generator(f"{tiny}?batch_size=4", **LOOSE)
    cache_lengths: list[int] = []

    def watch(*_: int) -> None:
        loop = generator._loop
        assert loop is not None
        if loop._cache is not None:  # the first prompts have been read
            cache_lengths.append(loop._cache.get_seq_length())

    with steps(act=watch) as shapes:
        done = [
            outcome for outcome in run_worker(generator, MANY) if isinstance(outcome, Completion)
        ]
    assert len(done) == len(MANY)
    assert (
        max(cache_lengths) < max(width for _, width in shapes) + 1 + 90
    )  # padding of the longest prompt only
    rows = [count for count, width in shapes if width == 1]
    tokens = sum(completion.tokens or 0 for completion in done)
    ended = sum(completion.finish == "stop" for completion in done)  # end tokens are sampled too
    assert max(rows) == 4
    assert sum(rows) < 1.15 * (tokens + ended)  # without refilling: 1.9
    assert len(rows) < 1.3 * (tokens + ended) / 4


def test_finished_rows_leave_a_batch_that_nothing_can_join(tiny: Path) -> None:
    with steps() as shapes:
        done = completions(tiny, MANY, **LOOSE)
    rows = [count for count, width in shapes if width == 1]
    assert rows[0] == len(MANY)
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] <= 2 * sum(completion.finish == "length" for completion in done)


def test_equal_prompts_are_read_once(tiny: Path) -> None:
    prompts = [MANY[4], MANY[3], MANY[4], MANY[4], MANY[1], MANY[3]]
    alone = completions(f"{tiny}?batch_size=1", prompts, **LOOSE)
    with steps() as shapes:
        assert completions(tiny, prompts, **LOOSE) == alone
    read = [rows for rows, width in shapes if width > 1]
    assert sum(read) == 3
    assert shapes[len(read)] == (6, 1)


def test_prompts_are_read_with_little_padding(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.generators.transformers.decoding._MAX_PREFILL_TOKENS", 500)
    monkeypatch.setattr("bakeoff.generators.transformers.decoding._BUSY_TOKENS", {})
    prompts = [make_dialogue("x" * length) for length in (10, 300, 12, 280, 11, 400)]
    with steps() as shapes:
        drawn = completions(tiny, prompts, max_tokens=5)
    read = [(rows, width) for rows, width in shapes if width > 1]
    assert [rows for rows, _ in read] == [1, 1, 1, 3]
    assert shapes[4] == (6, 1)
    assert drawn == completions(f"{tiny}?batch_size=1", prompts, max_tokens=5)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.sampled_from([1, 128, 8192]))
def test_prefill_batches_limit_padding_once_the_device_is_busy(
    lengths: list[int], busy: int
) -> None:
    prompts = [(0,) * length for length in sorted(lengths, reverse=True)]
    parts = list(_prefill_batches(prompts, busy))
    assert [prompt for part in parts for prompt in part] == prompts
    for part in parts:
        longest = len(part[0])
        assert len(part) * longest <= 8192
        needed = -(-busy // longest)  # rows that keep the device busy
        assert all(len(prompt) >= 0.8 * longest for prompt in part[needed:])


def test_prompts_of_one_token_complete_in_a_batch(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    prompts = [make_dialogue("x"), make_dialogue("yes and no"), make_dialogue("y")]
    alone = completions(f"{folder}?batch_size=1", prompts)
    assert completions(folder, prompts) == alone
    assert completions(folder, [prompts[0], prompts[2]]) == [alone[0], alone[2]]


def test_a_batch_stops_where_a_row_reaches_the_context_length(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path, kind="OPT", ffn_dim=64, word_embed_proj_dim=32)
    long = make_dialogue("x" * (CONTEXT - 60))
    prompts = [make_dialogue("Why?"), long, make_dialogue("Who?")]
    done = completions(folder, prompts, max_tokens=90)
    assert done[1].finish == "length"
    assert 0 < (done[1].tokens or 0) < 60
    assert done == completions(f"{folder}?batch_size=1", prompts, max_tokens=90)


# ------------------------------------------------------------------------- progress and joining


def test_completions_are_emitted_as_they_finish_and_tokens_counted_per_step(
    tiny: Path,
) -> None:
    generator = hf_generator(f"{tiny}?batch_size=4", **LOOSE)
    written: list[int] = []
    lengths: list[int] = []

    async def go() -> None:
        await generator(MANY, lambda _, outcome: lengths.append(outcome.tokens))
        assert generator.tokens_in_progress == 0
        await generator.close()

    with steps(act=lambda *_: written.append(generator.tokens_in_progress)):
        asyncio.run(go())
    assert lengths != sorted(lengths)
    assert max(written) > 100
    assert all(later - sooner <= 4 for sooner, later in itertools.pairwise(written))


def test_progress_reports_tokens_before_a_completion_is_done(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.evaluation.pipeline.HEARTBEAT", 0.01)
    (tmp_path / "prompts.txt").write_text("Why?\nWho?\n")
    updates: list[ProgressUpdate] = []
    decoded: Counter[int] = Counter()  # decoding steps of each engine, by its thread

    def reported_counts() -> set[int]:
        return {
            update.tokens_in_progress
            for update in tuple(updates)
            if update.done == 0 and update.participant == "a"
        } - {0}

    def hold_first_steps(_: int, width: int) -> None:
        """Hold decoding steps 2 to 5 until the tokens of the steps before were reported."""
        decoded[threading.get_ident()] += width == 1
        before, deadline = decoded[threading.get_ident()] - 1, time.monotonic() + 100
        while before <= 4 and len(reported_counts()) < before and time.monotonic() < deadline:
            time.sleep(0.01)

    with OpenAIServer() as server, steps(act=hold_first_steps):
        config = Config(
            model=(f"a=hf:{tiny}", f"b=hf:{tiny}?seed=7"),
            judge=(f"judge=api:judge?base_url={server.url}",),
            prompts=str(tmp_path / "prompts.txt"),
            limit=2,
            max_tokens=30,
            out=tmp_path / "out",
            store=tmp_path / "store.sqlite",
            null_check=0,
        )
        run(config, updates.append)
    assert len(reported_counts()) >= 4
    assert all(update.tokens_in_progress == 0 for update in updates if update.done == update.total)


def test_prompts_that_arrive_later_join_the_batch(tiny: Path) -> None:
    generator = hf_generator(f"{tiny}?batch_size=4", **LOOSE)
    outcomes: dict[str, Completion | WorkError] = {}
    submitted = threading.Event()

    async def complete(prompt: Prompt) -> None:
        await generator([prompt], lambda _, outcome: outcomes.__setitem__(prompt.id, outcome))

    async def go() -> None:
        first = asyncio.create_task(complete(MANY[0]))
        while not generator.tokens_in_progress:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(complete(prompt)) for prompt in MANY[1:5]]
        await asyncio.sleep(0)
        submitted.set()
        await asyncio.gather(first, *others)
        await generator.close()

    def hold_third_step(*_: int) -> None:
        if decoding_steps(shapes) == 3:
            submitted.wait(300)

    with steps(act=hold_third_step) as shapes:
        asyncio.run(go())
    alone = completions(f"{tiny}?batch_size=1", MANY[:5], **LOOSE)
    assert [outcomes[prompt.id] for prompt in MANY[:5]] == alone
    assert (1, 1) in shapes
    assert max(rows for rows, width in shapes if width == 1) > 1


def test_a_cancelled_call_stops_at_the_next_token(tiny: Path) -> None:
    generator = hf_generator(tiny, **(LOOSE | {"max_tokens": 1500}))
    cancelled = threading.Event()

    async def go() -> None:
        call = asyncio.create_task(generator(MANY, lambda *_: None))
        while not generator.tokens_in_progress:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        cancelled.set()
        await generator.close()

    def hold_third_step(*_: int) -> None:
        if decoding_steps(shapes) == 3:
            cancelled.wait(300)

    with steps(act=hold_third_step) as shapes:
        asyncio.run(go())
    assert decoding_steps(shapes) <= 3


# ---------------------------------------------------------------------------------- memory


def test_out_of_memory_restarts_with_half_the_batch_and_the_same_samples(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = completions(f"{tiny}?batch_size=1", MANY[:8], **LOOSE)
    at = 0

    def out(rows: int, width: int) -> None:
        nonlocal at
        at += 1
        if rows > 4 and at > 20 and width == 1:
            raise torch.OutOfMemoryError("out of memory")

    with steps(act=out) as shapes:
        assert completions(tiny, MANY[:8], **LOOSE) == alone
    assert max(rows for rows, _ in shapes[21:]) <= 4
    assert re.search(r"going on with batches of [234]\b", caplog.text)


def test_finished_completions_are_not_generated_again_after_out_of_memory(tiny: Path) -> None:
    prompts = [*MANY[:6]]
    times = {prompt.id: 0 for prompt in prompts}
    at = 0

    def out(rows: int, width: int) -> None:
        nonlocal at
        at += 1
        if at == 60:
            raise torch.OutOfMemoryError("out of memory")

    generator = hf_generator(tiny, **LOOSE)

    async def go() -> None:
        await generator(
            prompts, lambda n, _: times.__setitem__(prompts[n].id, times[prompts[n].id] + 1)
        )
        await generator.close()

    with steps(act=out) as shapes:
        asyncio.run(go())
    assert set(times.values()) == {1}
    assert shapes[61][0] < len(prompts)


def test_nan_for_one_prompt_does_not_affect_the_others(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_tiny_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][_token(folder, "%")] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    bad, good = run_worker(
        hf_generator(folder, max_tokens=4), [make_dialogue("50 %"), make_dialogue("half")]
    )
    assert isinstance(bad, BackendError)
    assert "dtype" in bad.message
    assert isinstance(good, Completion)


def _token(folder: Path, text: str) -> int:
    from transformers import AutoTokenizer

    return int(AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(text))


# ---------------------------------------------------------------------------------- callbacks


def test_a_step_after_the_stop_samples_and_records_nothing(tiny: Path) -> None:
    """On MPS, transformers makes one more step after the stop."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    known = wrap_tokenizer(
        AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    )
    sequence = RunningSequence(EncodedPrompt([65], 9), lambda _: None, lambda: True)
    step = BatchStep([sequence], known, Sampling(), lambda *_: len(sequence.output) == 1)
    logits = torch.zeros(1, known.vocab_size)
    first = step.sample(torch.tensor([[65]]), logits.clone()).argmax(-1)
    assert step.stop(torch.tensor([[65, int(first)]]), logits).tolist() == [True]
    assert sequence.random_generator is not None
    state = sequence.random_generator.get_state()
    step.sample(torch.tensor([[65, int(first)]]), logits.clone())
    assert step.stop(torch.tensor([[65, int(first), 66]]), logits).tolist() == [True]
    assert sequence.output == [int(first)]
    assert torch.equal(sequence.random_generator.get_state(), state)
