"""Completions drawn together: who shares a batch changes none, and nobody waits in vain."""

import asyncio
import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config, run
from bakeoff.config import Sampling
from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.transformers.generation_loop import _parts
from bakeoff.generators.transformers.sequences import Draws, Ends, Run
from bakeoff.generators.transformers.tokenization import Row, tokens_of
from bakeoff.records import Completion, Prompt
from bakeoff.runtime.progress import Progress
from tests.marks import long
from tests.openai_server import OpenAIServer
from tests.tiny_models import CONTEXT, make_tiny_model
from tests.unit.generators.transformers.models import completions, opened, prompt, steps
from tests.workers import outcomes


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


# At this temperature the tiny model ends some of its texts soon and others never.
LOOSE = {"temperature": 1.3, "top_p": 1.0, "max_tokens": 90}
MANY = [prompt(f"{'why ' * (n % 5)}{n}?") for n in range(24)]
KINDS = [
    ("Llama", {}),
    ("Mistral", {"sliding_window": 24}),  # of whose cache nothing can be joined
    ("Qwen3", {"head_dim": 8}),
]


@pytest.mark.parametrize(("kind", "more"), [KINDS[0], *long(KINDS[1:])])
def test_what_shares_a_batch_and_takes_the_place_of_what_ended_changes_no_text(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    folder = make_tiny_model(tmp_path, kind=kind, **more)
    alone = completions(f"{folder}?batch_size=1", MANY, **LOOSE)
    lengths = {completion.tokens for completion in alone}
    assert len(lengths) > 5
    assert 90 in lengths
    for size in (3, 8, 24):
        with steps(kind) as seen:
            assert completions(f"{folder}?batch_size={size}", MANY, **LOOSE) == alone
        read = [rows for rows, width in seen if width > 1]
        assert sum(read) == len(MANY)  # nothing is read twice


def test_the_place_of_what_ended_is_taken_at_once(tiny: Path) -> None:
    generator = opened(f"{tiny}?batch_size=4", **LOOSE)
    held: list[int] = []

    def look(*_: int) -> None:
        scribe = generator._scribe
        assert scribe is not None
        held.append(scribe._cache.get_seq_length())

    with steps(act=look) as seen:
        done = [one for one in outcomes(generator, MANY) if isinstance(one, Completion)]
    assert len(done) == len(MANY)
    assert max(held) < max(width for _, width in seen) + 1 + 90  # nobody's room but the longest's
    rows = [count for count, width in seen if width == 1]
    tokens = sum(completion.tokens or 0 for completion in done)
    ended = sum(completion.finish == "stop" for completion in done)  # what ends one is drawn too
    assert max(rows) == 4
    assert sum(rows) < 1.15 * (tokens + ended)  # batches that wait for their last one: 1.9
    assert len(rows) < 1.3 * (tokens + ended) / 4


def test_where_nothing_waits_what_ended_does_not_go_on_costing(tiny: Path) -> None:
    with steps() as seen:
        done = completions(tiny, MANY, **LOOSE)
    rows = [count for count, width in seen if width == 1]
    assert rows[0] == len(MANY)
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] <= 2 * sum(completion.finish == "length" for completion in done)


def test_a_prompt_that_several_share_is_read_once(tiny: Path) -> None:
    asked = [MANY[4], MANY[3], MANY[4], MANY[4], MANY[1], MANY[3]]
    alone = completions(f"{tiny}?batch_size=1", asked, **LOOSE)
    with steps() as seen:
        assert completions(tiny, asked, **LOOSE) == alone
    read = [rows for rows, width in seen if width > 1]
    assert sum(read) == 3
    assert seen[len(read)] == (6, 1)


def test_prompts_are_read_with_little_padding(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.generators.transformers.generation_loop._READ", 500)
    monkeypatch.setattr("bakeoff.generators.transformers.generation_loop._BUSY", {})
    asked = [prompt("x" * length) for length in (10, 300, 12, 280, 11, 400)]
    with steps() as seen:
        drawn = completions(tiny, asked, max_tokens=5)
    read = [(rows, width) for rows, width in seen if width > 1]
    assert [rows for rows, _ in read] == [1, 1, 1, 3]
    assert seen[4] == (6, 1)
    assert drawn == completions(f"{tiny}?batch_size=1", asked, max_tokens=5)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.sampled_from([1, 128, 8192]))
