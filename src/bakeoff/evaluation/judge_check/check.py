"""Run a judge check: open the judges, request their verdicts, and grade them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakeoff.config import MOST, Sampling, parse_fields
from bakeoff.config.options import Check
from bakeoff.environment import Moment, describe, load_keys
from bakeoff.errors import BudgetError, ConfigError, InterruptError, masked
from bakeoff.evaluation.judge_check.grading import agreements, grade_judge
from bakeoff.evaluation.judge_check.labeled_pairs import LabeledPairs, load_labeled_pairs
from bakeoff.evaluation.judge_check.outcomes import length_baseline
from bakeoff.evaluation.judge_check.requests import JudgeRequests
from bakeoff.evaluation.judge_check.results import SCHEMA, CheckResults
from bakeoff.evaluation.participants import open_judges
from bakeoff.importers.documents import listed
from bakeoff.plugins import HUMAN, Setting, judge_spec
from bakeoff.records import Usage
from bakeoff.report.export import check_writable, write
from bakeoff.runtime import Halt, Judge, Limits, Purse, tasks
from bakeoff.runtime.progress import Watch
from bakeoff.storage import Store

CHECK_FILE = "judge-check.json"


def check(
    file: Path | None,
    judges: Sequence[str],
    *,
    store: Path,
    limit: int | None = None,
    repeats: int = 1,
    lanes: int = MOST,
) -> CheckResults:
    """Check judges, given as specs, on the pairs of a file, or on the built-in pairs.

    At most `limit` pairs are used; each is judged `repeats` times in every order. Verdicts are
    stored, so that the same call resumes. Raises ConfigError or StoreError if it cannot start.
    """
    fields = {"judge": judges, "limit": limit, "repeats": repeats, "max_concurrency": lanes}
    return check_config(file, parse_fields(Check, fields | {"store": store}, where="the check"))


def check_config(file: Path | None, config: Check, watch: Watch = lambda _: None) -> CheckResults:
    """Like `check`, with a config; write `judge-check.json` to `config.out` if it is given."""
    return asyncio.run(check_async(file, config, watch))


async def check_async(
    file: Path | None,
    config: Check,
    watch: Watch = lambda _: None,
    *,
    halt: Halt | None = None,
) -> CheckResults:
    """Like `check_config`, inside a running event loop.

    `halt` stops the check; InterruptError is then raised.
    """
    started, halt = Moment.now(), halt or Halt()
    load_keys(config.env_file)
    labeled = load_labeled_pairs(file, config.limit)
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
    requests = [
        JudgeRequests(name, judge, labeled.pairs, config.repeats) for name, judge in judges.items()
    ]
    with halt.in_force(), Store(config.store) as store:
        try:
            with halt.work():
                await _run(requests, store, watch)
        finally:
            for judge in judges.values():
                await judge.close()
    if halt.interrupted:
        raise InterruptError
    results = _results(labeled, config, requests, started)
    if config.out is not None:
        write(config.out / CHECK_FILE, results.to_json())
    return results


async def _run(requests: Sequence[JudgeRequests], store: Store, watch: Watch) -> None:
    """Run servers concurrently; run exclusive judges one after another and close each."""
    for of_judge in requests:
        if store.lacks(key for key, _ in of_judge.requests):
            await of_judge.judge.prepare()
    async with tasks() as group:
        for of_judge in requests:
            if not of_judge.judge.exclusive:
                group.create_task(of_judge.run(store, watch))
        for of_judge in requests:
            if of_judge.judge.exclusive:
                await of_judge.run(store, watch)
                await of_judge.judge.close()


def _open(judges: Sequence[str], setting: Setting) -> dict[str, Judge]:
    if not judges:
        raise ConfigError("there is no judge to check: give one with --judge")
    if any(judge_spec(token).backend == HUMAN for token in judges):
        raise ConfigError(
            f"{HUMAN!r} cannot be checked like this: give judges that a program can ask"
        )
    return open_judges(judges, setting)


def _check_prices(judges: Mapping[str, Judge], limit: float | None) -> None:
    """Raise BudgetError if there is a cost limit and the price of a judge is unknown."""
    for name, judge in judges.items():
        if limit is not None and judge.due(Usage(input_tokens=1, output_tokens=1)) is None:
            raise BudgetError(
                f"--max-cost {limit:g}: the price of {name!r} is not known: give it in US dollars "
                "for a million tokens read and written, as ?price=0.5,1.5, or leave out --max-cost"
            )


def _results(
    labeled: LabeledPairs, config: Check, requests: Sequence[JudgeRequests], started: Moment
) -> CheckResults:
    judgments = [judgment for of_judge in requests for judgment in of_judge.judgments]
    document = config.model_dump(mode="json", by_alias=True)
    caveats = [of_judge.judge.caveat for of_judge in requests if of_judge.judge.caveat]
    environment = describe() | {
        **started.told(),
        "judges": {of_judge.name: of_judge.judge.identity for of_judge in requests},
    }
    return CheckResults(
        schema=SCHEMA,
        source=labeled.source,
        available=labeled.available,
        config={**document, "judge": [masked(token) for token in config.judge]},
        pairs=labeled.pairs,
        judgments=tuple(judgments),
        failures=tuple(failure for of_judge in requests for failure in of_judge.failures),
        length_baseline=length_baseline(labeled.pairs),
        judges=tuple(
            grade_judge(of_judge.name, labeled.pairs, of_judge.judgments, of_judge.failures)
            for of_judge in requests
        ),
        agreement=agreements(judgments),
        notes=(*_identical_texts(labeled), *caveats),
        environment=environment,
    )


def _identical_texts(labeled: LabeledPairs) -> Iterator[str]:
    """Yield a note if some pairs have the same text twice."""
    ids = [pair.id for pair in labeled.pairs if pair.better == pair.worse]
    if ids:
        yield (
            f"{len(ids)} of the pairs have one text on both sides, so that no judge can be right: "
            f"{listed(ids)}"
        )
