"""Opens pages in the system's Chromium through Playwright and records errors and requests."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

expect.set_options(timeout=300_000)  # milliseconds, for a busy machine

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


class MonitoredPage:
    """A page with its console errors and its requests to other machines."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console_errors: list[str] = []  # console errors and warnings, dialogs, exceptions
        self.external_requests: list[str] = []  # URLs of requests to other machines
        page.on("console", lambda message: self._record_error(message.type, message.text))
        page.on("pageerror", lambda error: self._record_error("error", str(error)))
        page.on("dialog", lambda dialog: (self._record_error("error", "dialog"), dialog.dismiss()))
        page.on("request", self._record_request)

    def _record_error(self, kind: str, words: str) -> None:
        if kind in ("error", "warning"):
            self.console_errors.append(words)

    def _record_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname != "127.0.0.1":
            self.external_requests.append(request.url)

    def wait_until(self, expression: str) -> None:
        """Wait until an expression is true; Playwright's `wait_for_function` needs `eval`."""
        deadline = time.monotonic() + 60
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(20)

    def assert_no_errors(self) -> None:
        """Assert no console errors and no requests to other machines."""
        assert self.console_errors == []
        assert self.external_requests == []


def serious_violations(page: Page, context: str | None = None) -> list[str]:
    """The serious violations of accessibility that axe reports for a page, or a selector of it."""
    rules = Axe().run(page, context=context).response["violations"]
    return [
        f"{rule['id']}: {[node['html'][:200] for node in rule['nodes']]}"
        for rule in rules
        if rule["impact"] in ("serious", "critical")
    ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; skips the test where none is installed."""
    if not BINARY:
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BINARY, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser, url: str, *, width: int = 1280, height: int = 800, dark: bool = False
) -> Iterator[MonitoredPage]:
    """Load a page in a fresh profile."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(300_000)  # milliseconds, for a busy machine
    try:
        watched = MonitoredPage(context.new_page())
        watched.page.goto(url)
        yield watched
    finally:
        context.close()
