"""Judges that compare two numbers that a model assigns: rewards, or mean log-probabilities.

Each completion is scored separately and without a template, so that there is no position bias.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Sampling, Spec, split_options
from bakeoff.errors import ConfigError, WorkError
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Pair, Prompt, RawScores, Verdict, content_key
from bakeoff.runtime import Emit, GeneratorJudge, ModelRequest, planned_requests, task_group

PendingScore = asyncio.Future[Completion | WorkError]


class RawScoreJudge(GeneratorJudge, ABC):
    """Has a generator score each completion of a pair; a subclass compares the two scores.

    A completion is scored once, however many pairs it is in.
    """

    order = "pointwise"

    def __init__(self, spec: Spec, context: RunContext) -> None:
        # Without the run's seed: nothing is sampled, so that a seed changes no score.
        sampling = Sampling(temperature=0, top_p=1, max_tokens=1, score_only=True)
        self._name = spec.name
        super().__init__(open_generator(spec, replace(context, sampling=sampling)))
        self._scores: dict[str, PendingScore] = {}  # by hash of prompt and completion

    @property
    @abstractmethod
    def identity(self) -> JsonValue:
        """Everything that changes a verdict, as plain JSON; part of the store's keys."""

    @abstractmethod
    def compare(self, scores: RawScores) -> float:
        """Return the probability that the first completion is better.

        For swapped scores the result is exactly 1 minus that.
        """

    def requests(self, item: Pair) -> Sequence[ModelRequest]:
        """Return the requests that score the two completions."""
        prompts = (_with_completion(item.prompt, text)[1] for text in (item.first, item.second))
        return [
            request for prompt in prompts for request in planned_requests(self.generator, prompt)
        ]

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """Emit a verdict per pair as soon as both of its scores are known.

        Overlapping calls wait for a score that one of them has requested.
        """
        prompts = [
            (_with_completion(pair.prompt, pair.first), _with_completion(pair.prompt, pair.second))
            for pair in items
        ]
        missing = {key: prompt for key, prompt in chain(*prompts) if key not in self._scores}
        loop = asyncio.get_running_loop()
        own: dict[str, PendingScore] = {key: loop.create_future() for key in missing}
        self._scores |= own
        pending = [(self._scores[a], self._scores[b]) for (a, _), (b, _) in prompts]
        keys = list(missing)

        def take(index: int, outcome: Completion | WorkError) -> None:
            own[keys[index]].set_result(outcome)
            if isinstance(outcome, WorkError):  # calls that wait get the error, later ones retry
                del self._scores[keys[index]]

        try:
            async with task_group() as group:
                for index, (first, second) in enumerate(pending):
                    group.create_task(self._judge(index, first, second, emit))
                if missing:
                    await self.generator(list(missing.values()), take)
        finally:
            for index, key in enumerate(keys):  # after an error, other calls may be waiting
                if not own[key].done():
                    take(index, WorkError("the run was stopped before it was weighed"))

    async def _judge(
        self, index: int, first: PendingScore, second: PendingScore, emit: Emit[Verdict]
    ) -> None:
        # Not `await first`: cancelling that would cancel the future for the other waiters.
        if waiting := {future for future in (first, second) if not future.done()}:
            await asyncio.wait(waiting)
        emit(index, self._verdict(first.result(), second.result()))

    def _verdict(
        self, first: Completion | WorkError, second: Completion | WorkError
    ) -> Verdict | WorkError:
        scores = []
        for outcome in (first, second):
            if isinstance(outcome, WorkError):
                return outcome
            if outcome.score is None:
                raise ConfigError(f"{self._name!r} completes where it should weigh: it is no judge")
            scores.append(outcome.score)
        raw_scores = RawScores(*scores)
        return Verdict(first=self.compare(raw_scores), raw_scores=raw_scores)


class RewardJudge(RawScoreJudge):
    """`reward:ORG/MODEL`: the sigmoid of the difference of two rewards (Bradley-Terry).

    `?temperature=` divides the difference: above 1 verdicts are less certain, below 1 more.
    """

    class Options(BaseModel):
        """Options of the spec; all others are the generator's."""

        model_config = ConfigDict(extra="forbid")

        temperature: float = Field(1.0, gt=0, allow_inf_nan=False)

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options, generator_spec = split_options(self.Options, spec)
        self._temperature = options.temperature
        super().__init__(generator_spec, context)

    @property
    def identity(self) -> JsonValue:
        """The model and the temperature."""
        return {
            "judge": "reward",
            "generator": self.generator.identity,
            "temperature": self._temperature,
        }

    def compare(self, scores: RawScores) -> float:
        """Return the sigmoid of the difference, in [0, 1]."""
        difference = (scores.first - scores.second) / self._temperature
        # In [0.5, 1], where 1 - x is exact: the swapped pair gets exactly the complement.
        larger = 1 / (1 + math.exp(-abs(difference)))
        return larger if difference >= 0 else 1 - larger


class LikelihoodJudge(RawScoreJudge):
    """`?verdict=likelihood`: prefers the completion with the higher mean token log-probability.

    Verdicts are 1, 0 or 0.5: the difference of two means is not a probability. A model assigns its
    own style a higher probability, so `prefers_own_family` is true.
    """

    prefers_own_family = True

    class Options(BaseModel):
        """Options of the spec; all others are the generator's."""

        verdict: str = "likelihood"

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(split_options(self.Options, spec)[1], context)

    @property
    def identity(self) -> JsonValue:
        """The model."""
        return {"judge": "likelihood", "generator": self.generator.identity}

    def compare(self, scores: RawScores) -> float:
        """Return 1 if the first score is higher, 0 if the second is, 0.5 if they are equal."""
        return 0.5 + 0.5 * ((scores.first > scores.second) - (scores.first < scores.second))


def _with_completion(prompt: Prompt, text: str) -> tuple[str, Prompt]:
    """Return the conversation that ends with `text`, as a (content key, prompt) tuple."""
    turn = Prompt(messages=(*prompt.messages, Message(role="assistant", content=text)))
    return content_key(turn.conversation()), turn
