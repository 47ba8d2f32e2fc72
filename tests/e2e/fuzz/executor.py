"""Runs a fuzz target on mutated inputs; returns the counts and the inputs that failed."""

import random
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.e2e.fuzz.mutations import mutate, mutate_json
from tests.e2e.fuzz.targets import Target, run_target

MAX_SECONDS = 3.0  # CPU seconds that one input may take
_JSON_SHARE = 0.7  # share of mutations of JSON inputs that stay JSON


class Finding(NamedTuple):
    """An input on which a target failed, and the problem."""

    data: bytes
    problem: str


class Tally(NamedTuple):
    """The number of executions, the number of inputs that were read, and the findings."""

    executions: int
    read: int
    findings: tuple[Finding, ...]


def fuzz(target: Target, count: int, seed: int, folder: Path) -> Tally:
    """Run a target `count` times; of several findings of one kind only the first is kept."""
    rng = random.Random(f"{seed} {target.name}")
    kinds: Counter[str] = Counter()
    findings: list[Finding] = []
    read_count = 0
    for number in range(count):
        seeds = target.seeds
        data = seeds[number] if number < len(seeds) else None  # each seed once without mutation
        if data is None:
            data = rng.choice(seeds)
            if target.is_json and rng.random() < _JSON_SHARE:
                data = mutate_json(data, rng)
            if not target.is_json or rng.random() > _JSON_SHARE:
                data = mutate(data, rng, seeds, target.max_length)
        problem, was_read = _outcome(target, data, folder)
        read_count += was_read
        if problem:
            kind = problem.partition(":")[0] + problem[-60:]
            kinds[kind] += 1
            if kinds[kind] == 1:
                findings.append(Finding(data, problem))
    return Tally(count, read_count, tuple(findings))


def _outcome(target: Target, data: bytes, folder: Path) -> tuple[str, bool]:
    """The problem (empty: none), and whether the input was read."""
    started = time.process_time()
    try:
        was_read = run_target(target, data, folder)
    except Exception as error:  # every exception is a finding
        traceback = error.__traceback__
        while traceback and traceback.tb_next:
            traceback = traceback.tb_next
        line = (
            f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
            if traceback
            else ""
        )
        return f"{type(error).__name__}: {str(error)[:200]} at {line}", False
    seconds = time.process_time() - started
    return (f"slow: {seconds:.1f} s", was_read) if seconds > MAX_SECONDS else ("", was_read)
