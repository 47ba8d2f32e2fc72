"""Opens the booth to people and waits until they have finished; says whether they have."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.merge import machines
from bakeoff.records import Evidence
from bakeoff.web.server import check_installed, served
from bakeoff.web.voting.session import Booth

_ANY = VoteOptions()


async def gather(
    evidence: Evidence,
    file: Path,
    poll: VoteOptions = _ANY,
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
