"""The viewer in a browser: actions, live updates and accessibility."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from bakeoff import Config, run
from bakeoff.evaluation.votes.vote_log import read_votes
from bakeoff.testing import OpenAIServer, Reply, chat_completion, verdict_json
from bakeoff.web.viewer.runs import find_runs
from tests.browser import chromium, open_page, serious_violations
from tests.e2e.web.voting.page_actions import counts, enter
from tests.marks import long
from tests.unit.web.viewer.builders import (
    VOTES,
    judge,
    key_of,
    results,
    write_progress,
    write_results,
)
from tests.web_clients import reserved_port, viewer

NASTY = "</script><img src=x onerror='alert(1)'><script>alert(2)</script>\u202e\u0000'\"& {{ 1 }}"
SERVE = """
import asyncio, sys
from pathlib import Path
from bakeoff.web.viewer import serve_async
announce = lambda address: print(address, flush=True)
asyncio.run(serve_async(Path(sys.argv[1]), port=int(sys.argv[2]), announce=announce))
"""


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_results(
        root / "step-300", results(("step-300", "base"), started="2026-01-01T00:00:00+00:00")
    )
    write_results(root / "step-400", results(("step-400", "base"), better=0.9, seed=2, failed=1))
    return root


@contextmanager
def process(root: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the viewer in a process that can be killed; it ends with the block."""
    arguments = [sys.executable, "-c", SERVE, str(root), str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout
            yield serving, serving.stdout.readline().strip()
        finally:
            serving.kill()


def test_two_runs_are_selected_and_compared(browser: Browser, root: Path) -> None:
    with viewer(root) as url, open_page(browser, url) as watched:
        page = watched.page
        boxes = page.locator(".runs input[type=checkbox]")
        compare = page.locator("#compare")
        expect(page.locator("#choice")).to_be_hidden()
        boxes.nth(0).check()
        expect(compare).to_be_disabled()
        boxes.nth(1).check()
        compare.click()
        expect(page.locator(".headline")).to_contain_text("the win rate changed by +")
        first, second = page.locator(".two h2").all_inner_texts()
        assert (first, second) == ("step-300", "step-400")  # the older run is first
        page.click("text=The other way round")
        minus = "\u2212"
        expect(page.locator(".headline")).to_contain_text(f"the win rate changed by {minus}")
        page.click("text=All runs")
        expect(page.locator("h1")).to_have_text("Runs")
        watched.assert_no_errors()


def test_long_list_can_be_searched(browser: Browser, tmp_path: Path) -> None:
    for number in range(12):
        write_results(tmp_path / f"run-{number}", results(prompts=range(2), seed=number))
    with viewer(tmp_path) as url, open_page(browser, url) as watched:
        page = watched.page
        expect(page.locator(".runs > li:visible")).to_have_count(12)
        page.fill("#words", "TUNED run-11")
        expect(page.locator(".runs > li:visible")).to_have_count(1)
        write_results(tmp_path / "run-110", results(prompts=range(2)))
        expect(page.locator(".runs > li:visible")).to_have_count(2, timeout=300_000)
        page.fill("#words", "nothing has these")
        expect(page.locator("#none")).to_be_visible()
        page.fill("#words", "")
        expect(page.locator(".runs > li:visible")).to_have_count(13)
        watched.assert_no_errors()


def test_list_refreshes_and_keeps_the_selection(browser: Browser, root: Path) -> None:
    with viewer(root) as url, open_page(browser, url) as watched:
        page = watched.page
        page.locator(".runs input[type=checkbox]").nth(1).check()
        write_progress(root / "new", done=30)
        expect(page.locator(".going")).to_contain_text("30 of 100", timeout=300_000)
        write_progress(root / "new", done=31)
        expect(page.locator(".going")).to_contain_text("31 of 100", timeout=300_000)
        write_results(root / "new", results(seed=9, started="2026-05-05T00:00:00+00:00"))
        (root / "new" / "progress.json").unlink()
        expect(page.locator(".going")).to_have_count(0, timeout=300_000)
        expect(page.locator(".runs > li")).to_have_count(3)
        checked = page.locator(".runs li", has_text="step-300").locator("input")
        expect(checked.first).to_be_checked()
        expect(page.locator("#chosen")).to_have_text("Choose one more to compare")
        watched.assert_no_errors()


def test_live_page_is_replaced_by_the_report(browser: Browser, root: Path) -> None:
    write_progress(root / "new", done=40)
    with viewer(root) as url, open_page(browser, url) as watched:
        page = watched.page
        page.click("text=new")
        expect(page.locator("main")).to_contain_text("40 of 100")
        expect(page.locator("main")).to_contain_text("No win rate is shown before the end")
        write_progress(root / "new", done=55)
        expect(page.locator("main")).to_contain_text("55 of 100", timeout=300_000)
        write_results(root / "new", results(seed=9))
        (root / "new" / "progress.json").unlink()
        expect(page.get_by_role("link", name="All runs")).to_be_visible(timeout=300_000)
        expect(page.locator("#verdict h1")).to_be_visible(timeout=300_000)
        page.click("text=All runs")
        expect(page.locator("h1")).to_have_text("Runs")
        watched.assert_no_errors()


@pytest.mark.long
def test_run_is_watched_live_and_compared_with_the_next(browser: Browser, tmp_path: Path) -> None:
    """The pages show what a real run writes: progress, report and provenance."""
    go = threading.Event()
    body = chat_completion(verdict_json("A", 8, 5))

    def started(name: str, server: OpenAIServer) -> threading.Thread:
        config = Config(
            model=(f"{name}=echo:{name} says", "base=echo:base says"),
            judge=(f"judge=api:j?base_url={server.url}",),
            prompts="starter",
            limit=9,
            out=tmp_path / "runs" / name,
            store=tmp_path / "store.sqlite",
        )
        thread = threading.Thread(target=run, args=(config,))
        thread.start()
        return thread

    (tmp_path / "runs").mkdir()
    with (
        OpenAIServer(lambda _: Reply(body=body, until=go.is_set)) as server,
        viewer(tmp_path / "runs") as url,
    ):
        first = started("step-1", server)
        with open_page(browser, url) as watched:
            page = watched.page
            expect(page.locator(".going")).to_contain_text("9 of 9", timeout=300_000)
            page.click("text=step-1")
            expect(page.locator("main")).to_contain_text("0 of 18")
            go.set()
            expect(page.locator("#verdict h1")).to_be_visible(timeout=300_000)
            first.join(300)
            started("step-2", server).join(300)
            page.click("text=All runs")
            boxes = page.locator(".runs input[type=checkbox]")
            expect(boxes).to_have_count(2, timeout=300_000)
            for box in boxes.all():
                box.check()
            page.click("#compare")
            expect(page.locator(".headline")).to_contain_text("On the 9 prompts that both judged")
            expect(page.locator("main")).to_contain_text("step-2 stands in for step-1")
            expect(page.locator("main")).not_to_contain_text("Not compared")
            watched.assert_no_errors()


@pytest.mark.long
def test_page_reports_a_stopped_server(browser: Browser, root: Path) -> None:
    with process(root) as (serving, url), open_page(browser, url) as watched:
        expect(watched.page.locator("#gone")).to_be_hidden()
        serving.send_signal(signal.SIGKILL)
        expect(watched.page.locator("#gone")).to_be_visible(timeout=300_000)
        expect(watched.page.locator(".runs > li")).to_have_count(2)
        assert watched.external_requests == []


@pytest.mark.long
def test_vote_continues_after_the_server_was_killed(browser: Browser, root: Path) -> None:
    """No vote is lost or duplicated, and Finish opens a report with the voter."""
    key, votes = key_of(root, "step-400"), root / "step-400" / VOTES
    with (
        reserved_port() as port,
        process(root, port) as (serving, url),
        open_page(browser, url + f"run/{key}/vote/") as watched,
    ):
        page = watched.page
        enter(page)
        counts(page, "1 of 40")
        for number, press in enumerate(["1", "2", "0"], 2):
            page.keyboard.press(press)
            counts(page, f"{number} of 40")
        serving.send_signal(signal.SIGKILL)
        page.keyboard.press("1")
        expect(page.locator("#error")).to_contain_text("Your votes are saved")
        assert len(read_votes(votes)) == 3
        serving.wait(300)
        page.goto("about:blank")
        while_gone = len(watched.console_errors)
        with process(root, port) as (_, again):
            page.goto(again + f"run/{key}/vote/")
            counts(page, "4 of 40")  # the tab keeps the voter's name
            page.keyboard.press("1")
            counts(page, "5 of 40")
            page.click("#finish")
            page.click("#confirm [value=yes]")
            expect(page.locator("#verdict h1")).to_be_visible(timeout=300_000)
            assert page.url == again + f"run/{key}/"
        assert watched.console_errors[while_gone:] == []
        assert watched.external_requests == []
    saved_votes = read_votes(votes)
    assert [vote.choice for vote in saved_votes] == ["first", "second", "tie", "first"]
    assert len({vote.key for vote in saved_votes}) == 4
    stored = json.loads((root / "step-400" / "results.json").read_text())
    assert sum(row["judge"] == "Anna" for row in stored["judgments"]) == 4


@pytest.mark.long
def test_markup_in_names_is_escaped(browser: Browser, tmp_path: Path) -> None:
    hostile = results(
        (f"tuned{NASTY}", f"base{NASTY}"), suffix=NASTY, failed=2, config={"system": NASTY}
    )
    strict = {"judges": {"judge": judge(NASTY * 3)}}
    write_results(tmp_path / "<img src=x onerror=alert(3)>\u202e", hostile)
    write_results(
        tmp_path / "two", results((f"x{NASTY}", f"base{NASTY}"), suffix=NASTY, identities=strict)
    )
    write_progress(tmp_path / "new")
    progress = json.loads((tmp_path / "new" / "progress.json").read_text())
    progress["rows"][0]["participant"] = NASTY
    (tmp_path / "new" / "progress.json").write_text(json.dumps(progress))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text(json.dumps({"schema": NASTY, NASTY: NASTY}))
    keys = {run.name: key for key, run in find_runs(tmp_path).runs.items()}
    broken = keys.pop("broken")
    first, second = (key for name, key in keys.items() if name != "new")
    paths = [
        "",
        *(f"run/{key}/" for key in keys.values()),
        f"compare?before={first}&after={second}",
    ]
    with viewer(tmp_path) as url:
        for path in [*paths, f"run/{second}/vote/"]:
            with open_page(browser, url + path) as watched:
                watched.page.wait_for_load_state("networkidle")
                assert watched.page.locator("img[src=x]").count() == 0
                watched.assert_no_errors()
        with open_page(browser, url + f"run/{broken}/") as watched:
            expect(watched.page.locator(".note")).to_be_visible()
            assert watched.external_requests == []


@pytest.mark.parametrize(
    ("width", "dark"), [*long([(390, True), (1280, False), (390, False), (1280, True)])]
)
def test_every_page_is_accessible(browser: Browser, root: Path, width: int, dark: bool) -> None:
    other = {"judges": {"judge": judge("Which one?\nBe strict.", temperature=0.5)}}
    strict = results(("step-400", "base"), identities=other, prompts=range(5, 40))
    write_results(root / "strict", strict)
    write_results(root / "three", results(("small", "large", "huge")))
    write_progress(root / "new")
    write_progress(root / "stopped", seconds_ago=3600)
    (root / "broken").mkdir()
    (root / "broken" / "results.json").write_text("{}")
    first, second, third = (key_of(root, name) for name in ("step-300", "step-400", "strict"))
    paths = [
        "",
        *(f"run/{key_of(root, name)}/" for name in ("new", "stopped", "broken")),
        f"compare?before={first}&after={second}",
        f"compare?before={second}&after={third}",
        f"run/{first}/vote/",
    ]
    with viewer(root) as url:
        for path in paths:
            with open_page(browser, url + path, width=width, dark=dark) as watched:
                page = watched.page
                if path == "":
                    page.locator(".runs input[type=checkbox]").first.check()
                if path.endswith("vote/"):
                    assert serious_violations(page) == []
                    enter(page)
                    counts(page, "1 of 40")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{path} is wider than the window"
                paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
                light = sum(map(int, re.findall(r"\d+", paper)[:3])) > 380
                assert light != dark
                assert serious_violations(page) == [], path
