"""One run from a config to files: opens what it names, runs the pipeline, gathers the results."""

import asyncio
import itertools
import logging
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from bakeoff.config import Config, origins
from bakeoff.config.options import VoteOptions
from bakeoff.environment import StartTime, describe, load_env_file
from bakeoff.errors import ConfigError, InterruptError, WorkError
from bakeoff.evaluation.estimate import check_budget, estimate
from bakeoff.evaluation.participants import asks_people, cast_of, machine_judges
from bakeoff.evaluation.pipeline import Comparing
from bakeoff.evaluation.request_plan import Sitting, Text
from bakeoff.evaluation.votes.merge import people
from bakeoff.evaluation.votes.queue import complete
from bakeoff.prompts.sampling import PromptSample, sample_prompts
from bakeoff.records import (
    CLUSTER_TAG,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Plan,
    Prompt,
    Results,
    StageUsage,
)
from bakeoff.redact import masked
from bakeoff.report.export import VOTES, check_writable, is_saved, save
from bakeoff.report.provenance import OPERATIONAL_FIELDS, input_digest
from bakeoff.report.results_file import read_results, results_folder
from bakeoff.runtime import (
    SpendLimit,
    StopToken,
    UsageTotals,
    gc_frozen,
    run_periodically,
    to_daemon_thread,
)
from bakeoff.runtime.progress import HEARTBEAT, ProgressCallback, ProgressFile
from bakeoff.runtime.timing import timed
from bakeoff.storage import Store

log = logging.getLogger(__name__)

_NOW = ("started", "seconds")  # of the environment: what is another one each time


# Serves the voting page for some evidence until the vote ends; votes are appended to the file.
Vote = Callable[[Evidence, Path, VoteOptions], Awaitable[None]]


async def run_async(
    config: Config,
    on_progress: ProgressCallback = lambda _: None,
    *,
    vote: Vote,
    agree: Callable[[Plan], None] = lambda _: None,
    stop_token: StopToken | None = None,
) -> Results:
    """Run a comparison, save and return its results; `bakeoff.api.run_async` documents it.

    `vote` is awaited if `config.judge` has `human` and there are pairs without votes.
    """
    started = StartTime.now()
    load_env_file(config.env_file)
    config, spend_limit = config.resolved(), SpendLimit(config.max_cost)
    check_writable(config.out)
    stop_token = stop_token or StopToken()
    async with gc_frozen(every=HEARTBEAT):
        cast = await to_daemon_thread(lambda: cast_of(config, spend_limit))
        drawn = await to_daemon_thread(lambda: _drawn(config))
        with stop_token.activate(), ProgressFile(config.out, on_progress) as progress:
            async with run_periodically(progress.write, every=HEARTBEAT):
                comparing = Comparing(config, drawn.prompts, cast, Store(config.store), progress)
                await _compare(comparing, agree, stop_token)
                evidence = _gathered(comparing, drawn)
                if asks_people(config) and stop_token.reason is None:
                    await _ask_people(config, evidence, vote)
                evidence = _with_people(evidence, config.out / VOTES)
                made = _environment(comparing, started, drawn)
                asked = _asked(comparing, spend_limit)
                # On a thread: the event loop goes on, and with it the run's signs of life.
                return await asyncio.to_thread(_results, evidence, config, made, asked)


def _drawn(config: Config) -> PromptSample:
    """The prompts of this run, or of its part of it. ConfigError where they cannot be."""
    drawn, (which, of) = (
        sample_prompts(config.prompts, config.limit, config.seed),
        config.shard_index,
    )
    prompts = drawn.prompts[which - 1 :: of]
    if not prompts:
        raise ConfigError(
            f"--shard {config.shard}: of {len(drawn.prompts)} prompts none is for this part"
        )
    if config.design.sequential and any(
        tag.startswith(CLUSTER_TAG) for prompt in prompts for tag in prompt.tags
    ):
        raise ConfigError(
            f"prompts with a tag {CLUSTER_TAG!r} belong together, and whoever looks at them one by "
            "one cannot tell: leave out --stop when-sure and --pairs adaptive"
        )
    return drawn._replace(prompts=prompts)


