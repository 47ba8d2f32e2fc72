"""Measures engines on a GPU: generation, a vLLM judge, and a whole comparison. It needs no hub.

    python benchmarks/gpu.py [--skip PART] [--vllm 'python=/opt/vllm/bin/python&max_model_len=8192']
    python benchmarks/gpu.py --tiny  # the same on a CPU, in minutes: tests this script

The models are random checkpoints of the architecture of Qwen2.5-1.5B, in bfloat16 (four of them
need 15 GB in the folder for temporary files); the prompts are 512 synthetic ones, with log-normal
lengths. A random model nearly never ends a text, so the length of a completion is `--max-tokens`,
for all methods the same. `--vllm` is added to the options of all `vllm:` specs. Prints a JSON line
per part; `peak_gpu_gib` is the largest memory in use on a GPU, by all processes. Without CUDA and
`--tiny` it prints one line on stderr. Parts:

- `hf`, `vllm`: tokens per second with all prompts at once, against a loop over `model.generate()`
  (`harness/generate_loop.py`), which gets `--looped` prompts: each takes it the same time.
- `replicas`: the same with a Ray replica per GPU, against one without Ray; only with several GPUs.
- `letter`, `json`: requests per second of a vLLM judge with `?verdict=logprob` and with a JSON
  reply, against aiohttp with the same requests to the same server. The judge is random, too: after
  any prompt it prefers the letters A and B, and its JSON ends at `--judge-tokens`, so all of those
  replies are unreadable, and requested again once.
- `decision`: requests per second of a random Qwen3-1.7B by vLLM's decision API (`/v1/decisions`, or
  `/v1/systemone`), against the letters of the same server; both by aiohttp. vLLM has it for Qwen3,
  and not for Qwen2.5.
- `comparison`: a run of two checkpoints with the letter judge, each in a vLLM server of its own,
  against the time in which an engine loads, completes or judges. `seconds` has the wall time by
  kind of work.

The two sides of `letter`, `json` and `decision` alternate, with a fifth of the pairs each time,
after one that warms the server up: prompts that it has seen would be in its prefix cache.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import aiohttp
import numpy as np
from harness import random_checkpoint
from harness.evaluation_texts import completion_text, lengths, prompt_text
from harness.generate_loop import GenerateLoop
from harness.random_checkpoint import Architecture, make_checkpoint
from harness.results import print_result, versions
from harness.throughput import MeasurementError, Timed, time_completions
from harness.vllm_server import VllmServer, running_server

import bakeoff
from bakeoff.config import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.generators.api.client import OPENAI
from bakeoff.judges.pairwise import PairwiseJudge
from bakeoff.plugins import RunContext, open_generator, open_judge
from bakeoff.records import Message, Pair, Prompt
from bakeoff.runtime.timing import Stopwatch

PARTS = ("hf", "vllm", "replicas", "letter", "json", "decision", "comparison")
PROMPT_CHARACTERS, COMPLETION_CHARACTERS = 150.0, 1500.0  # medians
NO_CUDA = "gpu.py is skipped: it needs a CUDA device; --tiny runs it on the CPU to test the script"
# Seeds of the checkpoints, and whether they prefer the letters A and B.
CHECKPOINTS = {"one": (0, False), "other": (1, False), "judge": (2, True), "decisions": (3, True)}
DECISION = "Which answer to the question is better?"
CHOICES = {"A": "the first answer", "B": "the second answer"}


class PartSkippedError(Exception):
    """A part cannot be measured; the message is the reason."""


@dataclass(frozen=True)
class Bench:
    """The machine, the models and the sizes of a run, and the rates measured so far."""

    folder: Path
    device: str
    """Name of the GPU, or `cpu`."""
    gpus: int
    gpu_gib: float
    """Memory of each GPU, in GiB."""
    prompts: int
    max_tokens: int
    judge_tokens: int
    looped: int
    in_flight: int
    vllm: str
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def tiny(self) -> bool:
        """Whether the run only tests the script."""
        return self.device == "cpu"

    @property
    def torch_device(self) -> str:
        """The device of the loop."""
        return "cpu" if self.tiny else "cuda"

    @property
    def dtype(self) -> str:
        """The dtype of the models."""
        return "float32" if self.tiny else "bfloat16"

    def architecture(self, name: str) -> Architecture:
        """The architecture of a checkpoint."""
        qwen3 = name == "decisions"
        full = random_checkpoint.QWEN3_1_7B if qwen3 else random_checkpoint.QWEN2_5_1_5B
        return full.shrunk() if self.tiny else full

    def checkpoint(self, name: str) -> Path:
        """The folder of a checkpoint, which is made on first use."""
        seed, letters = CHECKPOINTS[name]
        path = self.folder / name
        if not path.exists():
            make_checkpoint(path, self.architecture(name), seed, dtype=self.dtype, letters=letters)
        return path

    def spec(self, backend: str, name: str) -> str:
        """The spec of a checkpoint, which ends with its options."""
        options = self.vllm if backend == "vllm" else ""
        return f"{backend}:{self.checkpoint(name)}?dtype={self.dtype}{options and '&'}{options}"

    def print_line(
        self, part: str, figure: float, unit: str, peer: str, ratio: float, **more: object
    ) -> None:
        """Print the JSON line of a part."""
        print_result(
            f"{'gpu-tiny' if self.tiny else 'gpu'}:{part}",
            figure=figure,
            unit=unit,
            peer=peer,
            ratio=ratio,
            **more,
            device=self.device,
            gpus=self.gpus,
            gpu_gib=self.gpu_gib,
            dtype=self.dtype,
            versions=versions("torch", "transformers", "vllm", "ray"),
        )


class PeakMemory:
    """Context manager that samples the memory in use on each GPU, by all processes."""

    def __init__(self, bench: Bench) -> None:
        self._gpus, self._peak = bench.gpus, 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def fields(self) -> dict[str, float]:
        """The peak so far of the GPU with the most memory in use, in GiB; nothing without a GPU."""
        return {"peak_gpu_gib": round(self._peak / 2**30, 1)} if self._gpus else {}

    def _sample(self) -> None:
        import torch

        while not self._stopped.wait(0.2):
            for gpu in range(self._gpus):
                free, total = torch.cuda.mem_get_info(gpu)
                self._peak = max(self._peak, total - free)


# ----------------------------------------------------------------------------- prompts and pairs


def make_prompt(text: str) -> Prompt:
    """A prompt of one turn."""
    return Prompt(messages=(Message(role="user", content=text),))


def make_prompts(count: int) -> list[Prompt]:
    """Questions with a context of log-normal length."""
    rng = np.random.default_rng(7)
    sizes = lengths(rng, count, PROMPT_CHARACTERS, 1.0)
    texts = [f"{prompt_text(rng)} {completion_text(rng, size)}" for size in sizes]
    return [make_prompt(text) for text in texts]


def make_pairs(prompts: Sequence[Prompt]) -> list[Pair]:
    """A pair of synthetic completions for each prompt, in both orders."""
    rng = np.random.default_rng(8)
    sizes = lengths(rng, 2 * len(prompts), COMPLETION_CHARACTERS)
    texts = [completion_text(rng, size) for size in sizes]
    pairs = [
        Pair(prompt=prompt, first=first, second=second)
        for prompt, first, second in zip(prompts, texts[::2], texts[1::2], strict=True)
    ]
    return [shown for pair in pairs for shown in (pair, pair.swapped())]


# ------------------------------------------------------------------------------------ generation


async def measure_generation(bench: Bench, backend: str) -> None:
    """Tokens per second of a backend, against the loop."""
    if "loop" not in bench.rates:
        bench.rates["loop"] = loop_rate(bench)
    with PeakMemory(bench) as memory:
        rate, start_s = await generation_rate(bench, bench.spec(backend, "one"))
    bench.rates[backend] = rate
    bench.print_line(
        backend,
        rate,
        "tokens/s",
        f"one prompt at a time, model.generate(), {bench.dtype}",
        rate / bench.rates["loop"],
        peer_figure=round(bench.rates["loop"], 1),
        model=bench.architecture("one").name,
        prompts=bench.prompts,
        max_tokens=bench.max_tokens,
        start_s=round(start_s, 1),
        **memory.fields(),
    )


def loop_rate(bench: Bench) -> float:
    """Tokens per second of the loop over `model.generate()`."""
    import torch

    texts: list[Any] = [p.conversation() for p in make_prompts(bench.prompts)[: bench.looped]]
    loop = GenerateLoop(bench.checkpoint("one"), None, bench.dtype, bench.torch_device)
    loop.speed(texts[:1], bench.max_tokens // 8 + 1)
    rate = loop.speed(texts, bench.max_tokens)
    del loop
    gc.collect()
    torch.cuda.empty_cache()  # no effect without CUDA
    return rate


async def generation_rate(bench: Bench, spec: str) -> tuple[float, float]:
    """Tokens per second of a model called as in a run, and the seconds until it was ready."""
    model = open_generator(
        Spec.parse(spec), RunContext(Sampling(max_tokens=bench.max_tokens), bench.in_flight)
    )
    prompts = make_prompts(bench.prompts)
    began = time.perf_counter()
    await model.prepare()
    try:
        await time_completions(model, [make_prompt("Hello!")])
        start_s = time.perf_counter() - began
        return (await time_completions(model, prompts)).rate, start_s
    finally:
        await model.close()


async def measure_replicas(bench: Bench, replicas: int) -> None:
    """Tokens per second with Ray replicas, for each backend that was measured without them."""
    if replicas < 2:
        raise PartSkippedError("there is one GPU: --replicas=2 starts as many anyway")
    if find_spec("ray") is None:
        raise PartSkippedError("it needs: pip install 'bakeoff[ray]'")
    for backend in ("hf", "vllm"):
        if backend not in bench.rates:
            continue
        resources = "&gpus=0" if bench.tiny else ""
        spec = f"{bench.spec(backend, 'one')}&replicas={replicas}{resources}"
        # Each call starts its replicas anew: a call for one token takes the time of a start.
        started = await replica_run(bench, f"{spec}&max_tokens=1", bench.prompts // 8 or 1)
        with PeakMemory(bench) as memory:
            took = await replica_run(bench, spec, bench.prompts)
        rate = Timed(took.amount, max(took.seconds - started.seconds, 1e-3)).rate
        bench.print_line(
            f"replicas of {backend}",
            rate,
            "tokens/s",
            f"{backend}: without Ray",
            rate / bench.rates[backend],
            peer_figure=round(bench.rates[backend], 1),
            model=bench.architecture("one").name,
            prompts=bench.prompts,
            max_tokens=bench.max_tokens,
            replicas=replicas,
            start_s=round(started.seconds, 1),
            **memory.fields(),
        )


async def replica_run(bench: Bench, spec: str, prompts: int) -> Timed:
    """The new tokens and the seconds of a call, which starts the replicas."""
    context = RunContext(Sampling(max_tokens=bench.max_tokens), bench.in_flight)
    model = open_generator(Spec.parse(spec), context)
    await model.prepare()
    try:
        return await time_completions(model, make_prompts(prompts))
    finally:
        await model.close()


# --------------------------------------------------------------------------------------- judging


async def measure_judges(bench: Bench, kinds: Sequence[str]) -> None:
    """Requests per second of the judge, against aiohttp, for `letter` and `json`."""
    options = {"letter": "verdict=logprob", "json": f"max_tokens={bench.judge_tokens}"}
    async with served_checkpoint(bench, "judge") as server:
        for kind in kinds:
            with PeakMemory(bench) as memory:
                ours, theirs, failed = await judge_rates(
                    bench, server, f"{server.spec}&{options[kind]}"
                )
            bench.print_line(
                f"judge by {kind}",
                ours.rate,
                "requests/s",
                "aiohttp with the same requests",
                ours.rate / theirs.rate,
                peer_figure=round(theirs.rate, 1),
                model=bench.architecture("judge").name,
                requests=ours.amount,
                unreadable=failed,
                in_flight=bench.in_flight,
                server=server.version,
                **memory.fields(),
            )


async def judge_rates(bench: Bench, server: VllmServer, spec: str) -> tuple[Timed, Timed, int]:
    """Requests of the judge and of aiohttp, and the number of the judge's failed verdicts."""
    judge = open_judge(Spec.parse(spec), RunContext(Sampling(), bench.in_flight))
    assert isinstance(judge, PairwiseJudge)
    failed = 0

    def count(_: int, outcome: object) -> None:
        nonlocal failed
        failed += isinstance(outcome, Exception)

    async def ours(pairs: Sequence[Pair]) -> Timed:
        before = await server.served()
        began = time.perf_counter()
        await judge(pairs, count)
        seconds = time.perf_counter() - began
        after = await server.served()
        counted = None if before is None or after is None else after - before
        return Timed(len(pairs) if counted is None else counted, seconds)

    async def theirs(pairs: Sequence[Pair]) -> Timed:
        bodies = [request_body(judge, pair) for pair in pairs]
        return await post_all(server, "/chat/completions", bodies, bench.in_flight)

    await judge.prepare()
    try:
        return *await alternate(bench, ours, theirs), failed
    finally:
        await judge.close()


