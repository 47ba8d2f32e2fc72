"""How far one pair of models goes. Knows places of prompts, not prompts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bakeoff.stats.sequential import SequentialTest

Two = tuple[str, str]


class Wave(NamedTuple):
    """Prompts, by their places, that are judged in `both` orders or in one."""

    places: range
    both: bool


@dataclass
class Course:
    """How far one pair goes. `over`: nothing more is to come. `looks` have seen so many of its
    prompts, of which so many had a verdict.
    """

    pair: Two
    waves: list[Wave]
    over: bool
    looks: "SequentialTest | None" = None
    seen: int = 0
    counted: int = 0

    def __len__(self) -> int:
        return sum(len(wave.places) for wave in self.waves)

    def __contains__(self, place: int) -> bool:
        return any(place in wave.places for wave in self.waves)

    def both(self, place: int) -> bool:
        """Whether the prompt at this place of it is judged in both orders."""
        return any(wave.both and place in wave.places for wave in self.waves)

    def places(self, start: int = 0) -> Iterator[int]:
        """The places of its prompts in the order in which they are looked at, but the first."""
        for wave in self.waves:
            yield from wave.places[start:]
            start = max(0, start - len(wave.places))

    def end(self, count: int) -> None:
        """So many prompts it was, and no more."""
        for index, wave in enumerate(self.waves):
            self.waves[index] = wave._replace(places=wave.places[:count])
            count -= len(self.waves[index].places)
        self.over = True