def _results(
    evidence: Evidence, config: Config, made: dict[str, JsonValue], asked: tuple[StageUsage, ...]
) -> Results:
    """The results, saved; where they lie there already, as they were made then."""
    told = _told(config)
    with timed("summarise"):
        of = [_without(told, OPERATIONAL_FIELDS), _without(made, _NOW)]
        inputs = input_digest(evidence, of)
        if is_saved(config.out, inputs):
            return read_results(config.out)
        from bakeoff.analysis.pair_data import AnalysisConfig
        from bakeoff.analysis.summarize import summarize

        summary = summarize(evidence, AnalysisConfig(config.margin, config.panel))
        results = Results.of(evidence, summary, told, made, asked)
        save(results, config.out, inputs)
    return results


def _told(config: Config) -> dict[str, JsonValue]:
    """What was asked, as it may be read by everybody."""
    told: dict[str, JsonValue] = config.model_dump(mode="json", by_alias=True)
    told["prompts"] = masked(config.prompts)
    told["baseline"] = config.baseline and masked(config.baseline)
    return told | {
        name: [masked(token) for token in tokens]
        for name, tokens in (("model", config.model), ("judge", config.judge))
    }


def _without(values: Mapping[str, JsonValue], keys: Collection[str]) -> dict[str, JsonValue]:
    return {key: value for key, value in values.items() if key not in keys}


async def _ask_people(config: Config, evidence: Evidence, vote: Vote) -> None:
    """Serve the voting page, unless every pair has a vote."""
    votes, poll = config.out / VOTES, VoteOptions(seed=config.seed)
    if not complete(evidence, votes, poll):
        await vote(evidence, votes, poll)


async def _compare(
    comparing: Comparing, agree: Callable[[Plan], None], stop_token: StopToken
) -> None:
    """Do everything that is left to do; afterwards all workers are closed."""
    with comparing.store:
        try:
            await comparing.look()
            if comparing.left:
                found = await asyncio.to_thread(estimate, comparing)
                check_budget(found, comparing.config)
                await comparing.prepare()
                agree(found)
            with stop_token.mark_in_flight():
                await comparing.run()
        finally:
            for worker in comparing.workers:
                await worker.close()
    if stop_token.interrupted:
        raise InterruptError


def plan(config: Config) -> Plan:
    """What a run would still take: requests, tokens, money and time. Asks nobody.

    ConfigError or StoreError where it could not start; BudgetError where it would cost more than it
    may.
    """
    load_env_file(config.env_file)
    config = config.resolved()
    drawn = _drawn(config)
    with tempfile.TemporaryDirectory() as empty:  # a store is not made for this
        path = config.store if config.store.exists() else Path(empty, "store.sqlite")
        comparing = Comparing(config, drawn.prompts, cast_of(config), Store(path), lambda _: None)
        with comparing.store:
            asyncio.run(comparing.look())
            return estimate(comparing)


async def vote_async(path: Path, poll: VoteOptions, vote: Vote) -> Results:
    """Serve the voting page for existing results; return the results with the votes counted."""
    evidence, folder = read_results(path).evidence, results_folder(path)
    check_writable(folder)
    await vote(evidence, folder / VOTES, poll)
    return count_votes(path)


def count_votes(path: Path) -> Results:
    """Put the votes that lie beside some results into them, and save them again."""
    from bakeoff.analysis.pair_data import AnalysisConfig
    from bakeoff.analysis.summarize import summarize

    results, folder = read_results(path), results_folder(path)
    evidence = _with_people(results.evidence, folder / VOTES)
    summary = summarize(evidence, AnalysisConfig.from_config(results.config))
    found = Results.of(evidence, summary, results.config, results.environment)
    save(found, folder)
    return found


def _with_people(evidence: Evidence, votes: Path) -> Evidence:
    if not votes.exists():
        return evidence
    labels = people(evidence, votes)
    if not labels.stale:
        return labels.evidence
    note = (
        f"{labels.stale} votes in {votes.name} are on other completions than these, and not counted"
    )
    return labels.evidence.model_copy(update={"notes": (*labels.evidence.notes, note)})


