"""Detection of templates by their words: a small stock of words, and words of the prompt."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import NamedTuple, Self

import numpy as np

from bakeoff.stats.arrays import Mask, Values

MAX_SAMPLE = 500  # prompts whose words are compared

_FIRST_SAMPLE = 50  # prompts, on which most evaluations are seen to be ordinary
_MIN_FIRST_SHARE = 0.3
_MIN_STOCK_SHARE = 0.03  # of the completions of a model: a word in fewer of them is no stock
_MIN_STOCK_COUNT = 3
_MAX_OTHER_WORDS = 0.1  # of the distinct words: those neither of the stock nor of the prompt
_MIN_WORDS = 5  # distinct words: fewer are an answer
_MIN_PROMPT_WORDS = 4
_MIN_COVERED = 0.5  # of the distinct words of a prompt, in a completion made of them
_MAX_KEPT = 0.5  # of the word triples of a completion: with more in the prompt it quotes or edits
_MAX_SHARE_OF_OTHER = 0.25  # of the completions of the other model that shuffle their prompt
_MAX_VOCABULARY = 0.3  # distinct words, relative to those in as many words of the other model
_MAX_TOKENS, _MIN_TOKENS = 1000, 60  # words whose vocabularies are compared
_MAX_Z = 2.33  # of the association with the other model's words, one-sided p = .01
_LAST_WORDS = 2  # an answer may be the end of a constant sentence
_WORD = re.compile(r"[^\W\d_]\w*")

SHUFFLED = "the words of the prompt, in another order"
REWORDED = "the choice of words from a small stock"


class ReusedWords(NamedTuple):
    """A template that a model filled for most of the prompts."""

    varying: str
    """What differs between the completions: `SHUFFLED` or `REWORDED`."""
    prompts: Sequence[str]
    """Ids of the prompts with such a completion."""
    total: int
    """Prompts that were compared."""


@dataclass(frozen=True)
class Case:
    """A prompt and its completions, as words."""

    id: str
    prompt: list[str]
    own: set[str]
    """Distinct words of the prompt."""
    words: list[str]
    other_text: str

    @cached_property
    def other(self) -> list[str]:
        """Words of the other model's completion, which ordinary evaluations do not need."""
        return _words(self.other_text)

    @classmethod
    def of(cls, id_: str, prompt: str, text: str, other: str) -> Self:
        """The case of a prompt, the completion of it, and that of the other model, as texts."""
        words = _words(prompt)
        return cls(id_, words, set(words), _words(text), other)


def reused_words(cases: Iterable[Case], total: int) -> ReusedWords | None:
    """The template of most of the completions, by the words in them; None without one.

    A template is a shuffled prompt, or has a far smaller vocabulary than as many words of the other
    model, words of the prompt apart. It is none if its words depend on the prompt as
    those of the other model do, or if only the end of a constant sentence varies: that is an
    answer. `cases` are in a random order, `total` at most; at most `MAX_SAMPLE` are read.
    """
    remaining, sample = iter(cases), list[Case]()
    for size in (_FIRST_SAMPLE, MAX_SAMPLE):
        sample += islice(remaining, size - len(sample))
        template = _shuffled(sample) or _reworded(sample)
        if template is None or len(template.prompts) < _MIN_FIRST_SHARE * template.total:
            return None
        if len(sample) == total:
            break
    return template if template and len(template.prompts) > template.total / 2 else None


def _words(text: str) -> list[str]:
    """The words in lower case, without numbers."""
    return _WORD.findall(text.lower())


def _stock(completions: Iterable[Collection[str]]) -> set[str]:
    """The words that many of these completions have in common."""
    distinct = [set(words) for words in completions]
    counts = Counter(word for words in distinct for word in words)
    least = max(_MIN_STOCK_COUNT, _MIN_STOCK_SHARE * len(distinct))
    return {word for word, count in counts.items() if count >= least}


def _shuffled(cases: Sequence[Case]) -> ReusedWords | None:
    """Completions with most words of their prompt, in another order, and few of their own.

    None if the other model has many such completions, because the prompts may ask for it.
    """
    stock = _stock(case.words for case in cases)
    shuffled = [case.id for case in cases if _is_shuffled(case.words, case, stock)]
    if len(shuffled) < _MIN_FIRST_SHARE * len(cases):
        return None
    stock = _stock(case.other for case in cases)
    same = sum(_is_shuffled(case.other, case, stock) for case in cases)
    few = same <= _MAX_SHARE_OF_OTHER * len(cases)
    return ReusedWords(SHUFFLED, shuffled, len(cases)) if few else None


