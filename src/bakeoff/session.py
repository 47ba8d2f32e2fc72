"""One run from a config to files: opens what it names, runs the pipeline, gathers the results."""

import asyncio
import itertools
from datetime import UTC, datetime

from bakeoff.config import Config, Spec, origins
from bakeoff.environment import describe
from bakeoff.errors import ConfigError, WorkError
from bakeoff.pipeline import Comparing, Watch
from bakeoff.plugins import Setting, judge_spec, open_generator, open_judge
from bakeoff.prompts import Draw, draw
from bakeoff.records import Authored, Evidence, Failure, Judgment, Results
from bakeoff.report.export import check_writable, save
from bakeoff.store import Store
from bakeoff.summary import summarize
from bakeoff.work import Generator, Judge


def run(config: Config, watch: Watch = lambda _: None) -> Results:
    """Run a comparison, write `results.json` and `report.html` to `config.out`, return the results.

    ConfigError or StoreError where it cannot start. What was done is kept, and the same call goes
    on where this one stopped.
    """
    return asyncio.run(run_async(config, watch))


async def run_async(config: Config, watch: Watch = lambda _: None) -> Results:
    """As `run`, inside a running event loop."""
    started = datetime.now(UTC)
    config = config.settled()
    models, judges = _open(config)
    check_writable(config.out)
    drawn = draw(config.prompts, config.limit, config.seed)
    with Store(config.store) as store:
        comparing = Comparing(config, drawn.prompts, models, judges, store, watch)
        try:
            await comparing.prepare()
            await comparing.run()
        finally:
            for worker in comparing.workers:
                await worker.close()
    results = _results(comparing, drawn, started)
    save(results, config.out)
    return results


def _open(config: Config) -> tuple[dict[str, Generator], dict[str, Judge]]:
    """Every model and judge by its name; ConfigError where they cannot make a comparison."""
    setting = Setting(config.sampling(), config.max_concurrency)
    specs = [Spec.parse(text) for text in config.model]
    if len(specs) < 2:
        raise ConfigError("a comparison needs two models: give --model twice")
    _check_names([spec.name for spec in specs], "model")
    models = {spec.name: open_generator(spec, setting) for spec in specs}
    judge_specs = [judge_spec(text) for text in config.judge]
    _check_names([spec.name for spec in judge_specs], "judge")
    judges = {spec.name: open_judge(spec, setting) for spec in judge_specs}
    for (judge, its), (model, of) in itertools.product(judges.items(), models.items()):
        if its.weights and its.weights == of.weights and not config.allow_self_judge:
            raise ConfigError(
                f"the judge {judge!r} is the contestant {model!r}, and a model prefers its own "
                "text: choose another judge, or insist with --allow-self-judge"
            )
    return models, judges


def _check_names(names: list[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(
            f"the {what} {twice!r} stands there twice: give each a name, as in "
            f"--{what} a={twice} --{what} b={twice}"
        )


def _results(comparing: Comparing, drawn: Draw, started: datetime) -> Results:
    """Everything by name and in the order of the prompts: the same work gives the same document."""
    completions: list[Authored] = []
    judgments: list[Judgment] = []
    failures: list[Failure] = []
    for prompt_id, model in itertools.product(comparing.prompts, comparing.models):
        outcome = comparing.completions[prompt_id, model]
        if isinstance(outcome, WorkError):
            failures.append(Failure.of(outcome, "completion", prompt_id, model))
        else:
            completions.append(Authored(prompt_id=prompt_id, model=model, completion=outcome))
    for judge in comparing.judges:
        for sitting in comparing.sittings(judge):
            verdict = comparing.verdicts[sitting]
            if isinstance(verdict, WorkError):
                failure = Failure.of(verdict, "judgment", sitting.prompt_id, judge)
                shown = dict(zip(("first", "second", "repeat"), sitting[2:], strict=True))
                failures.append(failure.model_copy(update=shown))
            else:
                judgments.append(Judgment(**sitting._asdict(), verdict=verdict))
    environment = describe() | {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "models": {name: worker.identity for name, worker in comparing.models.items()},
        "judges": {name: worker.identity for name, worker in comparing.judges.items()},
    }
    notes = [*drawn.notes, *(worker.caveat for worker in comparing.workers if worker.caveat)]
    config = comparing.config
    evidence = Evidence(
        models=tuple(comparing.models),
        prompts=drawn.prompts,
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=tuple(failures),
        origins=origins((*config.model, *config.judge)),
        notes=tuple(notes),
    )
    return Results.of(
        evidence,
        summarize(evidence, config.margin),
        config.model_dump(mode="json", by_alias=True),
        environment,
    )
