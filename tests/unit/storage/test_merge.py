"""Merging stores: the union of their records; the sources are not changed."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.cli import app
from bakeoff.errors import BakeoffError, ConfigError, StoreError
from bakeoff.records import Completion, content_key
from bakeoff.storage import Store
from bakeoff.storage.merge import lines, merge
from tests.marks import examples
from tests.store_damage import write_store


def records(*numbers: int, prefix: str = "") -> dict[str, Completion]:
    return {content_key(number): Completion(text=f"{prefix}{number}") for number in numbers}


def read(path: Path, *numbers: int) -> dict[str, Completion]:
    with Store(path) as store:
        return store.get([content_key(number) for number in numbers], Completion)


@examples(15)
@given(st.lists(st.lists(st.integers(0, 30), unique=True), min_size=1, max_size=4))
def test_the_merged_store_is_the_union_with_the_first_record_of_each_key(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    paths = [
        write_store(folder / f"{index}.sqlite", records(*part, prefix=f"{index}: "))
        for index, part in enumerate(parts)
    ]
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    merged = merge(paths, folder / "all.sqlite")
    assert [source.records for source in merged] == [len(part) for part in parts]
    expected: dict[str, Completion] = {}
    for index, part in enumerate(parts):
        new = records(*part, prefix=f"{index}: ")
        assert merged[index].new == len(new.keys() - expected.keys())
        expected = new | expected
    assert read(folder / "all.sqlite", *range(31)) == expected
    assert [source.new for source in merge(paths, folder / "all.sqlite")] == [0] * len(parts)
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == before


def test_records_of_the_target_are_kept(tmp_path: Path) -> None:
    into = write_store(tmp_path / "all.sqlite", records(1, 2, prefix="ours "))
    merge([write_store(tmp_path / "part.sqlite", records(2, 3, prefix="theirs "))], into)
    assert {record.text for record in read(into, 1, 2, 3).values()} == {
        "ours 1",
        "ours 2",
        "theirs 3",
    }


def test_invalid_sources_are_errors(tmp_path: Path) -> None:
    part, into = write_store(tmp_path / "part.sqlite", records(1)), tmp_path / "all.sqlite"
    with pytest.raises(ConfigError, match=r"no store .*missing"):
        merge([part, tmp_path / "missing"], into)
    assert not into.exists()
    with pytest.raises(ConfigError, match="leave it out"):
        merge([part], part)
    (tmp_path / "text").write_text("no store, but long enough to be taken for one " * 9)
    with pytest.raises(BakeoffError):
        merge([tmp_path / "text"], into)


def test_the_intact_records_of_a_damaged_store_are_merged_with_an_error(tmp_path: Path) -> None:
    path = write_store(tmp_path / "part.sqlite", records(*range(40)))
    body = path.read_bytes()
    path.write_bytes(body.replace(b'"text":"17"', b'"text":"71"'))
    with pytest.raises(StoreError, match=r"is damaged .* a run asks again for the rest"):
        merge([path], tmp_path / "all.sqlite")
    assert read(tmp_path / "all.sqlite", *range(40)) == records(*set(range(40)) - {17})


def test_the_command_reports_the_records_of_each_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_store(tmp_path / f"{n}.sqlite", records(n, 9)) for n in (1, 2)]
    app(["merge", *map(str, paths)], exit_on_error=False, print_error=False)
    output = "".join(capsys.readouterr().out.split())  # a path may be wrapped at any place
    assert "1.sqlite':2records,2ofthemnew" in output
    assert "2.sqlite':2records,1ofthemnew" in output
    assert len(read(Path(".bakeoff/store.sqlite"), 1, 2, 9)) == 3
    assert lines([], Path("x")) == {"Merged": ["all of them are in 'x' now"]}
