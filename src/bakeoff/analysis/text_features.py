"""Length and style of completions, and their differences between the models of a pair."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from bakeoff.records import Completion
from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.controls import Covariate

_CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADER = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_LIST_ITEM = re.compile(r"\n[ \t]*(?:[-*+]|\d+\.)[ \t]")  # faster than "^" for each line
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")
_ITALIC = re.compile(r"([*_])(?<![*_\w].)(?![*_\s])[^*_\n]{1,200}(?<!\s)\1(?![*_\w])")
_TABLE_ROW = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
_LINK = re.compile(r"\]\(|(?<!\()https?://")
_EMOJI = re.compile("[\u203c-\u2bff\U0001f000-\U0001faff](?![\u203c-\u2bff\U0001f000-\U0001faff])")
_VISIBLE = 0.025  # of the sum of two lengths: a smaller difference, of 5 %, counts as none
_FEW_WORDS = 4  # of two texts, which nearly always tell them apart
_CAPITALS = re.compile(r"[A-Z]{2,}(?:[ ,]+[A-Z]{2,})+")  # two words: one may be an acronym


class TextFeatures(NamedTuple):
    """Counts of one completion; the markdown is that outside code blocks."""

    characters: float
    """Without surrounding whitespace."""
    words: float
    headers: float
    list_items: float
    bold: float
    code_blocks: float
    ornaments: float = 0.0
    """Italic spans, rows of tables, links, emoji and phrases in capitals."""
    exclamations: float = 0.0

    @classmethod
    def of(cls, text: str) -> "TextFeatures":
        """Count the features of a text."""
        text = text.strip()
        prose, blocks = _CODE_BLOCK.subn("", text) if "```" in text else (text, 0)
        return cls(
            characters=len(text),
            words=len(text.split()),
            headers=len(_HEADER.findall(prose)) if "#" in prose else 0,
            list_items=len(_LIST_ITEM.findall("\n" + prose)),
            bold=len(_BOLD.findall(prose)) if "**" in prose or "__" in prose else 0,
            code_blocks=blocks,
            ornaments=_count_ornaments(prose),
            exclamations=prose.count("!"),
        )


class TextDifferences:
    """Features of the completions of a and b, for the prompts with completions of both.

    Several completions of a prompt are averaged. Each array has an entry per row in `rows`.
    """

    def __init__(self, rows: Codes, counts: Values) -> None:
        self.rows = rows
        """Rows of the prompt table."""
        self._counts = counts  # of shape (rows, 2, features)
        # Each of shape (2, rows): of a and of b.
        (
            self._characters,
            self._words,
            self._headers,
            self._list_items,
            self._bold,
            self._code,
            self._ornaments,
            self._exclamations,
        ) = counts.transpose(2, 1, 0)

    @classmethod
    def of(cls, paired: Iterable[tuple[int, Sequence[Completion], Sequence[Completion]]]) -> Self:
        """The differences of rows of the prompt table with their completions of a and b."""
        rows: list[int] = []

        def counts() -> Iterator[float]:
            for row, a, b in paired:
                rows.append(row)
                yield from _means(a)
                yield from _means(b)

        values = np.fromiter(counts(), dtype=np.float64)
        return cls(np.array(rows, dtype=np.intp), values.reshape(-1, 2, len(TextFeatures._fields)))

    def of_rows(self, rows: Codes) -> Self:
        """The differences of these rows of the prompt table, sorted, numbered from 0."""
        kept = np.isin(self.rows, rows)
        return type(self)(np.searchsorted(rows, self.rows[kept]), self._counts[kept])

    @property
    def characters(self) -> Values:
        """Length of a minus that of b in characters."""
        return _difference(self._characters)

    @property
    def markdown(self) -> Values:
        """Headers, list items and bold spans of a minus those of b."""
        return _difference(self._headers + self._list_items + self._bold)

    @property
    def covariates(self) -> tuple[Covariate, Covariate]:
        """Length and style: the features of Arena-Hard's style control, ornaments, and two forms
        that fit a judge that takes the longer, or the richer, completion whatever the difference.
        """
        densities = [
            count / (self._words + 1) for count in (self._list_items, self._bold, self._headers)
        ]
        ornaments = _difference(self._ornaments + self._exclamations)
        relative = _relative(self._characters, 0)
        visible = np.abs(relative) >= _VISIBLE
        characters = np.where(visible, self.characters, 0.0)
        length = (
            np.sign(self.characters),
            _saturating(characters),
            np.where(visible, relative, 0.0),
        )
        style = (
            np.sign(self.markdown),
            np.sign(ornaments),
            _saturating(self.markdown),
            _saturating(ornaments),
            *(_relative(feature, 1) for feature in (*densities, self._code)),
        )
        return (
            Covariate("length", length, overlap=(characters,)),
            # Not of exclamation marks, because a model may always begin with "Sure!".
            Covariate("style", style, overlap=(self.markdown, _difference(self._ornaments))),
        )


def same_words(a: Completion, b: Completion) -> bool:
    """Whether the texts of two completions are equal but for whitespace."""
    words = _FEW_WORDS
    return a.text.split(None, words)[:words] == b.text.split(None, words)[:words] and (
        a.text.split() == b.text.split()
    )


def _count_ornaments(prose: str) -> int:
    count = len(_CAPITALS.findall(prose))
    if "*" in prose or "_" in prose:
        count += len(_ITALIC.findall(prose))
    if "|" in prose:
        count += len(_TABLE_ROW.findall(prose))
    if "](" in prose or "://" in prose:
        count += len(_LINK.findall(prose))
    return count if prose.isascii() else count + len(_EMOJI.findall(prose))


def _difference(feature: Values) -> Values:
    return np.asarray(feature[0] - feature[1])


def _relative(feature: Values, offset: float) -> Values:
    """(a - b) / (a + b + offset), 0 where both are 0."""
    a, b = feature
    total = a + b + offset
    return np.asarray(np.divide(a - b, total, out=np.zeros_like(total), where=total > 0))


def _saturating(differences: Values) -> Values:
    """tanh of the differences, divided by their root mean square."""
    scale = np.sqrt((differences**2).mean()) if len(differences) else 0.0
    return np.tanh(differences / scale) if scale else differences


def _means(completions: Sequence[Completion]) -> tuple[float, ...]:
    features = [TextFeatures.of(completion.text) for completion in completions]
    if len(features) == 1:
        return features[0]
    return tuple(np.mean(features, axis=0).tolist())