def _is_shuffled(words: Sequence[str], case: Case, stock: set[str]) -> bool:
    distinct = set(words)
    shared = distinct & case.own
    if (
        len(case.own) < _MIN_PROMPT_WORDS
        or len(shared) < max(_MIN_COVERED * len(case.own), len(distinct) / 2)
        or len(distinct - case.own - stock) > _MAX_OTHER_WORDS * len(distinct)
    ):
        return False
    triples, originals = _triples(words), set(_triples(case.prompt))
    return sum(map(originals.__contains__, triples)) < _MAX_KEPT * len(triples)


def _triples(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(words, words[1:], words[2:], strict=False))


def _reworded(cases: Sequence[Case]) -> ReusedWords | None:
    stock = _stock(case.words for case in cases)
    reworded = [case for case in cases if _is_of_stock(case, stock)]
    if (
        len(reworded) < max(_MIN_STOCK_COUNT, _MIN_FIRST_SHARE * len(cases))
        or not _has_small_vocabulary(reworded)
        or _states_answers(reworded, len(cases))
        or _depends_on_prompt(reworded)
    ):
        return None
    return ReusedWords(REWORDED, [case.id for case in reworded], len(cases))


def _is_of_stock(case: Case, stock: set[str]) -> bool:
    distinct = set(case.words)
    return (
        len(distinct) >= _MIN_WORDS
        and len(distinct - case.own - stock) <= _MAX_OTHER_WORDS * len(distinct)
        and 2 * len(distinct - case.own) >= len(distinct)
    )


def _has_small_vocabulary(cases: Sequence[Case]) -> bool:
    mine = Counter(word for case in cases for word in case.words if word not in case.own)
    theirs = Counter(word for case in cases for word in case.other if word not in case.own)
    tokens = min(mine.total(), theirs.total(), _MAX_TOKENS)
    if tokens < _MIN_TOKENS:
        return False
    return _vocabulary(mine, tokens) < _MAX_VOCABULARY * _vocabulary(theirs, tokens)


def _vocabulary(counts: Counter[str], tokens: int) -> float:
    """The expected number of distinct words in a random sample of `tokens` words."""
    left_out = 1 - tokens / counts.total()
    return float((1 - left_out ** np.fromiter(counts.values(), dtype=np.float64)).sum())


def _states_answers(cases: Sequence[Case], total: int) -> bool:
    """Whether most of `total` completions differ in their last words only, or in numbers."""
    return any(
        max(Counter(tuple(case.words[:-count]) for case in cases).values()) > total / 2
        for count in range(1, _LAST_WORDS + 1)
    )


def _depends_on_prompt(cases: Sequence[Case]) -> bool:
    """Whether the words of the two models agree more for the same prompt than for two prompts.

    The test statistic is a sum over prompts, with the mean and variance of a permutation test.
    """
    counts = Counter(word for case in cases for word in set(case.words) - case.own)
    vocabulary = [word for word, count in counts.items() if count < len(cases)]
    if not vocabulary:
        return False
    # A word of the prompt tells nothing, and its absence from both completions neither.
    possible = np.array([[word not in case.own for word in vocabulary] for case in cases])
    a, b = (
        _deviations(np.array([[word in side for word in vocabulary] for side in sides]), possible)
        for sides in ([set(case.words) for case in cases], [set(case.other) for case in cases])
    )
    shared = a @ b.T
    centred = shared - shared.mean(axis=0) - shared.mean(axis=1)[:, None] + shared.mean()
    variance = float((centred**2).sum()) / max(1, len(cases) - 1)
    return bool(np.trace(centred) > _MAX_Z * np.sqrt(variance)) and variance > 0


def _deviations(present: Mask, possible: Mask) -> Values:
    """Presence of each word, minus its mean over the completions in which it is possible."""
    means = (present & possible).sum(axis=0) / np.maximum(1, possible.sum(axis=0))
    return np.asarray(np.where(possible, present - means, 0.0))
