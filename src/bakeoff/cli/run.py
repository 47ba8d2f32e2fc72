"""The commands that compare models: `run`, and `plan`, which says what that would take."""

import asyncio
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.output import hosted, present
from bakeoff.cli.signals import BOOTH, stopping, while_open
from bakeoff.config import Config, config_from
from bakeoff.errors import InterruptError
from bakeoff.records import Plan, Results
from bakeoff.report.terminal import log_to, make_console, print_error, print_json, print_sections
from bakeoff.runtime import Halt
from bakeoff.runtime.timing import Stopwatch

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
    return compare(_given(config, file))


def plan(
    *,
    config: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008 - frozen
    file: _File = None,
) -> int:
    """Say what a run would take: requests, tokens, money, time. Asks no model."""
    from bakeoff.evaluation.estimate import check_budget
    from bakeoff.evaluation.session import plan as planned
    from bakeoff.report.text.costs import plan_sections

    config = _given(config, file)
    log_to(make_console(errors=True, quiet=config.quiet))
    found = planned(config)
    if config.print_json:
        print_json(found.model_dump_json(indent=1) + "\n")
    else:
        print_sections(make_console(quiet=config.quiet), plan_sections(found))
    check_budget(found, config)
    return 0


def _given(config: Config, file: Path | None) -> Config:
    return config_from(file, config.model_dump(by_alias=True, exclude_unset=True))


def _agree(found: Plan, config: Config) -> None:
    """Say what a run will take, where somebody wants money for it. Who is there is asked whether
    that is all right, unless they said so or said how much may be spent: InterruptError if not.
    """
    from bakeoff.report.text.costs import plan_sections

    if config.quiet or not found.paid:
        return
    print_sections(make_console(errors=True), plan_sections(found))
    told = config.yes or config.max_cost is not None
    if told or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if _typed("Go on? [Y/n] ").strip().lower() not in ("", "y", "yes"):
        raise InterruptError


def _typed(question: str) -> str:
    """What somebody types. Nothing is under way: Ctrl-C, SIGTERM and the end of input end it
    all.
    """
    stops = (signal.SIGINT, signal.SIGTERM)
    before = {which: signal.signal(which, signal.default_int_handler) for which in stops}
    try:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline() or "no"
    except KeyboardInterrupt:
        raise InterruptError from None
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def compare(config: Config) -> int:
    """Run a comparison in a terminal; its exit code."""
    config = config.settled()
    timing = Stopwatch() if config.profile else None
    from bakeoff.api import run_async
    from bakeoff.report.live import show_progress

    errors = make_console(errors=True, quiet=config.quiet)
    log_to(errors)
    stopped: list[str] = []

    with (
        timing or nullcontext(),
        show_progress(errors, hosted(config.contestants, config.judge)) as watch,
    ):

        async def work(halt: Halt) -> Results:
            def agree(found: Plan) -> None:
                _agree(found, config)

            found = await while_open(
                *BOOTH,
                lambda tell, end: run_async(
                    config, watch, announce=tell, until=end, agree=agree, halt=halt
                ),
            )
            stopped.extend(filter(None, [halt.why]))
            return found

        results = asyncio.run(stopping(work))
    present(results, config, config.out)
    if timing:
        from bakeoff.report.text.timings import timing_sections

        print_sections(errors, timing_sections(timing))
    asked = len(results.completions) + len(results.judgments) + len(results.failures)
    for why in stopped:
        print_error(f"stopped: {why}; what was done is kept, and the same command goes on")
    return 3 if stopped or len(results.failures) > config.max_failures * asked else 0
