import asyncio
import gc
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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
from tests.marks import long
from tests.unit.records.test_records import completions, failures, pairs, prompts, verdicts

WRITES = """
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
    """Starts Python processes that run some code; none outlives its test."""
    started: list[subprocess.Popen[str]] = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", WRITES + code, *map(str, arguments)]
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
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def sound(path: Path) -> bool:
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        db.close()


def held(path: Path) -> list[str]:
    """The files at or beside a path that this process has open."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(file) for file in links if file.is_relative_to(path.parent.resolve())]


@given(st.dictionaries(st.text(), completions | verdicts | failures | prompts | pairs, max_size=6))
def test_what_was_put_comes_back_as_it_was(records: dict[str, Record]) -> None:
    path = Path(f"{time.monotonic_ns()}.sqlite")
    with Store(path) as store:
        for key, record in records.items():
            assert store.lacks([key])
            assert store.put(key, record) == record
            assert not store.lacks([key])
    with Store(path) as store:  # another run
        for key, record in records.items():
            assert store.get([key, "unknown key"], type(record)) == {key: record}
        assert not store.lacks(records)
        assert store.lacks([*records, "unknown key"])
        assert store.get(["unknown key"], Completion) == {}


@pytest.mark.parametrize("others", [0, 12_000])  # most of a store is read another way than some
@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 2_500])
def test_many_keys_are_asked_for_at_once(
    count: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def as_of_old(*args: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*args, **options)
        db.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        return db

    monkeypatch.setattr(sqlite3, "connect", as_of_old)
    records = {f"key {number}": Completion(text=str(number)) for number in range(count)}
    beside = {f"beside {number}": Completion(text="beside") for number in range(others)}
    with Store(Path("store.sqlite")) as store:
        for group in (records, beside):
            asyncio.run(kept(store, group))
        missing = [f"missing {number}" for number in range(count)]
        assert store.get([*records, *missing], Completion) == records
        assert store.get(reversed(records), Completion) == records
        assert not store.lacks(iter(records))
        assert store.lacks([*records, *missing]) == (count > 0)
        assert not store.lacks([*records, *records])


def test_the_first_record_of_a_key_stays_whoever_put_it() -> None:
    path = Path("store.sqlite")
    with Store(path) as one, Store(path) as other:
        assert one.put("key", Completion(text="first")).text == "first"
        assert other.put("key", Completion(text="second")).text == "first"
        assert one.put("key", Completion(text="third")).text == "first"
        assert other.get(["key"], Completion) == {"key": Completion(text="first")}


def test_a_second_run_writes_while_the_first_one_reads() -> None:
    path = Path("store.sqlite")
    with Store(path) as one, Store(path) as other:
        for number in range(20):
            one.put(f"a{number}", Completion(text="a"))
            other.put(f"b{number}", Completion(text="b"))
            assert not other.lacks([f"a{number}", f"b{number}"])
            assert not one.lacks([f"a{number}", f"b{number}"])


def test_folders_are_made() -> None:
    path = Path("a/b/store.sqlite")
    with Store(path) as store:
        store.put("key", Completion(text="text"))
    assert sound(path)


TWO_AT_ONCE = """
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


def test_two_processes_write_500_records_each_at_once_and_nothing_is_lost(python: Python) -> None:
    path = Path("store.sqlite")
    writers = [python(TWO_AT_ONCE, path, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    one, two = (json.loads(finished(writer)) for writer in writers)
    assert one == two  # both go on with the same record, whoever was first
    assert len(one) == 100
    keys = [f"{name} {number}" for name in ("one", "two") for number in range(500)]
    with Store(path) as store:
        assert store.get(keys, Completion) == {key: Completion(text=key) for key in keys}
        kept = store.get([f"both {number}" for number in range(0, 500, 5)], Completion)
    assert [record.text for record in kept.values()].count("one") == one.count("one")
    assert sound(path)


OPENS = """
print("ready", flush=True)
for line in sys.stdin:
    with Store(Path(line.strip())) as store:
        store.put("key", Completion(text="text"))
    print("put", flush=True)
"""


def test_processes_that_make_the_same_store_at_the_same_moment_wait_for_each_other(
    python: Python,
) -> None:
    openers = [python(OPENS) for _ in range(4)]
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


KILLED = """
with Store(Path(sys.argv[1])) as store:
    for number in range(10**9):
        store.put(str(number), Completion(text=f"text {number}" * 50))
        print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 40, 300])
