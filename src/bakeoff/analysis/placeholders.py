"""Detection of placeholders: one text for most prompts, but for numbers or words of the prompt."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bakeoff.analysis import reused_words
from bakeoff.analysis.pair_data import PairData

MAX_SAME_TEXT = 0.5  # of the completions of a model: above this the text is a placeholder
MIN_COUNT = 3  # prompts with the same text
MAX_SAMPLE = 2000  # prompts whose masked texts are compared; a random sample of more

_SEED = 20240
# Of the first prompts that are drawn, a text for more than half has less than this share once in a
# million evaluations.
_FIRST_SAMPLE = 150
_MIN_FIRST_SHARE = 0.3
_SHORT = 3  # words: an answer as short as "Yes" or "B" is ordinary if the other model gives it too
_MIN_SHARED = 0.1  # of the prompts, of which the other model gives the same answer
_NUMBER, _OWN_WORD, _PROMPT = "#", "\u00b7", "\u00b6"
_MARKS = (_NUMBER, _OWN_WORD, _PROMPT)
_MIN_WORDS_AROUND = 5  # an own word, or a number that is no counter: fewer words are an answer
_MAX_PROMPT_SHARE = 0.1  # of the prompts with a word: in more of them it belongs to no prompt
_RUN = 4  # words: a run of this length that is in the prompt, too, is copied from it
_MIN_COPIED = 0.8  # of the prompt: less is a quotation
_DENSE = 2.0  # numbers of a counter leave at most every second one out
_MIN_DISTINCT = 0.95  # of the numbers of a counter
_WORD = re.compile(r"\w+")
# With at most five words up to the number or the word of the prompt.
_STATES_ANSWER = re.compile(
    r"\b(?:answer|result|solution|option|choice|total|value|sum)s?(?: \w+){0,5}? [#\u00b7]"
)


class RepeatedText(NamedTuple):
    """A text that a model gave for most of the prompts."""

    text: str
    """One of the completions."""
    prompts: int
    """Prompts with this text."""
    total: int
    """Prompts that were compared."""
    varying: str = ""
    """What differs between the completions; empty if they are equal."""


def repeated_text(data: PairData, model: str, other: str) -> RepeatedText | None:
    """The text that `model` gave for more than half of the prompts; None without one.

    Equal texts count, unless they are short answers that `other` gives too. So do texts that are
    equal after masking numbers and the words of their own prompt, but not answers: a text of masks
    only, or of a few words around a number or a prompt word, or one that states an answer, is a
    placeholder only if its numbers count the prompts or if it repeats the whole prompt.
    """
    texts = _first_texts(data, model)
    if not texts:
        return None
    text, count = Counter(texts.values()).most_common(1)[0]
    if _is_frequent(count, len(texts)):
        theirs = _first_texts(data, other).values()
        return None if _is_ordinary(text, theirs) else RepeatedText(text, count, len(texts))
    ids = sorted(texts)
    shuffled = [ids[i] for i in np.random.default_rng(_SEED).permutation(len(ids)).tolist()]
    first = _masked(data, texts, sorted(shuffled[:_FIRST_SAMPLE]))
    if max(Counter(first.values()).values()) >= _MIN_FIRST_SHARE * len(first):
        template = _repeated_template(_masked(data, texts, sorted(shuffled[:MAX_SAMPLE])), texts)
        if template:
            return template
    return _reused_words(data, shuffled, texts, other)


def _first_texts(data: PairData, model: str) -> dict[str, str]:
    """The first completion of each prompt by a model."""
    completions = data.completions.get(model, {})
    return {id_: of_prompt[0].text for id_, of_prompt in completions.items()}


def _reused_words(
    data: PairData, ids: Sequence[str], texts: Mapping[str, str], other: str
) -> RepeatedText | None:
    theirs = data.completions.get(other, {})
    cases = (
        reused_words.Case.of(
            id_, _prompt_text(data, id_), texts[id_], theirs[id_][0].text if id_ in theirs else ""
        )
        for id_ in ids[: reused_words.MAX_SAMPLE]
    )
    template = reused_words.reused_words(cases, len(ids))
    if template is None:
        return None
    return RepeatedText(
        texts[template.prompts[0]], len(template.prompts), template.total, template.varying
    )


def _prompt_text(data: PairData, id_: str) -> str:
    prompt = data.prompts.get(id_)
    return "\n".join(message.content for message in prompt.messages) if prompt else ""


def _is_frequent(count: int, total: int) -> bool:
    return count >= MIN_COUNT and count > MAX_SAME_TEXT * total


def _is_ordinary(text: str, theirs: Collection[str]) -> bool:
    same = sum(text.strip().lower() == their.strip().lower() for their in theirs)
    return len(_WORD.findall(text)) <= _SHORT and same > _MIN_SHARED * len(theirs)


def _masked(
    data: PairData, texts: Mapping[str, str], ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The masked texts of these prompts, by id."""
    prompts = {id_: _words(_prompt_text(data, id_)) for id_ in ids}
    frequencies = Counter(word for words in prompts.values() for word in set(words))
    most = max(1, _MAX_PROMPT_SHARE * len(ids))
    common = {word for word, count in frequencies.items() if count > most}
    return {id_: _mask(_words(texts[id_]), prompts[id_], common) for id_ in ids}


