"""Fuzzing: each target returns a valid value or raises a one-line error on mutated inputs.

A few thousand executions in `make test`, a million in `make test-long`, whose seed FUZZ_SEED sets.
Each finding becomes a case of `test_findings.py`.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fuzz.executor import fuzz
from tests.e2e.fuzz.targets import TARGETS, TOTAL_COUNT, Target

SEED = int(os.environ.get("FUZZ_SEED", "7"))
SHORT_COUNT = 250
SLOW_TARGETS = {"results.shown", "page"}  # a tenth of a second each
HALVES = 2  # test cases per target of the long job, to stay below the timeout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in /dev/shm if it exists, as a million small files are written."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as path:
        yield Path(path)


def check(target: Target, count: int, seed: int, folder: Path) -> None:
    tally = fuzz(target, count, seed, folder)
    assert not tally.findings, "\n".join(f"{f.problem}\n  {f.data!r}" for f in tally.findings[:5])
    assert tally.executions == count
    assert tally.read > 0, "no input could be read, so the code after the reader did not run"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_target_on_mutated_inputs(target: Target, folder: Path) -> None:
    check(target, 6 if target.name in SLOW_TARGETS else SHORT_COUNT, 1, folder)


def test_long_job_has_a_million_executions() -> None:
    assert TOTAL_COUNT >= 1_000_000
    assert len({target.name for target in TARGETS}) == len(TARGETS)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("half", range(HALVES))
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_target_on_many_mutated_inputs(target: Target, half: int, folder: Path) -> None:
    check(target, -(-target.count // HALVES), SEED + half, folder)
