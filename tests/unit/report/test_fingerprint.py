"""The last line of a page: it holds for just these bytes, made of just this."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.report.fingerprint import digest, holds, seal

OF = digest(("what", "it is made of"))


def written(folder: Path, document: bytes = b"{}", page: bytes = b"<p>Better.</p>") -> None:
    (folder / "document").write_bytes(document)
    (folder / "page").write_bytes(page + seal(OF, document, page))


def held(folder: Path, of: str = OF) -> bool:
    return holds(of, folder / "document", folder / "page")


@pytest.mark.parametrize("page", [b"<p>Better.</p>", b"", b"no text \xff" * 99])
def test_it_holds_for_what_was_written(tmp_path: Path, page: bytes) -> None:
    written(tmp_path, page=page)
    assert held(tmp_path)
    assert not held(tmp_path, digest(("something", "else")))


@pytest.mark.parametrize("name", ["document", "page"])
def test_another_byte_anywhere_breaks_it(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not held(tmp_path), place
    for other in (content + b" ", b" " + content, content[:-1], b""):
        file.write_bytes(other)
        assert not held(tmp_path), other
    file.write_bytes(content)
    assert held(tmp_path)
    file.unlink()
    assert not held(tmp_path)


def test_a_page_without_one_is_not_held(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "page").write_bytes(b"<p>Better.</p>")
    assert not held(tmp_path)
    (tmp_path / "page").unlink()
    (tmp_path / "page").mkdir()
    assert not held(tmp_path)


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_only_the_same_parts_have_one_digest(one: list[str], other: list[str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    assert digest(("\ud800",)) != digest(("\udc00",))
