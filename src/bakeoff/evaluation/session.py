"""Run a comparison from config to results files, estimate one, or add votes to its results."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import nullcontext
from pathlib import Path

from pydantic import JsonValue

from bakeoff.config import Config
from bakeoff.config.options import VoteOptions
from bakeoff.environment import StartTime, describe, load_env_file
from bakeoff.errors import ConfigError, InterruptError
from bakeoff.evaluation.drift import DriftChecks
from bakeoff.evaluation.estimate import check_budget, estimate, is_free
from bakeoff.evaluation.evidence import collect_evidence
from bakeoff.evaluation.participants import (
    check_human_judge,
    has_human_judge,
    open_participants,
)
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.preload import preload_summary
from bakeoff.evaluation.run_history import RunHistory, load_history
from bakeoff.evaluation.votes.merge import with_votes
from bakeoff.evaluation.votes.queue import all_voted
from bakeoff.prompts.sampling import PromptSample, sample_prompts
from bakeoff.records import (
    CLUSTER_TAG,
    Evidence,
    JudgeDrift,
    Plan,
    Results,
    StageUsage,
    intern_fields_set,
)
from bakeoff.redact import masked
from bakeoff.report.export import VOTES, check_writable, is_saved, save
from bakeoff.report.provenance import OPERATIONAL_FIELDS, input_digest
from bakeoff.report.results_file import read_results, results_folder
from bakeoff.runtime import (
    SpendLimit,
    StopToken,
    gc_frozen,
    run_periodically,
    to_daemon_thread,
)
from bakeoff.runtime.progress import HEARTBEAT, ProgressCallback, ProgressFile
from bakeoff.runtime.timing import timed
from bakeoff.storage import Store

_VOLATILE = ("started", "seconds")  # keys of the environment that differ between equal runs

# Serves the voting page for some evidence until the vote ends, and appends votes to the file.
VotingServer = Callable[[Evidence, Path, VoteOptions], Awaitable[None]]


async def run_async(
    config: Config,
    on_progress: ProgressCallback = lambda _: None,
    *,
    vote: VotingServer,
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
        participants = await to_daemon_thread(lambda: open_participants(config, spend_limit))
        drawn = await to_daemon_thread(lambda: _draw_prompts(config))
        with stop_token.activate(), ProgressFile(config.out, on_progress) as progress:
            async with run_periodically(progress.write, every=HEARTBEAT):
                store = Store(config.store)
                pipeline = Pipeline(config, drawn.prompts, participants, store, progress)
                history, drifts = await _run_pipeline(pipeline, agree, stop_token)
                evidence = collect_evidence(pipeline, drawn, history.looks, drifts)
                if has_human_judge(config) and stop_token.reason is None:
                    await _serve_voting(config, evidence, vote)
                evidence = _count_votes(evidence, config.out / VOTES)
                environment = _environment(pipeline, started, drawn)
                usage = _run_usage(pipeline, spend_limit)
                # In a thread, so that progress is still written.
                results = await asyncio.to_thread(
                    _summarize, evidence, config, environment, usage, history
                )
                if stop_token.reason is None and config.shard is None:
                    await asyncio.to_thread(history.record, results.summary)
                return results


async def _run_pipeline(
    pipeline: Pipeline, agree: Callable[[Plan], None], stop_token: StopToken
) -> tuple[RunHistory, tuple[JudgeDrift, ...]]:
    """Request everything that the store lacks; close all workers at the end.

    Returns the finished runs that the store had before, and the checks of judges for drift.
    """
    with pipeline.store:
        try:
            history = await load_history(pipeline)
            await pipeline.resume()
            checks = DriftChecks(pipeline, history)
            if pipeline.has_work:
                check_human_judge(pipeline.config)
                if is_free(pipeline):
                    await pipeline.prepare()
                else:
                    upper_bound = await asyncio.to_thread(estimate, pipeline, history.looks)
                    check_budget(upper_bound, pipeline.config)
                    await pipeline.prepare()
                    agree(upper_bound)
            with stop_token.mark_in_flight():
                has_work, completions = pipeline.has_work, pipeline.completions.values()
                async with preload_summary(completions) if has_work else nullcontext():
                    await pipeline.run()
                drifts = await checks.run()
        finally:
            for worker in pipeline.workers:
                await worker.close()
    if stop_token.interrupted:
        raise InterruptError
    return history, drifts


def plan(config: Config) -> Plan:
    """Return the requests, tokens, cost and time that a run still needs; send no request.

    Raises ConfigError or StoreError if the run could not start.
    """
    load_env_file(config.env_file)
    config = config.resolved()
    drawn = _draw_prompts(config)
    with tempfile.TemporaryDirectory() as empty:  # so that no store is created
        path = config.store if config.store.exists() else Path(empty, "store.sqlite")
        participants = open_participants(config)
        pipeline = Pipeline(config, drawn.prompts, participants, Store(path), lambda _: None)
        with pipeline.store:
            return asyncio.run(_estimate(pipeline))


async def _estimate(pipeline: Pipeline) -> Plan:
    history = await load_history(pipeline)
    await pipeline.resume()
    if pipeline.has_work:
        check_human_judge(pipeline.config)
    return estimate(pipeline, history.looks)


async def vote_async(path: Path, options: VoteOptions, vote: VotingServer) -> Results:
    """Serve the voting page for existing results; save and return them with the votes counted.

    Raises ConfigError if the results cannot be read, or their folder is not writable.
    """
    evidence, folder = read_results(path).evidence, results_folder(path)
    check_writable(folder)
    await vote(evidence, folder / VOTES, options)
    return count_votes(path)


def count_votes(path: Path) -> Results:
    """Save and return existing results with the votes of the file beside them.

    Raises ConfigError if the results or the votes cannot be read.
    """
    # Late: numpy and scipy take long to import.
    from bakeoff.analysis.pair_data import AnalysisConfig
    from bakeoff.analysis.summarize import summarize

    results, folder = read_results(path), results_folder(path)
    evidence = _count_votes(results.evidence, folder / VOTES)
    summary = summarize(evidence, AnalysisConfig.from_config(results.config))
    updated = Results.of(evidence, summary, results.config, results.environment, runs=results.runs)
    save(updated, folder)
    return updated


def _draw_prompts(config: Config) -> PromptSample:
    """Return the prompts of this run or shard.

    Raises ConfigError if the source cannot be read, the shard is empty, or prompts are clustered
    and the design is sequential.
    """
    drawn = sample_prompts(config.prompts, config.limit, config.seed)
    shard, shards = config.shard_index
    prompts = drawn.prompts[shard - 1 :: shards]
    if not prompts:
        raise ConfigError(
            f"--shard {config.shard}: of {len(drawn.prompts)} prompts none is for this part"
        )
    if config.design.sequential and any(
        tag.startswith(CLUSTER_TAG) for prompt in prompts for tag in prompt.tags
    ):
        raise ConfigError(
            f"prompts with a tag {CLUSTER_TAG!r} belong together, and whoever looks at them one "
            "by one cannot tell: leave out --stop early and --pairs adaptive"
        )
    return drawn._replace(prompts=tuple(map(intern_fields_set, prompts)))


def _summarize(
    evidence: Evidence,
    config: Config,
    environment: dict[str, JsonValue],
    usage: tuple[StageUsage, ...],
    history: RunHistory,
) -> Results:
    """Save and return the results; return the saved ones if they have the same inputs."""
    public_config = _masked_config(config)
    with timed("summarise"):
        other_runs: list[JsonValue] = [run.model_dump(mode="json") for run in history.other_runs()]
        settings: list[dict[str, JsonValue]] = [
            _without(public_config, OPERATIONAL_FIELDS),
            _without(environment, _VOLATILE),
            {"runs": other_runs},
        ]
        inputs = input_digest(evidence, settings)
        if is_saved(config.out, inputs):
            return read_results(config.out)
        # Late: numpy and scipy take long to import.
        from bakeoff.analysis.pair_data import AnalysisConfig
        from bakeoff.analysis.summarize import analyze

        summary, pair_data = analyze(evidence, AnalysisConfig(config.margin, config.panel))
        runs = history.runs(summary)
        results = Results.of(evidence, summary, public_config, environment, usage, runs)
        save(results, config.out, inputs, pair_data)
    return results


def _masked_config(config: Config) -> dict[str, JsonValue]:
    """Return the config as JSON, without passwords and keys in its specs."""
    document: dict[str, JsonValue] = config.model_dump(mode="json", by_alias=True)
    document["prompts"] = masked(config.prompts)
    document["baseline"] = config.baseline and masked(config.baseline)
    document["model"] = [masked(token) for token in config.model]
    document["judge"] = [masked(token) for token in config.judge]
    return document


def _without(values: Mapping[str, JsonValue], keys: Collection[str]) -> dict[str, JsonValue]:
    return {key: value for key, value in values.items() if key not in keys}


async def _serve_voting(config: Config, evidence: Evidence, vote: VotingServer) -> None:
    """Serve the voting page, unless every pair has a vote."""
    votes, options = config.out / VOTES, VoteOptions(seed=config.seed)
    if not all_voted(evidence, votes, options):
        await vote(evidence, votes, options)


def _count_votes(evidence: Evidence, votes: Path) -> Evidence:
    """Return the evidence with the votes of a file, if it exists."""
    if not votes.exists():
        return evidence
    merged = with_votes(evidence, votes)
    if not merged.stale:
        return merged.evidence
    return merged.evidence.with_notes(
        f"{merged.stale} votes in {votes.name} are on other completions than these, and not counted"
    )


def _environment(
    pipeline: Pipeline, started: StartTime, drawn: PromptSample
) -> dict[str, JsonValue]:
    revision: dict[str, JsonValue] = {"revision": drawn.revision} if drawn.revision else {}
    return describe() | {
        **started.as_fields(),
        "prompts": {"source": masked(pipeline.config.prompts), **revision},
        "models": {name: worker.identity for name, worker in pipeline.models.items()},
        "judges": {name: worker.identity for name, worker in pipeline.judges.items()},
    }


def _run_usage(pipeline: Pipeline, spend_limit: SpendLimit) -> tuple[StageUsage, ...]:
    """Return the requests and cost of this run, per model and judge."""
    rows = []
    for (stage, name), stored in pipeline.stored_counts.items():
        totals = spend_limit.totals_of(stage, name)
        rows.append(
            StageUsage(
                stage=stage,
                participant=name,
                stored=stored,
                requests=totals.requests,
                retries=totals.retries,
                unanswered=totals.unanswered,
                cost=totals.cost,
            )
        )
    return tuple(rows)
