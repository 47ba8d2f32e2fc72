"""The notebook view in Chromium: colors of the theme, width, and the position of the marks."""

from pathlib import Path

import pytest

from bakeoff.report.notebook import notebook_html
from tests.browser import chromium, open_page
from tests.marks import long
from tests.unit.report.notebook_results import HOSTILE, three_models, two_models

THEMES = {  # how a notebook marks its theme: the body, and the color scheme of the system
    "JupyterLab, light": ('<body data-jp-theme-light="true">', True, False),
    "JupyterLab, dark": ('<body data-jp-theme-light="false">', False, True),
    "VS Code, light": ('<body class="vscode-light">', True, False),
    "VS Code, dark": ('<body class="vscode-dark">', False, True),
    "Colab, dark": ('<body><div theme="dark">', False, True),
    "nothing, light": ("<body>", False, False),
    "nothing, dark": ("<body>", True, True),
}
COLORS = """() => {
    const shown = getComputedStyle(document.querySelector(".bakeoff-results"));
    return [shown.color, shown.backgroundColor];
}"""
WIDE = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def browser() -> object:
    with chromium() as chromium_browser:
        yield chromium_browser


@pytest.mark.parametrize("theme", [*THEMES][:1] + long([*THEMES][1:]))
def test_the_theme_follows_the_notebook(theme: str, browser: object, tmp_path: Path) -> None:
    body, system, dark = THEMES[theme]
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8>{body}{notebook_html(two_models())}")
    with open_page(browser, page.as_uri(), dark=system) as watched:
        ink, paper = watched.page.evaluate(COLORS)
        assert (ink, paper) == (
            ("rgb(230, 232, 234)", "rgb(22, 24, 27)")
            if dark
            else ("rgb(28, 30, 33)", "rgb(255, 255, 255)")
        )


@pytest.mark.parametrize("width", [900, 400])
@pytest.mark.parametrize("hostile", [HOSTILE[0], *long(["name", "n" * 200, *HOSTILE[1:]])])
def test_the_fragment_fits_and_runs_no_script(
    hostile: str, width: int, browser: object, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    names = tuple(f"{hostile}{n}" for n in range(3))
    html = notebook_html(two_models(*names)) + notebook_html(three_models(names))
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{html}")
    with open_page(browser, page.as_uri(), width=width) as watched:
        assert watched.page.evaluate(WIDE) <= 0
        watched.assert_no_errors()


def test_the_mark_is_at_the_win_rate(browser: object, tmp_path: Path) -> None:
    results = two_models()
    (pair,) = results.summary.pairs
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{notebook_html(results)}")
    with open_page(browser, page.as_uri()) as watched:
        box = {
            name: watched.page.locator(name).first.bounding_box()
            for name in (".bar", ".dot", ".mark .span", ".wins", ".ties")
        }
        left, width = box[".bar"]["x"], box[".bar"]["width"]

        def share(place: float) -> float:
            return (place - left) / width

        rate = pair.win_rate
        dot, span = box[".dot"], box[".mark .span"]
        assert share(dot["x"] + dot["width"] / 2) == pytest.approx(rate.estimate, abs=0.002)
        assert share(span["x"]) == pytest.approx(rate.low, abs=0.002)
        assert share(span["x"] + span["width"]) == pytest.approx(rate.high, abs=0.002)
        assert box[".wins"]["width"] / width == pytest.approx(pair.wins / pair.prompts, abs=0.002)
        assert box[".ties"]["width"] / width == pytest.approx(pair.ties / pair.prompts, abs=0.002)
