"""The job that each peer's driver runs, and the JSON line in which the driver reports its outcome.

Runs in each peer's environment, so it imports the standard library only. The judge server tells the
sound completion of a pair from the flawed one, so the truth about every pair is known: `tuned`
wrote the sound one in 60 % of them.

    python with_NAME.py URL PAIRS IN_FLIGHT JOB FOLDER
"""

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

SOUND, FLAWED = "the sound text", "the flawed text"
MODELS = ("tuned", "base")
ORDERS = (MODELS, MODELS[::-1])  # each pair is judged in both orders
MODEL = "judge-1"  # an unknown name, so no tool applies model-specific settings

Job = Literal["plain", "limited", "failing", "unreadable"]


class Pair(NamedTuple):
    """A prompt, the completion of each model, and the name of the better model."""

    number: int
    prompt: str
    tuned: str
    base: str
    better: str


@dataclass
class Outcome:
    """The outcome of `asked` judgments, as the tool reports it.

    Of the returned `verdicts`, `wrong` name the worse model and `ties` neither. `failed` are those
    that the tool counts as failed or raises to its caller. `stopped` is the error that ended the
    job, `first_error` the first error or log line about a lost judgment. `seconds` and
    `cpu_seconds` are those of the job, without imports.
    """

    version: str
    asked: int
    verdicts: int = 0
    wrong: int = 0
    ties: int = 0
    failed: int = 0
    stopped: str | None = None
    first_error: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def missing(self) -> int:
        """Judgments that are neither among the verdicts nor counted as failed."""
        return self.asked - self.verdicts - self.failed

    def add(self, winner: str | None, pair: Pair) -> None:
        """Count a verdict; without a winner it is a tie."""
        self.verdicts += 1
        self.ties += winner is None
        self.wrong += winner is not None and winner != pair.better

    def add_raised(self, results: Sequence[object]) -> None:
        """Count the judgments that ended in an exception, and keep the first of them."""
        raised = [end for end in results if isinstance(end, Exception)]
        self.failed += len(raised)
        self.first_error = self.first_error or (describe_error(raised[0]) if raised else None)


class Arguments(NamedTuple):
    """The arguments of a driver: server, pairs, requests in flight, job, folder."""

    url: str
    pairs: list[Pair]
    in_flight: int
    job: Job
    folder: Path


def parse_arguments(arguments: list[str]) -> Arguments:
    """Parse a driver's command line."""
    url, pairs, in_flight, job, folder = arguments
    assert job in get_args(Job)
    return Arguments(url, make_pairs(int(pairs)), int(in_flight), cast(Job, job), Path(folder))


def make_pairs(count: int) -> list[Pair]:
    """`count` pairs with texts of about 700 characters that contain the pair's number."""
    return [make_pair(number) for number in range(count)]


def make_pair(number: int) -> Pair:
    """A pair; `tuned` has the sound text in three of five."""
    case = f"Case {number:05d}"
    texts = [f"{case}, {kind}. " + "It goes on for some lines. " * 24 for kind in (SOUND, FLAWED)]
    better = MODELS[number % 5 >= 3]
    tuned, base = texts if better == "tuned" else texts[::-1]
    return Pair(number, f"{case}: say what it is about, in a few lines.", tuned, base, better)


def question(pair: Pair, first: str, second: str) -> str:
    """The judge prompt for clients without a template."""
    return (
        "Which completion is better?\n\n"
        f"# Prompt\n{pair.prompt}\n\n# A\n{first}\n\n# B\n{second}\n\n"
        'End with JSON: {"winner": "A"}, "B" or "tie".'
    )


class LossHandler(logging.Handler):
    """Log handler that keeps the first line with one of the given phrases."""

    def __init__(self, *words: str) -> None:
        super().__init__(logging.INFO)
        self.words, self.first = words, None

    def emit(self, record: logging.LogRecord) -> None:
        """Check one record."""
        line = record.getMessage()
        if self.first is None and any(word in line for word in self.words):
            self.first = " ".join(line.split())[:300]


def run_job(outcome: Outcome, work: Callable[[Outcome], None]) -> None:
    """Run the job, and print its outcome as the last line of stdout."""
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123 - discards the tool's output
    started, cpu = time.perf_counter(), cpu_seconds()
    try:
        work(outcome)
    except Exception as error:  # any error ends the job and is reported
        outcome.stopped = describe_error(error)
    outcome.seconds = time.perf_counter() - started
    outcome.cpu_seconds = cpu_seconds() - cpu
    print(json.dumps(asdict(outcome) | {"missing": outcome.missing}), file=out, flush=True)


def describe_error(error: Exception) -> str:
    """An exception as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def cpu_seconds() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
