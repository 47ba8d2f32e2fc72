"""How a judge is asked until it has said something that can be used: shown, cut, asked once more.

Knows when to ask again and what the requests took; what is shown and what is read out of a reply
is a subclass's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Generic, Protocol, TypeVar

from pydantic import JsonValue

from bakeoff.errors import ContextError, RefusedError, VerdictError, WorkError
from bakeoff.judges.prefix_cache import waves
from bakeoff.judges.rendering import repair, shorter
from bakeoff.records import Completion, Message, Prompt, Trouble, content_key
from bakeoff.runtime import Emit, GeneratorJudge
from bakeoff.runtime.timing import timed


class Named(Protocol):
    """What is judged; `id` names the question, or is empty."""

    @property
    def id(self) -> str:
        """The name."""
        ...


I = TypeVar("I", bound=Named)  # noqa: E741 - what is judged
T = TypeVar("T")  # what is read out of a reply


@dataclass(frozen=True)
class Heard(Generic[T]):
    """What was read, what was wrong with the first reply, and what all requests took.

    `kept` is how many characters of each completion were shown, None: all.
    """

    value: T
    mended: Trouble | None
    contradicts: bool
    kept: int | None
    said: tuple[Completion, ...]

    @property
    def accounts(self) -> dict[str, object]:
        """The fields of a verdict that tell how it came about."""
        return {
            "mended": self.mended,
            "contradicts": self.contradicts,
            "kept": self.kept,
            **taken(self.said),
        }


@dataclass(frozen=True)
class _Asked(Generic[I, T]):
    """A request under way. `doubted` is what a first reply said against itself."""

    index: int
    item: I
    prompt: Prompt
    kept: int | None = None
    said: tuple[Completion, ...] = ()
    mended: Trouble | None = None
    doubted: T | None = None


class Interview(GeneratorJudge, ABC, Generic[I, T]):
    """Asks a generator about items. A reply is read, or answered with one further request:
    where it cannot be read, or contradicts itself. What does not fit into the context is cut.
    """

    mendable = True

    @abstractmethod
    def show(self, item: I, kept: int | None) -> Prompt:
        """The request, with completions cut to `kept` characters; VerdictError where there is none.

        The last turn may be the assistant's: the judge's own turn begins so.
        """

    @abstractmethod
    def read(self, said: Completion, item: I) -> T:
        """What the reply says; VerdictError where that cannot be read."""

    @abstractmethod
    def longest(self, item: I) -> int:
        """The length of the longest completion, in characters."""

    def doubtful(self, value: T) -> bool:
        """Whether what was read contradicts itself."""
        del value
        return False

    def settled(self, value: T) -> T:
        """What counts of a reply that contradicts itself twice."""
        return value

    async def hear(self, items: Sequence[I], emit: Emit[Heard[T]]) -> None:
        """Emit what the judge says of each item."""
        due: list[_Asked[I, T]] = []
        for index, item in enumerate(items):
            try:
                due.append(_Asked(index, item, self.show(item, None)))
            except VerdictError as error:
                emit(index, error)
        for wave in self._waves(due):
            due = wave
            while due:
                asked, due = due, []
                take = self._taker(asked, due, emit)
                await self.generator([self._named(request) for request in asked], take)

    def _waves(self, due: Sequence[_Asked[I, T]]) -> Iterator[list[_Asked[I, T]]]:
        """What is asked first, and what after that; who waits for hours is asked everything."""
        if self.traits.batch_only:
            yield list(due)
            return
        for wave in waves([request.prompt for request in due]):
            yield [replace(due[place], prompt=prompt) for place, prompt in wave]

    def _named(self, request: _Asked[I, T]) -> Prompt:
        """The request, so named that a run which takes up another one's knows it again.

        By its words it would not: the fence in them is random.
        """
        if not (self.traits.batch_only and request.item.id):
            return request.prompt
        said: list[JsonValue] = [completion.text for completion in request.said]
        return request.prompt.model_copy(
            update={"id": content_key(request.item.id, request.kept, said)}
        )

    def _taker(
        self, asked: Sequence[_Asked[I, T]], due: list[_Asked[I, T]], emit: Emit[Heard[T]]
    ) -> Callable[[int, Completion | WorkError], None]:
        def take(position: int, outcome: Completion | WorkError) -> None:
            request = asked[position]
            came = self._came(request, outcome)
            if isinstance(came, _Asked):
                due.append(came)
            else:
                emit(request.index, came)

        return take

    def _came(
        self, request: _Asked[I, T], outcome: Completion | WorkError
    ) -> _Asked[I, T] | Heard[T] | WorkError:
        """What comes of a reply: a further request, something heard, or an error."""
        if isinstance(outcome, ContextError) and not request.said:
            kept = shorter(request.kept, self.longest(request.item))
            if kept is None:
                return outcome
            return replace(request, prompt=self.show(request.item, kept), kept=kept)
        if isinstance(outcome, WorkError):
            return self._fallback(request, outcome)
        request = replace(request, said=(*request.said, outcome))
        if outcome.finish == "refused":
            return self._fallback(request, RefusedError("the judge refused", raw=outcome.text))
        try:
            with timed("parse"):
                value = self.read(outcome, request.item)
        except VerdictError as error:
            return self._again(request, "unreadable", str(error)) or self._fallback(request, error)
        if not self.doubtful(value):
            return _heard(request, value)
        told = "its winner is not the one with the higher score"
        again = self._again(replace(request, doubted=value), "contradiction", told)
        return again or _heard(request, self.settled(value), contradicts=True)

    def _again(self, request: _Asked[I, T], trouble: Trouble, problem: str) -> _Asked[I, T] | None:
        """The one further request; None where that has been made, or cannot help."""
        if request.mended or not self.mendable:
            return None
        reply = Message(role="assistant", content=request.said[-1].text or "(nothing)")
        turns = (*request.prompt.messages, reply, Message(role="user", content=repair(problem)))
        return replace(request, prompt=Prompt(messages=turns), mended=trouble)

    def _fallback(self, request: _Asked[I, T], error: WorkError) -> Heard[T] | WorkError:
        """A judge that contradicted itself and then said nothing: its scores are kept."""
        if request.doubted is None:
            if request.said:
                error.took = {k: v for k, v in taken(request.said).items() if k != "snapshot"}
            return error
        return _heard(request, self.settled(request.doubted), contradicts=True)


def _heard(request: _Asked[I, T], value: T, *, contradicts: bool = False) -> Heard[T]:
    return Heard(value, request.mended, contradicts, request.kept, request.said)


def taken(said: Sequence[Completion]) -> dict[str, object]:
    """Which model replied, and what its replies took together; None where that is not known."""
    usage = [one.usage for one in said if one.usage]
    costs = [one.cost for one in said if one.cost is not None]
    return {
        "snapshot": said[-1].snapshot,
        "usage": reduce(add, usage) if usage else None,
        "cost": sum(costs) if len(costs) == len(said) else None,
    }
