"""Tries a target on spoiled inputs, counts how often, and keeps what is found so that it can be
tried again.
"""

import random
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.e2e.fuzz.mutating import restructured, spoiled
from tests.e2e.fuzz.targets import Target, tried

SLOWEST = 3.0  # seconds of this process's own time that one input may take
_SENSIBLE = 0.7  # of what is JSON: still JSON, with other values


class Finding(NamedTuple):
    """An input that something came of which must not."""

    data: bytes
    what: str


class Tally(NamedTuple):
    """How often a target was tried, how many inputs it could read, and what was found."""

    executions: int
    read: int
    findings: tuple[Finding, ...]


def fuzz(target: Target, count: int, seed: int, folder: Path) -> Tally:
    """Try a target `count` times; of findings of one kind only the first is kept."""
    chance = random.Random(f"{seed} {target.name}")
    kinds: Counter[str] = Counter()
    found: list[Finding] = []
    read = 0
    for number in range(count):
        seeds = target.seeds
        data = seeds[number] if number < len(seeds) else None  # as they are, once
        if data is None:
            data = chance.choice(seeds)
            if target.is_json and chance.random() < _SENSIBLE:
                data = restructured(data, chance)
            if not target.is_json or chance.random() > _SENSIBLE:
                data = spoiled(data, chance, seeds, target.longest)
        what, good = _outcome(target, data, folder)
        read += good
        if what:
            kind = what.partition(":")[0] + what[-60:]
            kinds[kind] += 1
            if kinds[kind] == 1:
                found.append(Finding(data, what))
    return Tally(count, read, tuple(found))


def _outcome(target: Target, data: bytes, folder: Path) -> tuple[str, bool]:
    """What is wrong, empty where nothing is; and whether the input could be read."""
    started = time.process_time()
    try:
        good = tried(target, data, folder)
    except Exception as error:  # each is a finding, and told as one
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        line = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        return f"{type(error).__name__}: {str(error)[:200]} at {line}", False
    took = time.process_time() - started
    return (f"slow: {took:.1f} s", good) if took > SLOWEST else ("", good)
