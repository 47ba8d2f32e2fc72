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
from bakeoff.config import Config, load_config
from bakeoff.errors import InterruptError
from bakeoff.records import Plan, Results
from bakeoff.report.terminal import log_to, print_blocks, print_document, print_error, terminal
from bakeoff.runtime import StopToken
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
    from bakeoff.report.text.costs import estimated

    config = _given(config, file)
    log_to(terminal(errors=True, quiet=config.quiet))
    found = planned(config)
    if config.print_json:
        print_document(found.model_dump_json(indent=1) + "\n")
    else:
        print_blocks(terminal(quiet=config.quiet), estimated(found))
    check_budget(found, config)
    return 0


def _given(config: Config, file: Path | None) -> Config:
    return load_config(file, config.model_dump(by_alias=True, exclude_unset=True))


def _agree(found: Plan, config: Config) -> None:
    """Say what a run will take, where somebody wants money for it. Who is there is asked whether
    that is all right, unless they said so or said how much may be spent: InterruptError if not.
    """
    from bakeoff.report.text.costs import estimated

    if config.quiet or not found.paid:
        return
    print_blocks(terminal(errors=True), estimated(found))
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
    config = config.resolved()
    timing = Stopwatch() if config.profile else None
    from bakeoff.api import run_async
    from bakeoff.report.live import live

    errors = terminal(errors=True, quiet=config.quiet)
    log_to(errors)
    stopped: list[str] = []

    with timing or nullcontext(), live(errors, hosted(config.contestants, config.judge)) as watch:

        async def work(stop_token: StopToken) -> Results:
            def agree(found: Plan) -> None:
                _agree(found, config)

            found = await while_open(
                *BOOTH,
                lambda tell, end: run_async(
                    config, watch, announce=tell, until=end, agree=agree, stop_token=stop_token
                ),
            )
            stopped.extend(filter(None, [stop_token.reason]))
            return found

        results = asyncio.run(stopping(work))
    present(results, config, config.out)
    if timing:
        from bakeoff.report.text.timings import laps

        print_blocks(errors, laps(timing))
    asked = len(results.completions) + len(results.judgments) + len(results.failures)
    for why in stopped:
        print_error(f"stopped: {why}; what was done is kept, and the same command goes on")
    return 3 if stopped or len(results.failures) > config.max_failures * asked else 0
