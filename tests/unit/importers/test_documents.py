import gzip
import json
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import open_document
from tests.builders import write_file


def test_object_is_top_and_row(tmp_path: Path) -> None:
    document = open_document(write_file(tmp_path / "a.json", {"a": 1}))
    assert document.top == {"a": 1}
    assert [row.values for row in document.rows] == [{"a": 1}]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", '[{"a": "1"}, {"a": "2"}]'),
        ("a.json", '{"a": "1"}\n\n{"a": "2"}\n'),
        ("a.jsonl", '{"a": "1"}\r\n{"a": "2"}'),
        ("a.jsonl", '[{"a": "1"}, {"a": "2"}]\n'),
        ("a", '\ufeff[{"a": "1"}, {"a": "2"}]'),
        ("a.CSV", "a\r\n1\r\n2\r\n"),
    ],
)
def test_rows_are_read_from_json_lists_json_lines_and_csv(
    tmp_path: Path, name: str, data: str
) -> None:
    for path in (
        write_file(tmp_path / name, data),
        write_file(tmp_path / f"{name}.gz", gzip.compress(data.encode())),
    ):
        document = open_document(path)
        assert document.top == {}
        assert [row.values for row in document.rows] == [{"a": "1"}, {"a": "2"}]


def test_unpaired_surrogates_are_replaced(tmp_path: Path) -> None:
    text = r'{"\ud83d": ["\ud83d\ude00", {"b": "x\udc00"}], "n": NaN}'
    (row,) = open_document(write_file(tmp_path / "a.json", text)).rows
    assert json.dumps(row.values, ensure_ascii=False) == '{"?": ["😀", {"b": "x?"}], "n": NaN}'


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", "", "is empty: give the file"),
        ("a.json", " \n", "is empty: give the file"),
        ("a.json", "[]", "holds no rows"),
        ("a.csv", "winner,judge\n", "holds no rows"),
        ("a.json", '{"results": [{"a": 1', "line 1: not JSON: Expecting ',' delimiter, column 21;"),
        ("a.jsonl", '{"a": 1}\n{"a"', "line 2: not JSON"),
        ("a.json", '{"a": 1}\n{"a"', "line 2: not JSON"),
        ("a.json", b"\x89PNG\r\n\x1a\n\x00", "is not text in UTF-8: save it as UTF-8"),
        ("a.json", '["é"]'.encode("latin-1"), "is not text in UTF-8"),
        ("a.json", "[{}]".encode("utf-16"), "is not text in UTF-8"),
        ("a.json", "\0\0\0", "is no JSON list or object"),
        ("a.txt", "winner\na\n", "a table in CSV has to be named .csv"),
        ("a.json", '"text"', "is no JSON list or object"),
        ("a.json", "[1]", "row 1 has to be an object, not a number; take it out"),
        ("a.json", "[{}, null]", "row 2 has to be an object, not null"),
        ("a.jsonl", "{}\n[true]", "row 2 has to be an object, not a list"),
        ("a.json", "[" * 99_999, "nested too deeply"),
        ("a.jsonl", '{"a": 1}\n' + '{"a":' * 99_999, "line 2: no JSON that can be read"),
        (
            "a.json",
            '{"a": ' + "9" * 5000 + "}",
            "no JSON that can be read: a number in it has too many digits",
        ),
        ("a.csv", "a,b\n1\n", "line 2: 1 cells under a header of 2"),
        ("a.json.gz", gzip.compress(b"[{}]" * 99, mtime=0)[:-9], "cannot read"),
    ],
)
def test_unreadable_file_is_a_one_line_config_error(
    tmp_path: Path, name: str, data: str | bytes, message: str
) -> None:
    path = write_file(tmp_path / name, data)
    with pytest.raises(ConfigError) as error:
        open_document(path)
    assert message in str(error.value)
    assert repr(str(path)) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.json", "there is no file"),
        ("folder", "is a folder: give the files in it"),
        ("\0", "cannot read"),
        ("x" * 999, "cannot read"),
    ],
)
def test_missing_file_is_a_config_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=message):
        open_document(tmp_path / name)
