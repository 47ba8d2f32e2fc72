"""Measures the time until a report page of many pairs is usable, against a limit of two seconds.

    python benchmarks/report_page.py [PAIRS]

Prints one JSON line; `ratio` is the limit divided by our time. The results have two models, one
judge, both orders and about 4 KB of text per pair. `made_s` is the time to make the page from
results, `packed_s` that to pack the pairs in it. In headless Chromium, `ready_ms` is the time from
navigation to the first usable list, `found_ms` that from the last key of a query to the end of the
search in all texts, and `frames` the number of gaps between frames while the list is scrolled from
end to end; `dropped` is the number of gaps above 50 ms.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.results import print_result
from playwright.sync_api import Page, expect

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import summarize
from bakeoff.records import (
    Completion,
    Evidence,
    Judgment,
    Message,
    ModelCompletion,
    Prompt,
    Results,
    Scores,
    Verdict,
)
from bakeoff.report.page.page import render_page
from bakeoff.report.page.pairs import pack_pairs

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import chromium, open_page

LIMIT_MS = 2000
WORDS = [
    f"{start}{end}"
    for start in ("ba", "ko", "li", "mer", "no", "pru", "sta", "ti", "vo", "wen")
    for end in ("bel", "dan", "fer", "go", "kin", "lo", "mat", "nes", "rin", "sul", "tor", "vi")
]
SCROLL = """async () => {
    const list = document.querySelector("#pairs .list");
    const gaps = [];
    let last = await new Promise(requestAnimationFrame);
    for (let frame = 0; frame < 240; frame++) {
        list.scrollTop += (list.scrollHeight - list.clientHeight) / 240;
        const now = await new Promise(requestAnimationFrame);
        gaps.push(now - last);
        last = now;
    }
    return gaps;
}"""


def main(pairs: int) -> None:
    """Make a page, open it, and print the times."""
    results = make_results(pairs)
    started = time.perf_counter()
    pack_pairs(results, build_pair_data(results.evidence, AnalysisConfig()))
    packed_s = time.perf_counter() - started
    started = time.perf_counter()
    text = render_page(results).html
    made_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(text, encoding="utf-8")
        times = measure_page(file)
    print_result(
        "report_page",
        figure=times["ready_ms"],
        unit="ms until the list of pairs can be used",
        peer="the two seconds in which such a page should open",
        ratio=LIMIT_MS / times["ready_ms"],
        pairs=pairs,
        megabytes=round(len(text) / 1e6, 2),
        packed_s=round(packed_s, 2),
        made_s=round(made_s, 2),
        **times,
    )


def measure_page(file: Path) -> dict[str, float]:
    """Times of the page in Chromium."""
    with chromium() as browser, open_page(browser, f"file://{file}") as watched:
        tab = watched.page
        tab.wait_for_selector("#pairs[data-ready]", timeout=120_000)
        ready = tab.evaluate("performance.getEntriesByName('pairs-ready')[0].startTime")
        tab.wait_for_timeout(1000)  # exclude drawing the charts from the measurement
        gaps = sorted(tab.evaluate(SCROLL))
        return {
            "ready_ms": round(ready),
            "frames": len(gaps),
            "frame_median_ms": round(gaps[len(gaps) // 2], 1),
            "frame_worst_ms": round(gaps[-1], 1),
            "dropped": sum(gap > 50 for gap in gaps),
            "found_ms": search_ms(tab),
        }


def search_ms(tab: Page) -> int:
    """Milliseconds until a word that occurs in a single explanation is found."""
    started = time.perf_counter()
    tab.fill("#pairs .query", "unheardof")
    expect(tab.locator("#pairs .count")).to_contain_text("1 of", timeout=120_000)
    return round(1000 * (time.perf_counter() - started))


def make_results(pairs: int) -> Results:
    """Results of two models with random texts."""
    draw = random.Random(0)
    prompts, completions, judgments = [], [], []
    for number in range(pairs):
        prompts.append(prompt(draw, number))
        for model in ("tuned", "base"):
            completion = Completion(text=words(draw, 1500), finish="stop", tokens=400)
            completions.append(
                ModelCompletion(prompt_id=prompts[-1].id, model=model, completion=completion)
            )
        judgments += both_orders(draw, prompts[-1].id, number == pairs - 1)
    evidence = Evidence(
        models=("tuned", "base"),
        prompts=tuple(prompts),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=(),
    )
    return Results.of(evidence, summarize(evidence), {}, {"started": "2026-01-01T00:00:00+00:00"})


def prompt(draw: random.Random, number: int) -> Prompt:
    """A prompt with a tag."""
    message = Message(role="user", content=words(draw, 300))
    return Prompt(id=f"p{number:05d}", messages=(message,), tags=(draw.choice(WORDS[:8]),))


def both_orders(draw: random.Random, prompt_id: str, last: bool) -> Iterator[Judgment]:
    """Two judgments; the explanations of the last prompt contain a unique word."""
    for first, second in (("tuned", "base"), ("base", "tuned")):
        scores = Scores(draw.randint(1, 10), draw.randint(1, 10))
        wins = 0.5 if scores.first == scores.second else float(scores.first > scores.second)
        reason = words(draw, 300) + " Unheardof." * last
        verdict = Verdict(first=wins, scores=scores, reason=reason)
        yield Judgment(
            prompt_id=prompt_id, judge="judge", first=first, second=second, verdict=verdict
        )


def words(draw: random.Random, characters: int) -> str:
    """Sentences of random words, of about `characters` characters."""
    drawn = draw.choices(WORDS, k=characters // 6)
    for place in range(11, len(drawn), 12):
        drawn[place] += ".\n\n" if place % 48 == 47 else "."
    return " ".join(drawn)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
