"""Writes the output of a demo run into the README and makes screenshots of its report.

The screenshots are in the light and the dark theme; `make docs` runs this script. The run has its
own folder and store, so that a second call only takes the screenshots. Needs Chromium, as the
browser tests do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PICTURES = ROOT / "docs" / "pictures"
RUN = ROOT / ".bakeoff" / "pictures"
SIZE = {"width": 1280, "height": 860}


def main() -> None:
    """Run the demo, update the README, and take two screenshots of the report in both themes."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if not binary:
        sys.exit("make docs: install Chromium first (Debian: apt-get install chromium)")
    RUN.mkdir(parents=True, exist_ok=True)
    _update_readme(_run())
    report = (RUN / "results" / "report.html").as_uri()
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport=SIZE, color_scheme=theme, device_scale_factor=2)
            page.goto(report)
            _save_screenshot(page, "#verdict", f"report-{theme}.png")
            _save_screenshot(page, "#pairs", f"pairs-{theme}.png")
        browser.close()


def _run() -> str:
    """The output of the command of `make demo` in 80 columns."""
    process = subprocess.run(
        [sys.executable, "-m", "bakeoff", "run", "--show-samples", "0"],
        cwd=RUN,
        env={**os.environ, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return process.stdout


def _update_readme(output: str) -> None:
    """Write the summary of the output into the README."""
    _, title, summary = output.partition("Model Comparison Summary\n")
    text_block = title + summary.rstrip()
    text = README.read_text(encoding="utf-8")
    before, mark, rest = text.partition("<!-- run -->\n")
    _, end, after = rest.partition("<!-- /run -->")
    if not (mark and end):
        sys.exit("make docs: README.md has no <!-- run --> and <!-- /run -->")
    README.write_text(f"{before}{mark}```text\n{text_block}\n```\n{end}{after}", encoding="utf-8")


def _save_screenshot(page: Page, selector: str, name: str) -> None:
    """Save a screenshot from the top of a section on, after its charts are drawn."""
    page.locator(selector).evaluate("section => section.scrollIntoView()")
    page.wait_for_function(
        """() => [...document.querySelectorAll('.plot')].every((plot) => {
            const { top, bottom } = plot.getBoundingClientRect();
            return bottom < 0 || top > innerHeight || plot.querySelector('svg');
        })"""
    )
    page.wait_for_timeout(500)  # until the fade-in has ended
    page.screenshot(path=PICTURES / name)
    print(f"docs/pictures/{name}")


if __name__ == "__main__":
    main()
