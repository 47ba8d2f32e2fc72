"""Runs the command line in this process, without the second that a new process takes to start."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from bakeoff.cli import main


class Finished(NamedTuple):
    """Exit code and output of a command."""

    returncode: object
    stdout: str
    stderr: str


def run_command(arguments: Sequence[object], capfd: pytest.CaptureFixture[str]) -> Finished:
    """Run `bakeoff` with these arguments in the current folder."""
    capfd.readouterr()
    with _restored_logger(), pytest.raises(SystemExit) as exited:
        main([str(argument) for argument in arguments])
    return Finished(exited.value.code, *capfd.readouterr())


@contextmanager
def _restored_logger() -> Iterator[None]:
    """Undo what a command sets at the logger of bakeoff, which later tests use."""
    log = logging.getLogger("bakeoff")
    before = list(log.handlers), log.level, log.propagate
    try:
        yield
    finally:
        log.handlers, log.level, log.propagate = before
