"""Whatever a disk does to a store: all that is whole comes back, and nothing that is not."""

import hashlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from bakeoff.errors import ConfigError, StoreError
from bakeoff.generators.batch.journal import BatchFinished
from bakeoff.records import Completion, Record, Verdict
from bakeoff.storage import Store
from bakeoff.storage.salvage import StoreScan, check, lines, salvage
from tests.marks import long
from tests.store_damage import (
    PAGE,
    Damage,
    bits_flipped,
    cut,
    interior_pages,
    left_open,
    log_of,
    overwritten,
    pages_of,
    read_all,
    read_or_told,
    records_of,
    stored,
)


class Sound(NamedTuple):
    """A store that nothing happened to, what is in it, and on which pages each record lies."""

    path: Path
    records: dict[str, Record]
    pages: dict[str, set[int]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    records = records_of(800)
    path = stored(tmp_path_factory.mktemp("sound") / "store.sqlite", records)
    return Sound(path, records, pages_of(path, records))


def files(folder: Path) -> dict[str, str]:
    """What lies in a folder, to the byte."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def why(found: StoreScan) -> str:
    return "; ".join(found.problems)


def salvaged(path: Path, records: Mapping[str, Record]) -> dict[str, Record]:
    """What comes out of a damaged store, into another folder; it stays as it was itself."""
    before = files(path.parent)
    into = path.parent.with_name(f"{path.parent.name}-new") / "new.sqlite"
    try:
        found = salvage(path, into)
    except StoreError as error:
        told = str(error)
        found = check(path)
        assert (found.total, told) == (0, f"nothing in {str(path)!r} can be read: {why(found)}")
        return {}
    finally:
        assert files(path.parent) == before
    assert [one.name for one in into.parent.iterdir()] == ["new.sqlite"]
    back = read_all(into, records)
    assert len(back) == found.total == sum(found.counts.values())
    assert check(into).sound
    assert found.total + found.lost <= len(records) + 16  # a damaged number may be near the last
    return back


@pytest.mark.parametrize("seed", [*range(3), *long(range(3, 150))])
@pytest.mark.parametrize("damage", [cut, overwritten, bits_flipped])
def test_all_that_is_whole_comes_back_and_nothing_that_is_not(
    tmp_path: Path, sound: Sound, damage: Damage, seed: int
) -> None:
    whole, records, lie = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(whole, tmp_path / "at" / "store.sqlite")
    touched = damage(path, random.Random(seed))
    back = salvaged(path, records)
    for key, record in back.items():
        assert record == records[key]
    intact = {key for key, pages in lie.items() if not pages & touched}
    if not touched & interior_pages(whole):  # SQLite reaches no page below a damaged one
        assert intact <= back.keys()
    # What is read beside that is as it was written, and what is not is never taken for missing.
    got = read_or_told(path, records)
    if isinstance(got, str):
        assert "\n" not in got
        assert repr(str(path)) in got
        assert "`bakeoff store check" in got or "or damaged" in got
    else:
        assert got.items() <= records.items()
        assert got == records or damage is bits_flipped


def test_the_oracle_knows_where_records_lie(sound: Sound) -> None:
    path, _, pages = sound
    assert max(map(len, pages.values())) > 3
    file = bytearray(path.read_bytes())
    for key, numbers in list(pages.items())[::50]:  # without any of its pages it does not come back
        for number in numbers:
            less = bytearray(file)
            less[(number - 1) * PAGE : number * PAGE] = bytes(PAGE)
            Path("less.sqlite").write_bytes(less)
            kept = [one.key for one in StoreScan(Path("less.sqlite"))]
            assert key not in kept


@pytest.mark.parametrize("seed", [*range(3), *long(range(3, 60))])
@pytest.mark.parametrize("damage", [overwritten, bits_flipped])
def test_a_damaged_log_is_told_and_what_is_whole_in_it_comes_back(
    tmp_path: Path, damage: Damage, seed: int
) -> None:
    filed, logged = records_of(60, 1), records_of(60, 2)
    (tmp_path / "at").mkdir()
    path = left_open(tmp_path / "at" / "store.sqlite", filed, logged)
    (tmp_path / "at" / "made.sqlite").unlink()
    damage(log_of(path), random.Random(seed))
    records = filed | logged
    back = salvaged(path, records)
    assert back.items() <= records.items()
    assert filed.keys() <= back.keys()
    got = read_or_told(path, records)
    if isinstance(got, str):
        assert "store.sqlite-wal" in got
        assert "`bakeoff store salvage" in got
    else:  # the end of a log that was being written is as a killed process leaves it
        assert filed.items() <= got.items() <= records.items()
        assert len(got) >= len(records) - 1


def test_a_log_without_its_file_is_no_new_store(tmp_path: Path) -> None:
    filed, logged = records_of(1, 1), records_of(60, 2)
    for ends in (lambda path: path.unlink(), lambda path: os.truncate(path, 0)):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "at"
        folder.mkdir(parents=True)
        path = left_open(folder / "store.sqlite", filed, logged)
        (folder / "made.sqlite").unlink()
        ends(path)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"store.sqlite-wal' beside it is not.*salvage"):
                read_all(path, filed)
        back = salvaged(path, filed | logged)
        assert logged.items() <= back.items()


@pytest.mark.parametrize(
    "content",
    [b"", b"no database\n" * 1000, bytes(3 * PAGE), b"SQLite format 3\0"],
    ids=range(4),
)
def test_what_holds_nothing_is_told_and_nothing_is_made_of_it(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    found = check(path)
    assert (found.sound, found.total) == (False, 0)
    with pytest.raises(StoreError, match="nothing in"):
        salvage(path, tmp_path / "new.sqlite")
    assert [one.name for one in tmp_path.iterdir()] == ["store.sqlite"]
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match="`bakeoff store check "):
        read_all(path, records_of(1))
    assert path.read_bytes() == content


def test_a_sound_store_is_told_as_such_and_stays_as_it_is(tmp_path: Path, sound: Sound) -> None:
    path, records, _ = sound
    before = files(path.parent)
    found = check(path)
    kinds = [type(record) for record in records.values()]
    assert found.sound
    assert found.counts == {
        "completions": kinds.count(Completion),
        "verdicts": kinds.count(Verdict),
        "journal entries of batches": 20,
    }
    assert (found.total, found.lost) == (800, 0)
    told = lines(found)
    assert list(told) == ["Store"]
    assert "800 records can be read" in told["Store"][0]
    assert re.search(r"kept from 20\d\d-.* to 20\d\d-", told["Store"][-1])
    salvage(path, tmp_path / "new.sqlite")
    assert read_all(tmp_path / "new.sqlite", records) == records
    assert (check(tmp_path / "new.sqlite").first, check(tmp_path / "new.sqlite").last) == (
        found.first,
        found.last,
    )
    assert files(path.parent) == before


def test_a_store_is_checked_while_a_run_writes_it(tmp_path: Path) -> None:
    path, records = tmp_path / "store.sqlite", records_of(40)
    with Store(path) as store:
        for number, (key, record) in enumerate(records.items(), 1):
            store.put(key, record)
            found = check(path)
            assert (found.sound, found.total) == (True, number)
    assert [one.name for one in tmp_path.iterdir()] == ["store.sqlite"]


def test_a_killed_runs_log_is_counted_and_stays(tmp_path: Path) -> None:
    records = records_of(50)
    path = left_open(tmp_path / "store.sqlite", {}, records)
    (tmp_path / "made.sqlite").unlink()
    before = files(tmp_path)
    assert (check(path).sound, check(path).total) == (True, 50)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "wrong",
    [
        'UPDATE records SET body = \'{"text": "other words"}\' WHERE rowid = 3',
        "UPDATE records SET key = 's1:' || hex(zeroblob(32)) WHERE rowid = 3",
        "UPDATE records SET body = 'no JSON' WHERE rowid = 3",
        "UPDATE records SET body = '{\"first\": 7}' WHERE rowid = 3",
        "UPDATE records SET body = x'ff' WHERE rowid = 3",
        "UPDATE records SET key = x'ff' WHERE rowid = 3",
    ],
)
def test_a_record_that_is_not_as_it_was_written_is_neither_read_nor_asked_for_again(
    tmp_path: Path, wrong: str
) -> None:
    records = {key: one for key, one in records_of(60).items() if isinstance(one, Completion)}
    path = stored(tmp_path / "store.sqlite", records)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(wrong)
    db.close()
    with pytest.raises(StoreError, match=r"cannot be used \(the record .*`bakeoff store check"):
        read_all(path, records)
    found = check(path)
    assert (found.sound, found.changed, found.total) == (False, 1, len(records) - 1)
    assert "1 records are not as they were written" in lines(found)["Damage"]
    salvage(path, tmp_path / "new.sqlite")
    third = list(records)[2]
    rest = {key: one for key, one in records.items() if key != third}
    assert read_all(tmp_path / "new.sqlite", records) == rest


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_interior_page_loses_its_subtree_only(
    tmp_path: Path, sound: Sound, seed: int
) -> None:
    whole, records, _ = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(whole, tmp_path / "at" / "store.sqlite")
    page = random.Random(seed).choice(sorted(interior_pages(whole)))
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))
    back = salvaged(path, records)
    assert back.items() <= records.items()
    assert not check(path).sound


@pytest.mark.parametrize("content", [bytes(PAGE), b"\xff" * PAGE])
def test_a_damaged_first_page_loses_no_record(tmp_path: Path, sound: Sound, content: bytes) -> None:
    whole, records, _ = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(whole, tmp_path / "at" / "store.sqlite")
    with path.open("r+b") as file:
        file.write(content)
    assert salvaged(path, records) == records


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = stored(tmp_path / "store.sqlite", records_of(5))
    for name in ("there.sqlite", "log.sqlite-wal", "store.sqlite"):
        (tmp_path / name).touch()
        with pytest.raises(ConfigError, match=r"is there already: name a new file with --into"):
            salvage(path, tmp_path / name.removesuffix("-wal"))
    assert check(path).total == 5
    with pytest.raises(ConfigError, match="there is no store"):
        check(tmp_path / "none.sqlite")
    with pytest.raises(ConfigError, match="there is no store"):
        salvage(tmp_path, tmp_path / "new.sqlite")


def test_notes_without_a_word_are_records_too(tmp_path: Path) -> None:
    path = stored(tmp_path / "store.sqlite", {"batch:s1:" + "0" * 64: BatchFinished()})
    assert check(path).counts == {"journal entries of batches": 1}


def bakeoff(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bakeoff", "store", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_tells_and_gets_out_what_can_be_read(tmp_path: Path, sound: Sound) -> None:
    whole, records, _ = sound
    path = shutil.copy(whole, tmp_path / "my store.sqlite")
    os.truncate(path, path.stat().st_size // 2)
    hurt = bakeoff("check", path.name, cwd=tmp_path)
    assert (hurt.returncode, hurt.stderr) == (3, "")
    assert "malformed" in hurt.stdout
    assert re.search(r"lost: about [1-9]\d* records", hurt.stdout)
    with pytest.raises(StoreError) as caught:
        read_all(path, records)
    said = re.findall(r"`bakeoff store (.*?)`", str(caught.value))
    assert said == [f"check '{path}'", f"salvage '{path}' --into NEW"]
    out = bakeoff("salvage", path, "--into", "new.sqlite", cwd=tmp_path)
    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout.endswith("new.sqlite\n")
    assert len(read_all(tmp_path / "new.sqlite", records)) > 100
    fine = bakeoff("check", "new.sqlite", cwd=tmp_path)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "records can be read" in fine.stdout
    assert "Damage" not in fine.stdout
    again = bakeoff("salvage", path, "--into", "new.sqlite", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
