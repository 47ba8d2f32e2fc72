"""The commands that look at what is there, ask judges what is known, or let people vote."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from bakeoff.cli.output import hosted, present
from bakeoff.cli.signals import BOOTH, stopping, while_open
from bakeoff.config.options import Audit, Check, Poll
from bakeoff.report.terminal import (
    log_to,
    print_blocks,
    print_document,
    print_path,
    print_ways,
    terminal,
)


def audit(
    files: Annotated[
        tuple[Path, ...], Parameter(help="Of one evaluation: repeats, judges, other completions.")
    ],
    /,
    *,
    config: Annotated[Audit, Parameter(name="*")] = Audit(),  # noqa: B008 - frozen
) -> int:
    """Read evaluations that other tools made, and say what they can carry. Asks no model."""
    from bakeoff.evaluation.audit import audit as audited

    log_to(terminal(errors=True, quiet=config.quiet))
    results = audited(
        files,
        format=config.format,
        columns=config.mapping(),
        margin=config.margin,
        panel=config.panel,
        out=config.out,
    )
    present(results, config, config.out)
    return 0


def judge_check(
    file: Annotated[
        Path | None,
        Parameter(help="Pairs whose better one is known: ours, LLMBar's, or columns like them."),
    ] = None,
    /,
    *,
    config: Annotated[Check, Parameter(name="*")] = Check(),  # noqa: B008 - frozen
) -> int:
    """Try judges on pairs whose better one is known; without a file, on 60 pairs of our own."""
    from bakeoff.evaluation.judge_check import check_async, check_lines
    from bakeoff.report.live import live

    errors = terminal(errors=True, quiet=config.quiet)
    log_to(errors)
    with live(errors, hosted((), config.judge)) as watch:
        found = asyncio.run(stopping(lambda halt: check_async(file, config, watch, halt=halt)))
    if config.print_json:
        print_document(found.to_json())
    elif not config.quiet:
        print_blocks(terminal(), check_lines(found))
    return 3 if any(judge.failed for judge in found.judges) else 0


def vote(
    results: Annotated[Path, Parameter(help="A results.json, or the folder that it is in.")],
    /,
    *,
    poll: Annotated[Poll, Parameter(name="*")] = Poll(),  # noqa: B008 - frozen
) -> int:
    """Let people vote on the pairs of a run, blind, in a browser on this machine."""
    from bakeoff.api import vote_async
    from bakeoff.report.results_file import results_folder

    log_to(terminal(errors=True))
    found = asyncio.run(
        while_open(*BOOTH, lambda tell, end: vote_async(results, poll, announce=tell, until=end))
    )
    present(found, poll, results_folder(results))
    return 0


def report(
    results: Annotated[Path, Parameter(help="A results.json, or the folder that it is in.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder for report.html. [that of the results]")
    ] = None,
    charts: Annotated[
        Path | None, Parameter(help="Folder for the charts as SVG and PNG, for a paper. [none]")
    ] = None,
) -> int:
    """Make the page anew from results that exist, and its charts as files. Asks no model."""
    from bakeoff.report.charts.figures import write_figures
    from bakeoff.report.export import save_page
    from bakeoff.report.results_file import read_results, results_folder

    found = read_results(results)
    written = [save_page(found, out or results_folder(results))]
    if charts:
        written += write_figures(found, charts)
    for path in written:
        print_path(terminal(), path)
    return 0


def serve(
    path: Annotated[Path, Parameter(help="A results.json, or a folder with runs below it.")],
    /,
    *,
    port: Annotated[
        int,
        Parameter(
            help="Port of the page on this machine. [any]",
            validator=validators.Number(gte=0, lte=65535),
        ),
    ] = 0,
) -> int:
    """Show runs in a browser on this machine: live, compared, voted on."""
    from bakeoff.web.viewer import serve_async

    log_to(terminal(errors=True))

    asyncio.run(
        while_open(
            "Runs at",
            "Ctrl-C ends it.",
            lambda tell, end: serve_async(path, port=port, announce=tell, until=end),
        )
    )
    return 0


def list_(what: Annotated[Literal["judges", "models"], Parameter(help="What to list.")], /) -> int:
    """Say what judges or models there are here, and what each still needs."""
    from bakeoff.cli.backends import judge_ways, model_ways

    print_ways(terminal(), judge_ways() if what == "judges" else model_ways())
    return 0