def test_what_keeps_the_device_busy_is_padded_by_a_fifth_at_most(
    lengths: list[int], busy: int
) -> None:
    prompts = [(0,) * length for length in sorted(lengths, reverse=True)]
    parts = list(_parts(prompts, busy))
    assert [prompt for part in parts for prompt in part] == prompts
    for part in parts:
        longest = len(part[0])
        assert len(part) * longest <= 8192
        needed = -(-busy // longest)  # so many rows it takes to keep it busy
        assert all(len(prompt) >= 0.8 * longest for prompt in part[needed:])


def test_a_prompt_of_one_token(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    asked = [prompt("x"), prompt("yes and no"), prompt("y")]
    alone = completions(f"{folder}?batch_size=1", asked)
    assert completions(folder, asked) == alone
    assert completions(folder, [asked[0], asked[2]]) == [alone[0], alone[2]]


def test_positions_that_a_model_has_no_more_of_are_not_asked_for(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path, kind="OPT", ffn_dim=64, word_embed_proj_dim=32)
    long = prompt("x" * (CONTEXT - 60))
    asked = [prompt("Why?"), long, prompt("Who?")]
    done = completions(folder, asked, max_tokens=90)
    assert done[1].finish == "length"
    assert 0 < (done[1].tokens or 0) < 60
    assert done == completions(f"{folder}?batch_size=1", asked, max_tokens=90)


# ------------------------------------------------------------------------------ as it goes on


def test_a_completion_is_emitted_when_it_ends_and_tokens_are_counted_as_they_come(
    tiny: Path,
) -> None:
    generator = opened(f"{tiny}?batch_size=4", **LOOSE)
    written: list[int] = []
    lengths: list[int] = []

    async def go() -> None:
        await generator(MANY, lambda _, outcome: lengths.append(outcome.tokens))
        assert generator.writing == 0
        await generator.close()

    with steps(act=lambda *_: written.append(generator.writing)):
        asyncio.run(go())
    assert lengths != sorted(lengths)
    assert max(written) > 100
    assert all(later - sooner <= 4 for sooner, later in itertools.pairwise(written))


def test_a_run_is_told_of_tokens_before_a_completion_is_done(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.evaluation.pipeline.BEAT", 0.01)
    (tmp_path / "prompts.txt").write_text("Why?\nWho?\n")
    told: list[Progress] = []
    with OpenAIServer() as server, steps(act=lambda *_: time.sleep(0.01)):
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
        run(config, told.append)
    assert len({one.writing for one in told if one.done == 0 and one.who == "a"}) > 3
    assert all(one.writing == 0 for one in told if one.done == one.total)


def test_prompts_that_come_while_it_writes_join_in(tiny: Path) -> None:
    generator = opened(f"{tiny}?batch_size=4", **LOOSE)
    found: dict[str, Completion | WorkError] = {}

    async def ask(asked: Prompt) -> None:
        await generator([asked], lambda _, outcome: found.__setitem__(asked.id, outcome))

    async def go() -> None:
        first = asyncio.create_task(ask(MANY[0]))
        while not generator.writing:
            await asyncio.sleep(0.001)
        await asyncio.gather(first, *map(ask, MANY[1:5]))
        await generator.close()

    with steps() as seen:
        asyncio.run(go())
    alone = completions(f"{tiny}?batch_size=1", MANY[:5], **LOOSE)
    assert [found[asked.id] for asked in MANY[:5]] == alone
    assert (1, 1) in seen
    assert max(rows for rows, width in seen if width == 1) > 1


def test_when_nobody_waits_any_more_it_stops_at_the_next_token(tiny: Path) -> None:
    generator = opened(tiny, **(LOOSE | {"max_tokens": 1500}))
    seen: list[tuple[int, int]]

    async def go() -> int:
        call = asyncio.create_task(generator(MANY, lambda *_: None))
        while not generator.writing:
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.sleep(0)
        so_far = len(seen)
        await generator.close()
        return so_far

    with steps() as seen:
        so_far = asyncio.run(go())
    assert len(seen) <= so_far + 2


# ---------------------------------------------------------------------------------- memory


def test_out_of_memory_midway_begins_again_with_half_and_draws_the_same(
    tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = completions(f"{tiny}?batch_size=1", MANY[:8], **LOOSE)
    at = 0

    def out(rows: int, width: int) -> None:
        nonlocal at
        at += 1
        if rows > 4 and at > 20 and width == 1:
            raise torch.OutOfMemoryError("out of memory")

    with steps(act=out) as seen:
        assert completions(tiny, MANY[:8], **LOOSE) == alone
    assert max(rows for rows, _ in seen[21:]) <= 4
    assert re.search(r"going on with batches of [234]\b", caplog.text)


def test_what_had_ended_before_memory_ran_out_is_not_drawn_again(tiny: Path) -> None:
    asked = [*MANY[:6]]
    times = {one.id: 0 for one in asked}
    at = 0

    def out(rows: int, width: int) -> None:
        nonlocal at
        at += 1
        if at == 60:
            raise torch.OutOfMemoryError("out of memory")

    generator = opened(tiny, **LOOSE)

    async def go() -> None:
        await generator(asked, lambda n, _: times.__setitem__(asked[n].id, times[asked[n].id] + 1))
        await generator.close()

    with steps(act=out) as seen:
        asyncio.run(go())
    assert set(times.values()) == {1}
    assert seen[61][0] < len(asked)


def test_a_model_that_computes_nan_of_one_prompt_completes_the_others(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make_tiny_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][_token(folder, "%")] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    bad, good = outcomes(opened(folder, max_tokens=4), [prompt("50 %"), prompt("half")])
    assert isinstance(bad, BackendError)
    assert "dtype" in bad.message
    assert isinstance(good, Completion)


def _token(folder: Path, text: str) -> int:
    from transformers import AutoTokenizer

    return int(AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(text))


# ---------------------------------------------------------------------------------- a step


def test_a_step_after_the_stop_draws_nothing_and_counts_nothing(tiny: Path) -> None:
    """On MPS transformers takes one more, and takes it back."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    known = tokens_of(
        AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    )
    run = Run(Row([65], 9), lambda _: None, lambda: True)
    ends = Ends([run], known, lambda _: len(run.made) == 1, None)
    draws = Draws([run], known, Sampling(), ends)
    logits = torch.zeros(1, known.known)
    first = draws(torch.tensor([[65]]), logits).argmax(-1)
    assert ends(torch.tensor([[65, int(first)]]), logits).tolist() == [True]
    assert run.dice is not None
    state = run.dice.get_state()
    draws(torch.tensor([[65, int(first)]]), logits)
    assert ends(torch.tensor([[65, int(first), 66]]), logits).tolist() == [True]
    assert run.made == [int(first)]
    assert torch.equal(run.dice.get_state(), state)
