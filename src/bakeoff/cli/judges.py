"""`bakeoff judge-check`: measure judges on labeled pairs."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK, TOO_MANY_FAILURES
from bakeoff.cli.hosted import hosted_names
from bakeoff.cli.signals import interruptible
from bakeoff.config.options import JudgeCheckOptions
from bakeoff.report.terminal import log_to, make_console, print_json, print_sections


def judge_check(
    file: Annotated[
        Path | None,
        Parameter(help="Pairs whose better one is known: ours, LLMBar's, or columns like them."),
    ] = None,
    /,
    *,
    options: Annotated[JudgeCheckOptions, Parameter(name="*")] = JudgeCheckOptions(),  # noqa: B008 - frozen
) -> int:
    """Try judges on pairs whose better one is known; without a file, on 60 pairs of our own."""
    from bakeoff.evaluation.judge_check import check_async, check_sections
    from bakeoff.report.live import show_progress

    errors = make_console(errors=True, quiet=options.quiet)
    log_to(errors)
    with show_progress(errors, hosted_names((), options.judge)) as on_progress:
        results = asyncio.run(
            interruptible(lambda token: check_async(file, options, on_progress, stop_token=token))
        )
    if options.print_json:
        print_json(results.to_json())
    elif not options.quiet:
        print_sections(make_console(), check_sections(results))
    return TOO_MANY_FAILURES if any(judge.failed for judge in results.judges) else OK
