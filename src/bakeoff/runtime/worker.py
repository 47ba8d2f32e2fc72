"""What a worker is: the one shape of everything slow. Knows no model and no store.

A worker takes items and emits one outcome per item, in any order: a result, or the WorkError that
it ended in. Any other exception is a bug or a ConfigError; it stops the run. A worker may be called
again while a call is running: calls share its lanes or its thread.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from bakeoff.config import Sampling
from bakeoff.errors import WorkError
from bakeoff.records import Completion, Pair, Prompt, Usage, Verdict

I = TypeVar("I")  # noqa: E741 - what goes in
O = TypeVar("O")  # noqa: E741 - what comes out
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)

Emit = Callable[[int, O | WorkError], None]


class Ask(NamedTuple):
    """One request: what is read, and how much may be written."""

    prompt: Prompt
    sampling: Sampling


class Worker(Protocol[In, Out]):
    """A model or a judge.

    `identity` is plain JSON: what changes an outcome, and nothing else; it is known before anything
    is loaded. `weights` names the model behind it, however it is asked; None where there is none.
    `exclusive` means that it fills the accelerator: no other such worker beside it. `patient` means
    that replies take hours, however many are asked for: it is to be called once, with everything.
    """

    @property
    def identity(self) -> JsonValue:
        """What changes an outcome: goes into the store's keys."""
        ...

    @property
    def weights(self) -> str | None:
        """The model behind it: two workers with equal weights are the same model."""
        ...

    @property
    def caveat(self) -> str | None:
        """What a reader of the results has to know about it; None for most."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether it has to be closed before another exclusive worker starts."""
        ...

    @property
    def stays(self) -> bool:
        """Of one that is exclusive: whether it may stay open while others have their turn."""
        ...

    @property
    def patient(self) -> bool:
        """Whether it wants everything in one call."""
        ...

    @property
    def through(self) -> int:
        """Of what it was called with, how much is done where it is done, and not yet emitted."""
        ...

    @property
    def writing(self) -> int:
        """How many tokens it has written of what is not emitted yet; 0 where it does not know."""
        ...

    def asks(self, item: In) -> Sequence[Ask]:
        """The requests that an item takes where nothing goes wrong; none where it asks no model, or
        does not know.
        """
        ...

    def due(self, usage: Usage) -> float | None:
        """US dollars that somebody wants for so many tokens: 0 where nobody does, None where that
        is not known.
        """
        ...

    async def prepare(self) -> None:
        """Fetch what has to be fetched and check what can be checked for free.

        Called before any work, and only where there is work to do. ConfigError where it could not
        start: a missing key, extra or file.
        """
        ...

    async def __call__(
        self, items: Sequence[In], emit: Callable[[int, Out | WorkError], None]
    ) -> None:
        """Emit (index, outcome) once per item, in any order."""
        ...

    def kept(self) -> None:
        """What was emitted is in the store: none of it has to be found again."""
        ...

    async def close(self) -> None:
        """Give back what was opened; a later call opens it again."""
        ...


Generator = Worker[Prompt, Completion]
Order = Literal["both", "apart"]


class Judge(Worker[Pair, Verdict], Protocol):
    """A worker that compares.

    `order` is `both` where the place of a completion may sway it, so that a pair is shown in both
    orders; `apart` where it looks at each completion alone, so that there is no order. `partial`
    says that it is known to prefer text of its own family.
    """

    @property
    def order(self) -> Order:
        """How it has to be shown a pair."""
        ...

    @property
    def partial(self) -> bool:
        """Whether a contestant of its own family makes it no judge."""
        ...
