"""Run a judge check: open the judges, request their verdicts, and grade them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakeoff.config import MAX_CONCURRENCY, Sampling, parse_fields
from bakeoff.config.options import JudgeCheckOptions
from bakeoff.environment import StartTime, describe, load_env_file
from bakeoff.errors import BudgetError, ConfigError, InterruptError
from bakeoff.evaluation.judge_check.grading import agreements, grade_judge
from bakeoff.evaluation.judge_check.labeled_pairs import LabeledPairs, load_labeled_pairs
from bakeoff.evaluation.judge_check.outcomes import length_baseline
from bakeoff.evaluation.judge_check.requests import JudgeRequests
from bakeoff.evaluation.judge_check.results import CHECK_SCHEMA, CheckResults
from bakeoff.evaluation.participants import open_judges
from bakeoff.importers.documents import quote_names
from bakeoff.plugins import HUMAN, RunContext, judge_spec
from bakeoff.records import Usage
from bakeoff.redact import masked
from bakeoff.report.export import check_writable, write_file
from bakeoff.runtime import Judge, RateLimits, SpendLimit, StopToken, estimate_cost, task_group
from bakeoff.runtime.progress import ProgressCallback
from bakeoff.storage import Store

CHECK_FILE = "judge-check.json"


def check(
    file: Path | None,
    judges: Sequence[str],
    *,
    store: Path,
    limit: int | None = None,
    repeats: int = 1,
    max_concurrency: int = MAX_CONCURRENCY,
) -> CheckResults:
    """Return the grades of `judges` (specs) on the pairs of a file, or on the built-in pairs.

    At most `limit` pairs are used; each is judged `repeats` times in every order. Verdicts are kept
    in `store`, so that the same call resumes. Raises ConfigError or StoreError if the check cannot
    start.
    """
    fields = {
        "judge": judges,
        "limit": limit,
        "repeats": repeats,
        "max_concurrency": max_concurrency,
    }
    return check_judges(
        file, parse_fields(JudgeCheckOptions, fields | {"store": store}, where="the check")
    )


def check_judges(
    file: Path | None, options: JudgeCheckOptions, on_progress: ProgressCallback = lambda _: None
) -> CheckResults:
    """Like `check`, with options; write `judge-check.json` to `options.out` if it is given."""
    return asyncio.run(check_async(file, options, on_progress))


async def check_async(
    file: Path | None,
    options: JudgeCheckOptions,
    on_progress: ProgressCallback = lambda _: None,
    *,
    stop_token: StopToken | None = None,
) -> CheckResults:
    """Like `check_judges`, inside a running event loop.

    Raises InterruptError if `stop_token` is interrupted.
    """
    started, stop_token = StartTime.now(), stop_token or StopToken()
    load_env_file(options.env_file)
    labeled = load_labeled_pairs(file, options.limit)
    limits = RateLimits(options.rpm, options.tpm)
    context = RunContext(
        Sampling(),
        options.max_concurrency,
        store=options.store,
        rate_limits=limits,
        spend_limit=SpendLimit(options.max_cost),
    )
    judges = _open(options.judge, context)
    _check_prices(judges, options.max_cost)
    if options.out is not None:
        check_writable(options.out)
    requests = [
        JudgeRequests(name, judge, labeled.pairs, options.repeats) for name, judge in judges.items()
    ]
    with stop_token.activate(), Store(options.store) as store:
        try:
            with stop_token.mark_in_flight():
                await _run(requests, store, on_progress)
        finally:
            for judge in judges.values():
                await judge.close()
    if stop_token.interrupted:
        raise InterruptError
    results = _results(labeled, options, requests, started)
    if options.out is not None:
        write_file(options.out / CHECK_FILE, results.to_json())
    return results


async def _run(
    requests: Sequence[JudgeRequests], store: Store, on_progress: ProgressCallback
) -> None:
    """Run hosted judges concurrently, and exclusive ones one after another; close each of those."""
    for judge_requests in requests:
        if store.lacks(key for key, _ in judge_requests.requests):
            await judge_requests.judge.prepare()
    async with task_group() as group:
        for judge_requests in requests:
            if not judge_requests.judge.traits.exclusive:
                group.create_task(judge_requests.run(store, on_progress))
        for judge_requests in requests:
            if judge_requests.judge.traits.exclusive:
                await judge_requests.run(store, on_progress)
                await judge_requests.judge.close()


def _open(judges: Sequence[str], context: RunContext) -> dict[str, Judge]:
    if not judges:
        raise ConfigError("there is no judge to check: give one with --judge")
    if any(judge_spec(token).backend == HUMAN for token in judges):
        raise ConfigError(
            f"{HUMAN!r} cannot be checked like this: give judges that a program can ask"
        )
    return open_judges(judges, context)


def _check_prices(judges: Mapping[str, Judge], limit: float | None) -> None:
    """Raise BudgetError if there is a cost limit and the price of a judge is unknown."""
    for name, judge in judges.items():
        if (
            limit is not None
            and estimate_cost(judge, Usage(input_tokens=1, output_tokens=1)) is None
        ):
            raise BudgetError(
                f"--max-cost {limit:g}: the price of {name!r} is not known: give it in US dollars "
                "for a million tokens read and written, as ?price=0.5,1.5, or leave out --max-cost"
            )


def _results(
    labeled: LabeledPairs,
    options: JudgeCheckOptions,
    requests: Sequence[JudgeRequests],
    started: StartTime,
) -> CheckResults:
    judgments = [judgment for judge_requests in requests for judgment in judge_requests.judgments]
    document = options.model_dump(mode="json", by_alias=True)
    caveats = [
        judge_requests.judge.traits.caveat
        for judge_requests in requests
        if judge_requests.judge.traits.caveat
    ]
    environment = describe() | {
        **started.as_fields(),
        "judges": {
            judge_requests.name: judge_requests.judge.identity for judge_requests in requests
        },
    }
    return CheckResults(
        schema=CHECK_SCHEMA,
        source=labeled.source,
        available=labeled.available,
        config={**document, "judge": [masked(token) for token in options.judge]},
        pairs=labeled.pairs,
        judgments=tuple(judgments),
        failures=tuple(
            failure for judge_requests in requests for failure in judge_requests.failures
        ),
        length_baseline=length_baseline(labeled.pairs),
        judges=tuple(
            grade_judge(
                judge_requests.name,
                labeled.pairs,
                judge_requests.judgments,
                judge_requests.failures,
            )
            for judge_requests in requests
        ),
        agreement=agreements(judgments),
        notes=(*_notes(labeled), *caveats),
        environment=environment,
    )


def _notes(labeled: LabeledPairs) -> Iterator[str]:
    """Yield a note if some pairs have the same text twice."""
    ids = [pair.id for pair in labeled.pairs if pair.better == pair.worse]
    if ids:
        yield (
            f"{len(ids)} of the pairs have one text on both sides, so that no judge can be right: "
            f"{quote_names(ids)}"
        )
