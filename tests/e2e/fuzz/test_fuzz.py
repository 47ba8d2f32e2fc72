"""Everything that reads from outside, on inputs that were spoiled: a right value, or one line.

A few thousand in `make test`; a million in `make test-long`, by another seed where FUZZ_SEED names
one. What is found becomes a case of `test_findings.py`.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fuzz.running import fuzz
from tests.e2e.fuzz.targets import ALL, TARGETS, Target

SEED = int(os.environ.get("FUZZ_SEED", "7"))
FEW = 250
SLOW = {"results.shown", "page"}  # a tenth of a second each
HALVES = 2  # of the long job of a target: a test may take only so long


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Memory that looks like a disk, where there is some: a million small files go through it."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


def check(target: Target, count: int, seed: int, folder: Path) -> None:
    tally = fuzz(target, count, seed, folder)
    assert not tally.findings, "\n".join(f"{f.what}\n  {f.data!r}" for f in tally.findings[:5])
    assert tally.executions == count
    assert tally.read > 0, "no input could be read: the readers behind were not tried"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_few(target: Target, folder: Path) -> None:
    check(target, 6 if target.name in SLOW else FEW, 1, folder)


def test_the_long_job_is_a_million() -> None:
    assert ALL >= 1_000_000
    assert len({target.name for target in TARGETS}) == len(TARGETS)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("half", range(HALVES))
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_many(target: Target, half: int, folder: Path) -> None:
    check(target, -(-target.count // HALVES), SEED + half, folder)