async def measure_decisions(bench: Bench) -> None:
    """Requests per second of vLLM's decision API, against letters of the same server."""
    async with served_checkpoint(bench, "decisions") as server:
        judge = open_judge(
            Spec.parse(f"{server.spec}&verdict=logprob"), RunContext(Sampling(), bench.in_flight)
        )
        assert isinstance(judge, PairwiseJudge)
        path = await decision_path(server, make_pairs(make_prompts(1))[0])

        async def decisions(pairs: Sequence[Pair]) -> Timed:
            bodies = [DECISION_BODIES[path](server, pair) for pair in pairs]
            return await post_all(server, path, bodies, bench.in_flight)

        async def letters(pairs: Sequence[Pair]) -> Timed:
            bodies = [request_body(judge, pair) for pair in pairs]
            return await post_all(server, "/chat/completions", bodies, bench.in_flight)

        with PeakMemory(bench) as memory:
            ours, theirs = await alternate(bench, decisions, letters)
    bench.print_line(
        "judge by decision",
        ours.rate,
        "requests/s",
        "one letter with log-probabilities, by aiohttp",
        ours.rate / theirs.rate,
        peer_figure=round(theirs.rate, 1),
        model=bench.architecture("decisions").name,
        path=f"/v1{path}",
        requests=ours.amount,
        in_flight=bench.in_flight,
        server=server.version,
        **memory.fields(),
    )


