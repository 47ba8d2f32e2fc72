"""`bakeoff vote`: let people vote on the pairs of existing results."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK
from bakeoff.cli.signals import VOTING_MESSAGES, serve_until_interrupted
from bakeoff.config.options import VoteOptions
from bakeoff.report.terminal import log_to, make_console, print_outcome


def vote(
    results: Annotated[Path, Parameter(help="A results.json, or the folder that it is in.")],
    /,
    *,
    options: Annotated[VoteOptions, Parameter(name="*")] = VoteOptions(),  # noqa: B008 - frozen
) -> int:
    """Let people vote on the pairs of a run, blind, in a browser on this machine."""
    from bakeoff.api import vote_async
    from bakeoff.report.results_file import results_folder

    log_to(make_console(errors=True))
    with_votes = asyncio.run(
        serve_until_interrupted(
            *VOTING_MESSAGES,
            lambda announce, end: vote_async(results, options, announce=announce, until=end),
        )
    )
    print_outcome(with_votes, options, results_folder(results))
    return OK
