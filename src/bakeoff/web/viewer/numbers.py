"""The numbers of two runs beside each other, each with what forbids to compare it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from bakeoff.records import ModelSummary, PairSummary, Results
from bakeoff.web.viewer.incompatibilities import Refusals

Unit = Literal["share", "score", "count", "length", "dollars", "seconds"]


class Number(NamedTuple):
    """One number of both runs; None where a run does not have it.

    `refused` are clauses that say why the two are not compared. Shares and scores are on 0-1.
    """

    what: str
    one: float | None
    other: float | None
    unit: Unit
    refused: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """other - one; None where that may not be told, or there is nothing to compare."""
        if self.refused or self.one is None or self.other is None:
            return None
        return self.other - self.one


def of_runs(one: Results, other: Results) -> tuple[Number, ...]:
    """Facts about the whole runs: they depend on nothing, and are always compared."""
    told: list[tuple[str, Unit, Callable[[Results], float | None]]] = [
        ("Prompts", "count", lambda run: len(run.prompts)),
        ("Judgments", "count", lambda run: len(run.judgments)),
        ("Failures", "count", lambda run: len(run.failures)),
        ("Known cost", "dollars", cost_of),
        ("Time", "seconds", _seconds),
    ]
    found = [_number(what, unit, map(of, (one, other))) for what, unit, of in told]
    return tuple(number for number in found if (number.one, number.other) != (None, None))


def cost_of(results: Results) -> float | None:
    """US dollars for all that has a known price; None where nothing has."""
    return known_cost(
        *(row.completion.cost for row in results.completions),
        *(row.verdict.cost for row in results.judgments),
    )


def known_cost(*costs: float | None) -> float | None:
    """The sum of those that are known; None where none is. A model of one's own has no price."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def of_pair(
    one: Results, other: Results, ours: Sequence[str], theirs: Sequence[str], refused: Refusals
) -> tuple[Number, ...]:
    """What is known of two models, told of the first of them."""
    views = [_Seen(_pair(one, ours), ours[0]), _Seen(_pair(other, theirs), theirs[0])]
    a, b = (_called(*names) for names in zip(ours, theirs, strict=True))
    told: list[tuple[str, Unit, Callable[[_Seen], float | None], tuple[str, ...]]] = [
        ("Prompts judged", "count", lambda v: v.pair.prompts, ()),
        (f"Win rate of {a}", "share", _Seen.rate, refused.counted),
        (f"Win rate of {a} without ties", "share", _Seen.decisive, refused.folded),
        ("Ties", "share", _Seen.ties, refused.folded),
        (f"Mean score of {a}", "score", lambda v: v.scores()[0], refused.counted),
        (f"Mean score of {b}", "score", lambda v: v.scores()[1], refused.counted),
        ("Same winner in both orders", "share", lambda v: v.pair.consistency, refused.folded),
        ("The first place wins", "share", _Seen.pick_first, refused.folded),
    ]
    found = [_number(what, unit, map(of, views), why) for what, unit, of, why in told]
    for name, its, why in zip(ours, theirs, refused.said, strict=True):
        found += _of_model(_called(name, its), (_model(one, name), _model(other, its)), why)
    return tuple(number for number in found if (number.one, number.other) != (None, None))


def _of_model(
    name: str, both: Sequence[ModelSummary], refused: tuple[str, ...]
) -> Iterable[Number]:
    told: list[tuple[str, Unit, Callable[[ModelSummary], float | None]]] = [
        (f"Characters of {name}", "length", lambda model: model.mean_characters),
        (f"Tokens of {name}", "length", lambda model: model.mean_tokens),
        (f"{name} was cut short", "share", _cut),
    ]
    return [_number(what, unit, map(of, both), refused) for what, unit, of in told]


def _called(name: str, its: str) -> str:
    return name if name == its else f"{name} → {its}"


def _number(
    what: str, unit: Unit, values: Iterable[float | None], refused: tuple[str, ...] = ()
) -> Number:
    one, other = values
    return Number(what, one, other, unit, refused)


def _cut(model: ModelSummary) -> float | None:
    return model.truncated / model.completed if model.completed else None


class _Seen:
    """A pair as one of its models sees it."""

    def __init__(self, pair: PairSummary, model: str) -> None:
        self.pair = pair
        self._first = pair.a == model

    def rate(self) -> float | None:
        return self._turned(self.pair.win_rate.estimate if self.pair.win_rate else None)

    def decisive(self) -> float | None:
        return self._turned(
            self.pair.decisive_win_rate.estimate if self.pair.decisive_win_rate else None
        )

    def ties(self) -> float | None:
        return self.pair.ties / self.pair.prompts if self.pair.prompts else None

    def scores(self) -> tuple[float | None, float | None]:
        both = [
            spread.mean if spread else None for spread in (self.pair.scores_a, self.pair.scores_b)
        ]
        return (both[0], both[1]) if self._first else (both[1], both[0])

    def pick_first(self) -> float | None:
        found = self.pair.order.pick_first
        return found.estimate if found else None

    def _turned(self, share: float | None) -> float | None:
        return share if share is None or self._first else 1 - share


def _pair(results: Results, names: Sequence[str]) -> PairSummary:
    return next(pair for pair in results.summary.pairs if {pair.a, pair.b} == set(names))


def _model(results: Results, name: str) -> ModelSummary:
    return next(model for model in results.summary.models if model.model == name)


def _seconds(results: Results) -> float | None:
    found = results.environment.get("seconds")
    return float(found) if isinstance(found, int | float) else None