async def decision_path(server: VllmServer, pair: Pair) -> str:
    """The path of the server's decision API. Raises PartSkippedError if it has none."""
    answers = []
    async with aiohttp.ClientSession(headers=server.headers) as client:
        for path, body in DECISION_BODIES.items():
            async with client.post(server.url + path, json=body(server, pair)) as reply:
                if reply.status == HTTPStatus.OK:
                    return path
                answers.append(f"/v1{path}: HTTP {reply.status}")
    raise PartSkippedError(f"vLLM has no decisions for this model ({', '.join(answers)})")


def openai_decision(server: VllmServer, pair: Pair) -> dict[str, Any]:
    """The body of a request to `/v1/decisions`, the API of OpenAI."""
    choices = [{"value": value, "description": text} for value, text in CHOICES.items()]
    question = {"type": "choice", "name": "better", "instructions": DECISION, "choices": choices}
    return {"model": server.model, "input": decision_input(pair), "questions": [question]}


def systemone_decision(server: VllmServer, pair: Pair) -> dict[str, Any]:
    """The body of a request to `/v1/systemone`."""
    question = {"type": "choice", "instructions": DECISION, "criteria": CHOICES}
    return {
        "model": server.model,
        "state": decision_input(pair),
        "questions": {"better": question},
    }


