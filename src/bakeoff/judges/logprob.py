"""Judges that weigh each completion alone, and then compare two numbers: a reward, or how likely
the model finds the text.

They see neither a template nor the other completion, so there is no order that could sway them.
What a number costs is the generator's business: here it is asked for once and remembered.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Sampling, Spec, parse_fields
from bakeoff.errors import ConfigError, WorkError
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import (
    Completion,
    Message,
    Pair,
    Prompt,
    Verdict,
    Weights,
    content_key,
)
from bakeoff.runtime import Emit, GeneratorJudge, ModelRequest, planned_requests, task_group

Found = asyncio.Future[Completion | WorkError]


class Weighed(GeneratorJudge, ABC):
    """Asks a generator what each completion of a pair is worth; a subclass compares the two.

    What a completion is worth is asked once, however many pairs it is in.
    """

    order = "apart"

    def __init__(self, spec: Spec, context: RunContext, own: frozenset[str]) -> None:
        rest = {key: value for key, value in spec.options.items() if key not in own}
        # Not the run's seed: a number that is not drawn does not depend on it.
        sampling = Sampling(temperature=0, top_p=1, max_tokens=1, weigh=True)
        self._name = spec.name
        super().__init__(
            open_generator(
                spec.model_copy(update={"options": rest}), replace(context, sampling=sampling)
            )
        )
        self._found: dict[str, Found] = {}

    @property
    @abstractmethod
    def identity(self) -> JsonValue:
        """What changes a verdict."""

    @abstractmethod
    def compare(self, weights: Weights) -> float:
        """The probability that the first is better; of the weights the other way round, 1 - it."""

    def requests(self, item: Pair) -> Sequence[ModelRequest]:
        """Each completion, to be weighed."""
        turns = (_turn(item.prompt, text)[1] for text in (item.first, item.second))
        return [request for turn in turns for request in planned_requests(self.generator, turn)]

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """A verdict per pair, as soon as both its completions are weighed."""
        turns = [
            (_turn(pair.prompt, pair.first), _turn(pair.prompt, pair.second)) for pair in items
        ]
        asked = {key: turn for key, turn in chain(*turns) if key not in self._found}
        loop = asyncio.get_running_loop()
        own: dict[str, Found] = {key: loop.create_future() for key in asked}
        self._found |= own
        halves = [(self._found[one], self._found[two]) for (one, _), (two, _) in turns]
        keys = list(asked)

        def take(index: int, outcome: Completion | WorkError) -> None:
            own[keys[index]].set_result(outcome)
            if isinstance(outcome, WorkError):  # who waits has it; the next one asks again
                del self._found[keys[index]]

        try:
            async with task_group() as group:
                for index, (one, two) in enumerate(halves):
                    group.create_task(self._judge(index, one, two, emit))
                if asked:
                    await self.generator(list(asked.values()), take)
        finally:
            for index, key in enumerate(keys):  # a bug, or cancelled: another call may wait for it
                if not own[key].done():
                    take(index, WorkError("the run was stopped before it was weighed"))

    async def _judge(self, index: int, one: Found, two: Found, emit: Emit[Verdict]) -> None:
        # Not `await one`: to cancel that would cancel it for the others who wait.
        if pending := {half for half in (one, two) if not half.done()}:
            await asyncio.wait(pending)
        emit(index, self._verdict(one.result(), two.result()))

    def _verdict(
        self, one: Completion | WorkError, two: Completion | WorkError
    ) -> Verdict | WorkError:
        found = []
        for half in (one, two):
            if isinstance(half, WorkError):
                return half
            if half.weight is None:
                raise ConfigError(f"{self._name!r} completes where it should weigh: it is no judge")
            found.append(half.weight)
        weights = Weights(*found)
        return Verdict(first=self.compare(weights), weights=weights)


class Reward(Weighed):
    """`reward:me/model`: the sigmoid of the difference of two rewards, after Bradley and Terry.

    `temperature` divides the difference: above 1 the judge is less sure, below 1 more.
    """

    class Options(BaseModel):
        """Options of the spec; all others go to the generator."""

        model_config = ConfigDict(extra="forbid")

        temperature: float = Field(1.0, gt=0, allow_inf_nan=False)

    def __init__(self, spec: Spec, context: RunContext) -> None:
        fields = frozenset(self.Options.model_fields)
        own = {key: value for key, value in spec.options.items() if key in fields}
        self._temperature = parse_fields(self.Options, own, where=spec.name).temperature
        super().__init__(spec, context, fields)

    @property
    def identity(self) -> JsonValue:
        """The model, and the temperature."""
        return {
            "judge": "reward",
            "generator": self.generator.identity,
            "temperature": self._temperature,
        }

    def compare(self, weights: Weights) -> float:
        """The sigmoid of the difference, in (0, 1) but for rounding."""
        difference = (weights.first - weights.second) / self._temperature
        # At least a half, so that one less it is exact: the swapped pair gets the very rest.
        larger = 1 / (1 + math.exp(-abs(difference)))
        return larger if difference >= 0 else 1 - larger


class Likelihood(Weighed):
    """`?verdict=likelihood`: better is what the model finds likelier, by the mean over the tokens.

    Only which of them it is: a difference of mean log-probabilities is no probability of anything.
    A model prefers text like its own, so it `prefers_own_family`.
    """

    prefers_own_family = True

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context, frozenset({"verdict"}))

    @property
    def identity(self) -> JsonValue:
        """The model."""
        return {"judge": "likelihood", "generator": self.generator.identity}

    def compare(self, weights: Weights) -> float:
        """1, 0, or 0.5 where both are equally likely."""
        return 0.5 + 0.5 * ((weights.first > weights.second) - (weights.first < weights.second))


def _turn(prompt: Prompt, text: str) -> tuple[str, Prompt]:
    """The prompt with a completion as its last turn, and its key."""
    turn = Prompt(messages=(*prompt.messages, Message(role="assistant", content=text)))
    return content_key(turn.conversation()), turn
