"""Short descriptions of runs for the list, cached until the results change."""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bakeoff.records import SCHEMA, PairSummary, Summary
from bakeoff.web.viewer.runs import FileVersion, Run

_MAX_CARDS = 2_000  # in the cache


class RunCard(NamedTuple):
    """A short description of a run with results."""

    when: datetime
    """Start of the run; else the time of the file."""
    seconds: float | None = None
    models: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    prompts: int = 0
    pairs: tuple[PairSummary, ...] = ()
    cost: float | None = None
    """US dollars; None if no price is known."""
    failed: int = 0
    problem: str = ""
    """Why the results cannot be shown; empty if they can."""


class RunCards:
    """Cache of cards by run and file version."""

    def __init__(self) -> None:
        self._cache: OrderedDict[tuple[str, FileVersion], RunCard] = OrderedDict()

    def card(self, run: Run) -> RunCard | None:
        """Return the card of a run; None without results."""
        if run.version is None:
            return None
        key = (run.key, run.version)
        card = self._cache.pop(key, None) or _read_card(run, run.version)
        self._cache[key] = card
        if len(self._cache) > _MAX_CARDS:
            self._cache.popitem(last=False)
        return card


def known_cost(*costs: float | None) -> float | None:
    """Return the sum of the known costs; None if none is known (local models have no price)."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


# Validating only these fields of a `Results` skips all texts and is much faster.


class _Partial(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _PartialCost(_Partial):
    cost: float | None = None


class _PartialCompletion(_Partial):
    completion: _PartialCost


class _PartialJudgment(_Partial):
    judge: str
    verdict: _PartialCost


class _PartialResults(_Partial):
    schema_: str = Field(alias="schema")
    environment: dict[str, JsonValue]
    prompts: list[_Partial]
    completions: list[_PartialCompletion]
    judgments: list[_PartialJudgment]
    failures: list[_Partial]
    summary: Summary


def _read_card(run: Run, version: FileVersion) -> RunCard:
    written = datetime.fromtimestamp(version.modified / 1e9, UTC)
    try:
        results = _PartialResults.model_validate_json(run.file.read_bytes())
    except OSError as error:
        return RunCard(written, problem=f"its results cannot be read ({error.strerror})")
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        problem = f"no results of this version of bakeoff ({where}: {first['msg']})"
        return RunCard(written, problem=problem)
    if results.schema_ != SCHEMA:
        problem = f"its schema is {results.schema_!r}, and this version reads {SCHEMA!r}"
        return RunCard(written, problem=problem)
    return _card(results, written)


def _card(results: _PartialResults, written: datetime) -> RunCard:
    judges, seconds = (results.environment.get(key) for key in ("judges", "seconds"))
    identities = judges if isinstance(judges, dict) else {}
    return RunCard(
        when=_parse_time(results.environment.get("started")) or written,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        models=tuple(model.model for model in results.summary.models),
        judges=tuple(identities or dict.fromkeys(row.judge for row in results.judgments)),
        prompts=len(results.prompts),
        pairs=results.summary.pairs,
        cost=known_cost(
            *(row.completion.cost for row in results.completions),
            *(row.verdict.cost for row in results.judgments),
        ),
        failed=len(results.failures),
    )


def _parse_time(started: JsonValue) -> datetime | None:
    """Return a time in UTC; None if the value, which may be anything, is not a time."""
    try:
        return datetime.fromisoformat(str(started)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
