"""Text for terminals: control characters are escaped, lines fit, and everything can be encoded."""

import codecs
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bakeoff.report.plain_text import (
    TRANSLITERATE,
    escape_controls,
    escape_json,
    shorten,
    transliterate,
    wrap_line,
)

EVIL = "\x00\x07\x1b[31m\x1b]0;title\x07\x7f\x9b31m\u202ertl\u2066\u2069\ud800\r\u2028"
ANY = st.text(st.characters(codec=None, exclude_categories=())) | st.text(
    st.sampled_from(EVIL + "ab \n\t±…日本😀é")
)
ENCODINGS = st.sampled_from(["ascii", "latin-1", "cp1252", "shift_jis", "utf-8"])


def acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or char in "\u202a\u202e\u2066\u2069\u2028"


@given(ANY)
def test_only_line_breaks_remain_of_control_characters(text: str) -> None:
    escaped = escape_controls(text)
    assert not [char for char in escaped if acts(char) and char != "\n"]
    assert escape_controls(escaped) == escaped
    assert escaped.count("\n") == text.count("\n")


def test_control_characters_are_shown_as_escapes() -> None:
    assert (
        escape_controls("a\x1b[31mb\u202ec\x00\ud800\x9b") == "a\\x1b[31mb\\u202ec\\x00\\ud800\\x9b"
    )
    assert escape_controls("one\r\ntwo\tthree\rfour") == "one\ntwo    three\\x0dfour"


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_printable_text_is_unchanged(text: str) -> None:
    assert escape_controls(text) == text


@given(ANY, ENCODINGS)
def test_transliterated_text_can_be_encoded(text: str, encoding: str) -> None:
    printable = transliterate(escape_controls(text), encoding)
    printable.encode(encoding)
    if text.isascii():
        assert printable == escape_controls(text)


def test_missing_characters_have_replacements() -> None:
    assert transliterate("0.5 ± 0.1 … é 日", "ascii") == "0.5 +/- 0.1 ... \\xe9 \\u65e5"
    assert transliterate("0.5 ± 0.1 … é 日", "latin-1") == "0.5 ± 0.1 ... é \\u65e5"
    assert transliterate("0.5 ± 0.1 … é 日", "utf-8") == "0.5 ± 0.1 … é 日"


@given(ANY, ENCODINGS)
def test_writing_to_a_stream_never_raises(text: str, encoding: str) -> None:
    text.encode(encoding, TRANSLITERATE)


def test_the_error_handler_raises_decoding_errors() -> None:
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "ascii", TRANSLITERATE)


@given(ANY, st.integers(8, 100), st.sampled_from(["", "  ", "    "]))
def test_wrapped_lines_fit_and_keep_all_words(text: str, width: int, indent: str) -> None:
    line = escape_controls(text).replace("\n", " ")
    pieces = list(wrap_line(line, width, indent=indent, hanging="  "))
    assert max(map(cell_len, pieces)) <= width
    assert "".join("".join(pieces).split()) == "".join(line.split())


def test_lines_are_not_wrapped_between_a_number_and_its_sign() -> None:
    line = "the share falls to 71 % and the test says p < 0.001"
    for width in range(12, 60):
        pieces = list(wrap_line(line, width))
        assert " ".join(pieces) == line
        assert any("71 %" in piece for piece in pieces)
        assert any("p < 0.001" in piece for piece in pieces)


def test_very_long_lines_are_truncated_before_wrapping() -> None:
    for line in ("x" * 1_000_000, "x " * 500_000, "\x1b" * 1_000_000):
        pieces = list(wrap_line(escape_controls(line), 80))
        assert len(pieces) < 60
        assert pieces[-1].endswith("[...]")


@given(ANY, st.integers(0, 60), st.sampled_from(["…", "~"]))
def test_a_name_is_shortened_in_its_middle(text: str, width: int, mark: str) -> None:
    name = escape_controls(text).replace("\n", " ")
    shortened = shorten(name, width, mark)
    assert cell_len(shortened) <= width
    if cell_len(name) <= width:
        assert shortened == name


def test_a_shortened_name_keeps_both_ends() -> None:
    assert shorten("some-very-long-name-1.5b", 13) == "some-v…e-1.5b"
    assert shorten("日本日本日本", 7) == "日…本"


JSON = st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(JSON, ENCODINGS)
def test_a_json_document_is_equal_in_every_encoding(value: object, encoding: str) -> None:
    written = escape_json(encoding, json.dumps(value, ensure_ascii=False))
    assert json.loads(written.encode(encoding)) == value
