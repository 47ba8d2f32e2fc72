"""What a notebook shows: true, self-contained, readable in light and dark, and data stays data."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Results
from bakeoff.report.notebook import fragment
from bakeoff.report.text.judge_card import interval, trust
from bakeoff.report.text.summary import ranks, rating_notes
from tests.browser import chromium, opened
from tests.marks import long
from tests.unit.analysis.cases import evidence, failure, judgment, prompt, texts, won

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></bdi></div><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' \" onclick=\"alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\u202ec",
    "half \ud800 a pair",
]
VOID = {"img", "br", "meta"}


class Outline(HTMLParser):
    """The tags of a fragment with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.labels: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def results_of(given: Evidence) -> Results:
    return Results.of(given, summarize(given), {}, {})


def two(a: str = "a", b: str = "b", said: str = "A note.") -> Results:
    """25 prompts, and one that failed; a model called `a` wins most of them."""
    rows = [row.model_copy(update={"judge": said}) for row in won(18, 4, 3)]
    names = {"a": a, "b": b}
    renamed = [
        row.model_copy(update={"first": names[row.first], "second": names[row.second]})
        for row in rows
    ]
    # Judged in one order only, so that something stands against the verdict.
    return results_of(
        evidence(
            [row for row in renamed if row.first == a],
            (a, b),
            failures=(failure("p0", kind=said, first=a, second=b),),
            completions=tuple(
                one for name in (a, b) for one in texts(name, [f"say {n}" for n in range(25)])
            ),
            notes=(said,),
        )
    )


def three(names: tuple[str, ...] = ("a", "b", "c")) -> Results:
    strongest = dict(zip(names, (0.8, 0.5, 0.3), strict=True))
    rows = [
        judgment(n, x, float(n % 10 < 5 + 10 * (strongest[x] - strongest[y]) / 2), second=y)
        for n in range(40)
        for x in names
        for y in names
        if x != y
    ]
    return results_of(evidence(rows, names, prompts=tuple(map(prompt, range(40)))))


def test_it_says_the_verdict_then_the_numbers_then_the_judge_card() -> None:
    results = two()
    (pair,) = results.summary.pairs
    text = Outline(fragment(results)).text
    assert text.startswith(pair.verdict)
    place = 0
    for words in (
        f"{pair.verdict} a won {pair.wins}",
        f"{pair.ties} tied",
        f"b won {pair.losses}",
        interval(pair.win_rate),
        "What stands against a verdict",
        pair.reasons[0].message,
        pair.reasons[0].action,
        "Judge card",
        *trust(pair, ()),
        "A note.",
        results.summary.estimand,
    ):
        place = text.index(words, place) + len(words)


def test_flags_of_pairs_and_of_models_are_told() -> None:
    rows = won(18, 4, 3)
    same = [one for name in "ab" for one in texts(name, ["the same"] * 25)]
    results = results_of(evidence(rows, completions=tuple(same)))
    assert results.summary.flags
    text = Outline(fragment(results)).text
    for flag in results.summary.flags:
        assert flag.message in text
        assert flag.action in text


def test_the_bar_is_an_image_that_says_what_it_shows() -> None:
    results = two("tuned", "base")
    (pair,) = results.summary.pairs
    outline = Outline(fragment(results))
    assert outline.labels == [
        f"tuned won {pair.wins} prompts, base won {pair.losses}, {pair.ties} are ties. "
        f"Win rate of tuned, ties half: {interval(pair.win_rate)}"
    ]
    assert ("div", "class", "role", "aria-label") in outline.tags


def test_of_three_models_the_ratings_come_first_and_each_pair_is_named() -> None:
    results = three()
    text = Outline(fragment(results)).text
    assert text.startswith("Strength, in log-odds of winning")
    order = [text.index(f"{one.strength.estimate:+.2f}") for one in results.summary.ratings]
    assert order == sorted(order)
    for one in results.summary.ratings:
        assert f"{ranks(one).removeprefix('rank ')}{one.group}" in text
    assert all(f"{note}." in text for note in rating_notes(results.summary))
    for pair in results.summary.pairs:
        assert f"{pair.a} against {pair.b} {pair.verdict}" in text


def test_nothing_judged_is_said_and_not_drawn() -> None:
    empty = results_of(evidence([], failures=(failure("p0"),)))
    outline = Outline(fragment(empty))
    assert outline.labels == []
    assert outline.text.startswith(empty.summary.pairs[0].verdict)
    nobody = Evidence(models=("a",), prompts=(), completions=(), judgments=(), failures=())
    assert Outline(fragment(results_of(nobody))).text.startswith("No two models were compared.")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_tag_and_no_attribute(hostile: str) -> None:
    plain = Outline(fragment(two("x", "y", "z")))
    attacked = Outline(fragment(two(f"{hostile}1", f"{hostile}2", hostile)))
    assert attacked.tags == plain.tags
    assert attacked.open == plain.open == []
    three_plain, three_attacked = (
        Outline(fragment(three(tuple(f"{name}{n}" for n in range(3))))) for name in ("x", hostile)
    )
    assert three_attacked.tags == three_plain.tags


@pytest.mark.parametrize("hostile", HOSTILE)
def test_it_can_be_sent_and_shown(hostile: str) -> None:
    text = fragment(two(f"{hostile}1", f"{hostile}2", hostile))
    text.encode()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


def test_it_styles_nothing_around_it_and_fetches_nothing() -> None:
    text = fragment(three())
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    rules = re.sub(r"/\*.*?\*/", "", style)
    for selectors in re.findall(r"([^{}]+)\{(?!\s*\.bakeoff)", rules):
        for one in re.split(r",(?![^(]*\))", selectors):
            assert ".bakeoff-results" in one
    assert not re.search(r"url\(|@import|@font-face|src=|href=|<script", text)


THEMES = {  # how a notebook says that it is dark or light: the body, and what the system is
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
    with chromium() as found:
        yield found


@pytest.mark.parametrize("theme", [*THEMES][:1] + long([*THEMES][1:]))
def test_it_is_as_dark_as_the_notebook(theme: str, browser: object, tmp_path: Path) -> None:
    body, system, dark = THEMES[theme]
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8>{body}{fragment(two())}")
    with opened(browser, page.as_uri(), dark=system) as watched:
        ink, paper = watched.page.evaluate(COLORS)
        assert (ink, paper) == (
            ("rgb(230, 232, 234)", "rgb(22, 24, 27)")
            if dark
            else ("rgb(28, 30, 33)", "rgb(255, 255, 255)")
        )


@pytest.mark.parametrize("width", [900, 400])
@pytest.mark.parametrize("hostile", [HOSTILE[0], *long(["name", "n" * 200, *HOSTILE[1:]])])
def test_it_fits_and_runs_nothing(
    hostile: str, width: int, browser: object, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    names = tuple(f"{hostile}{n}" for n in range(3))
    shown = fragment(two(*names)) + fragment(three(names))
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{shown}")
    with opened(browser, page.as_uri(), width=width) as watched:
        assert watched.page.evaluate(WIDE) <= 0
        watched.assert_quiet()


def test_the_mark_stands_where_the_win_rate_is(browser: object, tmp_path: Path) -> None:
    results = two()
    (pair,) = results.summary.pairs
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{fragment(results)}")
    with opened(browser, page.as_uri()) as watched:
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
