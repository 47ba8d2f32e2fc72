"""The HTTP routes of the viewer. URLs contain keys of runs; no reply contains a path."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from bakeoff.errors import ConfigError
from bakeoff.records import Results
from bakeoff.report.export import RESULTS, checked_page
from bakeoff.report.page.page import Page
from bakeoff.report.results_file import read_results
from bakeoff.web.server import json_reply, text_reply
from bakeoff.web.viewer import pages
from bakeoff.web.viewer.comparison import compare_runs
from bakeoff.web.viewer.run_cards import RunCard, RunCards
from bakeoff.web.viewer.run_progress import LiveRun, ProgressRates
from bakeoff.web.viewer.runs import FileVersion, Run, RunList, file_version, find_runs
from bakeoff.web.viewer.voting_sessions import VotingSessions

_MAX_REPORTS = 4  # rendered reports in the cache


class ViewerError(Exception):
    """A page that cannot be shown: a message for the user, and an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RunEntry(NamedTuple):
    """A run in the list."""

    run: Run
    card: RunCard | None
    live: LiveRun | None

    @property
    def when(self) -> datetime:
        """Start of the run; the epoch if unknown."""
        if self.card:
            return self.card.when
        return self.live.started if self.live else datetime.fromtimestamp(0, UTC)

    @property
    def in_progress(self) -> bool:
        """Whether the run is in progress."""
        return self.live is not None and not self.live.stopped


class Viewer:
    """The runs below a path, with caches of what was read. File access runs in threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cards = RunCards()
        self._rates = ProgressRates()
        self._sessions = VotingSessions()
        self._reports: OrderedDict[tuple[str, FileVersion, bool], Page] = OrderedDict()

    def app(self) -> Starlette:
        """Return the Starlette application."""
        return Starlette(
            routes=[
                Route("/", self.list),
                Route("/status", self.status),
                Route("/compare", self.compare),
                *(Route(f"/{name}", _file(name, kind)) for name, kind in pages.FILES.items()),
                Mount("/run/{key}/vote", self.vote),
                Route("/run/{key}/", self.run),
                Route("/run/{key}/status", self.status),
            ],
            exception_handlers={ViewerError: _error_page, 404: _error_page},
        )

    async def list(self, _: Request) -> Response:
        """Return all runs, newest first; redirect to the run if a single one is served."""
        listing = await run_in_threadpool(find_runs, self._root)
        if listing.single:
            return RedirectResponse(f"run/{next(iter(listing.runs))}/")
        return text_reply(await run_in_threadpool(self._list_page, listing))

    async def status(self, request: Request) -> Response:
        """Return a stamp that changes with the page, and whether the report exists."""
        listing = await run_in_threadpool(find_runs, self._root)
        key = request.path_params.get("key")
        runs = listing.runs.values() if key is None else [_get_run(listing, key)]
        has_report = key is not None and listing.runs[key].version is not None
        return json_reply({"stamp": _stamp(runs), "report": has_report})

    async def run(self, request: Request) -> Response:
        """Return the report of a run; its progress if there are no results yet."""
        listing = await run_in_threadpool(find_runs, self._root)
        run = _get_run(listing, request.path_params["key"])
        try:
            await self._sessions.wait_counted(run)
        except ConfigError as error:
            message = f"All votes are kept, but they could not be counted: {_redact(error, run)}"
            raise ViewerError(409, message) from None
        run = run._replace(version=file_version(run.file))  # counting rewrites the results
        if run.version is None:
            html = pages.render(
                "live", run=run, live=self._live(run), stamp=_stamp([run]), single=listing.single
            )
            return text_reply(html)
        html, policy = await run_in_threadpool(self._report, run, run.version, listing.single)
        policy += "; frame-ancestors 'none'"  # not possible in the page's own <meta>
        return text_reply(html, headers={"Content-Security-Policy": policy})

    async def compare(self, request: Request) -> Response:
        """Return the comparison of two runs."""
        listing = await run_in_threadpool(find_runs, self._root)
        runs = [
            _get_run(listing, request.query_params.get(name, "")) for name in ("before", "after")
        ]
        return text_reply(await run_in_threadpool(self._compare_page, *runs))

    async def vote(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the voting app of a run."""
        listing = await run_in_threadpool(find_runs, self._root)
        run = _get_run(listing, scope["path_params"]["key"])
        try:
            app = await self._sessions.app_of(run)
        except ConfigError as error:
            raise ViewerError(409, _redact(error, run)) from None
        await app(scope, receive, send)

    def _list_page(self, listing: RunList) -> str:
        entries = [
            RunEntry(run, self._cards.card(run), self._live(run)) for run in listing.runs.values()
        ]
        entries.sort(key=lambda entry: (entry.when, entry.run.name), reverse=True)
        return pages.render(
            "list",
            stamp=_stamp(listing.runs.values()),
            name=self._root.resolve().name,
            truncated=listing.truncated,
            in_progress=[entry for entry in entries if entry.in_progress],
            entries=[entry for entry in entries if entry.card or not entry.in_progress],
        )

    def _live(self, run: Run) -> LiveRun | None:
        if run.progress is None:
            return None
        return self._rates.update(run.key, run.progress, datetime.now(UTC))

    def _report(self, run: Run, version: FileVersion, single: bool) -> Page:
        key = (run.key, version, single)
        page = self._reports.pop(key, None)
        if page is None:
            links = [] if single else [("All runs", "../../")]
            results = _read(run)
            if run.file.name == RESULTS and results.completions:
                links.append(("Vote", "vote/"))
            try:
                page = checked_page(results, links)
            except ConfigError as error:
                raise ViewerError(409, _redact(error, run)) from None
        self._reports[key] = page
        if len(self._reports) > _MAX_REPORTS:
            self._reports.popitem(last=False)
        return page

    def _compare_page(self, before: Run, after: Run) -> str:
        runs = (before, after)
        return pages.render(
            "compare",
            runs=runs,
            cards=[self._cards.card(run) for run in runs],
            diff=compare_runs(*map(_read, runs)),
        )


def _get_run(listing: RunList, key: str) -> Run:
    if key not in listing.runs:
        raise ViewerError(404, "This run is not here, or not any more.")
    return listing.runs[key]


def _read(run: Run) -> Results:
    try:
        return read_results(run.file)
    except ConfigError as error:
        raise ViewerError(409, _redact(error, run)) from None


def _redact(error: ConfigError, run: Run) -> str:
    """Return the message of an error with paths replaced by names."""
    message = str(error)
    for path in (run.file, run.folder):
        for text in (str(path), repr(str(path))[1:-1]):
            message = message.replace(text, run.name if path == run.folder else run.file.name)
    return message


def _stamp(runs: Iterable[Run]) -> str:
    """Return a hash of all that may change on a page about these runs."""
    now = datetime.now(UTC)
    state = [
        (run.key, run.version, run.progress and (run.progress.updated, run.progress.is_stale(now)))
        for run in runs
    ]
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


async def _error_page(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, ViewerError) else 404
    message = str(error) if isinstance(error, ViewerError) else "Nothing is here."
    root = request.scope.get("app_root_path", request.scope["root_path"])
    up = "../" * request.scope["path"].removeprefix(root).count("/")
    html = pages.render("error", message=message, up=up[3:] or "./")
    return text_reply(html, status=status)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    text = pages.file(name)

    async def endpoint(_: Request) -> Response:
        return text_reply(text, media_type)

    return endpoint