def test_a_killed_process_has_kept_all_that_it_had_reported(python: Python, after: int) -> None:
    path = Path("store.sqlite")
    writer = python(KILLED, path)
    assert writer.stdout
    reported = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    whole = rest[: rest.rfind("\n") + 1]
    reported += whole.split()
    with Store(path) as store:
        kept = store.get(reported, Completion)
        assert store.put("more", Completion(text="more")).text == "more"
    assert kept == {key: Completion(text=f"text {key}" * 50) for key in reported}
    assert sound(path)


FULL = """
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


def test_a_full_disk_is_one_line_and_what_was_kept_is_kept(python: Python) -> None:
    path = Path("store.sqlite")
    *reported, said = finished(python(FULL, path)).splitlines()
    assert 1 < len(reported) < 1000
    assert said.startswith("the store 'store.sqlite' cannot be used (")
    assert "free space" in said
    with Store(path) as store:
        assert not store.lacks(["small", *reported])
        store.put("more", Completion(text="more"))
    assert sound(path)


def complaint_of(path: Path) -> str:
    """What opening says where it cannot; it holds no file afterwards."""
    with pytest.raises(StoreError) as caught, Store(path):
        pass
    assert held(path) == []
    assert "\n" not in str(caught.value)
    assert repr(str(path)) in str(caught.value)
    assert "--store" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"this is no database\n" * 100, b"\x00" * 4096])
def test_a_file_that_is_no_database(content: bytes) -> None:
    path = Path("notes.txt")
    path.write_bytes(content)
    assert "not a database" in complaint_of(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99, -1])
def test_another_schema(version: int) -> None:
    path = Path("store.sqlite")
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    says = f"has schema {version}, this bakeoff has {SCHEMA_VERSION}"
    assert says in complaint_of(path)
    assert says in complaint_of(path)  # and it was left as it was


def test_somebody_elses_database_is_left_alone() -> None:
    path = Path("theirs.sqlite")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    before = path.read_bytes()
    assert "somebody else's database, with a table 'bookmarks'" in complaint_of(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "a?b#c.sqlite", "\N{SNOWMAN}"])
def test_a_name_is_a_name_and_nothing_more(name: str) -> None:
    with Store(Path(name)) as store:
        store.put("key", Completion(text="text"))
    with Store(Path(name)) as store:
        assert not store.lacks(["key"])
    assert [path.name for path in Path().iterdir()] == [name]


def test_an_empty_file_is_no_new_store_and_an_empty_database_is() -> None:
    path = Path("store.sqlite")
    path.touch()
    assert "it is empty, and was not when it was made" in complaint_of(path)
    assert path.read_bytes() == b""
    db = sqlite3.connect(path)
    db.execute("VACUUM")  # a page, and no table: of a bakeoff that was killed when it began
    db.close()
    assert path.stat().st_size
    with Store(path) as store:
        store.put("key", Completion(text="text"))
        assert not store.lacks(["key"])


MAKES = """
folder = Path(sys.argv[1])
for number in range(10**9):
    with Store(folder / f"{number}.sqlite") as store:
        print(number, flush=True)
        store.put("key", Completion(text="text"))
