"""A prefilter for regular expressions: finds the keywords of a text in one pass."""

from collections import defaultdict
from itertools import chain
from operator import add

KeywordGroups = tuple[int, ...]  # a bit mask of alternatives per group

ALWAYS, LONG = 1, 2  # bits set for every text, and for a text with a word of 32 characters or more
_COMMON = frozenset(("a", "b", "as", "be", "do", "has", "have", "is", "no", "not")) | {
    *("out", "the", "this", "to", "will", "you")
}
_CACHE_SIZE = 1 << 15  # words, in 4 MB
_LONG = 32  # characters


class KeywordFilter(dict[str, int]):
    """A cache of the keywords that each word contains, as a bit mask; computed on first access.

    All keywords have to be added with `add_groups` before the first text. A phrase is represented
    by its longest word that is not a common one, and by `ALWAYS` if it has none. The filter has
    false positives for phrases, but no false negatives.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bits: dict[str, int] = {}
        self._by_prefix: dict[str, list[tuple[str, int]]] = defaultdict(list)

    def add_groups(self, *groups: str) -> KeywordGroups:
        """A bit mask for each group; a group is keywords or phrases separated by `|`."""
        return tuple(self._mask(group.split("|")) for group in groups)

    def keywords_in(self, text: str) -> int:
        """The bits of all keywords that the words of a text contain, and `ALWAYS`."""
        mask = ALWAYS
        for bits in filter(None, map(self.__getitem__, text.split())):
            mask |= bits
        return mask

    def __missing__(self, word: str) -> int:
        mask = LONG if len(word) >= _LONG else 0
        padded = f" {word} "
        pairs = list(map(add, padded, padded[1:]))
        prefixes = chain(word, pairs, map(add, pairs, padded[2:]))
        for prefix in self._by_prefix.keys() & prefixes:
            for keyword, bit in self._by_prefix[prefix]:
                if keyword in padded:
                    mask |= bit
        if len(word) < _LONG:
            if len(self) >= _CACHE_SIZE:
                self.clear()
            self[word] = mask
        return mask

    def _mask(self, phrases: list[str]) -> int:
        mask = 0
        for phrase in phrases:
            words = phrase.split(" ")
            # A space beside a word of a phrase is kept: it marks the start or the end of the word.
            keywords = [
                " " * (index > 0) + word + " " * (index + 1 < len(words))
                for index, word in enumerate(words)
                if word and word not in _COMMON
            ]
            if not keywords:
                return ALWAYS
            mask |= self._bit(max(keywords, key=len))
        return mask

    def _bit(self, keyword: str) -> int:
        if keyword not in self._bits:
            self._bits[keyword] = LONG << 1 + len(self._bits)
            self._by_prefix[keyword[:3]].append((keyword, self._bits[keyword]))
        return self._bits[keyword]


def matches_groups(keywords: int, groups: KeywordGroups) -> bool:
    """Whether the keywords of a text, as bits, include one of every group."""
    for group in groups:  # noqa: SIM110 - `all` of a generator takes four times as long
        if not keywords & group:
            return False
    return True
