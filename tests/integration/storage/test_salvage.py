"""Salvaging damaged stores: every intact record is recovered, and no other."""

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
    cut_file,
    flip_bits,
    interior_pages,
    leave_open,
    overwrite_pages,
    pages_of,
    read_all,
    read_or_error,
    records_of,
    wal_of,
    write_store,
)


class IntactStore(NamedTuple):
    """An undamaged store: its path, its records by key, and the pages of each record."""

    path: Path
    records: dict[str, Record]
    pages: dict[str, set[int]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> IntactStore:
    records = records_of(800)
    path = write_store(tmp_path_factory.mktemp("sound") / "store.sqlite", records)
    return IntactStore(path, records, pages_of(path, records))


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file in a folder, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def problems_of(scan: StoreScan) -> str:
    return "; ".join(scan.problems)


def salvaged(path: Path, records: Mapping[str, Record]) -> dict[str, Record]:
    """Salvage a store into another folder; return its records. The store is not changed."""
    before = files(path.parent)
    into = path.parent.with_name(f"{path.parent.name}-new") / "new.sqlite"
    try:
        scan = salvage(path, into)
    except StoreError as error:
        message = str(error)
        scan = check(path)
        assert (scan.total, message) == (
            0,
            f"nothing in {str(path)!r} can be read: {problems_of(scan)}",
        )
        return {}
    finally:
        assert files(path.parent) == before
    assert [file.name for file in into.parent.iterdir()] == ["new.sqlite"]
    recovered = read_all(into, records)
    assert len(recovered) == scan.total == sum(scan.counts.values())
    assert check(into).sound
    assert scan.total + scan.lost <= len(records) + 16  # a damaged row id may be near the last one
    return recovered


@pytest.mark.parametrize("seed", [*range(3), *long(range(3, 150))])
@pytest.mark.parametrize("damage", [cut_file, overwrite_pages, flip_bits])
def test_every_intact_record_is_recovered_unchanged(
    tmp_path: Path, sound: IntactStore, damage: Damage, seed: int
) -> None:
    undamaged, records, record_pages = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(undamaged, tmp_path / "at" / "store.sqlite")
    touched = damage(path, random.Random(seed))
    recovered = salvaged(path, records)
    for key, record in recovered.items():
        assert record == records[key]
    intact = {key for key, pages in record_pages.items() if not pages & touched}
    if not touched & interior_pages(undamaged):  # SQLite reaches no page below a damaged one
        assert intact <= recovered.keys()
    # Records read without salvage are unchanged; a damaged record is an error, not missing.
    outcome = read_or_error(path, records)
    if isinstance(outcome, str):
        assert "\n" not in outcome
        assert repr(str(path)) in outcome
        assert "`bakeoff store check" in outcome or "or damaged" in outcome
    else:
        assert outcome.items() <= records.items()
        assert outcome == records or damage is flip_bits


def test_the_oracle_finds_all_pages_of_a_record(sound: IntactStore) -> None:
    path, _, pages = sound
    assert max(map(len, pages.values())) > 3
    file = bytearray(path.read_bytes())
    for key, numbers in list(pages.items())[::50]:  # without one of its pages it is lost
        for number in numbers:
            zeroed = bytearray(file)
            zeroed[(number - 1) * PAGE : number * PAGE] = bytes(PAGE)
            Path("zeroed.sqlite").write_bytes(zeroed)
            read_keys = [record.key for record in StoreScan(Path("zeroed.sqlite"))]
            assert key not in read_keys


@pytest.mark.parametrize("seed", [*range(3), *long(range(3, 60))])
@pytest.mark.parametrize("damage", [overwrite_pages, flip_bits])
def test_a_damaged_wal_is_reported_and_its_intact_records_are_recovered(
    tmp_path: Path, damage: Damage, seed: int
) -> None:
    filed, logged = records_of(60, 1), records_of(60, 2)
    (tmp_path / "at").mkdir()
    path = leave_open(tmp_path / "at" / "store.sqlite", filed, logged)
    (tmp_path / "at" / "made.sqlite").unlink()
    damage(wal_of(path), random.Random(seed))
    records = filed | logged
    recovered = salvaged(path, records)
    assert recovered.items() <= records.items()
    assert filed.keys() <= recovered.keys()
    outcome = read_or_error(path, records)
    if isinstance(outcome, str):
        assert "store.sqlite-wal" in outcome
        assert "`bakeoff store salvage" in outcome
    else:  # an incomplete last frame is normal: a killed process leaves one
        assert filed.items() <= outcome.items() <= records.items()
        assert len(outcome) >= len(records) - 1


def test_a_wal_without_its_database_is_not_a_new_store(tmp_path: Path) -> None:
    filed, logged = records_of(1, 1), records_of(60, 2)
    for remove in (lambda path: path.unlink(), lambda path: os.truncate(path, 0)):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "at"
        folder.mkdir(parents=True)
        path = leave_open(folder / "store.sqlite", filed, logged)
        (folder / "made.sqlite").unlink()
        remove(path)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"store.sqlite-wal' beside it is not.*salvage"):
                read_all(path, filed)
        recovered = salvaged(path, filed | logged)
        assert logged.items() <= recovered.items()