"""


@pytest.mark.parametrize("after", [2, 9, *long(range(10, 40))])
def test_a_store_is_made_whole_or_not_at_all(python: Python, after: int) -> None:
    Path("stores").mkdir()
    maker = python(MAKES, "stores")
    assert maker.stdout
    for _ in range(after):
        maker.stdout.readline()
    time.sleep(0.0007 * after)  # not always at the same moment
    maker.send_signal(signal.SIGKILL)
    maker.communicate(timeout=60)
    made = [path for path in Path("stores").iterdir() if path.name.endswith(".sqlite")]
    assert len(made) >= after
    for path in made:
        with Store(path) as store:
            store.put("key", Completion(text="text"))
            assert not store.lacks(["key"])


def test_what_found_the_store_locked_is_written_when_it_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bakeoff.storage.database.LOCK_TIMEOUT", 1.5)
    path, records = Path("store.sqlite"), completions_of(20)

    async def refused(store: Store) -> list[str]:
        waiting = [store.put_soon(key, record) for key, record in records.items()]
        return [str(error) for error in await asyncio.gather(*waiting, return_exceptions=True)]

    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        told = asyncio.run(refused(store))
        # For all of them together: one after the other they would wait 30 seconds.
        assert 1.5 <= time.monotonic() - begun < 25
        assert len(told) == 20
        assert set(told) == {
            "the store 'store.sqlite' cannot be used (database is locked): another process has "
            "kept it for 1.5 seconds; wait until that one is done, or choose another with --store"
        }
        other.execute("ROLLBACK")
        other.close()
    with Store(path) as store:
        assert store.get(records, Completion) == records


@pytest.mark.parametrize("count", [3, 30])  # looked up, and read from one end to the other
def test_a_record_that_was_changed_is_never_given_back(count: int) -> None:
    path, records = Path("store.sqlite"), completions_of(100)
    with Store(path) as store:
        asyncio.run(kept(store, records))
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


def test_a_damaged_store() -> None:
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


def test_a_place_below_a_file() -> None:
    Path("file").write_text("here")
    assert "cannot be used" in complaint_of(Path("file/store.sqlite"))


def test_a_folder_in_its_place() -> None:
    Path("folder").mkdir()
    assert "cannot be used" in complaint_of(Path("folder"))


def test_a_folder_that_nobody_may_write_to() -> None:
    folder = Path("locked")
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not bind this user")
    assert "cannot be used" in complaint_of(folder / "store.sqlite")


def test_a_record_of_another_kind_is_not_taken_for_one() -> None:
    with Store(Path("store.sqlite")) as store:
        store.put("key", Completion(text="text"))
        with pytest.raises(StoreError, match="cannot be used") as caught:
            store.get(["key"], Verdict)
        with pytest.raises(StoreError, match="cannot be used"):
            store.put("key", Verdict(first=1))
    assert "\n" not in str(caught.value)


def test_a_store_that_is_not_open_says_so() -> None:
    store = Store(Path("store.sqlite"))
    for _ in range(2):
        with pytest.raises(StoreError, match="is not open"):
            store.get(["key"], Completion)
        with pytest.raises(StoreError, match="is not open"):
            store.put("key", Completion(text="text"))
        with store:
            store.put("another", Completion(text="text"))
    assert held(Path("store.sqlite")) == []


def statements(store: Store) -> list[str]:
    """What the store says to SQLite from here on, a line each."""
    said: list[str] = []
    assert store._db is not None
    store._db.set_trace_callback(said.append)
    return said


def completions_of(count: int) -> dict[str, Completion]:
    return {f"key {number}": Completion(text=f"text {number}") for number in range(count)}


async def kept(store: Store, records: Mapping[str, Completion]) -> list[Completion]:
    """Keep all of them at once."""
    return await asyncio.gather(*(store.put_soon(key, record) for key, record in records.items()))


def test_what_comes_together_is_one_transaction() -> None:
    records = completions_of(300)
    with Store(Path("store.sqlite")) as store:
        said = statements(store)
        assert asyncio.run(kept(store, records)) == list(records.values())
        assert [line for line in said if line in ("BEGIN IMMEDIATE", "COMMIT")] == [
            "BEGIN IMMEDIATE",
            "COMMIT",
        ]
        assert store.get(records, Completion) == records


def test_nobody_is_told_before_it_is_committed() -> None:
    path = Path("store.sqlite")
    seen: list[bool] = []

    async def one(store: Store, number: int, delay: float) -> None:
        await asyncio.sleep(delay)
        await store.put_soon(str(number), Completion(text="text"))
        with Store(path) as other:  # sees what is committed
            seen.append(not other.lacks([str(number)]))

    async def all_of_them(store: Store) -> None:
        await asyncio.gather(*(one(store, number, number / 1000) for number in range(30)))

    with Store(path) as store:
        asyncio.run(all_of_them(store))
    assert seen == [True] * 30


def test_the_first_of_a_key_stays_also_among_those_that_come_together() -> None:
    path = Path("store.sqlite")

    async def twice(store: Store) -> list[Completion]:
        texts = ("mine", "first", "second")
        keys = ("taken", "key", "key")
        return await asyncio.gather(
            *(
                store.put_soon(key, Completion(text=text))
                for key, text in zip(keys, texts, strict=True)
            )
        )

    with Store(path) as one, Store(path) as other:
        other.put("taken", Completion(text="theirs"))
        assert [record.text for record in asyncio.run(twice(one))] == ["theirs", "first", "first"]
        assert {key: one.text for key, one in other.get(["key", "taken"], Completion).items()} == {
            "key": "first",
            "taken": "theirs",
        }


def test_whoever_is_stopped_while_it_waits_loses_nothing() -> None:
    path = Path("store.sqlite")
    records = completions_of(20)

    async def stopped(store: Store, after: float) -> None:
        waiting = asyncio.gather(*(store.put_soon(key, one) for key, one in records.items()))
        await asyncio.sleep(after)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

    for after in (0, 0.1):  # before it is written, and when it is
        path.unlink(missing_ok=True)
        with Store(path) as store:
            asyncio.run(stopped(store, after))
        with Store(path) as store:
            assert store.get(records, Completion) == records


def test_whoever_leaves_before_the_turn_ends_loses_nothing() -> None:
    path = Path("store.sqlite")

    async def leaves() -> None:
        with Store(path) as store:
            store.put_soon("key", Completion(text="text"))
        await asyncio.sleep(0.01)

    asyncio.run(leaves())
    with Store(path) as store:
        assert store.get(["key"], Completion) == {"key": Completion(text="text")}


def test_one_that_is_stopped_stops_no_other_one() -> None:
    records = completions_of(20)

    async def some(store: Store) -> list[Completion]:
        waiting = [store.put_soon(key, record) for key, record in records.items()]
        waiting[3].cancel()
        del waiting[3]
        return await asyncio.wait_for(asyncio.gather(*waiting), timeout=60)

    with Store(Path("store.sqlite")) as store:
        assert len(asyncio.run(some(store))) == 19
        assert store.get(records, Completion) == records


def test_after_trouble_in_the_middle_of_a_transaction_it_goes_on() -> None:
    async def some(store: Store) -> None:
        waiting = [store.put_soon(key, Completion(text="")) for key in ("one", "\ud800", "other")]
        with pytest.raises(StoreError, match="cannot be used"):
            await asyncio.gather(*waiting)

    with Store(Path("store.sqlite")) as store:
        asyncio.run(some(store))
        assert asyncio.run(kept(store, completions_of(3)))
        assert not store.lacks(completions_of(3))


def test_a_record_that_cannot_be_written_takes_no_other_one_with_it() -> None:
    async def all_of_them(store: Store) -> list[Completion]:
        before, after = completions_of(4), completions_of(8)
        waiting = [store.put_soon(key, one) for key, one in before.items()]
        with pytest.raises(StoreError, match="surrogates"):
            store.put_soon("broken", Completion.model_construct(text="\ud800"))
        waiting += [store.put_soon(key, after[key]) for key in after.keys() - before.keys()]
        return await asyncio.gather(*waiting)

    with Store(Path("store.sqlite")) as store:
        assert len(asyncio.run(all_of_them(store))) == 8
        assert store.get(["broken", *completions_of(8)], Completion) == completions_of(8)


FULL_AT_ONCE = """
import resource
path = Path(sys.argv[1])
async def main(store):
    waiting = [store.put_soon(str(number), Completion(text="x" * 5_000)) for number in range(200)]
    return await asyncio.gather(*waiting, return_exceptions=True)
