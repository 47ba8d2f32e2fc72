"""Opens the booth to people and waits until they have finished; says whether they have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.flags import Poll
from bakeoff.records import Evidence
from bakeoff.voting.ballot import Ballot
from bakeoff.voting.booth import Booth
from bakeoff.voting.merging import machines
from bakeoff.voting.urn import read
from bakeoff.voting.votes import fitting, standing
from bakeoff.web import check_installed, served

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
    from bakeoff.voting.routes import app

    finished = until or asyncio.Event()
    booth = Booth(evidence, file, poll, taken=machines(evidence), end=finished.set)
    async with served(app(booth), port=poll.port) as url:
        announce(url)
        await finished.wait()


def complete(evidence: Evidence, file: Path, poll: Poll = _ANY) -> bool:
    """Whether somebody has voted on, or skipped, every pair of the poll."""
    said = {candidates for _, candidates in standing(fitting(read(file), evidence))}
    return said.issuperset(Ballot(evidence, poll).candidates)