def decision_input(pair: Pair) -> str:
    """The question and the two answers."""
    question = pair.prompt.messages[-1].content
    return f"Question:\n{question}\n\nAnswer A:\n{pair.first}\n\nAnswer B:\n{pair.second}"


# By path, the newer API first.
DECISION_BODIES: dict[str, Callable[[VllmServer, Pair], dict[str, Any]]] = {
    "/decisions": openai_decision,
    "/systemone": systemone_decision,
}


def request_body(judge: PairwiseJudge, pair: Pair) -> dict[str, Any]:
    """The body of the judge's request about a pair."""
    (request,) = judge.requests(pair)
    generator: Any = judge.generator
    return OPENAI.encode(generator.request(request.prompt))


async def post_all(
    server: VllmServer, path: str, bodies: Sequence[dict[str, Any]], in_flight: int
) -> Timed:
    """Send all requests with aiohttp. Raises MeasurementError for a reply that is not HTTP 200."""
    room = asyncio.Semaphore(in_flight)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=server.headers
    ) as client:

        async def post(body: dict[str, Any]) -> None:
            async with room, client.post(server.url + path, json=body) as reply:
                text = await reply.text()
                if reply.status != HTTPStatus.OK:
                    raise MeasurementError(f"HTTP {reply.status}: {text[:300]}")
                json.loads(text)

        began = time.perf_counter()
        await asyncio.gather(*map(post, bodies))
        return Timed(len(bodies), time.perf_counter() - began)


