"""Opens the models and judges that a config names, and refuses a judge that is no judge there.

Knows specs and workers; starts nothing.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.config import Config, Spec
from bakeoff.errors import ConfigError
from bakeoff.evaluation.request_plan import Cast
from bakeoff.plugins import HUMAN, RunContext, judge_spec, open_generator, open_judge
from bakeoff.runtime import Generator, Judge, RateLimits, SpendLimit, weights_of


def cast_of(config: Config, spend_limit: SpendLimit | None = None) -> Cast:
    """Every model and judge by its name; ConfigError where they cannot make a comparison.

    What they cost is paid from the `purse`.
    """
    context = RunContext(
        config.sampling(),
        config.max_concurrency,
        batch=config.batch,
        store=config.store,
        ray=config.ray,
        rate_limits=RateLimits(config.rpm, config.tpm),
        spend_limit=spend_limit or SpendLimit(),
    )
    specs = [Spec.parse(text) for text in config.contestants]
    if len(specs) < 2:
        raise ConfigError(
            "a comparison needs two models: give --model twice, or --model and --baseline"
        )
    if len(specs) < 3 and config.pairs == "adaptive":
        raise ConfigError("--pairs adaptive chooses between pairs: give three models or more")
    _check_names([spec.name for spec in specs], "model")
    models = {spec.name: open_generator(spec, context) for spec in specs}
    judges = judges_of(config.judge, context)
    workers: list[Generator | Judge] = [*models.values(), *judges.values()]
    if config.batch and not any(worker.traits.batch_only for worker in workers):
        raise ConfigError(
            "--batch: nobody here is asked in batches; openai: and anthropic: are, and a server "
            "behind api: that has /v1/batches is with ?batch=true"
        )
    for judge, model in itertools.product(judges.items(), models.items()):
        if not config.allow_self_judge:
            _check_impartial(judge, model, config)
    return Cast(models, judges, _again(specs[0], context) if config.null_prompts else None)


def judges_of(tokens: Sequence[str], context: RunContext) -> dict[str, Judge]:
    """The judges that are no people, by name."""
    specs = [judge_spec(text) for text in tokens]
    _check_names([spec.name for spec in specs], "judge")
    return {spec.name: open_judge(spec, context) for spec in specs if spec.backend != HUMAN}


def asks_people(config: Config) -> bool:
    """Whether people are among the judges."""
    return len(machine_judges(config)) < len(config.judge)


def machine_judges(config: Config) -> list[str]:
    """The specs of the judges that are no people."""
    return [text for text in config.judge if judge_spec(text).backend != HUMAN]


def _again(spec: Spec, context: RunContext) -> tuple[str, Generator]:
    """The first model once more, drawn with another seed."""
    seed = int(spec.options.get("seed", context.sampling.seed)) + 1
    options = {key: value for key, value in spec.options.items() if key != "seed"}
    sampling = context.sampling.model_copy(update={"seed": seed})
    other = spec.model_copy(update={"options": options})
    return spec.name, open_generator(other, replace(context, sampling=sampling))


def _check_impartial(
    judge: tuple[str, Judge], model: tuple[str, Generator], config: Config
) -> None:
    (name, its), (contestant, of) = judge, model
    insist = "choose another judge, or insist with --allow-self-judge"
    weights = weights_of(its)
    if weights and weights == weights_of(of):
        raise ConfigError(
            f"the judge {name!r} is the contestant {contestant!r}, and a model prefers its own "
            f"text: {insist}"
        )
    if not its.traits.prefers_own_family:
        return
    from bakeoff.analysis.model_families import model_families  # brings numpy and scipy

    tokens = {judge_spec(text).name: text for text in config.judge}
    tokens |= {Spec.parse(text).name: text for text in config.contestants}
    shared = model_families((name, tokens[name])) & model_families((contestant, tokens[contestant]))
    if shared:
        raise ConfigError(
            f"the judge {name!r} goes by how likely it finds a text, and {contestant!r} is of its "
            f"family ({', '.join(sorted(shared))}): it would prefer its relative's text; {insist}"
        )


def _check_names(names: list[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(
            f"the {what} {twice!r} stands there twice: give each a name, as in "
            f"--{what} a={twice} --{what} b={twice}"
        )