def _repeated_template(
    masked: Mapping[str, tuple[str, ...]], texts: Mapping[str, str]
) -> RepeatedText | None:
    template, count = Counter(masked.values()).most_common(1)[0]
    if not _is_frequent(count, len(masked)):
        return None
    examples = [texts[id_] for id_, mask in masked.items() if mask == template]
    if not _is_template(template, examples):
        return None
    names = ((_NUMBER, "numbers"), (_OWN_WORD, "words of the prompt"), (_PROMPT, "the prompt"))
    varying = " and ".join(name for mark, name in names if mark in template)
    return RepeatedText(examples[0], count, len(masked), varying)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _mask(words: list[str], prompt: list[str], common: set[str]) -> tuple[str, ...]:
    """The words with marks for numbers, for words of the prompt and for a copy of the prompt."""
    own = set(prompt) - common
    copied = _copied(words, prompt)
    marks = [
        _PROMPT
        if is_copied
        else _NUMBER
        if not word.isalpha() and any(map(str.isdigit, word))
        else _OWN_WORD
        if word in own
        else word
        for word, is_copied in zip(words, copied, strict=True)
    ]
    return tuple(
        mark
        for place, mark in enumerate(marks)
        if not (place and mark in _MARKS and mark == marks[place - 1])
    )


def _copied(words: list[str], prompt: list[str]) -> list[bool]:
    """Whether each word is part of a copy of the prompt, or of most of it."""
    size = min(_RUN, len(prompt))
    runs, own_runs = set(_runs(prompt, size)), _runs(words, size)
    copied = [False] * len(words)
    if runs and len(runs.intersection(own_runs)) >= _MIN_COPIED * len(runs):
        for start, run in enumerate(own_runs):
            if run in runs:
                copied[start : start + size] = [True] * size
    return copied


def _runs(words: list[str], size: int) -> list[tuple[str, ...]]:
    """The runs of `size` words, in their order."""
    return list(zip(*(words[start:] for start in range(size)), strict=False))


def _is_template(template: tuple[str, ...], texts: Sequence[str]) -> bool:
    """Whether a masked text that is frequent is no frequent answer."""
    if _PROMPT in template:
        return True
    words = [mark for mark in template if mark not in _MARKS]
    if not words:
        return False
    if _NUMBER in template and _has_counter(texts):
        return True
    return len(words) >= _MIN_WORDS_AROUND and not _STATES_ANSWER.search(" ".join(template))


def _has_counter(texts: Sequence[str]) -> bool:
    """Whether one of the numbers in the texts counts them."""
    numbers = [re.findall(r"\d+", text) for text in texts]
    for column in zip(*numbers, strict=False):
        values = {int(number) for number in column if len(number) < 16}
        if len(values) >= max(_MIN_DISTINCT * len(texts), 2) and max(values) - min(
            values
        ) < _DENSE * len(texts):
            return True
    return False
