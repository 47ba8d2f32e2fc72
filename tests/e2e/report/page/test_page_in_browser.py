"""The report page in Chromium: opening from disk, charts, themes, no remote requests."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Results, Scores
from bakeoff.report.page.page import render_page
from tests.browser import MonitoredPage, chromium, open_page, serious_violations
from tests.marks import long
from tests.unit.analysis.builders import evidence, prompt, texts, won
from tests.unit.report.page.test_page import HOSTILE, several

# Scrolls to the first visible chart that is not drawn yet; returns true if all are drawn.
DRAWN = """(() => {
    const next = [...document.querySelectorAll('.plot')].find((plot) =>
        plot.checkVisibility() && !plot.querySelector('svg'));
    next?.scrollIntoView();
    return !next;
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as chromium_browser:
        yield chromium_browser


def two_model_results(name: str = "", text: str = "") -> Results:
    """Results of two models with data for every chart; `name` and `text` in all fields."""
    models = (name + "a", name + "b")
    rows = [
        row.model_copy(
            update={
                "first": name + row.first,
                "second": name + row.second,
                "judge": name + judge,
                "verdict": row.verdict.model_copy(update={"scores": scores, "reason": text}),
            }
        )
        for judge in ("j", "k")
        for row in won(21, 6, 3)
        for scores in [Scores(8, 4) if row.verdict.first > 0.5 else Scores(3, 5)]
    ]
    data = evidence(
        rows,
        models,
        prompts=tuple(prompt(n, f"question {n} {text}", (f"{name}tag",)) for n in range(30)),
        completions=(
            *texts(models[0], [f"{'word ' * (3 + n * 7 % 30)}{text}" for n in range(30)]),
            *texts(models[1], [f"{'term ' * (3 + n * 11 % 30)}{text}" for n in range(30)]),
        ),
        notes=(name + text,),
    )
    return Results.of(data, summarize(data), {"model": list(models)}, {"models": {name: [text]}})


def page_url(results: Results) -> str:
    """The file URL of a page of the results."""
    file = Path("report.html").resolve()
    file.write_text(render_page(results).html, encoding="utf-8", errors="backslashreplace")
    return file.as_uri()


def draw(watched: MonitoredPage) -> None:
    """Scroll to every chart until all charts outside of closed details are drawn."""
    watched.wait_until(DRAWN)


def test_the_page_opens_from_disk_and_draws_every_chart(browser: Browser) -> None:
    with open_page(browser, page_url(two_model_results())) as watched:
        draw(watched)
        names = watched.page.locator(".chart").evaluate_all("all => all.map((one) => one.id)")
        assert set(names) == {
            "win-rate", "score-differences", "length", "order", "sequence", "slices", "agreement"
        }  # fmt: skip
        expect(watched.page.locator("h1")).to_contain_text("a is better than b")
        watched.assert_no_errors()


def test_a_chart_has_its_numbers_in_a_tooltip_and_in_a_table(browser: Browser) -> None:
    with open_page(browser, page_url(two_model_results())) as watched:
        draw(watched)
        chart = watched.page.locator("#win-rate")
        bar = chart.locator("path[aria-label*='a wins']")
        bar.hover(position={"x": 9, "y": 9})  # next to the label on the bar
        tooltip = watched.page.locator("#vg-tooltip-element")
        expect(tooltip).to_contain_text("21")
        expect(tooltip).to_be_visible()
        chart.locator("summary").click()
        expect(chart.get_by_role("table")).to_contain_text("21")
        watched.assert_no_errors()


@pytest.mark.long
def test_the_theme_follows_the_system_until_one_is_chosen(browser: Browser) -> None:
    ink = "getComputedStyle(document.body).color"
    label = "getComputedStyle(document.querySelector('#win-rate svg text')).fill"
    url = page_url(two_model_results())
    with open_page(browser, url) as light, open_page(browser, url, dark=True) as dark:
        for watched in (light, dark):
            draw(watched)
        assert light.page.evaluate(ink) != dark.page.evaluate(ink)
        assert light.page.evaluate(label) != dark.page.evaluate(label)
        theme = light.page.locator("#theme")
        for words in ("Light", "Dark"):
            theme.click()
            expect(theme).to_have_text(words)
        light.wait_until(f"{ink} === '{dark.page.evaluate(ink)}'")
        light.wait_until(f"{label} === '{dark.page.evaluate(label)}'")
        light.page.reload()
        assert light.page.evaluate(ink) == dark.page.evaluate(ink)  # the choice is stored
        light.assert_no_errors()


@pytest.mark.long
def test_the_printed_page_has_the_light_theme(browser: Browser) -> None:
    label = "getComputedStyle(document.querySelector('#win-rate svg text')).fill"
    url = page_url(two_model_results())
    with open_page(browser, url) as light, open_page(browser, url, dark=True) as watched:
        for view in (light, watched):
            draw(view)
        light_color = light.page.evaluate(label)
        assert watched.page.evaluate(label) != light_color
        watched.page.emulate_media(media="print", color_scheme="dark")
        watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        watched.wait_until(f"{label} === '{light_color}'")
        assert watched.page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 30, 33)"
        assert watched.page.pdf()[:4] == b"%PDF"


@pytest.mark.long
@pytest.mark.parametrize("width", [360, *long([1280, 3840])])
def test_the_page_fits_every_window(browser: Browser, width: int) -> None:
    results = [
        two_model_results("a-very-long-name/with-many-parts-and-no-space-at-all-" * 2),
        several(),
    ]
    for result in results:
        with open_page(browser, page_url(result), width=width) as watched:
            draw(watched)
            assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
            watched.assert_no_errors()


@pytest.mark.parametrize(
    ("models", "dark"), [(2, True), *long([(3, False), (2, False), (3, True)])]
)
def test_the_page_has_no_serious_accessibility_violation(
    browser: Browser, dark: bool, models: int
) -> None:
    with open_page(
        browser, page_url(two_model_results() if models == 2 else several()), dark=dark
    ) as watched:
        watched.page.locator("details.model-pair > summary").evaluate_all(
            "all => all.forEach((one) => one.click())"
        )
        draw(watched)
        assert serious_violations(watched.page) == []


MORE = [*HOSTILE[2:], "[x](javascript:alert(1))", "\x1b[31mred\x1b[0m"]


@pytest.mark.parametrize("hostile", [*HOSTILE[:1], *long([*HOSTILE[1:2], *MORE])])
def test_hostile_text_is_shown_and_does_nothing(browser: Browser, hostile: str) -> None:
    with open_page(browser, page_url(two_model_results(hostile, hostile))) as watched:
        draw(watched)
        watched.page.locator("[role=option]").first.click()
        assert watched.page.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
        counts = "document.querySelectorAll('script, style, a').length"
        before = watched.page.evaluate(counts)
        watched.assert_no_errors()
    with open_page(browser, page_url(two_model_results("plain", "plain"))) as watched:
        assert watched.page.evaluate(counts) == before


def test_a_link_to_a_pair_of_models_opens_it(browser: Browser) -> None:
    with open_page(browser, page_url(several()) + "#pair-2") as watched:
        assert watched.page.locator("#pair-2").get_attribute("open") is not None
        assert watched.page.locator("#pair-1").get_attribute("open") is None
        watched.page.locator(".overview a").first.click()
        expect(watched.page.locator("#pair-1")).to_have_attribute("open", re.compile(".*"))
        watched.assert_no_errors()


@pytest.mark.long
def test_the_command_can_be_copied(browser: Browser) -> None:
    with open_page(browser, page_url(two_model_results())) as watched:
        watched.page.locator("[data-copies=command]").click()
        expect(watched.page.locator("[data-copies=command]")).to_have_text(
            re.compile("Copied|Selected")
        )
