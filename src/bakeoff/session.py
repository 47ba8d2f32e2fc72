"""One run from a config to files: opens what it names, runs the pipeline, gathers the results."""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from bakeoff.casting import asks_people, cast_of, machine_judges
from bakeoff.config import Config, Poll, origins
from bakeoff.environment import code, describe
from bakeoff.errors import WorkError
from bakeoff.pipeline import Cast, Comparing, Sitting
from bakeoff.progress import BEAT, ProgressFile, Watch
from bakeoff.prompts import Draw, draw
from bakeoff.records import Authored, Evidence, Failure, Judgment, Prompt
from bakeoff.report.export import VOTES, check_writable, save, saved
from bakeoff.report.made import SHOWING
from bakeoff.report.seal import digest
from bakeoff.results import Results, folder_of, read_results
from bakeoff.stopwatch import timed
from bakeoff.store import Store
from bakeoff.work import meanwhile

log = logging.getLogger(__name__)


def _tell(address: str) -> None:
    log.warning("people vote at %s", address)


def run(config: Config, watch: Watch = lambda _: None) -> Results:
    """Run a comparison, write `results.json` and `report.html` to `config.out`, return the results.

    ConfigError or StoreError where it cannot start. What was done is kept, and the same call goes
    on where this one stopped. `progress.json` stands in `config.out` while it goes on.
    """
    return asyncio.run(run_async(config, watch))


async def run_async(
    config: Config,
    watch: Watch = lambda _: None,
    *,
    announce: Callable[[str], None] = _tell,
    until: asyncio.Event | None = None,
) -> Results:
    """As `run`, inside a running event loop.

    Where people judge, `announce` gets the address of their page, and `until` ends the vote.
    """
    started = datetime.now(UTC)
    config = config.settled()
    cast = cast_of(config)
    check_writable(config.out)
    drawn = draw(config.prompts, config.limit, config.seed)
    with ProgressFile(config.out, watch) as progress:
        async with meanwhile(progress.write, every=BEAT):
            comparing = await _compared(config, drawn, cast, progress)
            evidence = _gathered(comparing, drawn)
            if asks_people(config):
                await _ask_people(config, evidence, announce, until)
            evidence = _with_people(evidence, config.out / VOTES)
            made = _environment(comparing, started)
            # On a thread: the event loop goes on, and with it the run's signs of life.
            return await asyncio.to_thread(_results, evidence, config, made)


def _results(evidence: Evidence, config: Config, made: dict[str, JsonValue]) -> Results:
    """The results, saved; where they lie there already, as they were made then."""
    asked = config.model_dump(mode="json", by_alias=True)
    with timed("summarise"):
        of = [_without(asked, SHOWING), _without(made, ("started", "seconds"))]
        made_of = digest((code(), evidence.model_dump_json(), json.dumps(of)))
        if saved(config.out, made_of):
            return read_results(config.out)
        from bakeoff.summary import Terms, summarize  # with numpy and scipy: slow to import

        summary = summarize(evidence, Terms(config.margin, config.panel))
        results = Results.of(evidence, summary, asked, made)
        save(results, config.out, made_of)
    return results


def _without(values: Mapping[str, JsonValue], keys: Collection[str]) -> dict[str, JsonValue]:
    return {key: value for key, value in values.items() if key not in keys}


async def _ask_people(
    config: Config,
    evidence: Evidence,
    announce: Callable[[str], None],
    until: asyncio.Event | None,
) -> None:
    """Open the page, unless everybody has said everything."""
    from bakeoff.voting import complete, gather

    votes, poll = config.out / VOTES, Poll(seed=config.seed)
    if not complete(evidence, votes, poll):
        await gather(evidence, votes, poll, announce=announce, until=until)


async def _compared(config: Config, drawn: Draw, cast: Cast, watch: Watch) -> Comparing:
    """A comparison with everything done; all of its workers are closed."""
    with Store(config.store) as store:
        comparing = Comparing(config, drawn.prompts, cast, store, watch)
        try:
            await comparing.prepare()
            await comparing.run()
        finally:
            for worker in comparing.workers:
                await worker.close()
    return comparing


