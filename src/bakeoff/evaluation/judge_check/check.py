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
from bakeoff.plugins import HUMAN, Setting, judge_spec
from bakeoff.records import Usage
from bakeoff.redact import masked
from bakeoff.report.export import check_writable, write_file
from bakeoff.runtime import Halt, Judge, Limits, Purse, tasks
from bakeoff.runtime.progress import Watch
from bakeoff.storage import Store

FILE = "judge-check.json"


def check(
    file: Path | None,
    judges: Sequence[str],
    *,
    store: Path,
    limit: int | None = None,
    repeats: int = 1,
    lanes: int = MAX_CONCURRENCY,
) -> CheckResults:
    """Ask each judge (a spec) about the pairs of a file, or without one about our own.

    At most `limit` pairs, each `repeats` times in every order. ConfigError or StoreError where it
    cannot start; what was done is kept, and the same call goes on where this one stopped.
    """
    asked = {"judge": judges, "limit": limit, "repeats": repeats, "max_concurrency": lanes}
    return check_config(
        file, parse_fields(JudgeCheckOptions, asked | {"store": store}, where="the check")
    )


def check_config(
    file: Path | None, config: JudgeCheckOptions, watch: Watch = lambda _: None
) -> CheckResults:
    """As `check`, as a config describes it; writes `judge-check.json` to `config.out`, if given."""
    return asyncio.run(check_async(file, config, watch))


async def check_async(
    file: Path | None,
    config: JudgeCheckOptions,
    watch: Watch = lambda _: None,
    *,
    halt: Halt | None = None,
) -> CheckResults:
    """As `check_config`, inside a running event loop. `halt` stops it: InterruptError."""
    started, halt = StartTime.now(), halt or Halt()
    load_env_file(config.env_file)
    known = known_pairs(file, config.limit)
    limits = Limits(config.rpm, config.tpm)
    setting = Setting(
        Sampling(),
        config.max_concurrency,
        store=config.store,
        limits=limits,
        purse=Purse(config.max_cost),
    )
    judges = _open(config.judge, setting)
    _check_prices(judges, config.max_cost)
    if config.out is not None:
        check_writable(config.out)
    asked = [Asking(name, judge, known.pairs, config.repeats) for name, judge in judges.items()]
    with halt.in_force(), Store(config.store) as store:
        try:
            with halt.work():
                await _ask(asked, store, watch)
        finally:
            for judge in judges.values():
                await judge.close()
    if halt.interrupted:
        raise InterruptError
    results = _results(known, config, asked, started)
    if config.out is not None:
        write_file(config.out / FILE, results.to_json())
    return results


async def _ask(asked: Sequence[Asking], store: Store, watch: Watch) -> None:
    """Servers side by side; who fills the accelerator takes turns, and is closed after its turn."""
    for one in asked:
        if store.lacks(key for key, _ in one.asks):
            await one.judge.prepare()
    async with tasks() as group:
        for one in asked:
            if not one.judge.exclusive:
                group.create_task(one.run(store, watch))
        for one in asked:
            if one.judge.exclusive:
                await one.run(store, watch)
                await one.judge.close()


def _open(judges: Sequence[str], setting: Setting) -> dict[str, Judge]:
    if not judges:
        raise ConfigError("there is no judge to check: give one with --judge")
    if any(judge_spec(token).backend == HUMAN for token in judges):
        raise ConfigError(
            f"{HUMAN!r} cannot be checked like this: give judges that a program can ask"
        )
    return judges_of(judges, setting)


def _check_prices(judges: Mapping[str, Judge], most: float | None) -> None:
    """BudgetError where nothing can keep to what may be spent."""
    for name, judge in judges.items():
        if most is not None and judge.due(Usage(input_tokens=1, output_tokens=1)) is None:
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
        notes=(*_same(known), *(one.judge.caveat for one in asked if one.judge.caveat)),
        environment=environment,
    )


def _same(known: Known) -> Iterator[str]:
    same = [pair.id for pair in known.pairs if pair.better == pair.worse]
    if same:
        yield (
            f"{len(same)} of the pairs have one text on both sides, so that no judge can be right: "
            f"{format_names(same)}"
        )
