"""Which of some words a text holds, at one glance: what holds none of them needs no closer look.

Knows words and parts of words; what they are looked for, its caller knows.
"""

from collections import defaultdict
from itertools import chain
from operator import add

Needs = tuple[int, ...]  # a group of words each, as bits: a text has to hold one of every group

ALWAYS, LONG = 1, 2  # bits: of every text, and of one with a word of 32 characters or more
_COMMON = frozenset(("a", "b", "as", "be", "do", "has", "have", "is", "no", "not")) | {
    *("out", "the", "this", "to", "will", "you")
}
_REMEMBERED = 1 << 17  # words, each looked at once
_LONG = 32  # characters


class Spotter(dict[str, int]):
    """The needles that each word of a text holds, as the bits of a number; found on demand.

    All needles are named by `needs`, before the first text. Of one with spaces the longest part
    counts, which has to begin or end a word where a space is beside it; one of common words is seen
    in every text. So a glance may see too much, and never too little.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bits: dict[str, int] = {}
        self._by_start: dict[str, list[tuple[str, int]]] = defaultdict(list)

    def needs(self, *groups: str) -> Needs:
        """Groups of needles, those of a group with `|` between them, to be asked for in `holds`."""
        return tuple(self._group(group.split("|")) for group in groups)

    def seen(self, text: str) -> int:
        """What a text holds: the bits of all its words."""
        found = ALWAYS
        for bits in filter(None, map(self.__getitem__, text.split())):
            found |= bits
        return found

    def __missing__(self, word: str) -> int:
        found = LONG if len(word) >= _LONG else 0
        padded = f" {word} "
        twos = list(map(add, padded, padded[1:]))
        starts = chain(word, twos, map(add, twos, padded[2:]))
        for start in {*filter(self._by_start.__contains__, starts)}:
            for part, bit in self._by_start[start]:
                if part in padded:
                    found |= bit
        if len(word) < _LONG:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = found
        return found

    def _group(self, needles: list[str]) -> int:
        found = 0
        for needle in needles:
            words = needle.split(" ")
            parts = [
                " " * (at > 0) + word + " " * (at + 1 < len(words))
                for at, word in enumerate(words)
                if word and word not in _COMMON
            ]
            if not parts:
                return ALWAYS
            found |= self._bit(max(parts, key=len))
        return found

    def _bit(self, part: str) -> int:
        if part not in self._bits:
            self._bits[part] = LONG << 1 + len(self._bits)
            self._by_start[part[:3]].append((part, self._bits[part]))
        return self._bits[part]


def holds(seen: int, needs: Needs) -> bool:
    """Whether what was seen has one of every group."""
    for group in needs:  # noqa: SIM110 - `all` of a generator takes four times as long
        if not seen & group:
            return False
    return True
