"""The command: flags to a Config, results to a terminal, errors to one line and an exit code.

0 done; 2 something that you can fix; 3 done, but too much of the work failed; 130 interrupted.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import App, CycloptsError, Parameter, validators
from pydantic import ValidationError

from bakeoff.config import Audit, Check, Config, Poll, Spec, config_from, first_problem
from bakeoff.errors import BakeoffError, ConfigError
from bakeoff.records import Results
from bakeoff.report.console import (
    forgive_encodings,
    log_to,
    print_blocks,
    print_document,
    print_error,
    print_path,
    print_results,
    print_ways,
    terminal,
)
from bakeoff.stopwatch import Stopwatch

T = TypeVar("T")

_BOOTH = ("Vote at", "Every vote is saved at once. Ctrl-C ends the vote.")

app = App(
    name="bakeoff",
    help="Is this model really better? Two models, one blind judge, both orders.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


_FILE = "A YAML file with these flags as keys; a flag wins."


@app.command
def run(
    *,
    config: Annotated[Config, Parameter(name="*")] = Config(),  # noqa: B008 - frozen
    file: Annotated[
        Path | None,
        Parameter(name="--config", help="A YAML file with these flags as keys; flags win."),
    ] = None,
) -> int:
    """Compare two models, or more. Without --model, two small ones that run anywhere."""
    given = config.model_dump(by_alias=True, exclude_unset=True)
    return compare(config_from(file, given))


@app.command
def audit(
    files: Annotated[
        tuple[Path, ...], Parameter(help="Of one evaluation: repeats, judges, other completions.")
    ],
    /,
    *,
    config: Annotated[Audit, Parameter(name="*")] = Audit(),  # noqa: B008 - frozen
) -> int:
    """Read evaluations that other tools made, and say what they can carry. Asks no model."""
    from bakeoff.auditing import audit as audited

    log_to(terminal(errors=True, quiet=config.quiet))
    results = audited(
        files,
        format=config.format,
        columns=config.mapping(),
        margin=config.margin,
        panel=config.panel,
        out=config.out,
    )
    _present(results, config, config.out)
    return 0


@app.command(name="judge-check")
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
    from bakeoff.checking import check_config, lines
    from bakeoff.report.live import live

    errors = terminal(errors=True, quiet=config.quiet)
    log_to(errors)
    with live(errors, _hosted((), config.judge)) as watch:
        found = check_config(file, config, watch)
    if config.print_json:
        print_document(found.to_json())
    elif not config.quiet:
        print_blocks(terminal(), lines(found))
    return 3 if any(judge.failed for judge in found.judges) else 0


@app.command
def vote(
    results: Annotated[Path, Parameter(help="A results.json, or the folder that it is in.")],
    /,
    *,
    poll: Annotated[Poll, Parameter(name="*")] = Poll(),  # noqa: B008 - frozen
) -> int:
    """Let people vote on the pairs of a run, blind, in a browser on this machine."""
    from bakeoff.results import folder_of
    from bakeoff.session import vote_async

    log_to(terminal(errors=True))
    found = asyncio.run(
        _while_open(*_BOOTH, lambda tell, end: vote_async(results, poll, announce=tell, until=end))
    )
    _present(found, poll, folder_of(results))
    return 0


@app.command
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
    from bakeoff.report.export import save_page
    from bakeoff.report.figures import write_figures
    from bakeoff.results import folder_of, read_results

    found = read_results(results)
    written = [save_page(found, out or folder_of(results))]
    if charts:
        written += write_figures(found, charts)
    for path in written:
        print_path(terminal(), path)
    return 0


@app.command
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
    from bakeoff.viewing import serve_async

    log_to(terminal(errors=True))

    asyncio.run(
        _while_open(
            "Runs at",
            "Ctrl-C ends it.",
            lambda tell, end: serve_async(path, port=port, announce=tell, until=end),
        )
    )
    return 0


@app.command(name="list")
def list_(what: Annotated[Literal["judges", "models"], Parameter(help="What to list.")], /) -> int:
    """Say what judges or models there are here, and what each still needs."""
    from bakeoff.listing import judge_ways, model_ways

    print_ways(terminal(), judge_ways() if what == "judges" else model_ways())
    return 0


def compare(config: Config) -> int:
    """Run a comparison in a terminal; its exit code."""
    timing = Stopwatch() if config.profile else None
    from bakeoff.report.live import live
    from bakeoff.session import run_async

    errors = terminal(errors=True, quiet=config.quiet)
    log_to(errors)
    with timing or nullcontext(), live(errors, _hosted(config.model, config.judge)) as watch:
        results = asyncio.run(
            _while_open(
                *_BOOTH, lambda tell, end: run_async(config, watch, announce=tell, until=end)
            )
        )
    _present(results, config, config.out)
    if timing:
        from bakeoff.report.laps import laps

        print_blocks(errors, laps(timing))
    asked = len(results.completions) + len(results.judgments) + len(results.failures)
    return 3 if len(results.failures) > config.max_failures * asked else 0


async def _while_open(
    at: str,
    ends: str,
    work: Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, T]],
) -> T:
    """Do what may open a page for people; from then on Ctrl-C ends no more than the page.

    `work` is given how to tell the address, and the event that ends it.
    """
    end, loop = asyncio.Event(), asyncio.get_running_loop()

    def announce(address: str) -> None:
        print(f"{at} {address}", ends, sep="\n", file=sys.stderr, flush=True)
        with suppress(NotImplementedError):  # on Windows it ends the command; no vote is lost
            loop.add_signal_handler(signal.SIGINT, end.set)

    try:
        return await work(announce, end)
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def _hosted(models: Sequence[str], judges: Sequence[str]) -> set[str]:
    """The names of those that somebody else runs, for money."""
    from bakeoff.plugins import GENERATORS, JUDGES, judge_spec, names

    here = {*names(GENERATORS), *names(JUDGES)}
    specs = [*map(Spec.parse, models), *map(judge_spec, judges)]
    return {spec.name for spec in specs if spec.backend not in here}


def _present(results: Results, config: Config | Audit | Poll, out: Path) -> None:
    if config.print_json:
        print_document(results.to_json())
    elif not config.quiet:
        console = terminal()
        print_results(console, results, config.show_samples)
        for name in ("results.json", "report.html"):
            print_path(console, out / name)


def main(arguments: list[str] | None = None) -> None:
    """The console script: parse, run, and exit with a code that says how it went."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda: app(_text(given), exit_on_error=False, print_error=False)))


def _text(arguments: list[str]) -> list[str]:
    """The arguments; ConfigError where one is no text, and so could be in no document."""
    for one in arguments:
        if any("\ud800" <= char <= "\udfff" for char in one):
            raise ConfigError(f"{one!r} is not text in this terminal's encoding: write it in UTF-8")
    return arguments


def guarded(work: Callable[[], object]) -> int:
    """The exit code of `work`: the one that it returns, or that of the error that it ends in.

    An error that you can fix is said in one line on stderr.
    """
    forgive_encodings()
    try:
        code = work()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        wrong = error.__cause__
        words = first_problem(wrong, Config) if isinstance(wrong, ValidationError) else str(error)
        print_error(words)
        return 2
    except BakeoffError as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        print_error("interrupted; what was done is kept: the same command goes on")
        return 130
