"""Stores of several machines, put into one: nothing is lost, nothing is twice, no store is hurt."""

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
from tests.store_damage import stored


def records(*numbers: int, of: str = "") -> dict[str, Completion]:
    return {content_key(number): Completion(text=f"{of}{number}") for number in numbers}


def held(path: Path, *numbers: int) -> dict[str, Completion]:
    with Store(path) as store:
        return store.get([content_key(number) for number in numbers], Completion)


@examples(15)
@given(st.lists(st.lists(st.integers(0, 30), unique=True), min_size=1, max_size=4))
def test_all_that_any_of_them_holds_is_in_the_one_and_the_first_of_a_key_stays(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    paths = [
        stored(folder / f"{index}.sqlite", records(*part, of=f"{index}: "))
        for index, part in enumerate(parts)
    ]
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    found = merge(paths, folder / "all.sqlite")
    assert [one.records for one in found] == [len(part) for part in parts]
    wanted: dict[str, Completion] = {}
    for index, part in enumerate(parts):
        new = records(*part, of=f"{index}: ")
        assert found[index].new == len(new.keys() - wanted.keys())
        wanted = new | wanted
    assert held(folder / "all.sqlite", *range(31)) == wanted
    assert [one.new for one in merge(paths, folder / "all.sqlite")] == [0] * len(parts)
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == before


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    into = stored(tmp_path / "all.sqlite", records(1, 2, of="ours "))
    merge([stored(tmp_path / "part.sqlite", records(2, 3, of="theirs "))], into)
    assert {one.text for one in held(into, 1, 2, 3).values()} == {"ours 1", "ours 2", "theirs 3"}


def test_what_is_no_store_or_the_one_itself_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    part, into = stored(tmp_path / "part.sqlite", records(1)), tmp_path / "all.sqlite"
    with pytest.raises(ConfigError, match=r"no store .*missing"):
        merge([part, tmp_path / "missing"], into)
    assert not into.exists()
    with pytest.raises(ConfigError, match="leave it out"):
        merge([part], part)
    (tmp_path / "text").write_text("no store, but long enough to be taken for one " * 9)
    with pytest.raises(BakeoffError):
        merge([tmp_path / "text"], into)


def test_of_a_damaged_one_what_is_whole_is_taken_and_that_is_said(tmp_path: Path) -> None:
    path = stored(tmp_path / "part.sqlite", records(*range(40)))
    body = path.read_bytes()
    path.write_bytes(body.replace(b'"text":"17"', b'"text":"71"'))
    with pytest.raises(StoreError, match=r"is damaged .* a run asks again for the rest"):
        merge([path], tmp_path / "all.sqlite")
    assert held(tmp_path / "all.sqlite", *range(40)) == records(*set(range(40)) - {17})


def test_the_command_says_what_came_from_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [stored(tmp_path / f"{n}.sqlite", records(n, 9)) for n in (1, 2)]
    app(["merge", *map(str, paths)], exit_on_error=False, print_error=False)
    told = "".join(capsys.readouterr().out.split())  # a path may be wrapped anywhere
    assert "1.sqlite':2records,2ofthemnew" in told
    assert "2.sqlite':2records,1ofthemnew" in told
    assert len(held(Path(".bakeoff/store.sqlite"), 1, 2, 9)) == 3
    assert lines([], Path("x")) == {"Merged": ["all of them are in 'x' now"]}
