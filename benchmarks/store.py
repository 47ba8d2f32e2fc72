"""Measures writing and reading 200,000 records of the store, against bare `sqlite3`.

    python benchmarks/store.py [RECORDS]

Prints a JSON line for writing and one for reading, and lines for the replies of a run; `ratio` is
our records per second divided by the peer's. A third are completions of 300 to 2,500 characters,
the others verdicts with a reason and a raw reply; the text is this package's source. They are
written by `IN_FLIGHT` tasks of one event loop, each of which continues when its record is
committed. They are read in blocks, as at the start of a run, into validated records.

The peer stores the same JSON with `executemany`, in transactions with as many records each as those
of the store, and as durable (WAL, `synchronous = FULL`: an fsync each), and reads it with
`SELECT ... IN` in blocks of the same size, without records. `megabytes` is the size of the file;
`zlib` is the size and the seconds of compressing (level 1) and decompressing each record.

The replies of a run: a worker with 64 or 256 requests in flight, whose replies come after 0.2 s and
take 0.3 ms of CPU, or at once, through `run_cached` into a new store. The peer is the same store
with `synchronous = NORMAL`, which commits without an fsync; both alternate, and each figure is the
median of the rounds. `slow_disk` is the same with an fsync of 5 ms more; `turn_ms` is the longest
time between two turns of the event loop. `cpu_ms` is the CPU time for a reply, without the 0.3 ms.
`store_lone_writer` awaits one record after the other, 20 ms apart: a commit without a group.
"""

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from harness.results import print_result

import bakeoff
from bakeoff.evaluation.cache import run_cached
from bakeoff.records import Completion, Record, Scores, Usage, Verdict, content_key
from bakeoff.runtime import PerItem
from bakeoff.runtime.progress import ProgressCounter
from bakeoff.storage import Store, store, writer

LATENCY = 0.2  # seconds
CPU = 0.0003  # seconds that the client of a server needs for a reply
SLOW_DISK = 0.005  # seconds that an fsync takes in addition
ROUNDS = 3
IN_FLIGHT = 256
BLOCK = 500
SOURCE = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted(Path(bakeoff.__file__).parent.rglob("*.py"))
)


def main(count: int) -> None:
    """Measure writing and reading with both, and print the lines."""
    records = [(content_key(number), record) for number, record in enumerate(make_records(count))]
    rows = [(key, record.model_dump_json(exclude_defaults=True), 0.0) for key, record in records]
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.sqlite", Path(folder) / "theirs.sqlite"
        with record_transactions() as sizes:
            wrote = {"ours": asyncio.run(write_store(ours, records))}
        wrote["theirs"] = bare_writes(theirs, rows, sizes)
        read = {"ours": asyncio.run(read_store(ours, records)), "theirs": bare_reads(theirs, rows)}
        size = ours.stat().st_size
    text = sum(len(body.encode()) for _, body, _ in rows)
    more = {"records": count, "megabytes": round(size / 1e6, 1), "json_mb": round(text / 1e6, 1)}
    peer = f"sqlite3 {sqlite3.sqlite_version}, the same JSON"
    equal = f", {len(sizes):,} equal transactions with an fsync each"
    lines = (("store_write", wrote, peer + equal), ("store_read", read, peer))
    for name, took, compared in lines:
        print_result(
            name,
            figure=count / took["ours"],
            unit="records/s",
            peer=compared,
            ratio=took["theirs"] / took["ours"],
            peer_figure=round(count / took["theirs"]),
            **more,
            zlib=measure_compression(rows),
        )
    for in_flight in (64, 256):
        compare_replies(in_flight, LATENCY, CPU, ROUNDS)
        compare_replies(in_flight, 0, 0, ROUNDS)
    compare_lone_writers(200)


def make_records(count: int) -> Iterator[Record]:
    """Completions and verdicts of the usual sizes."""
    draw = random.Random(0)
    for number in range(count):
        yield completion(draw) if number % 3 == 0 else verdict(draw)


def completion(draw: random.Random) -> Completion:
    """A completion with the fields of a server's reply."""
    return Completion(
        text=slice_source(draw, 300, 2500),
        finish="stop",
        tokens=300,
        snapshot="Qwen/Qwen2.5-1.5B-Instruct",
        usage=Usage(input_tokens=60, output_tokens=300),
        cost=0.00012,
    )


