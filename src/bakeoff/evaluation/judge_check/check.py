"""Opens judges, has them asked about pairs whose better one is known, and gathers the results."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakeoff.config import MAX_CONCURRENCY, Sampling, parse_fields
from bakeoff.config.options import JudgeCheckOptions
from bakeoff.environment import StartTime, describe, load_env_file
from bakeoff.errors import BudgetError, ConfigError, InterruptError
from bakeoff.evaluation.judge_check.grading import agreements, checked
from bakeoff.evaluation.judge_check.labeled_pairs import Known, known_pairs
from bakeoff.evaluation.judge_check.outcomes import longer_of
from bakeoff.evaluation.judge_check.requests import Asking
from bakeoff.evaluation.judge_check.results import SCHEMA, CheckResults
from bakeoff.evaluation.participants import judges_of
from bakeoff.importers.documents import format_names
from bakeoff.plugins import HUMAN, RunContext, judge_spec
from bakeoff.records import Usage
from bakeoff.redact import masked
from bakeoff.report.export import check_writable, write_file
from bakeoff.runtime import Judge, RateLimits, SpendLimit, StopToken, estimate_cost, task_group
from bakeoff.runtime.progress import ProgressCallback
from bakeoff.storage import Store

FILE = "judge-check.json"


def check(
    file: Path | None,
    judges: Sequence[str],
    *,
    store: Path,
    limit: int | None = None,
    repeats: int = 1,
    max_concurrency: int = MAX_CONCURRENCY,
) -> CheckResults:
    """Ask each judge (a spec) about the pairs of a file, or without one about our own.

    At most `limit` pairs, each `repeats` times in every order. ConfigError or StoreError where it
    cannot start; what was done is kept, and the same call goes on where this one stopped.
    """
    asked = {
        "judge": judges,
        "limit": limit,
        "repeats": repeats,
        "max_concurrency": max_concurrency,
    }
    return check_config(
        file, parse_fields(JudgeCheckOptions, asked | {"store": store}, where="the check")
    )


def check_config(
    file: Path | None, config: JudgeCheckOptions, on_progress: ProgressCallback = lambda _: None
) -> CheckResults:
    """As `check`, as a config describes it; writes `judge-check.json` to `config.out`, if given."""
    return asyncio.run(check_async(file, config, on_progress))


async def check_async(
    file: Path | None,
    config: JudgeCheckOptions,
    on_progress: ProgressCallback = lambda _: None,
    *,
    stop_token: StopToken | None = None,
) -> CheckResults:
    """As `check_config`, inside a running event loop. `halt` stops it: InterruptError."""
    started, stop_token = StartTime.now(), stop_token or StopToken()
    load_env_file(config.env_file)
    known = known_pairs(file, config.limit)
    rate_limits = RateLimits(config.rpm, config.tpm)
    context = RunContext(
        Sampling(),
        config.max_concurrency,
        store=config.store,
        rate_limits=rate_limits,
        spend_limit=SpendLimit(config.max_cost),
    )
    judges = _open(config.judge, context)
    _check_prices(judges, config.max_cost)
    if config.out is not None:
        check_writable(config.out)
    asked = [Asking(name, judge, known.pairs, config.repeats) for name, judge in judges.items()]
    with stop_token.activate(), Store(config.store) as store:
        try:
            with stop_token.mark_in_flight():
                await _ask(asked, store, on_progress)
        finally:
            for judge in judges.values():
                await judge.close()
    if stop_token.interrupted:
        raise InterruptError
    results = _results(known, config, asked, started)
    if config.out is not None:
        write_file(config.out / FILE, results.to_json())
    return results


async def _ask(asked: Sequence[Asking], store: Store, on_progress: ProgressCallback) -> None:
    """Servers side by side; who fills the accelerator takes turns, and is closed after its turn."""
    for one in asked:
        if store.lacks(key for key, _ in one.asks):
            await one.judge.prepare()
    async with task_group() as group:
        for one in asked:
            if not one.judge.traits.exclusive:
                group.create_task(one.run(store, on_progress))
        for one in asked:
            if one.judge.traits.exclusive:
                await one.run(store, on_progress)
                await one.judge.close()


def _open(judges: Sequence[str], context: RunContext) -> dict[str, Judge]:
    if not judges:
        raise ConfigError("there is no judge to check: give one with --judge")
    if any(judge_spec(token).backend == HUMAN for token in judges):
        raise ConfigError(
            f"{HUMAN!r} cannot be checked like this: give judges that a program can ask"
        )
    return judges_of(judges, context)


def _check_prices(judges: Mapping[str, Judge], most: float | None) -> None:
    """BudgetError where nothing can keep to what may be spent."""
    for name, judge in judges.items():
        if (
            most is not None
            and estimate_cost(judge, Usage(input_tokens=1, output_tokens=1)) is None
        ):
            raise BudgetError(
                f"--max-cost {most:g}: the price of {name!r} is not known: give it in US dollars "
                "for a million tokens read and written, as ?price=0.5,1.5, or leave out --max-cost"
            )


def _results(
    known: Known, config: JudgeCheckOptions, asked: Sequence[Asking], started: StartTime
) -> CheckResults:
    judgments = [judgment for one in asked for judgment in one.judgments]
    told = config.model_dump(mode="json", by_alias=True)
    environment = describe() | {
        **started.as_fields(),
        "judges": {one.name: one.judge.identity for one in asked},
    }
    return CheckResults(
        schema=SCHEMA,
        source=known.source,
        held=known.held,
        config={**told, "judge": [masked(token) for token in config.judge]},
        pairs=known.pairs,
        judgments=tuple(judgments),
        failures=tuple(failure for one in asked for failure in one.failures),
        longer=longer_of(known.pairs),
        judges=tuple(checked(one.name, known.pairs, one.judgments, one.failures) for one in asked),
        agreement=agreements(judgments),
        notes=(
            *_same(known),
            *(one.judge.traits.caveat for one in asked if one.judge.traits.caveat),
        ),
        environment=environment,
    )


def _same(known: Known) -> Iterator[str]:
    same = [pair.id for pair in known.pairs if pair.better == pair.worse]
    if same:
        yield (
            f"{len(same)} of the pairs have one text on both sides, so that no judge can be right: "
            f"{format_names(same)}"
        )