async def alternate(
    bench: Bench,
    ours: Callable[[Sequence[Pair]], Awaitable[Timed]],
    theirs: Callable[[Sequence[Pair]], Awaitable[Timed]],
) -> tuple[Timed, Timed]:
    """Run each side twice, in the order ours, theirs, theirs, ours, with a fifth of the pairs."""
    shown = make_pairs(make_prompts(bench.prompts))
    fifths = [
        [shown[index] for index in indices] for indices in np.array_split(np.arange(len(shown)), 5)
    ]
    await theirs(fifths[0])  # warm up: compilation of kernels and of the grammar
    sides = (ours, theirs, theirs, ours)
    took = [await side(pairs) for side, pairs in zip(sides, fifths[1:], strict=True)]
    return took[0] + took[3], took[1] + took[2]


@asynccontextmanager
async def served_checkpoint(bench: Bench, name: str) -> AsyncIterator[VllmServer]:
    """A vLLM server with a checkpoint, for the body."""
    options = bench.spec("vllm", name).partition("?")[2]
    log = bench.folder / f"{name}.log"
    async with running_server(bench.checkpoint(name), options, log) as server:
        yield server


# ------------------------------------------------------------------------------- whole comparison


async def measure_comparison(bench: Bench) -> None:
    """The wall time of a run, and the kinds of work that it spends it on."""
    path = bench.folder / "prompts.jsonl"
    rows = [
        {"id": str(number), "prompt": prompt.messages[0].content}
        for number, prompt in enumerate(make_prompts(bench.prompts))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = bakeoff.Config(
        model=tuple(f"{name}={bench.spec('vllm', name)}" for name in ("one", "other")),
        judge=(f"judge={bench.spec('vllm', 'judge')}&verdict=logprob",),
        prompts=str(path),
        limit=bench.prompts,
        max_tokens=bench.max_tokens,
        max_concurrency=bench.in_flight,
        out=bench.folder / "results",
        store=bench.folder / "store.sqlite",
        quiet=True,
    )
    began = time.perf_counter()
    with PeakMemory(bench) as memory, Stopwatch() as watch:
        results = await bakeoff.run_async(config)
        timings = watch.timings()[0]
    wall = time.perf_counter() - began
    seconds = {timing.kind: round(timing.attributed, 2) for timing in timings}
    engine = sum(seconds[kind] for kind in ("load", "generate", "judge"))
    bench.print_line(
        "comparison",
        wall,
        f"s for {len(results.completions)} completions and {len(results.judgments)} verdicts",
        "the time in which an engine loads, completes or judges",
        engine / wall,
        peer_figure=round(engine, 2),
        model=bench.architecture("one").name,
        prompts=bench.prompts,
        max_tokens=bench.max_tokens,
        failures=len(results.failures),
        seconds=seconds,
        **memory.fields(),
    )


# ------------------------------------------------------------------------------------------- main


def main(arguments: argparse.Namespace) -> int:
    """Measure the parts, and print a line for each; returns the exit code."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        print("gpu.py is skipped: it needs: pip install 'bakeoff[hf]'", file=sys.stderr)
        return 0
    import torch
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() and not arguments.tiny else 0
    if not gpus and not arguments.tiny:
        print(NO_CUDA, file=sys.stderr)
        return 0
    memory = torch.cuda.get_device_properties(0).total_memory if gpus else 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            folder=Path(folder),
            device=torch.cuda.get_device_name(0) if gpus else "cpu",
            gpus=gpus,
            gpu_gib=round(memory / 2**30, 1),
            prompts=arguments.prompts,
            max_tokens=arguments.max_tokens,
            judge_tokens=arguments.judge_tokens,
            looped=arguments.looped,
            in_flight=arguments.in_flight,
            vllm=arguments.vllm,
        )
        parts = [part for part in PARTS if part not in arguments.skip]
        return measure_parts(bench, parts, arguments.replicas or gpus)


def measure_parts(bench: Bench, parts: Sequence[str], replicas: int) -> int:
    """Measure the parts, and print why a part is skipped or failed; returns 1 if one failed."""
    kinds = [kind for kind in ("letter", "json") if kind in parts]
    measured: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "hf": lambda: measure_generation(bench, "hf"),
        "vllm": lambda: measure_generation(bench, "vllm"),
        "replicas": lambda: measure_replicas(bench, replicas),
        "letter": lambda: measure_judges(bench, kinds),
        "json": lambda: measure_judges(bench, kinds),
        "decision": lambda: measure_decisions(bench),
        "comparison": lambda: measure_comparison(bench),
    }
    failed = 0
    for part in parts:
        if part == "json" and kinds[0] == "letter":
            continue  # measured with it, on the same server
        try:
            asyncio.run(measured[part]())
        except (PartSkippedError, ConfigError) as why:
            print(f"{part} is skipped: {why}", file=sys.stderr)
        except (MeasurementError, aiohttp.ClientError) as error:
            print(f"{part} failed: {error}", file=sys.stderr)
            failed = 1
    return failed


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, with the sizes that `--tiny` implies."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--skip", action="append", choices=PARTS, default=[])
    parser.add_argument("--prompts", type=int)
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--judge-tokens", type=int)
    parser.add_argument("--looped", type=int)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--replicas", type=int, default=0)
    parser.add_argument("--vllm", metavar="OPTIONS", help="like python=PATH&max_model_len=8192")
    parsed = parser.parse_args(arguments)
    sizes = {"prompts": 512, "max_tokens": 1024, "judge_tokens": 256, "looped": 4}
    tiny = {"prompts": 8, "max_tokens": 16, "judge_tokens": 24, "looped": 2}
    for name, size in (tiny if parsed.tiny else sizes).items():
        if getattr(parsed, name) is None:
            setattr(parsed, name, size)
    if parsed.vllm is None:
        parsed.vllm = "max_model_len=8192" + ("&enforce_eager=true" if parsed.tiny else "")
    return parsed


if __name__ == "__main__":
    sys.exit(main(parse_arguments()))