def verdict(draw: random.Random) -> Verdict:
    """A verdict with its reason and raw reply."""
    why = slice_source(draw, 100, 500)
    raw = json.dumps({"explanation": why, "score_a": 7, "score_b": 4, "winner": "A"})
    return Verdict(
        first=1.0,
        scores=Scores(7, 4),
        reason=why,
        raw=raw,
        snapshot="gpt-4o-mini-2024-07-18",
        usage=Usage(input_tokens=900, output_tokens=120),
        cost=0.0002,
    )


def slice_source(draw: random.Random, least: int, most: int) -> str:
    """A random slice of the source, of `least` to `most` characters."""
    size = draw.randrange(least, most)
    start = draw.randrange(len(SOURCE) - size)
    return SOURCE[start : start + size]


async def write_store(path: Path, records: Sequence[tuple[str, Record]]) -> float:
    """Seconds until all records are committed."""
    waiting = iter(records)
    started = time.perf_counter()
    with Store(path) as opened:

        async def lane() -> None:
            for key, record in waiting:
                await opened.put_soon(key, record)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(lane())
    return time.perf_counter() - started


async def read_store(path: Path, records: Sequence[tuple[str, Record]]) -> float:
    """Seconds until all records are loaded and validated."""
    kinds = {Completion: records[::3], Verdict: [r for n, r in enumerate(records) if n % 3]}
    started = time.perf_counter()
    with Store(path) as opened:
        loaded = {
            kind: await opened.load([key for key, _ in keyed], kind)
            for kind, keyed in kinds.items()
        }
    took = time.perf_counter() - started
    assert all(loaded[kind] == dict(keyed) for kind, keyed in kinds.items())
    return took


@contextmanager
def record_transactions() -> Iterator[list[int]]:
    """The number of records of each transaction of the store's thread."""
    sizes, insert = [], writer._insert

    def insert_and_count(db: sqlite3.Connection, rows: Sequence[writer.Row]) -> int:
        sizes.append(len(rows))
        return insert(db, rows)

    writer._insert = insert_and_count
    try:
        yield sizes
    finally:
        writer._insert = insert


def bare_writes(path: Path, rows: Sequence[tuple[str, str, float]], sizes: Sequence[int]) -> float:
    """Seconds of writing the same rows with bare `sqlite3`, in transactions of these sizes."""
    assert sum(sizes) == len(rows)
    waiting = iter(rows)
    started = time.perf_counter()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE records (key TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL)")
    for size in sizes:
        db.execute("BEGIN")
        db.executemany("INSERT INTO records VALUES (?, ?, ?)", islice(waiting, size))
        db.execute("COMMIT")
    db.close()
    return time.perf_counter() - started


def bare_reads(path: Path, rows: Sequence[tuple[str, str, float]]) -> float:
    """Seconds of reading the rows with bare `sqlite3`."""
    started = time.perf_counter()
    db = sqlite3.connect(path)
    for start in range(0, len(rows), BLOCK):
        keys = [row[0] for row in rows[start : start + BLOCK]]
        marks = ",".join("?" * len(keys))
        db.execute(f"SELECT key, body FROM records WHERE key IN ({marks})", keys).fetchall()
    db.close()
    return time.perf_counter() - started


class Timing(NamedTuple):
    """Of the replies of a run, from the first request to the last record that was emitted."""

    wall: float  # seconds
    cpu: float  # seconds of this process
    turn: float  # longest time between two turns of the event loop, in seconds


class Replies(PerItem[Completion, Completion]):
    """A server that replies with the item after `latency` seconds; a reply takes `cpu` seconds."""

    identity = "replies"

    def __init__(self, in_flight: int, latency: float, cpu: float) -> None:
        super().__init__(in_flight)
        self._latency = latency
        self._cpu = cpu

    async def process(self, item: Completion) -> Completion:
        """Return the item."""
        if self._latency:
            await asyncio.sleep(self._latency)
        end = time.thread_time() + self._cpu
        while self._cpu and time.thread_time() < end:
            pass
        return item


