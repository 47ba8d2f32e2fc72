"""Open the models and judges that a config names; refuse a judge that is not impartial."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bakeoff.config import Config, Spec
from bakeoff.environment import check_extra
from bakeoff.errors import ConfigError
from bakeoff.evaluation.request_plan import Participants
from bakeoff.plugins import HUMAN, RunContext, judge_spec, open_generator, open_judge
from bakeoff.runtime import Generator, Judge, RateLimits, SpendLimit, weights_of


def open_participants(config: Config, spend_limit: SpendLimit | None = None) -> Participants:
    """Return the models and judges of a run by name; nothing is loaded or requested yet.

    Their costs are charged to `spend_limit`. Raises ConfigError if a spec is invalid, fewer than
    two models are named, names repeat, or a judge is one of the models or related to one.
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
    _check_unique([spec.name for spec in specs], "model")
    models = {spec.name: open_generator(spec, context) for spec in specs}
    judges = open_judges(config.judge, context)
    workers: list[Generator | Judge] = [*models.values(), *judges.values()]
    if config.batch and not any(worker.traits.batch_only for worker in workers):
        raise ConfigError(
            "--batch: nobody here is asked in batches; openai: and anthropic: are, and a server "
            "behind api: that has /v1/batches is with ?batch=true"
        )
    if not config.allow_self_judge:
        for judge, model in itertools.product(judges.items(), models.items()):
            _check_impartial(judge, model, config)
    return Participants(
        models, judges, _resampled(specs[0], context) if config.null_prompts else None
    )


def open_judges(tokens: Sequence[str], context: RunContext) -> dict[str, Judge]:
    """Return the judges by name, without people. Raises ConfigError for invalid or equal names."""
    specs = [judge_spec(text) for text in tokens]
    _check_unique([spec.name for spec in specs], "judge")
    return {spec.name: open_judge(spec, context) for spec in specs if spec.backend != HUMAN}


def has_human_judge(config: Config) -> bool:
    """Return whether people are among the judges."""
    return len(machine_judge_specs(config)) < len(config.judge)


def check_human_judge(config: Config) -> None:
    """Raise ConfigError if people are among the judges and the voting page cannot be served."""
    if has_human_judge(config):
        check_extra("serve", f"the judge {HUMAN!r}")


def machine_judge_specs(config: Config) -> list[str]:
    """Return the specs of the judges that are not people."""
    return [text for text in config.judge if judge_spec(text).backend != HUMAN]


def _resampled(spec: Spec, context: RunContext) -> tuple[str, Generator]:
    """Return the name of a model, and a second generator of it with another sampling seed."""
    seed = int(spec.options.get("seed", context.sampling.seed)) + 1
    options = {key: value for key, value in spec.options.items() if key != "seed"}
    context = replace(context, sampling=context.sampling.with_seed(seed))
    return spec.name, open_generator(spec.with_options(options), context)


def _check_impartial(
    judge: tuple[str, Judge], model: tuple[str, Generator], config: Config
) -> None:
    (judge_name, judge_worker), (model_name, generator) = judge, model
    advice = "choose another judge, or insist with --allow-self-judge"
    weights = weights_of(judge_worker)
    if weights and weights == weights_of(generator):
        raise ConfigError(
            f"the judge {judge_name!r} is the contestant {model_name!r}, and a model prefers its "
            f"own text: {advice}"
        )
    if not judge_worker.traits.prefers_own_family:
        return
    from bakeoff.analysis.model_families import model_families  # late: imports numpy and scipy

    tokens = {judge_spec(text).name: text for text in config.judge}
    tokens |= {Spec.parse(text).name: text for text in config.contestants}
    judge_families = model_families((judge_name, tokens[judge_name]))
    shared = judge_families & model_families((model_name, tokens[model_name]))
    if shared:
        raise ConfigError(
            f"the judge {judge_name!r} goes by how likely it finds a text, and {model_name!r} is "
            f"of its family ({', '.join(sorted(shared))}): it would prefer its relative's text; "
            f"{advice}"
        )


def _check_unique(names: list[str], role: str) -> None:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise ConfigError(
            f"the {role} {repeated!r} stands there twice: give each a name, as in "
            f"--{role} a={repeated} --{role} b={repeated}"
        )
