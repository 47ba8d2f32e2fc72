"""How far each model and judge of a run has come, counted, and kept in a file beside the results.

Knows no terminal and no page: who shows it is told by a callback, or reads the file.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import AwareDatetime, Field, ValidationError

from bakeoff.errors import StoppedError, WorkError
from bakeoff.records import Completion, Record, Verdict
from bakeoff.storage.files import write_atomically

log = logging.getLogger(__name__)

Stage = Literal["completion", "judgment"]

PROGRESS = "progress.json"
BEAT = 2.0  # seconds from one sign of life to the next
_SILENT = 15.0  # seconds without one after which a run has stopped
_PAUSE = 0.5  # seconds between two writes
_LARGEST = 1_000_000  # bytes of a file that can be ours


class Progress(Record):
    """How far one model or judge has come.

    `kept` of those done were in the store already. `through` more requests are done at the
    provider, in a batch that has not ended. `tokens` (read and written) and `cost` (US dollars) are
    of the new ones; `cost` is None where the price of any of them is not known. `writing` more
    tokens are written of what is not done yet.
    """

    stage: Stage
    who: str
    done: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    total: int = Field(ge=0)
    kept: int = Field(default=0, ge=0)
    through: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    writing: int = Field(default=0, ge=0)
    cost: float | None = Field(default=0.0, ge=0, allow_inf_nan=False)


Watch = Callable[[Progress], None]


class Count:
    """Counts what one model or judge has done, and tells it to `watch`, from nothing done on."""

    def __init__(self, stage: Stage, who: str, total: int, watch: Watch) -> None:
        self.stage = stage
        self._watch = watch
        self._tell(Progress(stage=stage, who=who, total=total))

    @property
    def from_store(self) -> int:
        """How many were in the store."""
        return self._now.kept

    @property
    def worked(self) -> bool:
        """Whether anything came of it that was not in the store, and is no failure."""
        return self._now.done > self._now.kept + self._now.failed

    def kept(self, times: int = 1) -> None:
        """So many more are done that were in the store."""
        now = self._now
        self._tell(now.model_copy(update={"done": now.done + times, "kept": now.kept + times}))

    def through(self, count: int) -> None:
        """So many requests are done at the provider, and are not here yet."""
        if count != self._now.through:
            self._tell(self._now.model_copy(update={"through": count}))

    def writing(self, tokens: int) -> None:
        """So many tokens are written of what is not done yet."""
        if tokens != self._now.writing:
            self._tell(self._now.model_copy(update={"writing": tokens}))

    def new(self, outcome: Completion | Verdict | WorkError, times: int = 1) -> None:
        """One outcome more, asked for and paid once, that is wanted so many times.

        What was not asked, because the run was stopped, is not done.
        """
        if isinstance(outcome, StoppedError):
            return
        now = self._now
        more: dict[str, object] = {"done": now.done + times, "through": 0}
        if isinstance(outcome, WorkError):
            more["failed"] = now.failed + times
        else:
            tokens = tokens_of(outcome)
            more["tokens"] = now.tokens + tokens
            more["writing"] = max(0, now.writing - tokens)  # until somebody looks again
            known = now.cost is not None and outcome.cost is not None
            more["cost"] = (now.cost or 0) + (outcome.cost or 0) if known else None
        if now.done + times >= now.total:
            more["writing"] = 0
        self._tell(now.model_copy(update=more))

    def settle(self) -> None:
        """No more is wanted than what is done."""
        if self._now.done < self._now.total:
            self._tell(self._now.model_copy(update={"total": self._now.done}))

    def _tell(self, progress: Progress) -> None:
        self._now = progress
        self._watch(progress)


def tokens_of(record: Completion | Verdict) -> int:
    """The tokens that it took, read and written; of a completion without usage those written."""
    if record.usage:
        return record.usage.input_tokens + record.usage.output_tokens
    return (record.tokens or 0) if isinstance(record, Completion) else 0


class Report(Record):
    """What `progress.json` holds: a run that goes on, or one that was stopped.

    `rows` is empty while models and judges are being fetched and checked. `results` is the name of
    the file that takes this one's place in its folder when the run is through.
    """

    schema_: Literal["bakeoff-progress/1"] = Field(default="bakeoff-progress/1", alias="schema")
    started: AwareDatetime
    updated: AwareDatetime
    rows: tuple[Progress, ...] = ()
    results: str = "results.json"

    def stopped(self, now: datetime) -> bool:
        """Whether nobody writes it any more: a run gives a sign of life every few seconds."""
        return abs((now - self.updated).total_seconds()) > _SILENT


def read(folder: Path) -> Report | None:
    """What is known of the run that writes into a folder; None where no file of ours is there."""
    path = folder / PROGRESS
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with path.open("rb") as file:
            return Report.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError):
        return None  # being replaced, cut, or somebody else's


class ProgressFile:
    """Keeps `progress.json` while a run goes on: enter it, and give it as the run's `Watch`.

    The file is gone when the run is through, and stays where it was stopped midway. That it cannot
    be written stops no run.
    """

    def __init__(self, folder: Path, watch: Watch = lambda _: None) -> None:
        self._path = folder / PROGRESS
        self._watch = watch
        self._rows: dict[tuple[Stage, str], Progress] = {}
        self._began = time.monotonic()
        self._started = self._updated = datetime.now(UTC)
        self._written = 0.0
        self._complained = False

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is not None and self._rows:
            self.write()
        else:  # through, or nothing had begun
            with suppress(OSError):  # it is told apart by its age
                self._path.unlink(missing_ok=True)

    def __call__(self, progress: Progress) -> None:
        """Pass it on, and write it where the last time is a while ago."""
        self._rows[progress.stage, progress.who] = progress
        self._watch(progress)
        if time.monotonic() - self._written >= _PAUSE:
            self.write()

    def write(self) -> None:
        """Write how far everybody has come: whole, or not at all."""
        rows = tuple(self._rows.values())
        now = datetime.now(UTC)
        if now < self._updated:  # the clock was set back: no run takes less than no time
            self._started = now - timedelta(seconds=time.monotonic() - self._began)
        self._updated = now
        report = Report(started=self._started, updated=now, rows=rows)
        text = report.model_dump_json(by_alias=True, indent=1) + "\n"
        try:
            write_atomically(self._path, text.encode())
        except OSError as error:
            if not self._complained:
                log.warning("cannot write %s (%s): the run goes on", self._path, error.strerror)
            self._complained = True
        self._written = time.monotonic()
