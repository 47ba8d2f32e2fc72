"""The store: concurrent writers, killed processes, full disks and damaged files."""

import asyncio
import gc
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import StoreError
from bakeoff.records import Completion, Record, Verdict
from bakeoff.storage import Store
from bakeoff.storage.database import SCHEMA_VERSION
from bakeoff.storage.writer import PendingWrite, Writer
from tests.marks import long
from tests.unit.records.test_records import completions, failures, pairs, prompts, verdicts

IMPORTS = """
import asyncio
import sys
from pathlib import Path
from bakeoff.errors import StoreError
from bakeoff.records import Completion
from bakeoff.storage import Store
"""


Python = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def python() -> Iterator[Python]:
    """A function that starts Python processes; they are killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", IMPORTS + code, *map(str, arguments)]
        started.append(subprocess.Popen(command, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return out


def sound(path: Path) -> bool:
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        db.close()


def open_files_beside(path: Path) -> list[str]:
    """The files at or beside a path that this process has open."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(file) for file in links if file.is_relative_to(path.parent.resolve())]


@given(st.dictionaries(st.text(), completions | verdicts | failures | prompts | pairs, max_size=6))
def test_a_record_is_returned_as_it_was_put(records: dict[str, Record]) -> None:
    path = Path(f"{time.monotonic_ns()}.sqlite")
    with Store(path) as store:
        for key, record in records.items():
            assert store.lacks([key])
            assert store.put(key, record) == record
            assert not store.lacks([key])
    with Store(path) as store:  # as in another run
        for key, record in records.items():
            assert store.get([key, "unknown key"], type(record)) == {key: record}
        assert not store.lacks(records)
        assert store.lacks([*records, "unknown key"])
        assert store.get(["unknown key"], Completion) == {}