@pytest.mark.parametrize(
    "content",
    [b"", b"no database\n" * 1000, bytes(3 * PAGE), b"SQLite format 3\0"],
    ids=range(4),
)
def test_a_file_without_records_is_an_error_and_nothing_is_written(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    scan = check(path)
    assert (scan.sound, scan.total) == (False, 0)
    with pytest.raises(StoreError, match="nothing in"):
        salvage(path, tmp_path / "new.sqlite")
    assert [file.name for file in tmp_path.iterdir()] == ["store.sqlite"]
    assert path.read_bytes() == content
    with pytest.raises(StoreError, match="`bakeoff store check "):
        read_all(path, records_of(1))
    assert path.read_bytes() == content


def test_an_undamaged_store_is_reported_as_such_and_not_changed(
    tmp_path: Path, sound: IntactStore
) -> None:
    path, records, _ = sound
    before = files(path.parent)
    scan = check(path)
    kinds = [type(record) for record in records.values()]
    assert scan.sound
    assert scan.counts == {
        "completions": kinds.count(Completion),
        "verdicts": kinds.count(Verdict),
        "journal entries of batches": 20,
    }
    assert (scan.total, scan.lost) == (800, 0)
    sections = lines(scan)
    assert list(sections) == ["Store"]
    assert "800 records can be read" in sections["Store"][0]
    assert re.search(r"kept from 20\d\d-.* to 20\d\d-", sections["Store"][-1])
    salvage(path, tmp_path / "new.sqlite")
    assert read_all(tmp_path / "new.sqlite", records) == records
    assert (check(tmp_path / "new.sqlite").first, check(tmp_path / "new.sqlite").last) == (
        scan.first,
        scan.last,
    )
    assert files(path.parent) == before


def test_a_store_can_be_checked_during_a_run(tmp_path: Path) -> None:
    path, records = tmp_path / "store.sqlite", records_of(40)
    with Store(path) as store:
        for number, (key, record) in enumerate(records.items(), 1):
            store.put(key, record)
            scan = check(path)
            assert (scan.sound, scan.total) == (True, number)
    assert [file.name for file in tmp_path.iterdir()] == ["store.sqlite"]


def test_the_wal_of_a_killed_run_is_counted_and_kept(tmp_path: Path) -> None:
    records = records_of(50)
    path = leave_open(tmp_path / "store.sqlite", {}, records)
    (tmp_path / "made.sqlite").unlink()
    before = files(tmp_path)
    assert (check(path).sound, check(path).total) == (True, 50)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE records SET body = \'{"text": "other words"}\' WHERE rowid = 3',
        "UPDATE records SET key = 's1:' || hex(zeroblob(32)) WHERE rowid = 3",
        "UPDATE records SET body = 'no JSON' WHERE rowid = 3",
        "UPDATE records SET body = '{\"first\": 7}' WHERE rowid = 3",
        "UPDATE records SET body = x'ff' WHERE rowid = 3",
        "UPDATE records SET key = x'ff' WHERE rowid = 3",
    ],
)
def test_a_changed_record_is_an_error_and_is_not_salvaged(tmp_path: Path, statement: str) -> None:
    records = {
        key: record for key, record in records_of(60).items() if isinstance(record, Completion)
    }
    path = write_store(tmp_path / "store.sqlite", records)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()
    with pytest.raises(StoreError, match=r"cannot be used \(the record .*`bakeoff store check"):
        read_all(path, records)
    scan = check(path)
    assert (scan.sound, scan.changed, scan.total) == (False, 1, len(records) - 1)
    assert "1 records are not as they were written" in lines(scan)["Damage"]
    salvage(path, tmp_path / "new.sqlite")
    third = list(records)[2]
    rest = {key: record for key, record in records.items() if key != third}
    assert read_all(tmp_path / "new.sqlite", records) == rest


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_interior_page_loses_its_subtree_only(
    tmp_path: Path, sound: IntactStore, seed: int
) -> None:
    undamaged, records, _ = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(undamaged, tmp_path / "at" / "store.sqlite")
    page = random.Random(seed).choice(sorted(interior_pages(undamaged)))
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))
    recovered = salvaged(path, records)
    assert recovered.items() <= records.items()
    assert not check(path).sound


