"""Measures writing and reading 200,000 records of the store, against bare `sqlite3`.

    python benchmarks/store.py [RECORDS]

Prints a JSON line for writing and one for reading; `ratio` is our records per second divided by the
peer's. A third are completions of 300 to 2,500 characters, the others verdicts with a reason and a
raw reply; the text is this package's source. They are written as in a run: by `IN_FLIGHT` tasks of
one event loop, each of which continues when its record is committed. They are read in blocks, as at
the start of a run, into validated records.

The peer stores the same JSON with `executemany` in transactions of the same size, and reads it with
`SELECT ... IN` in blocks of the same size, without records. `megabytes` is the size of the file;
`zlib` is the size and the seconds of compressing (level 1) and decompressing each record.
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
from pathlib import Path

from harness.results import print_result

import bakeoff
from bakeoff.records import Completion, Record, Scores, Usage, Verdict, content_key
from bakeoff.storage import Store

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
        wrote = {
            "ours": asyncio.run(write_store(ours, records)),
            "theirs": bare_writes(theirs, rows),
        }
        read = {"ours": asyncio.run(read_store(ours, records)), "theirs": bare_reads(theirs, rows)}
        size = ours.stat().st_size
    text = sum(len(body.encode()) for _, body, _ in rows)
    more = {"records": count, "megabytes": round(size / 1e6, 1), "json_mb": round(text / 1e6, 1)}
    peer = f"sqlite3 {sqlite3.sqlite_version}, the same JSON"
    for name, took in (("store_write", wrote), ("store_read", read)):
        print_result(
            name,
            figure=count / took["ours"],
            unit="records/s",
            peer=peer,
            ratio=took["theirs"] / took["ours"],
            peer_figure=round(count / took["theirs"]),
            **more,
            zlib=measure_compression(rows),
        )


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
    with Store(path) as store:

        async def lane() -> None:
            for key, record in waiting:
                await store.put_soon(key, record)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(lane())
    return time.perf_counter() - started


async def read_store(path: Path, records: Sequence[tuple[str, Record]]) -> float:
    """Seconds until all records are loaded and validated."""
    kinds = {Completion: records[::3], Verdict: [r for n, r in enumerate(records) if n % 3]}
    started = time.perf_counter()
    with Store(path) as store:
        loaded = {
            kind: await store.load([key for key, _ in keyed], kind) for kind, keyed in kinds.items()
        }
    took = time.perf_counter() - started
    assert all(loaded[kind] == dict(keyed) for kind, keyed in kinds.items())
    return took


def bare_writes(path: Path, rows: Sequence[tuple[str, str, float]]) -> float:
    """Seconds of writing the same rows with bare `sqlite3`."""
    started = time.perf_counter()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE records (key TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL)")
    for start in range(0, len(rows), IN_FLIGHT):
        db.execute("BEGIN")
        db.executemany("INSERT INTO records VALUES (?, ?, ?)", rows[start : start + IN_FLIGHT])
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
