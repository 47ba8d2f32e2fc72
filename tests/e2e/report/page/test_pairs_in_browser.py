"""The browser of pairs on a report page in Chromium."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.analysis.summarize import summarize
from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Prompt,
    Results,
    Scores,
    Verdict,
)
from bakeoff.report.page.page import render_page
from tests.browser import MonitoredPage, chromium, open_page, serious_violations
from tests.builders import make_completion, make_failure, make_judgment, make_prompt
from tests.marks import long

TUNED, BASE = "tuned-1.5b", "base/one-1.5b"
PROMPTS = 40
MARKDOWN = """# Title

Some **bold**, *slanted*, ~~struck~~ and `code`, a_b_c, 2 * 3 * 4, and $x_1 * y_1$.

1. one
   - inner
2. two

> quoted

| left | right |
|---|---:|
| 1 | 2 |

```python
print("<b>")
```

[a page](https://example.com/a_(b)) and https://example.org/x. ![a picture](https://example.com/p.png)
"""
HOSTILE = [
    "</script><script>alert(1)</script><!--",
    "<img src=x onerror=\"alert(1)\"> <svg onload='alert(1)'>",
    "[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) "
    "<javascript:alert(1)>",
    "![x](https://evil.example/pixel.png) [ref]: http://evil.example",
    "a\u202eb\u2066c\x00d\x1b[31mred\ud800e\u200bf",
    "{{ 7 * 7 }}{% raw %} ${alert(1)} `${alert(1)}`",
    "__proto__ constructor close open",
    "x" * 1_000_000,
    "[" * 60_000 + "\n" + "*a " * 40_000 + "\n" + "> " * 30_000,
    "`" * 9_000 + "\n" + "](" * 9_000 + "\n" + "|" * 9_000 + "\n" + "- " * 3_000,
]


def results() -> Results:
    """Results of two judges in both orders, in which every mark of a pair occurs."""
    prompts, completions, judgments, failures = [], [], [], []
    for number in range(PROMPTS):
        prompts.append(prompt(number))
        id_ = prompts[-1].id
        for model in (TUNED, BASE):
            text = (
                MARKDOWN
                if number == 0 and model == TUNED
                else f"The number {number}, says {model[:4]}."
            )
            completion = Completion(
                text=text * (1 + number % 3),
                thinking="Let me think of it." if model == TUNED else None,
                finish="length" if number % 9 == 4 else "stop",
                tokens=7,
            )
            completions.append(ModelCompletion(prompt_id=id_, model=model, completion=completion))
        for judge in ("judge-one", "judge-two"):
            for first, second in ((TUNED, BASE), (BASE, TUNED)):
                if number % 13 == 5 and judge == "judge-two":
                    failures.append(failed(id_, judge, first, second))
                else:
                    judgments.append(judged(number, id_, judge, first, second))
    evidence = Evidence(
        models=(TUNED, BASE),
        prompts=tuple(prompts),
        completions=tuple(completions),
        judgments=tuple(judgments),
        failures=tuple(failures),
    )
    return Results.of(evidence, summarize(evidence), {}, {"started": "2026-01-01T00:00:00+00:00"})


def prompt(number: int) -> Prompt:
    turns = [Message(role="user", content=f"Question {number}: which number is it?")]
    if number % 5 == 2:
        before = ("system", "Be brief."), ("user", "Hello."), ("assistant", "Hello to you.")
        turns = [Message(role=role, content=text) for role, text in before] + turns  # type: ignore[arg-type]
    tags = ("even",) if number % 2 == 0 else ("odd", "prime")[: 1 + (number in (3, 5, 7))]
    return Prompt(id=f"p{number}", messages=tuple(turns), tags=tags, reference="It is that.")


def failed(id_: str, judge: str, first: str, second: str) -> Failure:
    return make_failure(
        id_,
        first,
        second,
        judge=judge,
        kind="unreadable",
        message="no verdict in the reply",
        raw="I like both.",
    )


def judged(number: int, id_: str, judge: str, first: str, second: str) -> Judgment:
    """Winners rotate; judge two sometimes disagrees or prefers a position."""
    better = (TUNED, BASE, None)[number % 3]
    if judge == "judge-two" and number % 4 == 1:
        better = TUNED
    if number % 10 == 6:
        better = first
    share = 0.5 if better is None else float(first == better)
    gap = {1.0: 2 + number % 4, 0.5: 0, 0.0: -2 - number % 4}[share]
    word = "zanzibar" if (number, judge, first) == (17, "judge-one", BASE) else "fine"
    verdict = Verdict(first=share, scores=Scores(5 + gap / 2, 5 - gap / 2), reason=f"It is {word}.")
    return Judgment(prompt_id=id_, judge=judge, first=first, second=second, verdict=verdict)


RESULTS = results()
(PAIR_DATA,) = build_pair_data(RESULTS.evidence, AnalysisConfig())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as chromium_browser:
        yield chromium_browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(RESULTS, tmp_path_factory.mktemp("report"))


def written(results: Results, folder: Path) -> str:
    """The file URL of a page of the results."""
    path = folder / "report.html"
    path.write_text(render_page(results).html, encoding="utf-8", errors="backslashreplace")
    return path.as_uri()


def ready(watched: MonitoredPage) -> Page:
    watched.page.wait_for_selector("#pairs[data-ready]", state="attached")
    return watched.page


def listed_prompts(tab: Page) -> list[str]:
    """The prompts of the rendered rows, from the top."""
    rows = tab.locator("#pairs .option").evaluate_all(
        "rows => rows.map(r => [parseFloat(r.style.top), r.querySelector('.head').textContent])"
    )
    return [re.search(r"\d+", head)[0] for _, head in sorted(rows)]  # type: ignore[index]


def count(tab: Page) -> Locator:
    return tab.locator("#pairs .count")


def wait_for_pair(tab: Page, id_: str) -> None:
    """Wait until this pair is displayed."""
    expect(tab.locator("#pairs .pair .id")).to_have_text(id_)


def press(tab: Page, keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


# -- Finding ---------------------------------------------------------------------------------------


def test_every_filter_counts_and_lists_its_pairs(browser: Browser, report: str) -> None:
    winners = Counter(comparison.winner for comparison in PAIR_DATA.comparisons)
    expected = {
        f"{TUNED} won": winners["a"],
        f"{BASE} won": winners["b"],
        "Ties": winners["tie"],
        "Regressions": len(regressions(PAIR_DATA)),
        "Flipped": sum(comparison.flipped for comparison in PAIR_DATA.comparisons),
        "Judges disagree": len(split(PAIR_DATA)),
        "Failed": len({failure.prompt_id for failure in RESULTS.failures}),
        "Cut": len({c.prompt_id for c in RESULTS.completions if c.completion.finish == "length"}),
    }
    assert all(expected.values())
    with open_page(browser, report) as watched:
        tab = ready(watched)
        names = tab.locator("#pairs .chip .name").all_inner_texts()
        counts = tab.locator("#pairs .chip .n").all_inner_texts()
        assert dict(zip(names, map(int, counts), strict=True)) == expected
        for name, number in expected.items():
            chip = tab.get_by_role("button", name=f"{name} {number}", exact=True)
            chip.click()
            expect(count(tab)).to_have_text(f"{number} of {PROMPTS} pairs")
            expect(chip).to_have_attribute("aria-pressed", "true")
            expect(chip).to_be_focused()
            chip.click()
        expect(count(tab)).to_have_text(f"{PROMPTS} pairs")
        tab.select_option("#pairs .tag", label="prime (3)")
        expect(count(tab)).to_have_text(f"3 of {PROMPTS} pairs")
        assert listed_prompts(tab) == ["3", "5", "7"]
        tab.click("#pairs .clear")
        expect(count(tab)).to_have_text(f"{PROMPTS} pairs")
        watched.assert_no_errors()


def regressions(pair_data: PairData) -> set[str]:
    def lost(id_: str, first: str) -> bool:
        shares = [
            j.verdict.first if first == TUNED else 1 - j.verdict.first
            for j in pair_data.judgments
            if (j.prompt_id, j.first) == (id_, first)
        ]
        return sum(shares) < len(shares) / 2

    return {
        c.prompt_id
        for c in pair_data.comparisons
        if c.winner == "b" and not c.flipped and all(lost(c.prompt_id, m) for m in (TUNED, BASE))
    }


def split(pair_data: PairData) -> set[str]:
    first, second = (
        {c.prompt_id: c.winner for c in comparisons}
        for comparisons in pair_data.comparisons_by_judge.values()
    )
    return {id_ for id_ in first if id_ in second and first[id_] != second[id_]}


def test_filters_are_combined_and_an_empty_list_has_a_message(
    browser: Browser, report: str
) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        tab.get_by_role("button", name="Regressions").click()
        expect(tab.locator("#pairs .outcome")).to_contain_text(f"{BASE} won")
        tab.get_by_role("button", name=f"{TUNED} won").click()
        expect(tab.locator("#pairs .nothing")).to_be_visible()
        expect(count(tab)).to_have_text(f"0 of {PROMPTS} pairs")
        watched.assert_no_errors()


def test_a_search_finds_and_highlights_a_word_of_an_explanation(
    browser: Browser, report: str
) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        press(tab, "/")
        expect(tab.locator("#pairs .query")).to_be_focused()
        tab.keyboard.type("ZANZIBAR")
        expect(count(tab)).to_have_text(f"1 of {PROMPTS} pairs")
        wait_for_pair(tab, "p17")
        expect(tab.locator("#pairs .verdicts")).to_contain_text(["It is zanzibar.", "It is fine."])
        assert tab.evaluate("CSS.highlights.get('pairs-match').size") == 1
        tab.fill("#pairs .query", 'number "question 12"')  # all words, with the exact phrase
        expect(count(tab)).to_have_text(f"1 of {PROMPTS} pairs")
        tab.fill("#pairs .query", "question zanzibar nowhere")
        expect(count(tab)).to_have_text(f"0 of {PROMPTS} pairs")
        tab.fill("#pairs .query", "no verdict in the reply")
        expect(count(tab)).to_have_text(
            f"{len({f.prompt_id for f in RESULTS.failures})} of {PROMPTS} pairs"
        )
        watched.assert_no_errors()


@pytest.mark.parametrize(
    "query", ["{'key'}", *long(["\u00e9t\u00e9", "c:\\temp", "two\tthree", "tag-of-it plain"])]
)
def test_texts_with_any_characters_can_be_searched(
    browser: Browser, tmp_path: Path, query: str
) -> None:
    text = "Plain. \u00c9T\u00c9 in C:\\temp, {'key'}, one two\tthree."
    prompts = [make_prompt(id_, id=id_) for id_ in ("x", "y")]
    prompts[0] = prompts[0].model_copy(update={"tags": ("tag-of-it",)})
    evidence = Evidence(
        models=("a", "b"),
        prompts=tuple(prompts),
        completions=(make_completion("x", "b", text),),
        judgments=tuple(make_judgment(id_, "a", "b", 1) for id_ in ("x", "y")),
        failures=(),
    )
    results = Results.of(evidence, summarize(evidence), {}, {"started": ""})
    with open_page(browser, written(results, tmp_path)) as watched:
        tab = ready(watched)
        tab.fill("#pairs .query", query)
        expect(count(tab)).to_have_text("1 of 2 pairs")
        wait_for_pair(tab, "x")
        watched.assert_no_errors()


def test_the_list_is_sorted_by_the_chosen_order(browser: Browser, report: str) -> None:
    number = {comparison.prompt_id: at for at, comparison in enumerate(PAIR_DATA.comparisons)}
    gap = {
        c.prompt_id: round(c.scores.first - c.scores.second, 2)
        for c in PAIR_DATA.comparisons
        if c.scores
    }
    assert len(number) == PROMPTS
    lengths = {
        id_: max(len(PAIR_DATA.completions[model][id_][0].text) for model in (TUNED, BASE))
        for id_ in number
    }
    order = [prompt.id for prompt in RESULTS.prompts]
    with open_page(browser, report) as watched:
        tab = ready(watched)
        for sort, weight in {
            "difference": {id_: abs(value) for id_, value in gap.items()},
            "lost": {id_: -value for id_, value in gap.items()},
            "longest": lengths,
            "": dict.fromkeys(order, 0),
        }.items():
            tab.select_option("#pairs .sort", sort)
            expected = sorted(order, key=lambda id_: -weight[id_])
            listed_numbers = listed_prompts(tab)[:6]
            assert [f"p{head}" for head in listed_numbers] == expected[:6]
        tab.select_option("#pairs .sort", "disagreement")
        spread = next(p for p in listed_prompts(tab))
        assert (
            len({j.verdict.first for j in PAIR_DATA.judgments if j.prompt_id == f"p{spread}"}) > 1
        )
        watched.assert_no_errors()


def test_rows_outside_the_viewport_are_not_in_the_dom(browser: Browser, report: str) -> None:
    with open_page(browser, report, height=700) as watched:
        tab = ready(watched)
        rows = tab.locator("#pairs .option")
        assert rows.count() < PROMPTS
        for step in range(9):  # scroll through all rows
            tab.locator("#pairs .list").evaluate(
                "(list, share) => { list.scrollTop = share * list.scrollHeight }", step / 8
            )
            row = tab.locator(f"#pairs .option[aria-posinset='{1 + step * (PROMPTS - 1) // 8}']")
            expect(row).to_be_attached()
        last = tab.locator(f"#pairs .option[aria-posinset='{PROMPTS}']")
        expect(last).to_be_visible()
        expect(last).to_have_attribute("aria-setsize", str(PROMPTS))
        assert rows.count() < PROMPTS
        expect(tab.locator("#pairs .option[aria-selected='true']")).to_have_count(1)
        watched.assert_no_errors()


# -- Reading ---------------------------------------------------------------------------------------


def test_keys_move_and_toggle_raw_text_and_differences(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        wait_for_pair(tab, "p0")
        press(tab, "jjj")
        wait_for_pair(tab, "p3")
        expect(tab.locator("#pairs .where")).to_have_text(f"4 of {PROMPTS}")
        press(tab, "k")
        wait_for_pair(tab, "p2")
        press(tab, "d")
        expect(tab.locator("#pairs .compared")).to_contain_text("% of the words are the same")
        assert set(tab.locator("#pairs .completion.a del").all_inner_texts()) == {"tune"}
        assert set(tab.locator("#pairs .completion.b ins").all_inner_texts()) == {"base"}
        press(tab, "dr")
        expect(tab.locator("#pairs .pair ins")).to_have_count(0)
        press(tab, "kk")
        wait_for_pair(tab, "p0")
        raw = tab.locator("#pairs .completion.a .words.raw").last
        assert raw.evaluate("words => words.textContent") == MARKDOWN
        press(tab, "?")
        expect(tab.locator("#pairs .keys")).to_be_visible()
        tab.keyboard.press("Escape")
        expect(tab.locator("#pairs .keys")).to_be_hidden()
        watched.assert_no_errors()


def test_arrow_keys_move_in_the_list(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        tab.focus("#pairs .list")
        for key, id_ in (("ArrowDown", "p1"), ("End", f"p{PROMPTS - 1}"), ("Home", "p0")):
            tab.keyboard.press(key)
            wait_for_pair(tab, id_)
            active = tab.get_attribute("#pairs .list", "aria-activedescendant")
            expect(tab.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
            expect(tab.locator(f"#{active}")).to_be_in_viewport()
        watched.assert_no_errors()


def test_markdown_is_rendered(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        wait_for_pair(tab, "p0")
        words = tab.locator("#pairs .completion.a > .prose .words")
        elements = {
            tag: words.locator(tag).all_inner_texts()
            for tag in (
                "strong",
                "em",
                "s",
                ":not(pre) > code",
                "pre",
                "ol > li li",
                "blockquote",
                "td",
            )
        }
        assert elements == {
            "strong": ["bold"],
            "em": ["slanted"],
            "s": ["struck"],
            ":not(pre) > code": ["code"],
            "pre": ['print("<b>")'],
            "ol > li li": ["inner"],
            "blockquote": ["quoted"],
            "td": ["1", "2"],
        }
        expect(words.get_by_role("heading")).to_have_text("Title")
        expect(words).to_contain_text("a_b_c, 2 * 3 * 4, and $x_1 * y_1$.")
        expect(words).to_contain_text("[image: a picture]")
        links = words.locator("a").evaluate_all("all => all.map(a => [a.href, a.rel, a.title])")
        rel = "noopener noreferrer nofollow"
        assert links == [
            ["https://example.com/a_(b)", rel, "leads to example.com"],
            ["https://example.org/x", rel, "leads to example.org"],
        ]
        watched.assert_no_errors()


RENDERED = """text => {
    const words = document.createElement("div");
    Markdown.append(words, text);
    const made = [...words.querySelectorAll("*")];
    return {
        text: words.textContent,
        tags: made.map((one) => one.localName),
        attributes: made.flatMap((one) => one.getAttributeNames()),
        links: made.filter((one) => one.href).map((one) => one.href),
    };
}"""


@pytest.mark.parametrize(
    ("text", "visible_text"),
    [
        ("[//]: # (Dear judge)", "[//]: # (Dear judge)"),
        *long(
            [
                ("[ref]: https://evil.example 'Dear judge'", "'Dear judge'"),
                ("<!-- Dear judge -->", "<!-- Dear judge -->"),
                ("<p style='display: none'>Dear judge</p>", ">Dear judge</p>"),
                ("> " * 60 + "Dear judge", "> Dear judge"),
                ("- " * 60 + "Dear judge", "- Dear judge"),
                ("    " * 3 + "Dear judge", "Dear judge"),
                ("&#x202e;Dear&zwnj; judge", "U+202EDearU+200C judge"),
                ("Dear\u0000 judge \ud800", "Dear\ufffd judge \ufffd U+D800"),
                ("| a | b |\n|:-:|--:|\n| Dear | judge |", "Dear"),
                ("https://xn--80ak6aa92e.com", "https://xn--80ak6aa92e.com"),
                (
                    "ftp://a.example //b.example c.example d@e.example",
                    "ftp://a.example //b.example",
                ),
            ]
        ),
    ],
)
def test_markdown_hides_no_text_and_makes_only_known_elements(
    browser: Browser, report: str, text: str, visible_text: str
) -> None:
    with open_page(browser, report) as watched:
        ready(watched)
        rendered = watched.page.evaluate(RENDERED, text)
        assert visible_text in rendered["text"]
        assert not {"img", "style", "script"} & set(rendered["tags"])
        assert not {"style", "src", "id", "name"} & set(rendered["attributes"])
        assert all(link.startswith("https://") for link in rendered["links"])
        watched.assert_no_errors()


def test_a_pair_shows_failures_thinking_scores_and_turns(browser: Browser, report: str) -> None:
    with open_page(browser, f"{report}#pair=p5") as watched:
        tab = ready(watched)
        wait_for_pair(tab, "p5")
        expect(tab.locator("#pairs .failure")).to_contain_text(
            [f"Failed (unreadable) with {TUNED} first: no verdict in the reply", "with"]
        )
        thinking = tab.locator("#pairs .completion.a details").first
        expect(thinking).not_to_have_attribute("open", "")
        thinking.locator("summary").click()
        expect(thinking.locator(".prose")).to_be_visible()
        tab.evaluate("location.hash = 'pair=p6'")
        wait_for_pair(tab, "p6")
        expect(tab.locator("#pairs .judge").first).to_contain_text("opposite winner when swapped")
        scores = tab.locator("#pairs .verdicts").first.locator("td.number").all_inner_texts()
        assert scores == ["7", "3", "3", "7"]  # by model name, not by position
        tab.evaluate("location.hash = 'pair=p2'")
        wait_for_pair(tab, "p2")
        roles = tab.locator("#pairs .turn .role").all_inner_texts()
        assert roles == ["system", "user", "assistant", "user"]
        expect(tab.locator("#pairs .turn.question")).to_contain_text("Question 2")
        watched.assert_no_errors()


# -- URLs ------------------------------------------------------------------------------------------


def test_a_url_restores_the_view(browser: Browser, report: str) -> None:
    with open_page(browser, f"{report}#pair=p16&filter=flipped&sort=longest&q=question") as watched:
        tab = ready(watched)
        wait_for_pair(tab, "p16")
        flipped = sum(comparison.flipped for comparison in PAIR_DATA.comparisons)
        expect(count(tab)).to_have_text(f"{flipped} of {PROMPTS} pairs")
        expect(tab.locator("#pairs .query")).to_have_value("question")
        expect(tab.locator("#pairs .sort")).to_have_value("longest")
        expect(tab.locator("#pairs .pair")).to_be_in_viewport()
        tab.click("#pairs .clear")
        tab.locator("#pairs .option", has_text="Question 1:").click()
        wait_for_pair(tab, "p1")
        assert tab.evaluate("location.hash") == "#pair=p1"
        tab.go_back()
        tab.go_back()
        wait_for_pair(tab, "p16")
        expect(count(tab)).to_have_text(f"{flipped} of {PROMPTS} pairs")
        watched.assert_no_errors()


def test_a_link_to_a_missing_pair_shows_an_error(browser: Browser, report: str) -> None:
    with open_page(browser, f"{report}#pair=gone") as watched:
        tab = ready(watched)
        expect(tab.locator("#pairs-error")).to_contain_text("not in these results")
        wait_for_pair(tab, "p0")
        watched.assert_no_errors()


@pytest.mark.long
def test_a_link_is_copied_or_set_as_url(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        tab.click("#pairs .link")
        expect(tab.locator("#pairs .link")).not_to_have_text("Copy link")
        watched.assert_no_errors()


# -- Several models --------------------------------------------------------------------------------


def test_several_models_have_a_row_per_pair_of_models(browser: Browser, tmp_path: Path) -> None:
    names = ("one", "two~three", "close & open")
    judgments = [
        make_judgment("p1", a, b, 1.0) for a, b in ((names[0], names[1]), (names[1], names[2]))
    ]
    evidence = Evidence(
        models=names,
        prompts=(prompt(1),),
        completions=tuple(make_completion("p1", name, f"I am {name}.") for name in names),
        judgments=tuple(judgments),
        failures=(),
    )
    results = Results.of(evidence, summarize(evidence), {}, {"started": ""})
    with open_page(browser, written(results, tmp_path)) as watched:
        tab = ready(watched)
        expect(count(tab)).to_have_text("2 pairs")
        tab.locator("#pairs .option").last.click()
        expect(tab.locator("#pairs .outcome")).to_contain_text("two~three won")
        address = tab.evaluate("location.href")
        assert address.endswith("#pair=p1~two%7Ethree~close%20%26%20open")
        tab.select_option("#pairs .pair-of-models", label="one against two~three")
        expect(count(tab)).to_have_text("1 pair")
        expect(tab.locator("#pairs .outcome")).to_contain_text("one won")
        tab.fill("#pairs .query", "close")  # not in the texts of these two models
        expect(count(tab)).to_have_text("0 of 1 pair")
        tab.goto("about:blank")
        tab.goto(address)
        expect(tab.locator("#pairs .outcome")).to_contain_text("two~three won")
        watched.assert_no_errors()


# -- Narrow screens, accessibility, hostile texts -------------------------------------------------


def test_a_phone_shows_the_list_or_the_pair(browser: Browser, report: str) -> None:
    with open_page(browser, report, width=390, height=800) as watched:
        tab = ready(watched)
        expect(tab.locator("#pairs .reading")).to_be_hidden()
        tab.locator("#pairs .option").nth(1).click()
        wait_for_pair(tab, "p1")
        expect(tab.locator("#pairs .list")).to_be_hidden()
        assert_fits(tab)
        tab.click("#pairs .back")
        expect(tab.locator("#pairs .list")).to_be_focused()
        assert_fits(tab)
        tab.locator("#pairs .option").nth(0).click()
        wait_for_pair(tab, "p0")
        assert_fits(tab)
        tab.go_back()
        wait_for_pair(tab, "p1")
        watched.assert_no_errors()


def assert_fits(tab: Page) -> None:
    """Assert that nothing is wider than the screen."""
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [*long([False, True])])
def test_the_browser_of_pairs_has_no_serious_accessibility_violation(
    browser: Browser, report: str, dark: bool
) -> None:
    with open_page(browser, report, dark=dark) as watched:
        tab = ready(watched)
        press(tab, "d")
        tab.get_by_role("button", name="Regressions").click()
        tab.locator("#pairs .pair details").first.locator("summary").click()
        expect(tab.locator("#pairs .compared")).to_be_visible()
        assert serious_violations(tab, "#pairs") == []
        tab.fill("#pairs .query", "nothing like it")
        expect(tab.locator("#pairs .nothing")).to_be_visible()
        assert serious_violations(tab, "#pairs") == []
        press_help(tab)
        assert serious_violations(tab, "#pairs") == []


def press_help(tab: Page) -> None:
    tab.click("#pairs .help")
    expect(tab.locator("#pairs .keys")).to_be_visible()


@pytest.mark.parametrize("number", [0, *long(range(1, len(HOSTILE)))])
def test_hostile_texts_are_shown_and_do_nothing(
    browser: Browser, tmp_path: Path, number: int
) -> None:
    text = HOSTILE[number]
    with open_page(browser, written(hostile(text), tmp_path)) as watched:
        tab = ready(watched)
        words = tab.locator("#pairs .completion.a > .prose .words")
        expect(words).to_be_visible()
        assert tab.locator("#pairs :is(img, svg, iframe, object, embed, style)").count() == 0
        assert tab.locator("#pairs a:not([href^='http'])").count() == 0
        press(tab, "r")
        expect(words).to_have_class("words raw")
        shown_text = words.evaluate("words => words.textContent")
        assert shown_text == visible(text[:20_000])
        press(tab, "d")
        expect(tab.locator("#pairs .compared")).to_be_visible()
        tab.fill("#pairs .query", "hay")
        expect(count(tab)).to_have_text("1 pair")
        tab.locator("#pairs .option").click()
        address = tab.evaluate("location.href")
        assert "#pair=id" in address
        tab.goto("about:blank")
        tab.goto(address)
        expect(words).to_be_visible()
        expect(tab.locator("#pairs-error")).to_be_hidden()
        watched.assert_no_errors()


def visible(text: str) -> str:
    """The text with its control characters escaped."""
    for odd in "\u202e\u2066\x00\x1b\u200b":
        text = text.replace(odd, f"U+{ord(odd):04X}")
    return text.replace("\ud800", "\N{REPLACEMENT CHARACTER} U+D800")


def hostile(text: str) -> Results:
    """Results with hostile text in every untrusted field."""
    evidence = Evidence(
        models=(f"a{text[:40]}", "b"),
        prompts=(
            make_prompt(f"hay {text}", id=f"id{text[:60]}", tags=(text[:80],), reference=text),
        ),
        completions=tuple(
            make_completion(f"id{text[:60]}", model, text, thinking=text)
            for model in (f"a{text[:40]}", "b")
        ),
        judgments=(
            make_judgment(
                f"id{text[:60]}", f"a{text[:40]}", "b", 1.0, judge=f"j{text[:40]}", reason=text
            ),
        ),
        failures=(
            make_failure(
                f"id{text[:60]}",
                "b",
                f"a{text[:40]}",
                judge=f"j{text[:40]}",
                kind="x",
                message=text[:5000],
                raw=text,
            ),
        ),
    )
    return Results.of(evidence, summarize(evidence), {}, {"started": ""})


@pytest.mark.long
def test_a_long_text_is_shown_in_parts(browser: Browser, tmp_path: Path) -> None:
    text = "word " * 100_000
    with open_page(browser, written(hostile(text), tmp_path)) as watched:
        tab = ready(watched)
        press(tab, "r")
        words = tab.locator("#pairs .completion.a > .prose .words")
        expect(words).to_have_class("words raw")
        more = tab.locator("#pairs .completion.a > .prose .more")
        for length, button in (
            (20_000, "Show 220,000 of 500,000 characters"),
            (220_000, "Show 420,000 of 500,000 characters"),
            (420_000, "Show all 500,000 characters"),
        ):
            expect(more).to_have_text(button)
            assert words.evaluate("words => words.textContent.length") == length
            more.click()
        expect(more).to_have_count(0)
        assert words.evaluate("words => words.textContent.length") == 500_000
        watched.assert_no_errors()


def test_the_printed_page_shows_the_pair_without_controls(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        tab = ready(watched)
        tab.emulate_media(media="print")
        expect(tab.locator("#pairs .sidebar")).to_be_hidden()
        expect(tab.locator("#pairs .bar")).to_be_hidden()
        expect(tab.locator("#pairs .pair")).to_be_visible()


def test_without_javascript_the_page_names_results_json(browser: Browser, report: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        tab = context.new_page()
        tab.goto(report)
        expect(tab.locator("#pairs noscript p")).to_contain_text("results.json")
        expect(tab.locator("#pairs .reader")).to_be_hidden()
    finally:
        context.close()


def test_word_differences_preserve_the_texts(browser: Browser, report: str) -> None:
    with open_page(browser, report) as watched:
        ready(watched)
        for a, b in (
            ("", ""),
            ("same words", "same words"),
            ("one two three four five", "one two 3 four five"),
            ("a b c d e f g h", "a b c x y z f g h"),
            ("all of it", ""),
            ("we saw that the cat sat on a mat", "one day, long ago, the dog ran far away"),
            ("x " * 9000, "y " * 9000),
        ):
            differences = json.loads(
                watched.page.evaluate("([a, b]) => JSON.stringify(WordDiff.compare(a, b))", [a, b])
            )
            for text, runs in ((a, differences["a"]), (b, differences["b"])):
                assert "".join(run for run, _ in runs) == text
            kept = ["".join(r for r, new in differences[side] if not new).split() for side in "ab"]
            assert kept[0] == kept[1]
            assert (a == b) == (differences["shared"] == 1)
