"""The viewer over HTTP: which page is at which address, and how trouble looks.

An address holds keys that were given out, never a path; no reply tells where on this machine a run
lies. What reads files does so in a thread.
"""

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
from bakeoff.web.viewer.comparison import differences
from bakeoff.web.viewer.live import Live, Pace
from bakeoff.web.viewer.run_cards import Card, Cards
from bakeoff.web.viewer.runs import Found, Run, Stamp, find, stamp_of
from bakeoff.web.viewer.voting_sessions import Booths

_REPORTS = 4  # rendered, kept


class Trouble(Exception):  # noqa: N818 - the visitor's, told on a page; no error of a run
    """What cannot be shown, in words for a page, and the HTTP status that fits."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Shown(NamedTuple):
    """A run as the list shows it."""

    run: Run
    card: Card | None
    live: Live | None

    @property
    def when(self) -> datetime:
        """When it was started."""
        if self.card:
            return self.card.when
        return self.live.started if self.live else datetime.fromtimestamp(0, UTC)

    @property
    def going(self) -> bool:
        """Whether it goes on."""
        return self.live is not None and not self.live.stopped


class Viewer:
    """The runs below a path, and what was already read of them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cards, self._pace, self._booths = Cards(), Pace(), Booths()
        self._reports: OrderedDict[tuple[str, Stamp, bool], Page] = OrderedDict()

    def app(self) -> Starlette:
        """The pages at their addresses."""
        return Starlette(
            routes=[
                Route("/", self.list),
                Route("/pulse", self.pulse),
                Route("/compare", self.compare),
                *(Route(f"/{name}", _file(name, kind)) for name, kind in pages.FILES.items()),
                Mount("/run/{key}/vote", self.vote),
                Route("/run/{key}/", self.run),
                Route("/run/{key}/pulse", self.pulse),
            ],
            exception_handlers={Trouble: _trouble, 404: _trouble},
        )

    async def list(self, _: Request) -> Response:
        """All runs, the newest first; the run itself where there is only one to show."""
        found = await run_in_threadpool(find, self._root)
        if found.alone:
            return RedirectResponse(f"run/{next(iter(found.runs))}/")
        return text_reply(await run_in_threadpool(self._listed, found))

    async def pulse(self, request: Request) -> Response:
        """A word that is another one when there is something new, and whether that is a report."""
        found = await run_in_threadpool(find, self._root)
        key = request.path_params.get("key")
        runs = found.runs.values() if key is None else [_named(found, key)]
        report = key is not None and found.runs[key].stamp is not None
        return json_reply({"stamp": _stamp(runs), "report": report})

    async def run(self, request: Request) -> Response:
        """The report of a run; before there is one, how far it is."""
        found = await run_in_threadpool(find, self._root)
        run = _named(found, request.path_params["key"])
        try:
            await self._booths.counted(run)
        except ConfigError as error:
            words = f"All votes are kept, but they could not be counted: {_private(error, run)}"
            raise Trouble(409, words) from None
        run = run._replace(stamp=stamp_of(run.file))  # counted anew, it may be another
        if run.stamp is None:
            live = self._live(run)
            words = pages.render("live", run=run, live=live, stamp=_stamp([run]), alone=found.alone)
            return text_reply(words)
        html, policy = await run_in_threadpool(self._report, run, run.stamp, found.alone)
        policy += "; frame-ancestors 'none'"  # that a page cannot say of itself
        return text_reply(html, headers={"Content-Security-Policy": policy})

    async def compare(self, request: Request) -> Response:
        """Two runs side by side."""
        found = await run_in_threadpool(find, self._root)
        both = [_named(found, request.query_params.get(key, "")) for key in ("one", "other")]
        return text_reply(await run_in_threadpool(self._compared, *both))

    async def vote(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page on which people vote on a run, and all that it asks for."""
        found = await run_in_threadpool(find, self._root)
        run = _named(found, scope["path_params"]["key"])
        try:
            app = await self._booths.app_of(run)
        except ConfigError as error:
            raise Trouble(409, _private(error, run)) from None
        await app(scope, receive, send)

    def _listed(self, found: Found) -> str:
        shown = [Shown(run, self._cards.of(run), self._live(run)) for run in found.runs.values()]
        shown.sort(key=lambda one: (one.when, one.run.name), reverse=True)
        return pages.render(
            "list",
            stamp=_stamp(found.runs.values()),
            name=self._root.resolve().name,
            cut=found.cut,
            going=[one for one in shown if one.going],
            runs=[one for one in shown if one.card or not one.going],
        )

    def _live(self, run: Run) -> Live | None:
        return self._pace.of(run.key, run.progress, datetime.now(UTC)) if run.progress else None

    def _report(self, run: Run, stamp: Stamp, alone: bool) -> Page:
        key = (run.key, stamp, alone)
        made = self._reports.pop(key, None)
        if made is None:
            links = [] if alone else [("All runs", "../../")]
            results = _read(run)
            if run.file.name == RESULTS and results.completions:
                links.append(("Vote", "vote/"))
            try:
                made = checked_page(results, links)
            except ConfigError as error:
                raise Trouble(409, _private(error, run)) from None
        self._reports[key] = made
        if len(self._reports) > _REPORTS:
            self._reports.popitem(last=False)
        return made

    def _compared(self, one: Run, other: Run) -> str:
        results = [_read(run) for run in (one, other)]
        return pages.render(
            "compare",
            runs=(one, other),
            cards=[self._cards.of(run) for run in (one, other)],
            found=differences(*results),
        )


def _named(found: Found, key: str) -> Run:
    if key not in found.runs:
        raise Trouble(404, "This run is not here, or not any more.")
    return found.runs[key]


def _read(run: Run) -> Results:
    try:
        return read_results(run.file)
    except ConfigError as error:
        raise Trouble(409, _private(error, run)) from None


def _private(error: ConfigError, run: Run) -> str:
    """What went wrong, without where on this machine."""
    words = str(error)
    for path in (run.file, run.folder):
        for told in (str(path), repr(str(path))[1:-1]):
            words = words.replace(told, run.name if path == run.folder else run.file.name)
    return words


def _stamp(runs: Iterable[Run]) -> str:
    """A word for all that may change on a page about these runs."""
    now = datetime.now(UTC)
    told = [
        (run.key, run.stamp, run.progress and (run.progress.updated, run.progress.is_stale(now)))
        for run in runs
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


async def _trouble(request: Request, trouble: Exception) -> Response:
    status = trouble.status if isinstance(trouble, Trouble) else 404
    root = request.scope.get("app_root_path", request.scope["root_path"])
    up = "../" * request.scope["path"].removeprefix(root).count("/")
    words = str(trouble) if isinstance(trouble, Trouble) else "Nothing is here."
    return text_reply(pages.render("trouble", words=words, up=up[3:] or "./"), status=status)


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    text = pages.file(name)

    async def endpoint(_: Request) -> Response:
        return text_reply(text, kind)

    return endpoint
