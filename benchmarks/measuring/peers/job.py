"""The job that every peer is given, and the line in which its driver says what came of it.

Runs in the environment of each peer, so it imports nothing but the standard library; it knows no
peer. The judge is a server that knows the sound completion of a pair from the flawed one, so that
the truth about every pair is known: `tuned` wrote the sound one in 60 % of them.

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
ORDERS = (MODELS, MODELS[::-1])  # every pair is shown in both
MODEL = "judge-1"  # no tool knows a model of this name, and so none treats it in a way of its own

Job = Literal["plain", "limited", "failing", "unreadable"]


class Pair(NamedTuple):
    """A prompt with what each model completed it with, and which of the two wrote the sound one."""

    number: int
    prompt: str
    tuned: str
    base: str
    better: str


@dataclass
class Outcome:
    """What a tool did with `asked` judgments, as it tells it itself.

    Of the `verdicts` that came back, `wrong` name the worse one and `ties` neither. `failed` is
    what the tool counts as failed, or raises to its caller for one judgment. `stopped` is the error
    that ended the whole job, `says` the first line of its log that speaks of a loss. `seconds` and
    `cpu_seconds` are those of the job, without the imports.
    """

    version: str
    asked: int
    verdicts: int = 0
    wrong: int = 0
    ties: int = 0
    failed: int = 0
    stopped: str | None = None
    says: str | None = None
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

    def add_raised(self, ends: Sequence[object]) -> None:
        """Count the judgments that ended in an exception, and keep the first of them."""
        raised = [end for end in ends if isinstance(end, Exception)]
        self.failed += len(raised)
        self.says = self.says or (told_of(raised[0]) if raised else None)


class Told(NamedTuple):
    """What a driver was told: the server, how many pairs, how many at once, which job, a folder."""

    url: str
    pairs: list[Pair]
    in_flight: int
    job: Job
    folder: Path


def told(arguments: list[str]) -> Told:
    """Read a driver's arguments."""
    url, pairs, in_flight, job, folder = arguments
    assert job in get_args(Job)
    return Told(url, pairs_of(int(pairs)), int(in_flight), cast(Job, job), Path(folder))


def pairs_of(count: int) -> list[Pair]:
    """The pairs: texts of about 700 characters, each with its number."""
    return [pair_of(number) for number in range(count)]


def pair_of(number: int) -> Pair:
    """One pair; `tuned` wrote the sound one in three of five."""
    case = f"Case {number:05d}"
    texts = [f"{case}, {kind}. " + "It goes on for some lines. " * 24 for kind in (SOUND, FLAWED)]
    better = MODELS[number % 5 >= 3]
    tuned, base = texts if better == "tuned" else texts[::-1]
    return Pair(number, f"{case}: say what it is about, in a few lines.", tuned, base, better)


def question(pair: Pair, first: str, second: str) -> str:
    """What a bare client asks, which has no template of its own."""
    return (
        "Which completion is better?\n\n"
        f"# Prompt\n{pair.prompt}\n\n# A\n{first}\n\n# B\n{second}\n\n"
        'End with JSON: {"winner": "A"}, "B" or "tie".'
    )


class Losses(logging.Handler):
    """Keeps the first warning that holds one of those words."""

    def __init__(self, *words: str) -> None:
        super().__init__(logging.INFO)
        self.words, self.first = words, None

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        line = record.getMessage()
        if self.first is None and any(word in line for word in self.words):
            self.first = " ".join(line.split())[:300]


def tell(outcome: Outcome, work: Callable[[Outcome], None]) -> None:
    """Do the work, and print what came of it: the last line on stdout."""
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123 - a tool's own prints
    started, cpu = time.perf_counter(), used()
    try:
        work(outcome)
    except Exception as error:  # whatever it is, it ended the job, and is told
        outcome.stopped = told_of(error)
    outcome.seconds = time.perf_counter() - started
    outcome.cpu_seconds = used() - cpu
    print(json.dumps(asdict(outcome) | {"missing": outcome.missing}), file=out, flush=True)


def told_of(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def used() -> float:
    """Seconds of CPU that this process used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
