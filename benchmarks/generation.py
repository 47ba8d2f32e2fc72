"""How fast completions are made on this machine: a JSON line for each way.

    python benchmarks/generation.py [hf-float32] [hf-bfloat16] [embedded] [server]

SmolLM2 completes 16 of our own prompts, 128 tokens at most for each, temperature 0.7 and top_p 0.9.
`hf-...` and `embedded` are compared with the loop over `model.generate()` that people write
(`measuring/plain_loop.py`), of the same weights: unpacked from the GGUF file, in the same dtype;
`embedded` with the one in float32. The loop takes as long for each prompt, so in each round it gets
two of them: what counts are tokens a second. Both have as many threads as this process may use
cores. `server` is `embedded` against the same llama.cpp server with the same parameters, asked by a
bare httpx client that sends the same bodies, as many at once; each has a server of its own. The two
that are compared alternate, and each figure is the median of the rounds. A model is loaded and has
made some tokens before the time is taken.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from measuring.line import say, versions
from measuring.plain_loop import PlainLoop

from bakeoff.config import Sampling, Spec
from bakeoff.generators.llamacpp.fetch import fetch_model
from bakeoff.generators.llamacpp.generator import LlamaCppGenerator
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import RunContext, open_generator
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import Generator

PROMPTS, TOKENS, LOOPED, ROUNDS = 16, 128, 2, 3
GGUF = "model.gguf"
HF = ("hf-float32", "hf-bfloat16")
WAYS = (*HF, "embedded", "server")


def main(ways: Sequence[str]) -> None:
    """Measure each of the ways, and print a line for it."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    prompts = sample_prompts("starter", PROMPTS, seed=0).prompts
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / GGUF).symlink_to(fetch_model(CATALOGUE["smollm2"]))
        for way in [way for way in ways if way != "server"]:
            dtype = way.removeprefix("hf-") if way in HF else "float32"
            spec = (
                f"hf:{folder}?gguf_file={GGUF}&dtype={dtype}" if way in HF else "embedded:smollm2"
            )
            loop = PlainLoop(Path(folder), GGUF, dtype)
            ours, theirs = asyncio.run(against_the_loop(spec, loop, prompts))
            tell(way, ours, theirs, f"one prompt at a time, model.generate(), {dtype}")
    if "server" in ways:
        ours, theirs = asyncio.run(against_the_server(prompts))
        tell("server", ours, theirs, "the same llama.cpp server, httpx alone")


def tell(way: str, ours: float, theirs: float, peer: str) -> None:
    """Print a line."""
    say(
        f"generation_{way}",
        figure=ours,
        unit="tokens/s",
        peer=peer,
        ratio=ours / theirs,
        peer_figure=round(theirs, 1),
        model="SmolLM2-135M-Instruct",
        prompts=PROMPTS,
        max_tokens=TOKENS,
        **versions("torch", "transformers", "xllamacpp"),
    )


def opened(spec: str) -> Generator:
    """A model as a run opens it."""
    return open_generator(Spec.parse(spec), RunContext(Sampling(max_tokens=TOKENS)))


async def against_the_loop(
    spec: str, loop: PlainLoop, prompts: Sequence[Prompt]
) -> tuple[float, float]:
    """Tokens a second of a model as a run asks it, and of the loop."""
    texts = [prompt.conversation() for prompt in prompts[:LOOPED]]
    loop.speed(texts[:1], TOKENS // 4)
    model = opened(spec)
    await model.prepare()
    try:
        await completed(model, prompts[:1])
        rounds = [
            (await completed(model, prompts), loop.speed(texts, TOKENS)) for _ in range(ROUNDS)
        ]
    finally:
        await model.close()
    ours, theirs = zip(*rounds, strict=True)
    return median(ours), median(theirs)


async def speed(spec: str, prompts: Sequence[Prompt]) -> float:
    """Tokens a second of a model, as a run asks it."""
    model = opened(spec)
    await model.prepare()
    try:
        await completed(model, prompts[:1])
        return await completed(model, prompts)
    finally:
        await model.close()


async def completed(model: Generator, prompts: Sequence[Prompt]) -> float:
    """Tokens a second."""
    tokens = 0

    def count(_: int, outcome: Any) -> None:
        nonlocal tokens
        if not isinstance(outcome, Completion):
            raise RuntimeError(f"no completion: {outcome}")
        tokens += outcome.tokens or 0

    began = time.perf_counter()
    await model(prompts, count)
    return tokens / (time.perf_counter() - began)


async def against_the_server(prompts: Sequence[Prompt]) -> tuple[float, float]:
    """Tokens a second of our client, and of a bare one."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(await speed("embedded:smollm2", prompts))
        theirs.append(await bare(prompts))
    return median(ours), median(theirs)


async def bare(prompts: Sequence[Prompt]) -> float:
    """Tokens a second of a bare client that asks as much at once as ours does."""
    model = opened("embedded:smollm2")
    if not isinstance(model, LlamaCppGenerator):
        raise TypeError("embedded: is somebody else's")
    await model.prepare()
    own: Any = (await model.open()).client  # for the server's address and key, and no request
    try:
        async with httpx.AsyncClient(
            base_url=str(own.base_url),
            headers={"authorization": f"Bearer {own.api_key}"},
            timeout=600,
            limits=httpx.Limits(max_connections=None),
        ) as client:
            await asked(client, model, prompts[:1])
            began = time.perf_counter()
            tokens = await asked(client, model, prompts)
            return tokens / (time.perf_counter() - began)
    finally:
        await model.close()


async def asked(
    client: httpx.AsyncClient, model: LlamaCppGenerator, prompts: Sequence[Prompt]
) -> int:
    """The tokens that came of all prompts, asked at once."""

    async def one(prompt: Prompt) -> int:
        body = model.request(prompt)
        body |= body.pop("extra_body")
        reply = await client.post("chat/completions", json=body)
        return int(reply.raise_for_status().json()["usage"]["completion_tokens"])

    return sum(await asyncio.gather(*map(one, prompts)))


if __name__ == "__main__":
    main(sys.argv[1:] or WAYS)
