"""What a list shows of a run: read once from its results, and again only when they change.

Reads the summary and the costs, and passes over every text.
"""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bakeoff.records import SCHEMA, PairSummary, Summary
from bakeoff.web.viewer.numbers import known_cost
from bakeoff.web.viewer.runs import Run, Stamp

_KEPT = 2_000  # cards


class Card(NamedTuple):
    """A run in a few words. `cost` is US dollars, None where no price is known.

    `problem` says why there is nothing to show of results that are there.
    """

    when: datetime
    seconds: float | None = None
    models: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    prompts: int = 0
    pairs: tuple[PairSummary, ...] = ()
    cost: float | None = None
    failed: int = 0
    problem: str = ""


class Cards:
    """The cards of runs, kept as long as their results stay as they are."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Stamp], Card] = OrderedDict()

    def of(self, run: Run) -> Card | None:
        """The card of a run; None where it has no results yet."""
        if run.stamp is None:
            return None
        key = (run.key, run.stamp)
        card = self._kept.pop(key, None) or _card(run, run.stamp)
        self._kept[key] = card
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return card


class _Glance(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Cost(_Glance):
    cost: float | None = None


class _Completed(_Glance):
    completion: _Cost


class _Judged(_Glance):
    judge: str
    verdict: _Cost


class _Prompt(_Glance):
    pass


class _Results(_Glance):
    """The parts of a `Results` that a card is made of."""

    schema_: str = Field(alias="schema")
    environment: dict[str, JsonValue]
    prompts: list[_Prompt]
    completions: list[_Completed]
    judgments: list[_Judged]
    failures: list[_Prompt]
    summary: Summary


def _card(run: Run, stamp: Stamp) -> Card:
    written = datetime.fromtimestamp(stamp.modified / 1e9, UTC)
    try:
        found = _Results.model_validate_json(run.file.read_bytes())
    except OSError as error:
        return Card(written, problem=f"its results cannot be read ({error.strerror})")
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the file"
        problem = f"no results of this version of bakeoff ({where}: {wrong['msg']})"
        return Card(written, problem=problem)
    if found.schema_ != SCHEMA:
        problem = f"its schema is {found.schema_!r}, and this version reads {SCHEMA!r}"
        return Card(written, problem=problem)
    return _made(found, written)


def _made(found: _Results, written: datetime) -> Card:
    judges, seconds = (found.environment.get(key) for key in ("judges", "seconds"))
    named = judges if isinstance(judges, dict) else {}
    return Card(
        when=_when(found.environment.get("started")) or written,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        models=tuple(model.model for model in found.summary.models),
        judges=tuple(named or dict.fromkeys(one.judge for one in found.judgments)),
        prompts=len(found.prompts),
        pairs=found.summary.pairs,
        cost=known_cost(
            *(one.completion.cost for one in found.completions),
            *(one.verdict.cost for one in found.judgments),
        ),
        failed=len(found.failures),
    )


def _when(started: JsonValue) -> datetime | None:
    """The time that an environment tells; it may tell anything."""
    try:
        return datetime.fromisoformat(str(started)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
