"""The vote pages of runs: opened when first asked for, and anew when the results are others.

A vote is in its file before it is acknowledged; pressing Finish counts what is there.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.session import count_votes
from bakeoff.evaluation.votes.merge import machines
from bakeoff.records import Results
from bakeoff.report.export import RESULTS, VOTES
from bakeoff.report.results_file import read_results
from bakeoff.web.viewer.runs import Run, Stamp
from bakeoff.web.voting.session import Booth

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Booths:
    """One booth for each run on which somebody votes."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Stamp, ASGIApp]] = {}
        self._counts: dict[str, asyncio.Task[Results]] = {}
        self._opening = asyncio.Lock()  # two booths of one run would not know of each other's votes

    async def app_of(self, run: Run) -> "ASGIApp":
        """The booth of a run. ConfigError where there is nothing to vote on."""
        if run.stamp is None or run.file.name != RESULTS:
            raise ConfigError("there is nothing to vote on here: votes lie beside a results.json")
        async with self._opening:
            stamp, app = self._open.get(run.key, (None, None))
            return app if app and stamp == run.stamp else await self._opened(run, run.stamp)

    async def counted(self, run: Run) -> None:
        """Wait until the votes of a finished voting are in the results; ConfigError if they cannot
        be, told once.
        """
        count = self._counts.get(run.key)
        if count:
            await asyncio.wait([count])
            if self._counts.get(run.key) is count:
                del self._counts[run.key]
            count.result()

    async def _opened(self, run: Run, stamp: Stamp) -> "ASGIApp":
        from starlette.concurrency import run_in_threadpool

        from bakeoff.web.voting.routes import app

        made = app(await run_in_threadpool(self._booth, run))
        self._open[run.key] = (stamp, made)
        return made

    def _booth(self, run: Run) -> Booth:
        evidence = read_results(run.file).evidence
        return Booth(
            evidence,
            run.folder / VOTES,
            VoteOptions(),
            taken=machines(evidence),
            end=partial(self._finish, run),
            after="../",
        )

    def _finish(self, run: Run) -> None:
        """Begin to count, on the event loop on which Finish was pressed."""
        from starlette.concurrency import run_in_threadpool

        before = self._counts.get(run.key)
        if before is None or before.done():
            counting = run_in_threadpool(count_votes, run.folder)
            self._counts[run.key] = asyncio.create_task(counting)
