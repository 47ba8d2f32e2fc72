"""The cache of results by a digest of the text."""

import pytest

from bakeoff.analysis import text_cache
from bakeoff.analysis.text_cache import cache_by_digest


def test_each_text_is_read_once_however_many_are_read_in_turn() -> None:
    read: list[str] = []

    @cache_by_digest
    def length(text: str) -> int:
        read.append(text)
        return len(text)

    texts = [str(n) for n in range(30_000)]
    for _ in range(2):
        assert [length(text) for text in texts] == list(map(len, texts))
    assert read == texts
    assert length("\ud800") == 1


def test_the_number_of_results_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cache, "MAX_TEXTS", 2)
    read: list[str] = []

    @cache_by_digest
    def same(text: str) -> str:
        read.append(text)
        return text

    assert [same(text) for text in "abca"] == list("abca")
    assert read == list("abca")
