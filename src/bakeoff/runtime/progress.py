"""Progress of a run: a counter per model and judge, and `progress.json` beside the results."""

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
from bakeoff.records import Completion, Record, Stage, Verdict
from bakeoff.storage.files import write_atomically

log = logging.getLogger(__name__)

PROGRESS_FILE = "progress.json"
HEARTBEAT = 2.0  # seconds between two writes of an unchanged file
_STALE = 15.0  # seconds without a write after which a run counts as stopped
_PAUSE = 0.5  # seconds between two writes, at least
_MAX_BYTES = 1_000_000  # a larger file is not a progress file


class ProgressUpdate(Record):
    """Progress of one model or judge."""

    stage: Stage
    """`completion` of a model, `judgment` of a judge."""
    participant: str
    """Name of the model or judge."""
    done: int = Field(default=0, ge=0)
    """Number of outcomes, including failures and those from the store."""
    failed: int = Field(default=0, ge=0)
    """Those of `done` that failed."""
    total: int = Field(ge=0)
    """Number of outcomes requested."""
    stored: int = Field(default=0, ge=0)
    """Those of `done` that were in the store."""
    remote_done: int = Field(default=0, ge=0)
    """Further requests that the provider has processed, in batches that have not ended."""
    tokens: int = Field(default=0, ge=0)
    """Tokens in and out of the new outcomes."""
    tokens_in_progress: int = Field(default=0, ge=0)
    """Tokens generated for unfinished outcomes."""
    cost: float | None = Field(default=0.0, ge=0, allow_inf_nan=False)
    """US dollars for the new outcomes; None if a price is unknown."""


ProgressCallback = Callable[[ProgressUpdate], None]


class ProgressCounter:
    """Counts the outcomes of one model or judge and passes each change to `on_progress`."""

    def __init__(
        self, stage: Stage, participant: str, total: int, on_progress: ProgressCallback
    ) -> None:
        self.stage = stage
        self.stored = 0
        """Number of outcomes that were in the store."""
        self._participant = participant
        self._total = total
        self._on_progress = on_progress
        self._done = self._failed = 0
        self._remote_done = 0
        self._tokens = self._tokens_in_progress = 0
        self._cost: float | None = 0.0
        self._report()

    @property
    def has_results(self) -> bool:
        """Whether there is a new outcome that is not a failure."""
        return self._done > self.stored + self._failed

    def add_stored(self, count: int = 1) -> None:
        """Count outcomes that were in the store."""
        self._done += count
        self.stored += count
        self._report()

    def set_remote_done(self, count: int) -> None:
        """Set how many requests the provider has processed without an outcome here."""
        if count != self._remote_done:
            self._remote_done = count
            self._report()

    def set_tokens_in_progress(self, tokens: int) -> None:
        """Set how many tokens are generated for unfinished outcomes."""
        if tokens != self._tokens_in_progress:
            self._tokens_in_progress = tokens
            self._report()

    def add_new(self, outcome: Completion | Verdict | WorkError, times: int = 1) -> None:
        """Count a new outcome `times` times, and its tokens and cost once. Ignores StoppedError."""
        if isinstance(outcome, StoppedError):
            return
        self._done += times
        self._remote_done = 0
        if isinstance(outcome, WorkError):
            self._failed += times
        else:
            tokens = tokens_of(outcome)
            self._tokens += tokens
            self._tokens_in_progress = max(0, self._tokens_in_progress - tokens)
            known = self._cost is not None and outcome.cost is not None
            self._cost = (self._cost or 0) + (outcome.cost or 0) if known else None
        if self._done >= self._total:
            self._tokens_in_progress = 0
        self._report()

    def finish(self) -> None:
        """Set the total to the number of outcomes that are done."""
        if self._done < self._total:
            self._total = self._done
            self._report()

    def _report(self) -> None:
        self._on_progress(
            ProgressUpdate(
                stage=self.stage,
                participant=self._participant,
                done=self._done,
                failed=self._failed,
                total=self._total,
                stored=self.stored,
                remote_done=self._remote_done,
                tokens=self._tokens,
                tokens_in_progress=self._tokens_in_progress,
                cost=self._cost,
            )
        )


def tokens_of(record: Completion | Verdict) -> int:
    """Return the tokens in and out; the tokens out for a completion without usage; else 0."""
    if record.usage:
        return record.usage.input_tokens + record.usage.output_tokens
    return (record.tokens or 0) if isinstance(record, Completion) else 0


class ProgressReport(Record):
    """Content of `progress.json`, which exists during a run and after a run that was stopped."""

    schema_: Literal["bakeoff-progress/1"] = Field(default="bakeoff-progress/1", alias="schema")
    started: AwareDatetime
    """When the run started."""
    updated: AwareDatetime
    """When the file was written."""
    rows: tuple[ProgressUpdate, ...] = ()
    """One per model and judge; empty while models are downloaded and checked."""
    results: str = "results.json"
    """Name of the file, in the same folder, that is written when the run has finished."""

    def is_stale(self, now: datetime) -> bool:
        """Return whether the run has stopped: it would have written every `HEARTBEAT` seconds."""
        return abs((now - self.updated).total_seconds()) > _STALE


def read_progress(folder: Path) -> ProgressReport | None:
    """Return the progress of the run that writes into `folder`; None without a readable file."""
    path = folder / PROGRESS_FILE
    try:
        if not path.is_file():  # reading a pipe could block
            return None
        with path.open("rb") as file:
            return ProgressReport.model_validate_json(file.read(_MAX_BYTES))
    except (OSError, ValidationError):
        return None


class ProgressFile:
    """Context manager and ProgressCallback that writes `progress.json` into `folder`.

    The file is deleted on exit, unless the body raises. A failure to write is logged once, and does
    not stop the run.
    """

    def __init__(self, folder: Path, on_progress: ProgressCallback = lambda _: None) -> None:
        self._path = folder / PROGRESS_FILE
        self._on_progress = on_progress
        self._rows: dict[tuple[Stage, str], ProgressUpdate] = {}
        self._began = time.monotonic()
        self._started = self._updated = datetime.now(UTC)
        self._written = 0.0
        self._warned = False

    def __enter__(self) -> Self:
        self.write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and self._rows:
            self.write()
        else:  # finished, or failed before the first update
            with suppress(OSError):  # a file that stays is stale after a while
                self._path.unlink(missing_ok=True)

    def __call__(self, update: ProgressUpdate) -> None:
        """Call `on_progress`, and write the file unless it was written less than 0.5 s ago."""
        self._rows[update.stage, update.participant] = update
        self._on_progress(update)
        if time.monotonic() - self._written >= _PAUSE:
            self.write()

    def write(self) -> None:
        """Replace the file atomically."""
        rows = tuple(self._rows.values())
        now = datetime.now(UTC)
        if now < self._updated:  # the clock was set back: keep the elapsed time right
            self._started = now - timedelta(seconds=time.monotonic() - self._began)
        self._updated = now
        report = ProgressReport(started=self._started, updated=now, rows=rows)
        text = report.model_dump_json(by_alias=True, indent=1) + "\n"
        try:
            write_atomically(self._path, text.encode())
        except OSError as error:
            if not self._warned:
                log.warning("cannot write %s (%s): the run goes on", self._path, error.strerror)
            self._warned = True
        self._written = time.monotonic()