@pytest.mark.parametrize("other_count", [0, 12_000])  # most of a store is read by a full scan
@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 2_500])
def test_many_keys_are_read_at_once(
    count: int, other_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def connect_with_low_limit(*args: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*args, **options)
        db.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        return db

    monkeypatch.setattr(sqlite3, "connect", connect_with_low_limit)
    records = {f"key {number}": Completion(text=str(number)) for number in range(count)}
    other_records = {f"beside {number}": Completion(text="beside") for number in range(other_count)}
    with Store(Path("store.sqlite")) as store:
        for group in (records, other_records):
            asyncio.run(put_all(store, group))
        missing = [f"missing {number}" for number in range(count)]
        assert store.get([*records, *missing], Completion) == records
        assert store.get(reversed(records), Completion) == records
        assert not store.lacks(iter(records))
        assert store.lacks([*records, *missing]) == (count > 0)
        assert not store.lacks([*records, *records])


def test_the_first_record_of_a_key_is_kept_with_two_writers() -> None:
    path = Path("store.sqlite")
    with Store(path) as first, Store(path) as second:
        assert first.put("key", Completion(text="first")).text == "first"
        assert second.put("key", Completion(text="second")).text == "first"
        assert first.put("key", Completion(text="third")).text == "first"
        assert second.get(["key"], Completion) == {"key": Completion(text="first")}


def test_two_open_stores_read_each_others_writes() -> None:
    path = Path("store.sqlite")
    with Store(path) as first, Store(path) as second:
        for number in range(20):
            first.put(f"a{number}", Completion(text="a"))
            second.put(f"b{number}", Completion(text="b"))
            assert not second.lacks([f"a{number}", f"b{number}"])
            assert not first.lacks([f"a{number}", f"b{number}"])


def test_missing_folders_are_created() -> None:
    path = Path("a/b/store.sqlite")
    with Store(path) as store:
        store.put("key", Completion(text="text"))
    assert sound(path)


WRITE_500 = """
import json
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
got = []
with Store(Path(path)) as store:
    for number in range(500):
        store.put(f"{name} {number}", Completion(text=f"{name} {number}"))
        if number % 5 == 0:
            got.append(store.put(f"both {number}", Completion(text=name)).text)
print(json.dumps(got))
"""


def test_two_processes_write_500_records_each_concurrently_without_loss(python: Python) -> None:
    path = Path("store.sqlite")
    writers = [python(WRITE_500, path, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    first, second = (json.loads(finished(writer)) for writer in writers)
    assert first == second  # both get the record that was written first
    assert len(first) == 100
    keys = [f"{name} {number}" for name in ("one", "two") for number in range(500)]
    with Store(path) as store:
        assert store.get(keys, Completion) == {key: Completion(text=key) for key in keys}
        kept = store.get([f"both {number}" for number in range(0, 500, 5)], Completion)
    assert [record.text for record in kept.values()].count("one") == first.count("one")
    assert sound(path)


OPEN_STORES = """
print("ready", flush=True)
for line in sys.stdin:
    with Store(Path(line.strip())) as store:
        store.put("key", Completion(text="text"))
    print("put", flush=True)
"""


def test_processes_that_create_a_store_concurrently_wait_for_each_other(
    python: Python,
) -> None:
    openers = [python(OPEN_STORES) for _ in range(4)]
    for number in range(-1, 100):
        for opener in openers:
            if number >= 0 and opener.stdin:
                opener.stdin.write(f"{number}.sqlite\n")
                opener.stdin.flush()
        for opener in openers:
            assert opener.stdout
            if opener.stdout.readline() not in ("ready\n", "put\n"):
                raise AssertionError(finished(opener))
    assert [finished(opener) for opener in openers] == [""] * 4


WRITE_UNTIL_KILLED = """
with Store(Path(sys.argv[1])) as store:
    for number in range(10**9):
        store.put(str(number), Completion(text=f"text {number}" * 50))
        print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 40, 300])
def test_a_killed_process_loses_no_reported_record(python: Python, after: int) -> None:
    path = Path("store.sqlite")
    writer = python(WRITE_UNTIL_KILLED, path)
    assert writer.stdout
    reported = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=300)
    assert writer.returncode == -signal.SIGKILL
    complete_lines = rest[: rest.rfind("\n") + 1]
    reported += complete_lines.split()
    with Store(path) as store:
        kept = store.get(reported, Completion)
        assert store.put("more", Completion(text="more")).text == "more"
    assert kept == {key: Completion(text=f"text {key}" * 50) for key in reported}
    assert sound(path)


FILL_DISK = """
import resource
path = Path(sys.argv[1])
with Store(path) as store:
    store.put("small", Completion(text="small"))
    limit = 400_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        for number in range(1000):
            store.put(str(number), Completion(text="x" * 5_000))
            print(number)
    except StoreError as error:
        print(error)
"""


def test_a_full_disk_is_a_one_line_error_and_loses_no_record(python: Python) -> None:
    path = Path("store.sqlite")
    *reported, message = finished(python(FILL_DISK, path)).splitlines()
    assert 1 < len(reported) < 1000
    assert message.startswith("the store 'store.sqlite' cannot be used (")
    assert "free space" in message
    with Store(path) as store:
        assert not store.lacks(["small", *reported])
        store.put("more", Completion(text="more"))
    assert sound(path)


def error_of(path: Path) -> str:
    """The error message of opening a store, which leaves no file open."""
    with pytest.raises(StoreError) as caught, Store(path):
        pass
    assert open_files_beside(path) == []
    assert "\n" not in str(caught.value)
    assert repr(str(path)) in str(caught.value)
    assert "--store" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"this is no database\n" * 100, b"\x00" * 4096])
def test_a_file_that_is_not_a_database_is_an_error(content: bytes) -> None:
    path = Path("notes.txt")
    path.write_bytes(content)
    assert "not a database" in error_of(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99, -1])
def test_another_schema_version_is_an_error(version: int) -> None:
    path = Path("store.sqlite")
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    message = f"has schema {version}, this bakeoff has {SCHEMA_VERSION}"
    assert message in error_of(path)
    assert message in error_of(path)  # the failed attempt did not change it


def test_a_database_of_another_program_is_not_changed() -> None:
    path = Path("theirs.sqlite")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = path.read_bytes()
    assert "somebody else's database, with a table 'bookmarks'" in error_of(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a?b#c.sqlite", "\N{SNOWMAN}"])
def test_special_file_names_are_taken_literally(name: str) -> None:
    with Store(Path(name)) as store:
        store.put("key", Completion(text="text"))
    with Store(Path(name)) as store:
        assert not store.lacks(["key"])
    assert [path.name for path in Path().iterdir()] == [name]


def test_an_empty_file_is_an_error_and_an_empty_database_a_new_store() -> None:
    path = Path("store.sqlite")
    path.touch()
    assert "it is empty, and was not when it was made" in error_of(path)
    assert path.read_bytes() == b""
    db = sqlite3.connect(path)
    db.execute("VACUUM")  # one page and no table, as after a kill during creation
    db.close()
    assert path.stat().st_size
    with Store(path) as store:
        store.put("key", Completion(text="text"))
        assert not store.lacks(["key"])


CREATE_STORES = """
folder = Path(sys.argv[1])
for number in range(10**9):
    with Store(folder / f"{number}.sqlite") as store:
        print(number, flush=True)
        store.put("key", Completion(text="text"))
"""


@pytest.mark.parametrize("after", [2, 9, *long(range(10, 40))])
def test_a_store_is_created_atomically(python: Python, after: int) -> None:
    Path("stores").mkdir()
    maker = python(CREATE_STORES, "stores")
    assert maker.stdout
    for _ in range(after):
        maker.stdout.readline()
    time.sleep(0.0007 * after)  # kill at different moments
    maker.send_signal(signal.SIGKILL)
    maker.communicate(timeout=300)
    paths = [path for path in Path("stores").iterdir() if path.name.endswith(".sqlite")]
    assert len(paths) >= after
    for path in paths:
        with Store(path) as store:
            store.put("key", Completion(text="text"))
            assert not store.lacks(["key"])


def test_records_put_while_the_store_is_locked_are_written_after_it_is_unlocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bakeoff.storage.database.LOCK_TIMEOUT", 1.5)
    path, records = Path("store.sqlite"), completions_of(20)

    async def put_errors(store: Store) -> list[str]:
        waiting = [store.put_soon(key, record) for key, record in records.items()]
        return [str(error) for error in await asyncio.gather(*waiting, return_exceptions=True)]

    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        executed = statements(store)
        begun = time.monotonic()
        messages = asyncio.run(put_errors(store))
        assert time.monotonic() - begun >= 1.5
        assert executed[0].startswith("INSERT")
        assert executed[1] == "PRAGMA busy_timeout = 0"  # one timeout for all records
        assert len(messages) == 20
        assert set(messages) == {
            "the store 'store.sqlite' cannot be used (database is locked): another process has "
            "kept it for 1.5 seconds; wait until that one is done, or choose another with --store"
        }
        other.execute("ROLLBACK")
        other.close()
    with Store(path) as store:
        assert store.get(records, Completion) == records


@pytest.mark.parametrize("count", [3, 30])  # lookup by key, and full scan
def test_a_changed_record_is_never_returned(count: int) -> None:
    path, records = Path("store.sqlite"), completions_of(100)
    with Store(path) as store:
        asyncio.run(put_all(store, records))
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("""UPDATE records SET body = '{"text":"another"}' WHERE key = 'key 2'""")
    db.close()
    some = list(records)[:count]
    with Store(path) as store, pytest.raises(StoreError) as caught:
        store.get(some, Completion)
    assert str(caught.value) == (
        "the store 'store.sqlite' cannot be used (the record 'key 2' is not as it was written): it "
        "is damaged; see what `bakeoff store check store.sqlite` says, get back what can be read "
        "with `bakeoff store salvage store.sqlite --into NEW`, or choose another with --store"
    )
    with Store(path) as store:
        assert store.get(["key 3"], Completion) == {"key 3": records["key 3"]}


def test_a_damaged_store_is_a_one_line_error() -> None:
    path = Path("store.sqlite")
    with Store(path) as store:
        for number in range(200):
            store.put(str(number), Completion(text="x" * 500))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with Store(path) as store, pytest.raises(StoreError, match="cannot be used") as caught:
        store.get(map(str, range(200)), Completion)
    assert "\n" not in str(caught.value)


def test_a_path_below_a_file_is_an_error() -> None:
    Path("file").write_text("here")
    assert "cannot be used" in error_of(Path("file/store.sqlite"))


def test_a_folder_at_the_path_is_an_error() -> None:
    Path("folder").mkdir()
    assert "cannot be used" in error_of(Path("folder"))


def test_a_read_only_folder_is_an_error() -> None:
    folder = Path("locked")
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not bind this user")
    assert "cannot be used" in error_of(folder / "store.sqlite")


def test_a_record_of_another_type_is_an_error() -> None:
    with Store(Path("store.sqlite")) as store:
        store.put("key", Completion(text="text"))
        with pytest.raises(StoreError, match="cannot be used") as caught:
            store.get(["key"], Verdict)
        with pytest.raises(StoreError, match="cannot be used"):
            store.put("key", Verdict(first=1))
    assert "\n" not in str(caught.value)


def test_using_a_closed_store_is_an_error() -> None:
    store = Store(Path("store.sqlite"))
    for _ in range(2):
        with pytest.raises(StoreError, match="is not open"):
            store.get(["key"], Completion)
        with pytest.raises(StoreError, match="is not open"):
            store.put("key", Completion(text="text"))
        with store:
            store.put("another", Completion(text="text"))
    assert open_files_beside(Path("store.sqlite")) == []


def statements(store: Store) -> list[str]:
    """The list to which the statements that the writer executes from now on are appended."""
    executed: list[str] = []
    assert store._writer is not None
    store._writer._db.set_trace_callback(executed.append)
    return executed


def completions_of(count: int) -> dict[str, Completion]:
    return {f"key {number}": Completion(text=f"text {number}") for number in range(count)}


async def put_all(store: Store, records: Mapping[str, Completion]) -> list[Completion]:
    """Put all records concurrently."""
    return await asyncio.gather(*(store.put_soon(key, record) for key, record in records.items()))


def test_records_that_gather_during_a_commit_are_one_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = completions_of(150)
    begun, all_submitted = threading.Event(), threading.Event()
    commit = Writer._commit

    def commit_when_all_are_submitted(writer: Writer, writes: Sequence[PendingWrite]) -> None:
        begun.set()
        assert all_submitted.wait(300)
        commit(writer, writes)

    async def put_during_a_commit(store: Store) -> None:
        first = store.put_soon("first", Completion(text="first"))
        assert begun.wait(300)
        rest = [store.put_soon(key, record) for key, record in records.items()]
        all_submitted.set()
        await asyncio.gather(first, *rest)

    monkeypatch.setattr(Writer, "_commit", commit_when_all_are_submitted)
    with Store(Path("store.sqlite")) as store:
        executed = statements(store)
        asyncio.run(put_during_a_commit(store))
        assert [line[:6] for line in executed] == ["INSERT", "INSERT"]
        assert store.get(records, Completion) == records


def test_put_soon_returns_after_the_commit() -> None:
    path = Path("store.sqlite")
    stored: list[bool] = []

    async def put_after(store: Store, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        await store.put_soon(str(number), Completion(text="text"))
        with Store(path) as other:  # reads committed records only
            stored.append(not other.lacks([str(number)]))

    async def put_all_after(store: Store) -> None:
        await asyncio.gather(*(put_after(store, number, number / 1000) for number in range(30)))

    with Store(path) as store:
        asyncio.run(put_all_after(store))
    assert stored == [True] * 30


def test_the_first_of_concurrent_records_of_a_key_is_kept() -> None:
    path = Path("store.sqlite")

    async def put_three(store: Store) -> list[Completion]:
        texts = ("mine", "first", "second")
        keys = ("taken", "key", "key")
        return await asyncio.gather(
            *(
                store.put_soon(key, Completion(text=text))
                for key, text in zip(keys, texts, strict=True)
            )
        )

    with Store(path) as first, Store(path) as second:
        second.put("taken", Completion(text="theirs"))
        assert [record.text for record in asyncio.run(put_three(first))] == [
            "theirs",
            "first",
            "first",
        ]
        assert {
            key: first.text for key, first in second.get(["key", "taken"], Completion).items()
        } == {
            "key": "first",
            "taken": "theirs",
        }


def test_cancelled_puts_are_still_written() -> None:
    path = Path("store.sqlite")
    records = completions_of(20)

    async def put_and_cancel(store: Store, after: float) -> None:
        waiting = asyncio.gather(*(store.put_soon(key, record) for key, record in records.items()))
        await asyncio.sleep(after)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    for after in (0, 0.1):  # before the transaction, and during or after it
        path.unlink(missing_ok=True)
        with Store(path) as store:
            asyncio.run(put_and_cancel(store, after))
        with Store(path) as store:
            assert store.get(records, Completion) == records


def test_closing_the_store_writes_pending_puts() -> None:
    path = Path("store.sqlite")

    async def put_and_close() -> None:
        with Store(path) as store:
            store.put_soon("key", Completion(text="text"))
        await asyncio.sleep(0.01)

    asyncio.run(put_and_close())
    with Store(path) as store:
        assert store.get(["key"], Completion) == {"key": Completion(text="text")}


def test_cancelling_one_put_cancels_no_other() -> None:
    records = completions_of(20)

    async def put_and_cancel_one(store: Store) -> list[Completion]:
        waiting = [store.put_soon(key, record) for key, record in records.items()]
        waiting[3].cancel()
        del waiting[3]
        return await asyncio.wait_for(asyncio.gather(*waiting), timeout=300)

    with Store(Path("store.sqlite")) as store:
        assert len(asyncio.run(put_and_cancel_one(store))) == 19
        assert store.get(records, Completion) == records


def test_the_store_works_after_a_failed_transaction() -> None:
    path = Path("store.sqlite")
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(StoreError, match=r"cannot be used \(no\)"):
            asyncio.run(put_all(store, completions_of(3)))
        other.execute("DROP TRIGGER refuse")
        other.close()
        assert asyncio.run(put_all(store, completions_of(6)))
        assert not store.lacks(completions_of(6))


def test_an_invalid_record_does_not_affect_other_puts() -> None:
    async def put_all_and_invalid(store: Store) -> list[Completion]:
        before, after = completions_of(4), completions_of(8)
        waiting = [store.put_soon(key, record) for key, record in before.items()]
        for key, text in (("broken", "\ud800"), ("\ud800", "broken")):
            with pytest.raises(StoreError, match="surrogates"):
                store.put_soon(key, Completion.model_construct(text=text))
        waiting += [store.put_soon(key, after[key]) for key in after.keys() - before.keys()]
        return await asyncio.gather(*waiting)

    with Store(Path("store.sqlite")) as store:
        assert len(asyncio.run(put_all_and_invalid(store))) == 8
        assert store.get(["broken", *completions_of(8)], Completion) == completions_of(8)


FILL_DISK_CONCURRENTLY = """
import resource
path = Path(sys.argv[1])
async def main(store):
    waiting = [store.put_soon(str(number), Completion(text="x" * 5_000)) for number in range(200)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    return {str(result) for result in results if isinstance(result, Exception)}
with Store(path) as store:
    store.put("small", Completion(text="small"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for error in asyncio.run(main(store)):
        print(error)
"""


def test_a_full_disk_keeps_the_records_that_fit(python: Python) -> None:
    path = Path("store.sqlite")
    output = finished(python(FILL_DISK_CONCURRENTLY, path))
    assert output.startswith("the store 'store.sqlite' cannot be used (")
    assert output.count("\n") == 1
    with Store(path) as store:
        kept = store.get(["small", *map(str, range(200))], Completion)
        assert 2 < len(kept) < 200
        assert set(kept) == {"small", *map(str, range(len(kept) - 1))}  # in the order of the puts
        store.put("more", Completion(text="more"))
    assert sound(path)


WRITE_CONCURRENTLY_UNTIL_KILLED = """
async def main(store):
    async def lane(name):
        for number in range(10**9):
            await store.put_soon(f"{name} {number}", Completion(text=f"text {name} {number}" * 50))
            print(f"{name} {number}", flush=True)
    await asyncio.gather(*map(lane, range(50)))
with Store(Path(sys.argv[1])) as store:
    asyncio.run(main(store))
"""


@pytest.mark.parametrize("after", [1, 400])
def test_a_killed_process_loses_no_record_reported_by_concurrent_tasks(
    python: Python, after: int
) -> None:
    path = Path("store.sqlite")
    writer = python(WRITE_CONCURRENTLY_UNTIL_KILLED, path)
    assert writer.stdout
    reported = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    # Not `communicate()`: it skips what `readline()` has buffered, and begins within a line.
    rest = writer.stdout.read()
    writer.wait(300)
    reported += rest[: rest.rfind("\n") + 1].splitlines()
    with Store(path) as store:
        assert store.get(reported, Completion) == {
            key: Completion(text=f"text {key}" * 50) for key in reported
        }
    assert sound(path)


def test_two_processes_with_concurrent_puts_lose_nothing(python: Python) -> None:
    path = Path("store.sqlite")
    code = """
async def main(store, name):
    one = [store.put_soon(f"{name} {n}", Completion(text=f"{name} {n}")) for n in range(500)]
    both = [store.put_soon(f"both {n}", Completion(text=name)) for n in range(100)]
    await asyncio.gather(*one)
    print(*(record.text for record in await asyncio.gather(*both)))
sys.stdin.readline()
with Store(Path(sys.argv[1])) as store:
    asyncio.run(main(store, sys.argv[2]))
"""
    writers = [python(code, path, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    first, second = (finished(writer) for writer in writers)
    assert first == second  # both get the records that were written first
    keys = [f"{name} {number}" for name in ("one", "two") for number in range(500)]
    with Store(path) as store:
        assert store.get(keys, Completion) == {key: Completion(text=key) for key in keys}


def test_load_equals_get_and_yields_to_the_event_loop() -> None:
    records = completions_of(2_500)
    turns: list[int] = []

    async def count_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def load_beside(store: Store) -> dict[str, Completion]:
        other = asyncio.create_task(count_turns())
        loaded_records = await store.load([*records, "unknown key"], Completion)
        other.cancel()
        return loaded_records

    with Store(Path("store.sqlite")) as store:
        asyncio.run(put_all(store, records))
        assert asyncio.run(load_beside(store)) == records == store.get(records, Completion)
    assert len(turns) >= 5  # one turn per block


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("count", [3, 900])
def test_garbage_collection_is_reenabled_after_reading(count: int) -> None:
    records = completions_of(count)
    with Store(Path("store.sqlite")) as store:
        asyncio.run(put_all(store, records))
        assert gc.isenabled()
        assert store.get(records, Completion) == records
        assert asyncio.run(store.load(records, Completion)) == records
        with pytest.raises(StoreError):
            store.get(records, Verdict)
        assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)
        gc.disable()
        try:
            store.get(records, Completion)
            assert not gc.isenabled()  # stays disabled if it was disabled before
        finally:
            gc.enable()


@pytest.mark.usefixtures("thawed")
def test_objects_frozen_before_reading_stay_frozen() -> None:
    records = completions_of(900)
    with Store(Path("store.sqlite")) as store:
        asyncio.run(put_all(store, records))
        gc.freeze()
        frozen = gc.get_freeze_count()
        assert store.get(records, Completion) == records
        assert gc.get_freeze_count() >= frozen - 900 > 0  # some were freed meanwhile