async def vote_async(
    path: Path,
    poll: Poll = Poll(),  # noqa: B008 - frozen
    *,
    announce: Callable[[str], None] = _tell,
    until: asyncio.Event | None = None,
) -> Results:
    """Let people vote on the pairs of results that exist; the results with their votes in.

    `path` is a `results.json` or its folder, where the votes are kept and the results are saved
    again. The vote ends when somebody presses Finish on the page, or `until` is set. ConfigError
    where there is nothing to vote on.
    """
    from bakeoff.voting import gather

    evidence, folder = read_results(path).evidence, folder_of(path)
    check_writable(folder)
    await gather(evidence, folder / VOTES, poll, announce=announce, until=until)
    return count_votes(path)


def count_votes(path: Path) -> Results:
    """Put the votes that lie beside some results into them, and save them again."""
    from bakeoff.summary import Terms, summarize

    results, folder = read_results(path), folder_of(path)
    evidence = _with_people(results.evidence, folder / VOTES)
    summary = summarize(evidence, Terms.of(results.config))
    found = Results.of(evidence, summary, results.config, results.environment)
    save(found, folder)
    return found


def _with_people(evidence: Evidence, votes: Path) -> Evidence:
    if not votes.exists():
        return evidence
    from bakeoff.voting import people

    labels = people(evidence, votes)
    if not labels.stale:
        return labels.evidence
    note = (
        f"{labels.stale} votes in {votes.name} are on other completions than these, and not counted"
    )
    return labels.evidence.model_copy(update={"notes": (*labels.evidence.notes, note)})


def _environment(comparing: Comparing, started: datetime) -> dict[str, JsonValue]:
    return describe() | {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "models": {name: worker.identity for name, worker in comparing.models.items()},
        "judges": {name: worker.identity for name, worker in comparing.judges.items()},
    }


def _gathered(comparing: Comparing, drawn: Draw) -> Evidence:
    """Everything that the models and judges said."""
    config = comparing.config
    evidence = _evidence(comparing, comparing.contestants, drawn.prompts)
    notes = [*drawn.notes, *(worker.caveat for worker in comparing.workers if worker.caveat)]
    more: dict[str, object] = {"notes": tuple(dict.fromkeys(notes))}
    if comparing.null_pair:
        more["null_check"] = _evidence(
            comparing, comparing.null_pair, drawn.prompts[: config.null_check]
        )
    return evidence.model_copy(update=more)


def _evidence(comparing: Comparing, models: Sequence[str], prompts: Sequence[Prompt]) -> Evidence:
    """What came of some models, by name and in the order of the prompts: the same work gives the
    same document.
    """
    completions: list[Authored] = []
    failures: list[Failure] = []
    for prompt, model in itertools.product(prompts, models):
        outcome = comparing.completions[prompt.id, model]
        if isinstance(outcome, WorkError):
            failures.append(Failure.of(outcome, "completion", prompt.id, model))
        else:
            completions.append(Authored(prompt_id=prompt.id, model=model, completion=outcome))
    judgments, failed = _judged(comparing, set(models))
    config = comparing.config
    return Evidence(
        models=tuple(models),
        prompts=tuple(prompts),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=(*failures, *failed),
        origins=origins((*config.model, *machine_judges(config))),
    )


def _judged(comparing: Comparing, models: set[str]) -> tuple[list[Judgment], list[Failure]]:
    judgments: list[Judgment] = []
    failures: list[Failure] = []
    for judge, worker in comparing.judges.items():
        for sitting in _of(models, comparing.sittings(judge)):
            verdict = comparing.verdicts[sitting]
            if isinstance(verdict, WorkError):
                failure = Failure.of(verdict, "judgment", sitting.prompt_id, judge)
                shown = dict(zip(("first", "second", "repeat"), sitting[2:], strict=True))
                failures.append(failure.model_copy(update=shown))
            else:
                presented = "apart" if worker.order == "apart" else "recorded"
                judgments.append(
                    Judgment(**sitting._asdict(), presented=presented, verdict=verdict)
                )
    return judgments, failures


def _of(models: set[str], sittings: Iterable[Sitting]) -> list[Sitting]:
    return [sitting for sitting in sittings if {sitting.first, sitting.second} <= models]
