"""The command: flags to a Config, results to a terminal, errors to one line and an exit code.

0 done; 2 something that you can fix; 3 done, but too much of the work failed; 130 interrupted.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from bakeoff.config import Audit, Check, Config, Poll, config_from, first_problem
from bakeoff.errors import BakeoffError
from bakeoff.records import Results

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

    _log_to(Console(stderr=True, quiet=config.quiet))
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
    from bakeoff.report.console import live, print_blocks

    errors = Console(stderr=True, quiet=config.quiet)
    _log_to(errors)
    with live(errors) as show:
        found = check_config(file, config, lambda progress: show(*progress))
    if config.print_json:
        sys.stdout.write(found.to_json())
    elif not config.quiet:
        print_blocks(Console(), lines(found))
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

    _log_to(Console(stderr=True))
    found = asyncio.run(
        _with_booth(lambda tell, end: vote_async(results, poll, announce=tell, until=end))
    )
    _present(found, poll, folder_of(results))
    return 0


@app.command(name="list")
def list_(what: Annotated[Literal["judges", "models"], Parameter(help="What to list.")], /) -> int:
    """Say what judges or models there are here, and what each still needs."""
    from bakeoff.listing import judge_ways, model_ways
    from bakeoff.report.console import print_ways

    print_ways(Console(), judge_ways() if what == "judges" else model_ways())
    return 0


def compare(config: Config) -> int:
    """Run a comparison in a terminal; its exit code."""
    from bakeoff.report.console import live
    from bakeoff.session import run_async  # numpy and scipy load here, not for --help

    errors = Console(stderr=True, quiet=config.quiet)
    _log_to(errors)
    with live(errors) as show:
        results = asyncio.run(
            _with_booth(
                lambda tell, end: run_async(
                    config, lambda progress: show(*progress), announce=tell, until=end
                )
            )
        )
    _present(results, config, config.out)
    asked = len(results.completions) + len(results.judgments) + len(results.failures)
    return 3 if len(results.failures) > config.max_failures * asked else 0


async def _with_booth(
    work: Callable[[Callable[[str], None], asyncio.Event], Coroutine[Any, Any, Results]],
) -> Results:
    """Do what may wait for people: from when their page is open, Ctrl-C ends the vote."""
    end, loop = asyncio.Event(), asyncio.get_running_loop()

    def announce(address: str) -> None:
        print(f"Vote at {address}", file=sys.stderr)
        print("Every vote is saved at once. Ctrl-C ends the vote.", file=sys.stderr, flush=True)
        with suppress(NotImplementedError):  # on Windows it ends the command, and no vote is lost
            loop.add_signal_handler(signal.SIGINT, end.set)

    try:
        return await work(announce, end)
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)


def _present(results: Results, config: Config | Audit | Poll, out: Path) -> None:
    from bakeoff.report.console import print_results

    if config.print_json:
        sys.stdout.write(results.to_json())
    elif not config.quiet:
        console = Console()
        print_results(console, results, config.show_samples)
        for name in ("results.json", "report.html"):
            console.print(Text(str(out / name)), soft_wrap=True)  # whole, to be copied


def main(arguments: list[str] | None = None) -> None:
    """The console script: parse, run, and exit with a code that says how it went."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda: app(given, exit_on_error=False, print_error=False)))


def guarded(work: Callable[[], object]) -> int:
    """The exit code of `work`: the one that it returns, or that of the error that it ends in.

    An error that you can fix is said in one line on stderr.
    """
    try:
        code = work()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        wrong = error.__cause__
        words = first_problem(wrong, Config) if isinstance(wrong, ValidationError) else str(error)
        _complain(words)
        return 2
    except BakeoffError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted; what was done is kept: the same command goes on")
        return 130


def _complain(words: str) -> None:
    print(f"bakeoff: {' '.join(words.split())}", file=sys.stderr)


def _log_to(console: Console) -> None:
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    log = logging.getLogger("bakeoff")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
