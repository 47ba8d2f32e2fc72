"""Equal and similar prompts, which are not independent and form clusters.

Two prompts are similar if the weighted Jaccard similarity of their words and word pairs is at least
`MIN_SIMILARITY`, or if they have a passage in common, such as a prompt to which different sentences
are added. To find too many of them makes intervals wider; to find too few makes verdicts false. So
passages are short, but only those in few of the prompts count, which leaves many clusters.

Candidates of the first kind are found by a set-similarity join with prefix filtering (Bayardo, Ma
and Srikant 2007, "Scaling up all pairs similarity search"), which needs no random numbers.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from bakeoff.records import Prompt
from bakeoff.stats.arrays import Codes, Mask, Values

MIN_SIMILARITY = 0.5
"""Least weighted Jaccard similarity of similar prompts."""
MAX_DOCUMENT_SHARE = 0.5
"""A shingle in a larger share of the prompts is part of a template, and does not count."""
MIN_SHINGLES = 11
"""Those of six words. If one of two prompts has fewer that count, one has to contain all words of
the other, and not only numbers."""

PASSAGE_WORDS = 12
"""Least number of successive words of a passage that two prompts have in common."""
MAX_PASSAGE_SHARE = 0.05
"""A passage in a larger share of the prompts is part of a template. Even if all others were, too,
and their prompts not alike, at least 20 clusters would remain."""
MIN_PASSAGE_SHARE = 0.2
"""Least part of the shorter prompt that is in the passages."""

_FIRST_CHARACTER = "\u3040"  # of the scripts without spaces
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_FULL_WEIGHT_SHARE = 1 / 32  # of the prompts: a shingle this rare, or rarer, has the full weight
_MAX_WORDS = 200  # at the beginning, and as many at the end: longer prompts are compared by these
_NEIGHBORS = 8  # prompts with a common shingle that each is compared with; all up to 9 prompts
_PAIRS_AT_ONCE = 100_000
_ROUNDING = 1e-9
_KEY_BITS = 62  # of a shingle and its row, as one integer
# The number of a copy does not distinguish prompts.
_COPY_MARK = re.compile(
    r"[(\[,;:#–—-]\s*(?:variant|version|variation|copy|paraphrase|rephrasing|duplicate|repeat)"  # noqa: RUF001
    r"\s*(?:no\.?|number|#)?\s*\d+\s*[)\]]?[.!?]?\s*\Z",
    re.IGNORECASE,
)
# Scripts without spaces have a character per word. An operator counts between two digits only.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+"
    r"|(?<=\d)\s*[-+*/^<>=%×÷](?=\s*\d)"  # noqa: RUF001 - the multiplication sign
)


def duplicate_clusters(prompts: Sequence[Prompt]) -> dict[str, str]:
    """The name of the cluster of each prompt that is equal or similar to another one, by id.

    Prompts without such a partner are missing. Case, punctuation and whitespace do not distinguish
    prompts. A cluster is named `similar:ID` after the smallest id in it. The result does not depend
    on the order of the prompts.
    """
    ids_by_text: dict[str, list[str]] = {}
    for prompt in prompts:
        ids_by_text.setdefault(normalized_text(prompt), []).append(prompt.id)
    texts = sorted(ids_by_text)
    members: dict[int, list[str]] = {}
    for text, component in zip(texts, _components(texts).tolist(), strict=True):
        members.setdefault(component, []).extend(ids_by_text[text])
    clusters = [ids for ids in members.values() if len(ids) > 1]
    return {id_: f"similar:{min(ids)}" for ids in clusters for id_ in ids}


def normalized_text(prompt: Prompt) -> str:
    """The words of all messages in folded case, separated by spaces.

    Without words, such as in "?!", the text itself.
    """
    text = "\n".join(message.content for message in prompt.messages)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    words = map(str.strip, _WORD.findall(_COPY_MARK.sub("", text).casefold()))
    return " ".join(words) or text.strip()


class _Shingles(NamedTuple):
    """The words and word pairs of distinct texts: a row per text, a column per shingle."""

    rows: csr_array
    """1 where the text contains the shingle."""
    weights: Values
    """Weight of each shingle, 0 for one that does not count."""
    is_word: Mask
    """Whether a shingle is a word, and no pair of words."""
    is_number: Mask


def _components(texts: Sequence[str]) -> Codes:
    """The component of each of these distinct texts; similar texts have the same one."""
    components: Codes = np.arange(len(texts))
    words = _coded_words(texts)
    components = _merged(components, *_with_common_passage(words, len(texts)))
    shingles = _shingles(words, len(texts))
    if shingles is None:
        return components
    for left, right in _candidates(shingles):
        new = components[left] != components[right]
        left, right = left[new], right[new]
        similar = _similar(shingles, left, right)
        components = _merged(components, left[similar], right[similar])
    return components


def _merged(components: Codes, left: Codes, right: Codes) -> Codes:
    """The components after those of the two rows of each pair are merged."""
    n = len(components)
    links = coo_array((np.ones(len(left)), (components[left], components[right])), (n, n))
    return connected_components(links.tocsr(), directed=False)[1].astype(np.intp)[components]


class _Words(NamedTuple):
    """The words of distinct texts, one text after the other."""

    code: Codes
    """Indices into the vocabulary."""
    text: Codes
    """The index of the text of each word."""
    vocabulary: Sequence[str]


def _coded_words(texts: Sequence[str]) -> _Words:
    vocabulary: dict[str, int] = {}
    codes, lengths = array("q"), array("q")
    for text in texts:
        words = _bounded(text.split(" "))
        lengths.append(len(words))
        codes.extend([vocabulary.setdefault(word, len(vocabulary)) for word in words])
    return _Words(
        np.array(codes, dtype=np.intp), np.repeat(np.arange(len(texts)), lengths), tuple(vocabulary)
    )


def _with_common_passage(words: _Words, count: int) -> tuple[Codes, Codes]:
    """Pairs of texts with a common passage that is rare, and long for the shorter of the two."""
    none = np.empty(0, dtype=np.intp)
    text, size = words.text, PASSAGE_WORDS
    if len(text) < size:
        return none, none
    hashes = np.zeros(len(text) - size + 1, dtype=np.uint64)
    for place in range(size):
        hashes = hashes * _HASH_FACTOR + words.code[place : place + len(hashes)].astype(np.uint64)
    within = text[: len(hashes)] == text[size - 1 :]
    hashes, row = hashes[within], text[: len(within)][within]
    order = np.lexsort((row, hashes))
    hashes, row = hashes[order], row[order]
    first = np.ones(len(row), dtype=np.bool_)  # of its run of words in its text
    first[1:] = (hashes[1:] != hashes[:-1]) | (row[1:] != row[:-1])
    run, row = np.cumsum(np.diff(hashes, prepend=hashes[:1]) != 0)[first], row[first]
    rare = np.bincount(run)[run] <= max(2, MAX_PASSAGE_SHARE * count)
    run, row = run[rare], row[rare]
    follows = run[1:] == run[:-1]
    pairs, shared = np.unique(row[:-1][follows] * count + row[1:][follows], return_counts=True)
    left, right = pairs // count, pairs % count
    lengths = np.bincount(text, minlength=count)
    is_character = np.array([w >= _FIRST_CHARACTER and len(w) == 1 for w in words.vocabulary])
    characters = np.bincount(text, weights=is_character[words.code], minlength=count)
    least = np.where(2 * characters > lengths, 2 * size, size)  # a word has about two characters
    least = np.maximum(least, MIN_PASSAGE_SHARE * lengths)
    long = shared + size - 1 >= np.minimum(least[left], least[right])
    return left[long], right[long]


def _shingles(words: _Words, count: int) -> _Shingles | None:
    """The shingles of `count` texts; None if they have no word in common.

    Weights are inverse document frequencies, bounded so that a rare shingle does not outweigh many.
    """
    text, vocabulary = words.text, words.vocabulary
    adjacent = text[1:] == text[:-1]
    # A sort of plain integers is several times as fast as one that also returns positions.
    bits = count.bit_length()
    pairs = (words.code[:-1] * len(vocabulary) + words.code[1:]) % (
        (1 << (_KEY_BITS - bits)) - len(vocabulary)
    )
    keys = np.concatenate((words.code, pairs[adjacent] + len(vocabulary)))
    entries = np.sort(keys << bits | np.concatenate((text, text[1:][adjacent])))
    entries = _runs(entries)[0]
    keys, columns = _runs(entries >> bits)
    row = entries & ((1 << bits) - 1)
    rows = csr_array(coo_array((np.ones(len(row)), (row, columns)), (count, len(keys))))
    frequencies = np.bincount(rows.indices, minlength=len(keys))
    if frequencies.max(initial=0) < 2:
        return None
    shares = frequencies / count
    weights = np.minimum(-np.log(shares), -np.log(_FULL_WEIGHT_SHARE))
    weights[shares > MAX_DOCUMENT_SHARE] = 0.0
    is_number = np.zeros(len(keys), dtype=np.bool_)
    is_number[: len(vocabulary)] = list(map(str.isdigit, vocabulary))
    return _Shingles(rows, weights, keys < len(vocabulary), is_number)


def _runs(values: Codes) -> tuple[Codes, Codes]:
    """The distinct ones of sorted values, and the index of each value among them."""
    starts = np.diff(values, prepend=-1) != 0
    return values[starts], np.cumsum(starts) - 1


def _bounded(words: list[str]) -> list[str]:
    return words if len(words) <= 2 * _MAX_WORDS else words[:_MAX_WORDS] + words[-_MAX_WORDS:]


def _candidates(shingles: _Shingles) -> Iterator[tuple[Codes, Codes]]:
    """Yield pairs of rows that may be similar, in a few blocks; a pair may occur in several.

    The shingles of a row are ordered by frequency, the rarest first. If a shingle is the first that
    two rows share, all that they share weighs at most as much as it and the later ones of either
    row. Of the rows with a shingle, each is paired with its neighbors.
    """
    totals = shingles.rows @ shingles.weights
    needed = MIN_SIMILARITY * totals - _ROUNDING  # the least weight shared with a similar row
    frequencies = np.bincount(shingles.rows.indices, minlength=len(shingles.weights))
    counts = (frequencies > 1) & (shingles.weights > 0)
    active = shingles.rows @ np.where(counts, shingles.weights, 0.0) >= needed
    by_frequency = np.argsort(-frequencies, kind="stable")
    rank = np.empty_like(by_frequency)
    rank[by_frequency] = np.arange(len(rank))  # the rarest last
    row, column = coo_array(shingles.rows).coords
    kept = active[row] & counts[column]
    keys = np.sort(row[kept].astype(np.intp) * len(rank) + rank[column[kept]])
    row, column = keys // len(rank), by_frequency[keys % len(rank)]
    weight = np.concatenate(([0.0], np.cumsum(shingles.weights[column])))
    later = weight[1:] - weight[np.searchsorted(row, row)]  # of this and the more frequent ones
    in_prefix = (later >= needed[row]) & (needed[row] > 0)
    row, column, later = row[in_prefix], column[in_prefix], later[in_prefix]
    order = np.lexsort((row, column))
    row, column, later = row[order], column[order], later[order]
    for distance in range(1, _NEIGHBORS + 1):
        left, right = row[:-distance], row[distance:]
        least = MIN_SIMILARITY / (1 + MIN_SIMILARITY) * (totals[left] + totals[right]) - _ROUNDING
        may_be = np.minimum(later[:-distance], later[distance:]) >= least
        may_be &= column[:-distance] == column[distance:]
        keys = _runs(np.sort(left[may_be] * len(active) + right[may_be]))[0]
        yield keys // len(active), keys % len(active)


def _similar(shingles: _Shingles, left: Codes, right: Codes) -> Mask:
    """Whether the two rows of each pair are similar."""
    total = shingles.rows @ shingles.weights
    counting = (shingles.weights > 0).astype(np.float64)
    word = counting * shingles.is_word
    counts, words, not_number = (
        shingles.rows @ counting,
        shingles.rows @ word,
        word * ~shingles.is_number,
    )
    similar = np.zeros(len(left), dtype=np.bool_)
    for start in range(0, len(left), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        i, j = left[block], right[block]
        shared = shingles.rows[i] * shingles.rows[j]
        weight = shared @ shingles.weights
        is_long = np.minimum(counts[i], counts[j]) >= MIN_SHINGLES
        contained = (shared @ word == np.minimum(words[i], words[j])) & (shared @ not_number > 0)
        similar[block] = (is_long | contained) & (
            weight >= MIN_SIMILARITY * (total[i] + total[j] - weight) - _ROUNDING
        )
    return similar
