"""Serve the voting page until the vote is finished."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.merge import reserved_names
from bakeoff.records import Evidence
from bakeoff.web.server import check_installed, serve_app
from bakeoff.web.voting.session import VotingSession

_DEFAULT_OPTIONS = VoteOptions()


async def serve_voting(
    evidence: Evidence,
    file: Path,
    options: VoteOptions = _DEFAULT_OPTIONS,
    *,
    announce: Callable[[str], None],
    until: asyncio.Event | None = None,
) -> None:
    """Serve the page until a voter presses Finish or `until` is set; append votes to `file`.

    `announce` is called with the address. Cancellation loses no acknowledged vote. Raises
    ConfigError if there is nothing to vote on, the page cannot be served, or the file cannot be
    read.
    """
    check_installed()
    from bakeoff.web.voting.routes import voting_app  # late: starlette is optional

    finished = until or asyncio.Event()
    session = VotingSession(
        evidence, file, options, reserved=reserved_names(evidence), on_finish=finished.set
    )
    async with serve_app(voting_app(session), port=options.port) as url:
        announce(url)
        await finished.wait()
