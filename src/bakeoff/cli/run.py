"""`bakeoff run` compares models; `bakeoff plan` estimates requests, tokens, cost and time."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK
from bakeoff.config import Config, load_config

_File = Annotated[
    Path | None,
    Parameter(name="--config", help="A YAML file with these flags as keys; flags win."),
]


def run(
    *,
    config: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008 - frozen
    file: _File = None,
) -> int:
    """Compare two models, or more. Without --model, two small ones that run anywhere."""
    from bakeoff.cli.comparison import compare

    return compare(_load(config, file))


def plan(
    *,
    config: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008 - frozen
    file: _File = None,
) -> int:
    """Say what a run would take: requests, tokens, money, time. Asks no model."""
    from bakeoff.evaluation.estimate import check_budget
    from bakeoff.evaluation.session import plan as plan_run
    from bakeoff.report.terminal import log_to, make_console, print_json, print_sections
    from bakeoff.report.text.costs import plan_sections

    config = _load(config, file)
    log_to(make_console(errors=True, quiet=config.quiet))
    estimate = plan_run(config)
    if config.print_json:
        print_json(estimate.model_dump_json(indent=1) + "\n")
    else:
        print_sections(make_console(quiet=config.quiet), plan_sections(estimate))
    check_budget(estimate, config)
    return OK


def _load(config: Config, file: Path | None) -> Config:
    return load_config(file, config.model_dump(by_alias=True, exclude_unset=True))