@contextmanager
def disk(synchronous: str, delay: float) -> Iterator[None]:
    """Open stores with this `PRAGMA synchronous`; each commit of the thread takes `delay` more."""
    open_database, insert_rows = store.connect, writer.insert_rows

    def connect(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
        db = open_database(path, any_thread=any_thread)
        db.execute(f"PRAGMA synchronous = {synchronous}")
        return db

    def insert_slowly(db: sqlite3.Connection, rows: Sequence[writer.Row]) -> int:
        time.sleep(delay)
        return insert_rows(db, rows)

    store.connect = connect
    if delay:
        writer.insert_rows = insert_slowly
    try:
        yield
    finally:
        store.connect, writer.insert_rows = open_database, insert_rows


def time_replies(
    in_flight: int, latency: float, cpu: float, synchronous: str, delay: float
) -> Timing:
    """Time the replies of a run of four seconds, or of 20,000 replies without latency."""
    count = round(4 * in_flight / latency) if latency else 20_000
    draw = random.Random(0)
    requests = [(content_key(number), completion(draw)) for number in range(count)]
    turns: list[float] = []

    async def watch_turns() -> None:
        while True:
            turns.append(time.perf_counter())
            await asyncio.sleep(0.001)

    async def request_all(opened: Store) -> Timing:
        watching = asyncio.create_task(watch_turns())
        progress = ProgressCounter("completion", "model", count, lambda _: None)
        worker = Replies(in_flight, latency, cpu)
        wall, used = time.perf_counter(), time.process_time()
        await run_cached(worker, requests, opened, Completion, lambda *_: None, progress)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        watching.cancel()
        turn = max(after - before for before, after in pairwise(turns))
        return Timing(wall, used - cpu * count, turn)

    with (
        tempfile.TemporaryDirectory() as folder,
        disk(synchronous, delay),
        Store(Path(folder) / "store.sqlite") as opened,
    ):
        return asyncio.run(request_all(opened))


def compare_replies(in_flight: int, latency: float, cpu: float, rounds: int) -> None:
    """Print the rates of replies with an fsync, without one, and with a slow one."""
    disks = {"FULL": ("FULL", 0.0), "NORMAL": ("NORMAL", 0.0), "slow": ("FULL", SLOW_DISK)}
    timings: dict[str, list[Timing]] = {name: [] for name in disks}
    for _ in range(rounds):
        for name, (synchronous, delay) in disks.items():
            timings[name].append(time_replies(in_flight, latency, cpu, synchronous, delay))
    count = round(4 * in_flight / latency) if latency else 20_000
    wall = {name: median(t.wall for t in samples) for name, samples in timings.items()}
    turn = {name: median(t.turn for t in samples) for name, samples in timings.items()}
    print_result(
        f"store_replies_{in_flight}" if latency else f"store_unthrottled_{in_flight}",
        figure=count / wall["FULL"],
        unit="records/s",
        peer="the same with synchronous = NORMAL",
        ratio=wall["NORMAL"] / wall["FULL"],
        peer_figure=round(count / wall["NORMAL"]),
        slow_disk={
            "figure": round(count / wall["slow"]),
            "ratio": round(wall["NORMAL"] / wall["slow"], 3),
            "turn_ms": round(1000 * turn["slow"], 1),
        },
        ideal=round(in_flight / latency) if latency else None,
        turn_ms=round(1000 * turn["FULL"], 1),
        cpu_ms=round(1000 * median(t.cpu for t in timings["FULL"]) / count, 3),
        peer_cpu_ms=round(1000 * median(t.cpu for t in timings["NORMAL"]) / count, 3),
    )


async def time_lone_writer(path: Path, count: int) -> float:
    """Median seconds until a record is durable, if no other one is written."""
    waits = []
    with Store(path) as opened:
        for number in range(count):
            began = time.perf_counter()
            await opened.put_soon(str(number), Completion(text=SOURCE[number : number + 2000]))
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(2 * writer.COMMIT_INTERVAL)
    return median(waits)


def compare_lone_writers(count: int) -> None:
    """Print the latency of a record with an fsync and without one."""
    waits = {}
    for synchronous in ("FULL", "NORMAL"):
        with tempfile.TemporaryDirectory() as folder, disk(synchronous, 0):
            path = Path(folder) / "store.sqlite"
            waits[synchronous] = asyncio.run(time_lone_writer(path, count))
    print_result(
        "store_lone_writer",
        figure=1000 * waits["FULL"],
        unit="ms until a record is durable",
        peer="the same with synchronous = NORMAL",
        ratio=waits["NORMAL"] / waits["FULL"],
        peer_figure=round(1000 * waits["NORMAL"], 3),
    )


def measure_compression(rows: Sequence[tuple[str, str, float]]) -> dict[str, float]:
    """Size and seconds of compression, measured on a sample of the rows."""
    bodies = [body.encode() for _, body, _ in rows[:: max(1, len(rows) // 20_000)]]
    started = time.perf_counter()
    compressed = [zlib.compress(body, 1) for body in bodies]
    middle = time.perf_counter()
    for body in compressed:
        zlib.decompress(body)
    ended = time.perf_counter()
    scale = len(rows) / len(bodies)
    return {
        "size": round(sum(map(len, compressed)) / sum(map(len, bodies)), 2),
        "pack_s": round((middle - started) * scale, 2),
        "unpack_s": round((ended - middle) * scale, 2),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
