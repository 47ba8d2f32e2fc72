"""Collects the rows of a simulated evaluation and makes its Evidence."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Presentation,
    Prompt,
    Verdict,
)
from harness.evaluation_texts import Generator, Style, lengths, prompt_text

Bools = NDArray[np.bool_]

_MODEL_NAMES = (
    ("tuned", "base"),
    ("run-12", "run-11"),
    ("alpha-7b", "beta-7b"),
    ("candidate", "reference"),
    ("nova-2", "nova-1"),
)


class EvidenceDraft:
    """Prompts, completions and judgments of models, a and b unless named otherwise.

    `a` and `b` are the names of the first two models; `evidence` lists the models in a random
    order.
    """

    def __init__(self, rng: Generator, models: Sequence[str] | None = None) -> None:
        self.rng = rng
        self.models = tuple(models or _MODEL_NAMES[int(rng.integers(len(_MODEL_NAMES)))])
        self.a, self.b = self.models[:2]
        self.ids: list[str] = []
        self.failures: list[Failure] = []
        self._prompts: list[Prompt] = []
        self._completions: list[ModelCompletion] = []
        self._judgments: list[Judgment] = []

    def add_prompts(
        self,
        n: int,
        *,
        texts: Iterable[str] | None = None,
        tags: Sequence[tuple[str, ...]] | None = None,
    ) -> list[str]:
        """Add n prompts and return their ids."""
        contents = texts if texts is not None else (prompt_text(self.rng) for _ in range(n))
        start = len(self.ids)
        ids = [f"q{start + number:05d}" for number in range(n)]
        for number, (id_, content) in enumerate(zip(ids, contents, strict=True)):
            message = Message(role="user", content=content)
            labels = tags[number] if tags else ()
            self._prompts.append(Prompt(id=id_, messages=(message,), tags=labels))
        self.ids += ids
        return ids

    def add_completions(self, model: str, texts: Iterable[str]) -> None:
        """Add the completions of one model of all prompts so far."""
        for id_, content in zip(self.ids, texts, strict=True):
            completion = Completion(text=content)
            self._completions.append(
                ModelCompletion(prompt_id=id_, model=model, completion=completion)
            )

    def add_similar_completions(self) -> None:
        """Add completions of all models with the same distribution of lengths and markdown."""
        median, richness = float(self.rng.uniform(150, 900)), float(self.rng.uniform(0, 1))
        for model in self.models:
            n = len(self.ids)
            sizes = lengths(self.rng, n, median)
            self.add_completions(model, Style(self.rng, n, richness).render(self.rng, sizes))

    def add_judgments(
        self,
        preferences: Iterable[float],
        a_first: bool | Bools,
        *,
        ids: Sequence[str] | None = None,
        judge: str = "judge",
        pair: tuple[str, str] | None = None,
        presented: Presentation | Sequence[Presentation] = "recorded",
        repeat: int = 0,
    ) -> None:
        """Add a judgment per preference, the probability that the first of the pair is better.

        NaN adds no judgment but a failure.
        """
        names = self.ids if ids is None else ids
        a, b = pair or (self.a, self.b)
        shown = np.broadcast_to(np.asarray(a_first), (len(names),)).tolist()
        known = [presented] * len(names) if isinstance(presented, str) else presented
        for id_, value, first, presentation in zip(names, preferences, shown, known, strict=True):
            order = (a, b) if first else (b, a)
            row: dict[str, Any] = {"prompt_id": id_, "first": order[0], "second": order[1]}
            if np.isnan(value):
                self.failures.append(
                    Failure(
                        stage="judgment",
                        participant=judge,
                        kind="verdict",
                        message="the reply names no winner",
                        **row,
                    )
                )
                continue
            self._judgments.append(
                Judgment(
                    judge=judge,
                    repeat=repeat,
                    presented=presentation,
                    verdict=Verdict(first=float(value) if first else 1 - float(value)),
                    **row,
                )
            )

    def evidence(self, **fields: Any) -> Evidence:
        """The evidence, with the models and half of the time the rows in a random order."""
        models = self.rng.permutation(np.array(self.models, dtype=object)).tolist()
        judgments = self._judgments
        if self.rng.random() < 0.5:
            order = self.rng.permutation(len(judgments)).tolist()
            judgments = [judgments[index] for index in order]
        return Evidence(
            models=tuple(models),
            prompts=tuple(self._prompts),
            completions=tuple(self._completions),
            judgments=tuple(judgments),
            failures=tuple(self.failures),
            **fields,
        )
