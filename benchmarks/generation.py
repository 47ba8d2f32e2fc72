"""Measures tokens per second of local models, against a `model.generate()` loop and a bare client.

    python benchmarks/generation.py [hf-float32] [hf-bfloat16] [embedded] [server]

Prints a JSON line per method; `ratio` is our tokens per second divided by the peer's. SmolLM2
completes 16 of the starter prompts, at most 128 tokens each, temperature 0.7 and top_p 0.9. Each
round has a number before its prompts: they have the same lengths, and no cache has them. The
peer of `hf-*` and `embedded` is a loop over `model.generate()` (`harness/generate_loop.py`) with
the same weights, unpacked from the GGUF file in the same dtype; for `embedded` in float32. The loop
needs the same time for each prompt, so it gets two of them per round. Both use a thread per core
that this process may use. The peer of `server` is an httpx client that sends the same requests to
an identical llama.cpp server with the same concurrency. The two sides alternate, each figure is the
median of the rounds, and models are loaded and warmed up before the clock starts.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import cast

import httpx
from harness.generate_loop import GenerateLoop
from harness.results import print_result, versions
from harness.throughput import time_completions

from bakeoff.config import Sampling, Spec
from bakeoff.generators.api.client import HttpChatClient
from bakeoff.generators.llamacpp.fetch import fetch_model
from bakeoff.generators.llamacpp.generator import LlamaCppGenerator
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.plugins import RunContext, open_generator
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Prompt
from bakeoff.runtime import Generator

PROMPTS, TOKENS, LOOPED, ROUNDS = 16, 128, 2, 2
GGUF = "model.gguf"
HF = ("hf-float32", "hf-bfloat16")
METHODS = ("hf-float32", "hf-bfloat16", "embedded", "server")


def main(methods: Sequence[str]) -> None:
    """Measure each method, and print its line."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    prompts = sample_prompts("starter", PROMPTS, seed=0).prompts
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / GGUF).symlink_to(fetch_model(CATALOGUE["smollm2"]))
        for method in [method for method in methods if method != "server"]:
            dtype = method.removeprefix("hf-") if method in HF else "float32"
            spec = (
                f"hf:{folder}?gguf_file={GGUF}&dtype={dtype}"
                if method in HF
                else "embedded:smollm2"
            )
            loop = GenerateLoop(Path(folder), GGUF, dtype)
            ours, theirs = asyncio.run(compare_with_loop(spec, loop, prompts))
            print_method(method, ours, theirs, f"one prompt at a time, model.generate(), {dtype}")
    if "server" in methods:
        ours, theirs = asyncio.run(compare_with_client(prompts))
        print_method("server", ours, theirs, "the same llama.cpp server, httpx alone")


def print_method(method: str, ours: float, theirs: float, peer: str) -> None:
    """Print a line."""
    print_result(
        f"generation_{method}",
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


def open_model(spec: str) -> Generator:
    """The model of a spec, opened as in a run."""
    return open_generator(Spec.parse(spec), RunContext(Sampling(max_tokens=TOKENS)))


async def compare_with_loop(
    spec: str, loop: GenerateLoop, prompts: Sequence[Prompt]
) -> tuple[float, float]:
    """Tokens per second of a model called as in a run, and of the loop."""
    warm_up = number_prompts(prompts[:1], 0)
    loop.speed([prompt.conversation() for prompt in warm_up], TOKENS // 4)
    model = open_model(spec)
    await model.prepare()
    try:
        await tokens_per_second(model, warm_up)
        rounds = []
        for number in range(1, ROUNDS + 1):
            numbered = number_prompts(prompts, number)
            texts = [prompt.conversation() for prompt in numbered[:LOOPED]]
            rounds.append((await tokens_per_second(model, numbered), loop.speed(texts, TOKENS)))
    finally:
        await model.close()
    ours, theirs = zip(*rounds, strict=True)
    return median(ours), median(theirs)


def number_prompts(prompts: Sequence[Prompt], number: int) -> list[Prompt]:
    """The prompts with a digit before their first turns, so that no two numbers share a prefix."""
    numbered = []
    for prompt in prompts:
        first, *others = prompt.messages
        first = first.model_copy(update={"content": f"{number}. {first.content}"})
        numbered.append(prompt.model_copy(update={"messages": (first, *others)}))
    return numbered


async def bakeoff_speed(spec: str, prompts: Sequence[Prompt], number: int) -> float:
    """Tokens per second of a newly loaded model, called as in a run."""
    model = open_model(spec)
    await model.prepare()
    try:
        await tokens_per_second(model, number_prompts(prompts[:1], 0))
        return await tokens_per_second(model, number_prompts(prompts, number))
    finally:
        await model.close()


async def tokens_per_second(model: Generator, prompts: Sequence[Prompt]) -> float:
    """Complete the prompts; returns new tokens per second."""
    return (await time_completions(model, prompts)).rate


async def compare_with_client(prompts: Sequence[Prompt]) -> tuple[float, float]:
    """Tokens per second of our client, and of httpx."""
    ours, theirs = [], []
    for number in range(1, ROUNDS + 1):
        ours.append(await bakeoff_speed("embedded:smollm2", prompts, number))
        theirs.append(await client_speed(prompts, number))
    return median(ours), median(theirs)


async def client_speed(prompts: Sequence[Prompt], number: int) -> float:
    """Tokens per second of httpx with the same requests and concurrency as ours."""
    model = open_model("embedded:smollm2")
    if not isinstance(model, LlamaCppGenerator):
        raise TypeError("embedded: is a third-party backend")
    await model.prepare()
    http = cast(HttpChatClient, await model.open()).http  # for the server's address and key only
    try:
        async with httpx.AsyncClient(
            base_url=http.base_url,
            headers={"authorization": http._headers["Authorization"]},
            timeout=600,
            limits=httpx.Limits(max_connections=None),
        ) as client:
            await post_all(client, model, number_prompts(prompts[:1], 0))
            numbered = number_prompts(prompts, number)
            began = time.perf_counter()
            tokens = await post_all(client, model, numbered)
            return tokens / (time.perf_counter() - began)
    finally:
        await model.close()


async def post_all(
    client: httpx.AsyncClient, model: LlamaCppGenerator, prompts: Sequence[Prompt]
) -> int:
    """Send all prompts concurrently; returns the number of new tokens."""

    async def complete(prompt: Prompt) -> int:
        reply = await client.post("chat/completions", json=model.request(prompt))
        return int(reply.raise_for_status().json()["usage"]["completion_tokens"])

    return sum(await asyncio.gather(*map(complete, prompts)))


if __name__ == "__main__":
    main(sys.argv[1:] or METHODS)
