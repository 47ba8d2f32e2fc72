"""How far one pair of models goes. Knows places of prompts, not prompts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.stats.betting import Looks

Two = tuple[str, str]


@dataclass
class Course:
    """How far one pair goes: the places of its prompts, in waves, and in `both` orders or in one.

    `over`: nothing more is to come. `looks` have seen so many of its prompts, of which so many had
    a verdict.
    """

    pair: Two
    waves: list[range]
    both: bool
    over: bool
    looks: "Looks | None" = None
    seen: int = 0
    counted: int = 0

    def __contains__(self, place: int) -> bool:
        return any(place in wave for wave in self.waves)

    def places(self, start: int = 0) -> Iterator[int]:
        """The places of its prompts in the order in which they are looked at, but the first."""
        for wave in self.waves:
            yield from wave[start:]
            start = max(0, start - len(wave))

    def end(self, count: int) -> None:
        """So many prompts it was, and no more."""
        for index, wave in enumerate(self.waves):
            self.waves[index] = wave[:count]
            count -= len(self.waves[index])
        self.over = True