@pytest.mark.parametrize("content", [bytes(PAGE), b"\xff" * PAGE])
def test_a_damaged_first_page_loses_no_record(
    tmp_path: Path, sound: IntactStore, content: bytes
) -> None:
    undamaged, records, _ = sound
    (tmp_path / "at").mkdir()
    path = shutil.copy(undamaged, tmp_path / "at" / "store.sqlite")
    with path.open("r+b") as file:
        file.write(content)
    assert salvaged(path, records) == records


def test_salvage_overwrites_no_file(tmp_path: Path) -> None:
    path = write_store(tmp_path / "store.sqlite", records_of(5))
    for name in ("there.sqlite", "log.sqlite-wal", "store.sqlite"):
        (tmp_path / name).touch()
        with pytest.raises(ConfigError, match=r"is there already: name a new file with --into"):
            salvage(path, tmp_path / name.removesuffix("-wal"))
    assert check(path).total == 5
    with pytest.raises(ConfigError, match="there is no store"):
        check(tmp_path / "none.sqlite")
    with pytest.raises(ConfigError, match="there is no store"):
        salvage(tmp_path, tmp_path / "new.sqlite")


def test_an_empty_journal_entry_is_a_record(tmp_path: Path) -> None:
    path = write_store(tmp_path / "store.sqlite", {"batch:s1:" + "0" * 64: BatchFinished()})
    assert check(path).counts == {"journal entries of batches": 1}


def bakeoff(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bakeoff", "store", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_commands_check_and_salvage_a_damaged_store(tmp_path: Path, sound: IntactStore) -> None:
    undamaged, records, _ = sound
    path = shutil.copy(undamaged, tmp_path / "my store.sqlite")
    os.truncate(path, path.stat().st_size // 2)
    check_run = bakeoff("check", path.name, cwd=tmp_path)
    assert (check_run.returncode, check_run.stderr) == (3, "")
    assert "malformed" in check_run.stdout
    assert re.search(r"lost: about [1-9]\d* records", check_run.stdout)
    with pytest.raises(StoreError) as caught:
        read_all(path, records)
    commands = re.findall(r"`bakeoff store (.*?)`", str(caught.value))
    assert commands == [f"check '{path}'", f"salvage '{path}' --into NEW"]
    salvage_run = bakeoff("salvage", path, "--into", "new.sqlite", cwd=tmp_path)
    assert (salvage_run.returncode, salvage_run.stderr) == (0, "")
    assert salvage_run.stdout.endswith("new.sqlite\n")
    assert len(read_all(tmp_path / "new.sqlite", records)) > 100
    checked = bakeoff("check", "new.sqlite", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "records can be read" in checked.stdout
    assert "Damage" not in checked.stdout
    again = bakeoff("salvage", path, "--into", "new.sqlite", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