def _environment(
    comparing: Comparing, started: StartTime, drawn: PromptSample
) -> dict[str, JsonValue]:
    revision: dict[str, JsonValue] = {"revision": drawn.revision} if drawn.revision else {}
    return describe() | {
        **started.as_fields(),
        "prompts": {"source": masked(comparing.config.prompts), **revision},
        "models": {name: worker.identity for name, worker in comparing.models.items()},
        "judges": {name: worker.identity for name, worker in comparing.judges.items()},
    }


def _asked(comparing: Comparing, spend_limit: SpendLimit) -> tuple[StageUsage, ...]:
    """What this run asked for, of each model and judge."""
    rows = []
    for (stage, who), kept in comparing.kept.items():
        paid = spend_limit.totals.get((stage, who), UsageTotals())
        row = StageUsage(
            stage=stage, participant=who, stored=kept, requests=paid.requests, retries=paid.retries
        )
        rows.append(row.model_copy(update={"unanswered": paid.unanswered, "cost": paid.cost}))
    return tuple(rows)


def _gathered(comparing: Comparing, drawn: PromptSample) -> Evidence:
    """Everything that the models and judges said, as far as it was wanted in the end."""
    config, pair = comparing.config, comparing.agenda.null_pair
    wanted = {
        name: {prompt.id for prompt in comparing.schedule.wanted(name)}
        for name in comparing.contestants
    }
    evidence = _evidence(comparing, wanted, drawn.prompts)
    more: dict[str, object] = {"design": config.design}
    notes = [*drawn.notes, *comparing.schedule.notes()]
    notes += [worker.traits.caveat for worker in comparing.workers if worker.traits.caveat]
    more["notes"] = tuple(dict.fromkeys(notes))
    if pair:
        prompts = drawn.prompts[: config.null_prompts]
        ids = {prompt.id for prompt in prompts}
        more["null_check"] = _evidence(comparing, dict.fromkeys(pair, ids), prompts)
    return evidence.model_copy(update=more)


def _evidence(
    comparing: Comparing, wanted: Mapping[str, Collection[str]], prompts: Sequence[Prompt]
) -> Evidence:
    """What came of some models on the prompts that were wanted of each, by name and in the order of
    the prompts: the same work gives the same document.
    """
    config = comparing.config
    completions: list[ModelCompletion] = []
    failures: list[Failure] = []
    for prompt, model, sample in itertools.product(prompts, wanted, range(config.samples)):
        if prompt.id not in wanted[model]:
            continue
        outcome = comparing.completions[Text(prompt.id, model, sample)]
        named = {"prompt_id": prompt.id, "model": model, "sample": sample}
        if isinstance(outcome, WorkError):
            failure = Failure.of(outcome, "completion", prompt.id, model)
            failures.append(failure.model_copy(update={"sample": sample}))
        else:
            completions.append(ModelCompletion(**named, completion=outcome))
    judgments, failed = _judged(comparing, wanted)
    used = set().union(*wanted.values())
    return Evidence(
        models=tuple(wanted),
        prompts=tuple(prompt for prompt in prompts if prompt.id in used),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=(*failures, *failed),
        origins=origins((*config.contestants, *machine_judges(config))),
    )


def _judged(comparing: Comparing, models: Collection[str]) -> tuple[list[Judgment], list[Failure]]:
    judgments: list[Judgment] = []
    failures: list[Failure] = []
    for judge in comparing.judges:
        for sitting in comparing.agenda.sittings(judge):
            if not {sitting.first, sitting.second} <= set(models):
                continue
            verdict = comparing.verdicts[sitting]
            if isinstance(verdict, WorkError):
                failure = Failure.of(verdict, "judgment", sitting.prompt_id, judge)
                shown = dict(zip(Sitting._fields[2:], sitting[2:], strict=True))
                failures.append(failure.model_copy(update=shown))
            else:
                judgments.append(comparing.judgment(sitting, verdict))
    return judgments, failures
