"""Helpers for tests of transformers models: open a generator, complete prompts, record steps."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers

from bakeoff.config import Sampling, Spec
from bakeoff.generators.transformers.generator import TransformersGenerator
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.testing import run_worker


def hf_generator(target: Path | str, **sampling: Any) -> TransformersGenerator:
    generator = open_generator(Spec.parse(f"hf:{target}"), RunContext(Sampling(**sampling)))
    assert isinstance(generator, TransformersGenerator)
    return generator


def completions(target: Path | str, prompts: list[Prompt], **sampling: Any) -> list[Completion]:
    sampling = {"temperature": 0, "max_tokens": 24} | sampling
    done = run_worker(hf_generator(target, **sampling), prompts)
    for outcome in done:
        assert isinstance(outcome, Completion), outcome
    return done  # type: ignore[return-value]


def edit_json(file: Path, **values: Any) -> None:
    """Change top-level values of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@contextmanager
def steps(kind: str = "Llama", act: Any = None) -> Iterator[list[tuple[int, int]]]:
    """Record the shape (rows, tokens) of each forward pass; `act` is called with it."""
    shapes: list[tuple[int, int]] = []
    model = getattr(transformers, f"{kind}ForCausalLM")
    forward = model.forward

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        rows, width = kwargs["input_ids"].shape
        shapes.append((rows, width))
        if act:
            act(rows, width)
        return forward(self, *args, **kwargs)

    watched.__signature__ = __import__("inspect").signature(forward)  # type: ignore[attr-defined]
    model.forward = watched
    try:
        yield shapes
    finally:
        model.forward = forward