with Store(path) as store:
    store.put("small", Completion(text="small"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for error in set(map(str, asyncio.run(main(store)))):
        print(error)
"""


def test_a_disk_that_is_full_in_the_middle_keeps_as_many_as_fit(python: Python) -> None:
    path = Path("store.sqlite")
    said = finished(python(FULL_AT_ONCE, path))
    assert said.startswith("the store 'store.sqlite' cannot be used (")
    assert said.count("\n") == 1
    with Store(path) as store:
        kept = store.get(["small", *map(str, range(200))], Completion)
        assert 2 < len(kept) < 200
        assert set(kept) == {"small", *map(str, range(len(kept) - 1))}  # the first ones
        store.put("more", Completion(text="more"))
    assert sound(path)


KILLED_AT_ONCE = """
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
def test_a_killed_process_has_kept_all_that_lanes_had_reported(python: Python, after: int) -> None:
    path = Path("store.sqlite")
    writer = python(KILLED_AT_ONCE, path)
    assert writer.stdout
    reported = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    # Not `communicate()`: it goes on behind what `readline()` has buffered, within a line.
    rest = writer.stdout.read()
    writer.wait(60)
    reported += rest[: rest.rfind("\n") + 1].splitlines()
    with Store(path) as store:
        assert store.get(reported, Completion) == {
            key: Completion(text=f"text {key}" * 50) for key in reported
        }
    assert sound(path)


def test_two_processes_that_keep_at_once_lose_nothing(python: Python) -> None:
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
    one, two = (finished(writer) for writer in writers)
    assert one == two  # both go on with the same records, whoever was first
    keys = [f"{name} {number}" for name in ("one", "two") for number in range(500)]
    with Store(path) as store:
        assert store.get(keys, Completion) == {key: Completion(text=key) for key in keys}


def test_loading_is_getting_and_lets_others_go_on() -> None:
    records = completions_of(2_500)
    turns: list[int] = []

    async def beside() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def loaded(store: Store) -> dict[str, Completion]:
        other = asyncio.create_task(beside())
        found = await store.load([*records, "unknown key"], Completion)
        other.cancel()
        return found

    with Store(Path("store.sqlite")) as store:
        asyncio.run(kept(store, records))
        assert asyncio.run(loaded(store)) == records == store.get(records, Completion)
    assert len(turns) >= 5  # a turn for each block


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("count", [3, 900])
def test_garbage_is_collected_again_after_reading(count: int) -> None:
    records = completions_of(count)
    with Store(Path("store.sqlite")) as store:
        asyncio.run(kept(store, records))
        assert gc.isenabled()
        assert store.get(records, Completion) == records
        assert asyncio.run(store.load(records, Completion)) == records
        with pytest.raises(StoreError):
            store.get(records, Verdict)
        assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)
        gc.disable()
        try:
            store.get(records, Completion)
            assert not gc.isenabled()  # whoever wants it off has it off
        finally:
            gc.enable()


@pytest.mark.usefixtures("thawed")
def test_what_somebody_froze_stays_frozen() -> None:
    records = completions_of(900)
    with Store(Path("store.sqlite")) as store:
        asyncio.run(kept(store, records))
        gc.freeze()
        frozen = gc.get_freeze_count()
        assert store.get(records, Completion) == records
        assert gc.get_freeze_count() >= frozen - 900 > 0  # some have died meanwhile
