"""Builds stores and damages their files: cut files, overwritten pages, flipped bits, no WAL."""

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bakeoff.errors import StoreError
from bakeoff.generators.batch.journal import Batch, BatchFinished, BatchSubmitted
from bakeoff.records import Completion, Record, Scores, Usage, Verdict, content_key
from bakeoff.storage import Store

PAGE = 4096
Damage = Callable[[Path, random.Random], set[int]]  # returns the numbers of the damaged pages


def records_of(count: int, seed: int = 0) -> dict[str, Record]:
    """Records of every kind by key; one in eight fills several pages."""
    draw = random.Random(seed)
    records = {}
    for number in range(count):
        record, key = _record(draw, number), content_key(seed, number)
        records[key if isinstance(record, Completion | Verdict) else f"batch:{key}"] = record
    return records


def _record(draw: random.Random, number: int) -> Record:
    if number % 40 == 39:
        tag = f"{draw.getrandbits(64):x}"
        entries = (
            Batch(tag=tag, requests=("a", "b"), created_at=1.5),
            BatchSubmitted(reference=tag),
            BatchFinished(),
        )
        return draw.choice(entries)
    words = " ".join(f"{draw.getrandbits(40):x}" for _ in range(draw.choice([3, 30, 30, 90])))
    if number % 8 == 0:
        words += " ".join(f"{draw.getrandbits(40):x}é" for _ in range(draw.randrange(300, 1500)))
    if number % 3 == 0:
        usage = Usage(input_tokens=7, output_tokens=3)
        return Completion(text=words, finish="stop", tokens=number, usage=usage, cost=0.01)
    return Verdict(first=draw.random(), scores=Scores(8, 2.5), reason=words, raw=words[::-1])


def write_store(path: Path, records: Mapping[str, Record], at_once: int = 20) -> Path:
    """Write the records to a new store in batches of `at_once`, as a run does."""

    async def put_all(store: Store) -> None:
        items = list(records.items())
        for start in range(0, len(items), at_once):
            batch = items[start : start + at_once]
            await asyncio.gather(*(store.put_soon(key, record) for key, record in batch))

    with Store(path) as store:
        asyncio.run(put_all(store))
    return path


def leave_open(path: Path, filed: Mapping[str, Record], logged: Mapping[str, Record]) -> Path:
    """A store as a killed process leaves it: `filed` in the file, `logged` only in its WAL."""
    other = write_store(path.with_name("made.sqlite"), filed)
    with Store(other) as store:
        for key, record in logged.items():
            store.put(key, record)
        for end in ("", "-wal"):
            shutil.copy(f"{other}{end}", f"{path}{end}")
    assert wal_of(path).stat().st_size > PAGE
    return path


def wal_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def read_all(path: Path, records: Mapping[str, Record]) -> dict[str, Record]:
    """Those of the records that the store returns."""
    read: dict[str, Record] = {}
    with Store(path) as store:
        for kind in {type(record) for record in records.values()}:
            read |= store.get(
                [key for key, record in records.items() if type(record) is kind], kind
            )
    return read


def cut_file(path: Path, draw: random.Random) -> set[int]:
    size = path.stat().st_size
    keep = draw.randrange(1, size)
    os.truncate(path, keep)
    return set(range(keep // PAGE + 1, size // PAGE + 1))


def overwrite_pages(path: Path, draw: random.Random) -> set[int]:
    """Overwrite pages with random bytes or zeros."""
    count = path.stat().st_size // PAGE
    numbers = {draw.randrange(1, count + 1) for _ in range(draw.choice([1, 3, count // 4]))}
    with path.open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * PAGE)
            file.write(draw.choice([draw.randbytes(PAGE), bytes(PAGE)]))
    return numbers


def flip_bits(path: Path, draw: random.Random) -> set[int]:
    size = path.stat().st_size
    places = [draw.randrange(size) for _ in range(draw.choice([1, 5, 50]))]
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1 << draw.randrange(8)]))
    return {place // PAGE + 1 for place in places}


def pages_of(path: Path, records: Mapping[str, Record]) -> dict[str, set[int]]:
    """The pages of an undamaged store that hold each record, found by searching for its bytes.

    May report more pages for a record than it occupies, never fewer.
    """
    file = path.read_bytes()
    pages = [file[start : start + PAGE] for start in range(0, len(file), PAGE)]
    beginnings = {page[4:24]: number for number, page in enumerate(pages, 1)}
    found_pages: dict[str, set[int]] = {}
    for key, record in records.items():
        body = record.model_dump_json(exclude_defaults=True).encode()
        at = file.index(key.encode() + body[:2])
        number, inside = at // PAGE + 1, at % PAGE + len(key)
        length = common_prefix_length(pages[number - 1][inside:], body)
        found_pages[key] = {number}
        done = max(0, length - 4)  # the next page may begin with the same bytes
        while done < len(body):
            more = [
                n for n in range(done, min(done + 9, len(body))) if body[n : n + 20] in beginnings
            ]
            if not more:
                assert length >= len(body), "no page continues the record"
                break
            found_pages[key].add(beginnings[body[more[0] : more[0] + 20]])
            done = more[0] + PAGE - 4
    return found_pages


def interior_pages(path: Path) -> set[int]:
    """The interior pages of the table's B-tree: https://sqlite.org/fileformat2.html#b_tree_pages"""
    file = path.read_bytes()
    return {start // PAGE + 1 for start in range(0, len(file), PAGE) if file[start] == 5}


def common_prefix_length(first: bytes, second: bytes) -> int:
    """The length of the common prefix of two byte strings."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((nth for nth, (a, b) in pairs if a != b), min(len(first), len(second)))


def read_or_error(path: Path, records: Mapping[str, Record]) -> dict[str, Record] | str:
    """Those of the records that the store returns, or its error message."""
    try:
        return read_all(path, records)
    except StoreError as error:
        return str(error)
