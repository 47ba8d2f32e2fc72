"""Run a comparison in a terminal: progress, confirmation of its cost, signals and results."""

import asyncio
import signal
import sys
from contextlib import nullcontext
from functools import partial

from bakeoff.cli.exit_codes import OK, TOO_MANY_FAILURES
from bakeoff.cli.hosted import hosted_names
from bakeoff.cli.signals import VOTING_MESSAGES, interruptible, serve_until_interrupted
from bakeoff.config import Config
from bakeoff.errors import InterruptError
from bakeoff.records import Plan, Results
from bakeoff.report.terminal import (
    log_to,
    make_console,
    print_error,
    print_outcome,
    print_sections,
)
from bakeoff.runtime import StopToken
from bakeoff.runtime.timing import Stopwatch


def compare(config: Config) -> int:
    """Run a comparison with a progress display, print its results and return the exit code.

    Raises ConfigError, StoreError or BudgetError if it cannot start, and InterruptError if it is
    interrupted.
    """
    config = config.resolved()
    timing = Stopwatch() if config.profile else None
    from bakeoff.evaluation.session import run_async
    from bakeoff.report.live import show_progress
    from bakeoff.web.voting.serve import serve_voting

    errors = make_console(errors=True, quiet=config.quiet)
    log_to(errors)
    stop_reasons: list[str] = []
    hosted = hosted_names(config.contestants, config.judge)

    with timing or nullcontext(), show_progress(errors, hosted) as on_progress:

        async def work(token: StopToken) -> Results:
            results = await serve_until_interrupted(
                *VOTING_MESSAGES,
                lambda announce, end: run_async(
                    config,
                    on_progress,
                    vote=partial(serve_voting, announce=announce, until=end),
                    agree=partial(_confirm, config),
                    stop_token=token,
                ),
            )
            stop_reasons.extend(filter(None, [token.reason]))
            return results

        results = asyncio.run(interruptible(work))
    print_outcome(results, config, config.out)
    if timing:
        from bakeoff.report.text.timings import timing_sections

        print_sections(errors, timing_sections(timing))
    for reason in stop_reasons:
        print_error(f"stopped: {reason}; what was done is kept, and the same command goes on")
    work_items = len(results.completions) + len(results.judgments) + len(results.failures)
    failed = len(results.failures) > config.max_failures * work_items
    return TOO_MANY_FAILURES if stop_reasons or failed else OK


def _confirm(config: Config, plan: Plan) -> None:
    """Print the plan of a run that costs money, and ask for confirmation on a terminal.

    No question is asked with `--yes` or `--max-cost`. Raises InterruptError if the answer is no.
    """
    from bakeoff.report.text.costs import plan_sections

    if config.quiet or not plan.paid:
        return
    print_sections(make_console(errors=True), plan_sections(plan))
    confirmed = config.yes or config.max_cost is not None
    if confirmed or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if _read_answer("Go on? [Y/n] ").strip().lower() not in ("", "y", "yes"):
        raise InterruptError


def _read_answer(question: str) -> str:
    """Return a line from stdin, `no` at its end. SIGINT and SIGTERM raise InterruptError."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline() or "no"
    except KeyboardInterrupt:
        raise InterruptError from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
