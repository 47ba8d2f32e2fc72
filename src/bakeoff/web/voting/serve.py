"""Opens the booth to people and waits until they have finished; says whether they have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.config.options import Poll
from bakeoff.records import Evidence
from bakeoff.web.server import check_installed, served
from bakeoff.web.voting.merge import machines
from bakeoff.web.voting.queue import Ballot
from bakeoff.web.voting.session import Booth
from bakeoff.web.voting.vote_log import read
from bakeoff.web.voting.votes import fitting, standing

_ANY = Poll()


async def gather(
    evidence: Evidence,
    file: Path,
    poll: Poll = _ANY,
    *,
    announce: Callable[[str], None],
    until: asyncio.Event | None = None,
) -> None:
    """Serve the booth until a voter presses Finish, or `until` is set; votes are added to `file`.

    `announce` gets the address to open. Being cancelled (Ctrl-C) loses no vote: every one is in the
    file before it is acknowledged. ConfigError where nothing can be asked or served, or the file
    cannot be read.
    """
    check_installed()
    from bakeoff.web.voting.routes import app

    finished = until or asyncio.Event()
    booth = Booth(evidence, file, poll, taken=machines(evidence), end=finished.set)
    async with served(app(booth), port=poll.port) as url:
        announce(url)
        await finished.wait()


def complete(evidence: Evidence, file: Path, poll: Poll = _ANY) -> bool:
    """Whether somebody has voted on, or skipped, every pair of the poll."""
    said = {candidates for _, candidates in standing(fitting(read(file), evidence))}
    return said.issuperset(Ballot(evidence, poll).candidates)
