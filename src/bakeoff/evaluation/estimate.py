"""Estimate requests, tokens, cost and time of a run before it starts."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import NamedTuple, TypeVar

from bakeoff.config import Config
from bakeoff.costs import estimate_tokens
from bakeoff.errors import BudgetError, VerdictError
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.request_plan import JudgmentKey
from bakeoff.evaluation.run_history import look_notes
from bakeoff.records import Completion, Look, Pair, Plan, Stage, StageUsage, Usage, Verdict
from bakeoff.runtime import Generator, Judge, ModelRequest, estimate_cost, planned_requests

T = TypeVar("T")

# Assumed output tokens, until enough outcomes are known.
COMPLETION_TOKENS, VERDICT_TOKENS = 350, 160
_MIN_KNOWN = 5  # outcomes of a participant from which its own mean is used
_MAX_SAMPLED = 200  # items that represent all others
_TOKENS_PER_SECOND = 50.0  # of a hosted model
_LATENCY = 1.0  # seconds to the first token
_CONCURRENCY = 64  # requests that most providers serve at once
_MESSAGE_OVERHEAD = 4  # tokens per message
_FILLER = "word "  # about one token


class _Remaining(NamedTuple):
    """The remaining work of one model or judge."""

    items: int
    """Number of outcomes that are missing."""
    stored: int
    """Number of outcomes in the store."""
    requests: list[list[ModelRequest]]
    """Requests of a sample of the items, with texts of the expected length."""
    longest_requests: list[list[ModelRequest]]
    """The same with texts of the maximal length."""
    usages: list[Usage]
    """Usage of the stored outcomes."""


def is_free(pipeline: Pipeline) -> bool:
    """Whether no model and no judge costs money, so that a run needs no estimate."""
    usage = Usage(input_tokens=1, output_tokens=1)
    return all(estimate_cost(worker, usage) == 0 for worker in pipeline.workers)


def estimate(pipeline: Pipeline, looks: tuple[Look, ...] = ()) -> Plan:
    """Return an upper bound of the remaining work of a pipeline, after `Pipeline.resume`.

    `looks` are earlier looks at its pairs, which widen the intervals.
    """
    with pipeline.schedule.with_all_stages():
        usage = [
            *_estimate_models(pipeline),
            *(_estimate_judge(pipeline, name) for name in pipeline.judges),
        ]
    return Plan(
        prompts=len(pipeline.prompts),
        usage=tuple(usage),
        detectable=_detectable(pipeline, looks),
        notes=(
            *look_notes(pipeline.config.design.model_copy(update={"looks": looks})),
            *_notes(pipeline, usage),
        ),
    )


def check_budget(plan: Plan, config: Config) -> None:
    """Raise BudgetError if the estimated cost is unknown or exceeds `config.max_cost`."""
    limit = config.max_cost
    if limit is None or not plan.paid:
        return
    if plan.cost is None:
        raise BudgetError(
            f"--max-cost {limit:g}: the price of {plan.unpriced[0]!r} is not known, so nothing can "
            "keep to it: give it in US dollars for a million tokens read and written, as "
            "?price=0.5,1.5, or leave out --max-cost"
        )
    # A sequential run may end early, and is stopped at the limit anyway.
    if plan.cost > limit and config.stop == "never":
        raise BudgetError(
            f"this would cost about ${plan.cost:.2f}, more than --max-cost {limit:g}: ask for less "
            "(--limit), take a cheaper judge or batches (--batch), or allow more"
        )
    if config.batch and (plan.max_cost or 0) > limit:
        raise BudgetError(
            f"in batches this can cost ${plan.max_cost:.2f}, more than --max-cost {limit:g}, and "
            "what is sent cannot be stopped: allow more, ask for less (--limit, --max-tokens), or "
            "leave out --batch"
        )


def _detectable(pipeline: Pipeline, looks: tuple[Look, ...]) -> tuple[float, float] | None:
    """Return the win rates that the run tells from 0.5, by the procedure that will decide."""
    # Late: scipy takes long to import.
    from bakeoff.stats.detectable_rates import detectable_rates, sequential_factor

    config, n = pipeline.config, len(pipeline.prompts)
    if config.shard is not None:
        return None
    alpha = 0.05 / max(1, len(pipeline.schedule.progress))
    if looks or config.design.sequential:
        return detectable_rates(n, factor=sequential_factor(alpha))
    if config.looks > 1:
        from bakeoff.stats.looks import obrien_fleming

        alpha = obrien_fleming(config.looks, alpha)[-1]
    return detectable_rates(n, level=1 - alpha)


def _estimate_models(pipeline: Pipeline) -> Iterator[StageUsage]:
    for name, model in pipeline.models.items():
        pending = dict(pipeline.pending_completions(name))  # equal keys are requested once
        stored = _completions(pipeline, name)
        requests = [
            list(planned_requests(model, prompt)) for prompt in _sample(list(pending.values()))
        ]
        usages = [completion.usage for completion in stored if completion.usage]
        remaining = _Remaining(len(pending), len(stored), requests, requests, usages)
        yield _stage_usage(pipeline.config, "completion", name, model, remaining)


def _estimate_judge(pipeline: Pipeline, name: str) -> StageUsage:
    judge, pending = pipeline.judges[name], pipeline.pending_judgments(name)
    stored = [
        verdict
        for key, verdict in pipeline.verdicts.items()
        if key.judge == name and isinstance(verdict, Verdict)
    ]
    expected = {model: _expected_tokens(pipeline, model) for model in pipeline.models}
    maximal = {model: float(_max_tokens(pipeline, model)) for model in pipeline.models}
    sample = _sample(pending)
    requests = [_judge_requests(pipeline, judge, key, expected) for key in sample]
    texts = [pipeline.completions.get(text) for key in sample for text in key.completions]
    complete = all(isinstance(text, Completion) for text in texts)
    remaining = _Remaining(
        len(pending),
        len(stored),
        requests,
        requests
        if complete
        else [_judge_requests(pipeline, judge, key, maximal) for key in sample],
        [verdict.usage for verdict in stored if verdict.usage],
    )
    return _stage_usage(pipeline.config, "judgment", name, judge, remaining)


def _completions(pipeline: Pipeline, name: str) -> list[Completion]:
    return [
        completion
        for key, completion in pipeline.completions.items()
        if key.model == name and isinstance(completion, Completion)
    ]


def _expected_tokens(pipeline: Pipeline, name: str) -> float:
    """Return the expected tokens of a completion of a model."""
    known = [
        estimate_tokens(completion.text) for completion in _sample(_completions(pipeline, name))
    ]
    if len(known) >= _MIN_KNOWN:
        return fmean(known)
    return min(COMPLETION_TOKENS, _max_tokens(pipeline, name))


def _max_tokens(pipeline: Pipeline, name: str) -> int:
    """Return the maximal tokens of a completion of a model."""
    pending = pipeline.pending_completions(name)[:1]
    requests = [
        request
        for _, prompt in pending
        for request in planned_requests(pipeline.models[name], prompt)
    ]
    return max(
        (request.sampling.max_tokens for request in requests), default=pipeline.config.max_tokens
    )


def _judge_requests(
    pipeline: Pipeline, judge: Judge, key: JudgmentKey, tokens: dict[str, float]
) -> list[ModelRequest]:
    """Return the requests for one judgment; a missing completion has filler text."""
    texts = []
    for completion_key in key.completions:
        completion = pipeline.completions.get(completion_key)
        filler = _FILLER * round(tokens[completion_key.model])
        texts.append(completion.text if isinstance(completion, Completion) else filler)
    pair = Pair(prompt=pipeline.prompts[key.prompt_id], first=texts[0], second=texts[1])
    try:
        return list(planned_requests(judge, pair))
    except VerdictError:  # the judge cannot show this pair, and will not request it
        return []


def _stage_usage(
    config: Config,
    stage: Stage,
    participant: str,
    worker: Generator | Judge,
    remaining: _Remaining,
) -> StageUsage:
    requests = [request for item_requests in remaining.requests for request in item_requests]
    per_item = len(requests) / len(remaining.requests) if requests else 1.0
    count = round(remaining.items * per_item)
    row = partial(
        StageUsage, stage=stage, participant=participant, requests=count, stored=remaining.stored
    )
    if not requests or not count:
        cost = estimate_cost(worker, Usage(input_tokens=0, output_tokens=0)) if count else 0.0
        return row(cost=cost, max_cost=cost)
    max_output = fmean(map(_max_output_tokens, requests))
    output = min(max_output, COMPLETION_TOKENS if stage == "completion" else VERDICT_TOKENS)
    if len(remaining.usages) >= _MIN_KNOWN:
        output = fmean(usage.output_tokens for usage in remaining.usages) / per_item
    mean_input = max_input = fmean(map(_input_tokens, requests))
    if remaining.longest_requests is not remaining.requests:
        longest = [request for requests in remaining.longest_requests for request in requests]
        max_input = fmean(map(_input_tokens, longest))
    usage = _usage(count, mean_input, output)
    cost = estimate_cost(worker, usage)
    return row(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=cost,
        max_cost=estimate_cost(worker, _usage(count, max_input, max_output)),
        seconds=None if cost == 0 or worker.traits.batch_only else _seconds(config, usage, count),
    )


def _usage(requests: int, input_tokens: float, output_tokens: float) -> Usage:
    return Usage(
        input_tokens=round(requests * input_tokens), output_tokens=round(requests * output_tokens)
    )


def _input_tokens(request: ModelRequest) -> int:
    turns = [message.content for message in request.prompt.messages]
    turns += [request.sampling.system] if request.sampling.system else []
    return sum(estimate_tokens(turn) + _MESSAGE_OVERHEAD for turn in turns)


def _max_output_tokens(request: ModelRequest) -> int:
    return 1 if request.sampling.score_only else request.sampling.max_tokens


def _seconds(config: Config, usage: Usage, requests: int) -> float:
    """Return the seconds that a hosted model takes, by its speed or by the rate limits."""
    per_request = _LATENCY + usage.output_tokens / requests / _TOKENS_PER_SECOND
    seconds = max(1.0, requests / min(_CONCURRENCY, config.max_concurrency)) * per_request
    if config.rpm:
        seconds = max(seconds, 60 * requests / config.rpm)
    if config.tpm:
        seconds = max(seconds, 60 * (usage.input_tokens + usage.output_tokens) / config.tpm)
    return seconds


def _sample(items: Sequence[T]) -> list[T]:
    """Return at most `_MAX_SAMPLED` items, evenly spaced."""
    step = max(1, -(-len(items) // _MAX_SAMPLED))
    return list(items[::step])


def _notes(pipeline: Pipeline, usage: Iterable[StageUsage]) -> Iterator[str]:
    """Yield the assumptions of the estimate."""
    config = pipeline.config
    if not pipeline.schedule.finished:
        yield "it is as much as it may come to: the run ends before where that suffices"
    requested = [row for row in usage if row.requests]
    assumed = {
        row.stage for row in requested if row.stored < _MIN_KNOWN and row.output_tokens is not None
    }
    if any(row.input_tokens is not None for row in requested):
        yield "tokens read are counted from the texts, within about 15 % for English and code"
    if "completion" in assumed:
        length = min(COMPLETION_TOKENS, config.max_tokens)
        yield f"a completion is taken to have {length} tokens of the {config.max_tokens} it may"
    if "judgment" in assumed:
        yield (
            f"a verdict is taken to have {VERDICT_TOKENS} tokens; what is asked again comes on top"
        )
    if any(row.seconds is not None for row in requested):
        yield (
            f"time is that of a provider who writes {_TOKENS_PER_SECOND:g} tokens a second and "
            f"takes {min(_CONCURRENCY, config.max_concurrency)} requests at once"
        )
    if config.batch:
        yield "a batch may take up to a day"
