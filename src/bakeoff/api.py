"""The Python API: `run`, `run_async` and `vote_async`.

`evaluation.session` runs comparisons but imports no web code; these functions pass it the function
that serves the voting page.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bakeoff.config import Config
from bakeoff.config.options import VoteOptions
from bakeoff.evaluation import session
from bakeoff.records import Plan, Results
from bakeoff.runtime import StopToken
from bakeoff.runtime.progress import ProgressCallback
from bakeoff.web.voting.serve import serve_voting

log = logging.getLogger(__name__)


def _log_address(address: str) -> None:
    log.warning("people vote at %s", address)


def run(config: Config, on_progress: ProgressCallback = lambda _: None) -> Results:
    """Run a comparison, write `results.json` and `report.html` to `config.out`, return the results.

    Finished work is in the store, so that the same call resumes an interrupted run. `on_progress`
    is called with each progress update; `progress.json` in `config.out` holds the latest one.
    Raises ConfigError or StoreError if the run cannot start.
    """
    return asyncio.run(run_async(config, on_progress))


async def run_async(
    config: Config,
    on_progress: ProgressCallback = lambda _: None,
    *,
    announce: Callable[[str], None] = _log_address,
    until: asyncio.Event | None = None,
    agree: Callable[[Plan], None] = lambda _: None,
    stop_token: StopToken | None = None,
) -> Results:
    """Like `run`, inside a running event loop.

    With a judge `human`, `announce` is called with the address of the voting page, and setting
    `until` ends the vote. `agree` is called with the plan before the first request; an exception
    that it raises ends the run. `stop_token` stops the run: requests in flight are finished and
    stored, then InterruptError is raised.
    """
    vote = partial(serve_voting, announce=announce, until=until)
    return await session.run_async(
        config, on_progress, vote=vote, agree=agree, stop_token=stop_token
    )


async def vote_async(
    path: Path,
    options: VoteOptions = VoteOptions(),  # noqa: B008 - frozen
    *,
    announce: Callable[[str], None] = _log_address,
    until: asyncio.Event | None = None,
) -> Results:
    """Serve a page on which people vote on the pairs of existing results; return the new results.

    `path` is a `results.json` or its folder; votes and updated results are written there. The vote
    ends when a voter presses Finish or `until` is set. Raises ConfigError if the results cannot be
    read or have no pairs to vote on.
    """
    return await session.vote_async(
        path, options, partial(serve_voting, announce=announce, until=until)
    )
