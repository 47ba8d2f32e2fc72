"""What is left to do in a comparison, in requests, tokens, money and time, before it is done.

Knows what the store has and what a request would say; asks nobody.
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple, TypeVar

from bakeoff.config import Config
from bakeoff.costs import estimate_tokens
from bakeoff.errors import BudgetError, VerdictError
from bakeoff.evaluation.pipeline import Comparing
from bakeoff.evaluation.request_plan import Sitting
from bakeoff.records import Completion, Pair, Plan, StageUsage, Usage, Verdict
from bakeoff.runtime import Generator, Judge, ModelRequest, estimate_cost, planned_requests

T = TypeVar("T")

COMPLETION, VERDICT = 350, 160  # tokens that are written, where nothing that was is known
_ENOUGH = 5  # records of a model or judge: then they say how much it writes
_SOME = 200  # items that are looked at: the others are like them
_SPEED, _DELAY = 50.0, 1.0  # tokens a second of a hosted model, and seconds until the first
_AT_ONCE = 64  # requests in flight at one, that most providers take
_FRAME = 4  # tokens around a message
_FILLER = "word "  # a token


class _Left(NamedTuple):
    """What is left for one model or judge.

    `asks` are what some of the `items` would be asked, `longest` the same where what does not exist
    yet is as long as it may be; `usages` are what was asked before.
    """

    items: int
    kept: int
    asks: list[list[ModelRequest]]
    longest: list[list[ModelRequest]]
    usages: list[Usage]


def estimate(comparing: Comparing) -> Plan:
    """What a comparison still takes, at most, after it has looked into the store."""
    with comparing.schedule.at_most():
        expenses = [
            *_of_models(comparing),
            *(_of_judge(comparing, name) for name in comparing.judges),
        ]
    return Plan(
        prompts=len(comparing.prompts),
        usage=tuple(expenses),
        notes=tuple(_notes(comparing, expenses)),
    )


def check_budget(found: Plan, config: Config) -> None:
    """BudgetError where it would cost more than it may, or nobody knows what it costs."""
    most = config.max_cost
    if most is None or not found.paid:
        return
    if found.cost is None:
        raise BudgetError(
            f"--max-cost {most:g}: the price of {found.unpriced[0]!r} is not known, so nothing can "
            "keep to it: give it in US dollars for a million tokens read and written, as "
            "?price=0.5,1.5, or leave out --max-cost"
        )
    # Who stops when it is sure may well be sure before: what is spent is held to it all the same.
    if found.cost > most and config.stop == "never":
        raise BudgetError(
            f"this would cost about ${found.cost:.2f}, more than --max-cost {most:g}: ask for less "
            "(--limit), take a cheaper judge or batches (--batch), or allow more"
        )
    if config.batch and (found.max_cost or 0) > most:
        raise BudgetError(
            f"in batches this can cost ${found.max_cost:.2f}, more than --max-cost {most:g}, and "
            "what is sent cannot be stopped: allow more, ask for less (--limit, --max-tokens), or "
            "leave out --batch"
        )


def _of_models(comparing: Comparing) -> Iterator[StageUsage]:
    for name, model in comparing.models.items():
        owed = dict(comparing.owed(name))  # what has one key is asked once
        had = _completions(comparing, name)
        asks = [list(planned_requests(model, prompt)) for prompt in _some(list(owed.values()))]
        usages = [one.usage for one in had if one.usage]
        left = _Left(len(owed), len(had), asks, asks, usages)
        yield _expense(
            comparing.config, StageUsage(stage="completion", participant=name), model, left
        )


def _of_judge(comparing: Comparing, name: str) -> StageUsage:
    judge, due = comparing.judges[name], comparing.due(name)
    had = [
        verdict
        for one, verdict in comparing.verdicts.items()
        if one.judge == name and isinstance(verdict, Verdict)
    ]
    expected = {model: _length(comparing, model) for model in comparing.models}
    most = {model: _most(comparing, model) for model in comparing.models}
    some = _some(due)
    left = _Left(
        len(due),
        len(had),
        [_shown(comparing, judge, one, expected) for one in some],
        [_shown(comparing, judge, one, most) for one in some],
        [verdict.usage for verdict in had if verdict.usage],
    )
    return _expense(comparing.config, StageUsage(stage="judgment", participant=name), judge, left)


def _completions(comparing: Comparing, name: str) -> list[Completion]:
    return [
        found
        for text, found in comparing.completions.items()
        if text.model == name and isinstance(found, Completion)
    ]


def _length(comparing: Comparing, name: str) -> float:
    """The tokens that a completion of a model has, about."""
    known = [estimate_tokens(one.text) for one in _some(_completions(comparing, name))]
    return fmean(known) if len(known) >= _ENOUGH else min(COMPLETION, _most(comparing, name))


def _most(comparing: Comparing, name: str) -> float:
    """The tokens that a completion of a model may have."""
    owed = comparing.owed(name)[:1]
    asks = [ask for _, prompt in owed for ask in planned_requests(comparing.models[name], prompt)]
    return max((ask.sampling.max_tokens for ask in asks), default=comparing.config.max_tokens)


def _shown(
    comparing: Comparing, judge: Judge, one: Sitting, lengths: dict[str, float]
) -> list[ModelRequest]:
    """What a judge is asked; for a completion that does not exist stands a text as long."""
    texts = []
    for wanted in one.texts:
        found = comparing.completions.get(wanted)
        filler = _FILLER * round(lengths[wanted.model])
        texts.append(found.text if isinstance(found, Completion) else filler)
    pair = Pair(prompt=comparing.prompts[one.prompt_id], first=texts[0], second=texts[1])
    try:
        return list(planned_requests(judge, pair))
    except VerdictError:  # it cannot be shown, and so it is not asked about
        return []


def _expense(config: Config, of: StageUsage, worker: Generator | Judge, left: _Left) -> StageUsage:
    asks = [ask for several in left.asks for ask in several]
    each = len(asks) / len(left.asks) if asks else 1.0
    requests = round(left.items * each)
    of = of.model_copy(update={"requests": requests, "stored": left.kept})
    if not asks or not requests:
        cost = estimate_cost(worker, Usage(input_tokens=0, output_tokens=0)) if requests else 0.0
        return of.model_copy(update={"cost": cost, "max_cost": cost})
    most = fmean(_written(ask) for ask in asks)
    written = min(most, COMPLETION if of.stage == "completion" else VERDICT)
    if len(left.usages) >= _ENOUGH:
        written = fmean(usage.output_tokens for usage in left.usages) / each
    longest = fmean(_read(ask) for several in left.longest for ask in several)
    usage = _usage(requests, fmean(map(_read, asks)), written)
    cost = estimate_cost(worker, usage)
    dearest = estimate_cost(worker, _usage(requests, longest, most))
    return of.model_copy(
        update={
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cost": cost,
            "max_cost": dearest,
            "seconds": None
            if cost == 0 or worker.traits.batch_only
            else _seconds(config, usage, requests),
        }
    )


def _usage(requests: int, read: float, written: float) -> Usage:
    return Usage(input_tokens=round(requests * read), output_tokens=round(requests * written))


def _read(ask: ModelRequest) -> int:
    turns = [message.content for message in ask.prompt.messages]
    turns += [ask.sampling.system] if ask.sampling.system else []
    return sum(estimate_tokens(turn) + _FRAME for turn in turns)


def _written(ask: ModelRequest) -> int:
    return 1 if ask.sampling.score_only else ask.sampling.max_tokens


def _seconds(config: Config, usage: Usage, requests: int) -> float:
    """How long a hosted model takes: by its speed, or by the limits that were given."""
    each = _DELAY + usage.output_tokens / requests / _SPEED
    seconds = max(1.0, requests / min(_AT_ONCE, config.max_concurrency)) * each
    if config.rpm:
        seconds = max(seconds, 60 * requests / config.rpm)
    if config.tpm:
        seconds = max(seconds, 60 * (usage.input_tokens + usage.output_tokens) / config.tpm)
    return seconds


def _some(items: Sequence[T]) -> list[T]:
    """All, or so many of them, evenly spread."""
    step = max(1, -(-len(items) // _SOME))
    return list(items[::step])


def _notes(comparing: Comparing, expenses: Iterable[StageUsage]) -> Iterator[str]:
    """What was assumed."""
    config = comparing.config
    if not comparing.schedule.over:
        yield "it is as much as it may come to: the run ends before where that suffices"
    asked = [one for one in expenses if one.requests]
    new = {one.stage for one in asked if one.stored < _ENOUGH and one.output_tokens is not None}
    if any(one.input_tokens is not None for one in asked):
        yield "tokens read are counted from the texts, within about 15 % for English and code"
    if "completion" in new:
        length = min(COMPLETION, config.max_tokens)
        yield f"a completion is taken to have {length} tokens of the {config.max_tokens} it may"
    if "judgment" in new:
        yield f"a verdict is taken to have {VERDICT} tokens; what is asked again comes on top"
    if any(one.seconds is not None for one in asked):
        yield (
            f"time is that of a provider who writes {_SPEED:g} tokens a second and takes "
            f"{min(_AT_ONCE, config.max_concurrency)} requests at once"
        )
    if config.batch:
        yield "a batch may take up to a day"
