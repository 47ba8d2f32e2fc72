"""The voting sessions of the viewer, one per run, opened on first access."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.session import count_votes
from bakeoff.evaluation.votes.merge import reserved_names
from bakeoff.records import Results
from bakeoff.report.export import RESULTS, VOTES
from bakeoff.report.results_file import read_results
from bakeoff.web.viewer.runs import FileVersion, Run
from bakeoff.web.voting.session import VotingSession

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class VotingSessions:
    """Opens one voting app per run, and a new one when the results have changed."""

    def __init__(self) -> None:
        self._apps: dict[str, tuple[FileVersion, ASGIApp]] = {}
        self._counts: dict[str, asyncio.Task[Results]] = {}
        self._lock = asyncio.Lock()  # two sessions of one run would miss each other's votes

    async def app_of(self, run: Run) -> "ASGIApp":
        """Return the voting app of a run. Raises ConfigError if there is nothing to vote on."""
        if run.version is None or run.file.name != RESULTS:
            raise ConfigError("there is nothing to vote on here: votes lie beside a results.json")
        async with self._lock:
            version, app = self._apps.get(run.key, (None, None))
            return app if app and version == run.version else await self._open(run, run.version)

    async def wait_counted(self, run: Run) -> None:
        """Wait until the votes of a finished session are in the results.

        If they could not be counted, the first call raises ConfigError.
        """
        count = self._counts.get(run.key)
        if count:
            await asyncio.wait([count])
            if self._counts.get(run.key) is count:
                del self._counts[run.key]
            count.result()

    async def _open(self, run: Run, version: FileVersion) -> "ASGIApp":
        from starlette.concurrency import run_in_threadpool  # late: starlette is optional

        from bakeoff.web.voting.routes import voting_app

        app = voting_app(await run_in_threadpool(self._session, run))
        self._apps[run.key] = (version, app)
        return app

    def _session(self, run: Run) -> VotingSession:
        evidence = read_results(run.file).evidence
        return VotingSession(
            evidence,
            run.folder / VOTES,
            VoteOptions(),
            reserved=reserved_names(evidence),
            on_finish=partial(self._start_count, run),
            next_page="../",
        )

    def _start_count(self, run: Run) -> None:
        """Start counting the votes in a thread; called on the event loop."""
        from starlette.concurrency import run_in_threadpool

        count = self._counts.get(run.key)
        if count is None or count.done():
            self._counts[run.key] = asyncio.create_task(run_in_threadpool(count_votes, run.folder))
