import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import Row, csv_rows, read_rows
from tests.builders import write_file


def rows_of(path: Path, lists: tuple[str, ...] = ("data",)) -> list[Row]:
    return list(read_rows(path, lists=lists))


def test_jsonl_rows_are_placed_by_line_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "a.jsonl", '{"a": 1}\n\n  \r\n"plain"\r\n{"a": "x\\u2028y\u2028z"}'
    )
    assert rows_of(path) == [
        Row("line 1", {"a": 1}),
        Row("line 4", {"text": "plain"}),
        Row("line 5", {"a": "x\u2028y\u2028z"}),
    ]


def test_a_line_of_a_txt_file_is_a_text_with_its_spaces(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.TXT", "one\r\n\n two \n\x0cthree\rstill three")
    assert [row.values["text"] for row in rows_of(path)] == [
        "one",
        "",
        " two ",
        "\x0cthree\rstill three",
    ]
    assert rows_of(path)[2].place == "line 3"


def test_csv_cells_may_contain_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", 'p,q\r\n"a, ""b""\r\nc",d\r\n\r\ne,\r\n')
    assert rows_of(path) == [
        Row("row 1", {"p": 'a, "b"\r\nc', "q": "d"}),
        Row("row 2", {"p": "e", "q": ""}),
    ]


def test_csv_rows_are_read_from_any_lines() -> None:
    assert list(csv_rows(["a,b\n", "1,2\n"], "there")) == [Row("row 1", {"a": "1", "b": "2"})]
    with pytest.raises(ConfigError, match="'there', line 2: 1 cells under a header of 2"):
        list(csv_rows(["a,b\n", "1\n"], "there"))


@pytest.mark.parametrize("document", [[{"a": 1}, "b"], {"x": 1, "data": [{"a": 1}, "b"]}])
def test_json_is_a_list_or_contains_one(tmp_path: Path, document: object) -> None:
    path = write_file(tmp_path / "a.json", json.dumps(document))
    assert rows_of(path) == [Row("row 1", {"a": 1}), Row("row 2", {"text": "b"})]


def test_the_first_existing_list_key_is_read(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.json", '{"data": ["d"], "more": ["m"]}')
    assert rows_of(path, ("none", "more", "data")) == [Row("row 1", {"text": "m"})]


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.jsonl", b'{"a": "b"}'), ("a.json", b'[{"a": "b"}]'), ("a.csv", b"a\nb\n")],
)
def test_a_byte_order_mark_is_not_part_of_the_first_column(
    tmp_path: Path, name: str, data: bytes
) -> None:
    assert rows_of(write_file(tmp_path / name, b"\xef\xbb\xbf" + data))[0].values == {"a": "b"}


@given(st.lists(st.dictionaries(st.text(max_size=9), st.text(max_size=9), min_size=1)))
def test_rows_written_as_json_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    jsonl = write_file(folder / "back.jsonl", lines)
    document = write_file(folder / "back.json", json.dumps(rows, indent=1))
    assert [row.values for row in rows_of(jsonl)] == rows
    assert [row.values for row in rows_of(document)] == rows


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 1,}\n', "line 2: not JSON"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "line 2: a row is an object or a text, not list"),
        ("a.jsonl", b'"fine"\n"caf\xe9"\n', "line 2: not UTF-8; save it as UTF-8"),
        (
            "a.jsonl",
            '"\\ud83d\\ude00"\n{"a": ["\\ud83d"]}',
            r"line 2: '\ud83d' is half a character",
        ),
        ("a.json", '[\n{"a": 1}\n{"a": 2}]', "line 3: not JSON"),
        ("a.json", '["a", null]', "row 2: a row is an object or a text, not NoneType"),
        ("a.json", '{"rows": []}', "has to be a list of rows, or an object with one at 'data'"),
        ("a.json", b'["a",\n"caf\xe9"]', "line 2: not UTF-8"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "line 3: 3 cells under a header of 2; put double quotes"),
        ("a.csv", 'a\n"open\n', "line 2: not CSV"),
        ("a.csv", b"a\ncaf\xe9\n", "line 2: not UTF-8"),
        ("a.txt", "a\nb\n".encode("utf-16"), "line 1: not UTF-8"),
        ("a.parquet", "PAR1", "it has to end in .jsonl, .json, .csv, .txt"),
    ],
)
def test_unreadable_rows_are_a_one_line_error_with_place_and_advice(
    tmp_path: Path, name: str, data: str | bytes, message: str
) -> None:
    path = write_file(tmp_path / name, data)
    with pytest.raises(ConfigError) as error:
        rows_of(path)
    assert message in str(error.value)
    assert repr(str(path)) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_folders_and_invalid_paths_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        rows_of(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="is a folder; write 'hf:"):
        rows_of(tmp_path)
    with pytest.raises(ConfigError, match="cannot read"):
        rows_of(tmp_path / ("long" * 200 + ".jsonl"))
