"""The notebook view: its numbers, themes, no external resources, and texts shown as data."""

import re
from html.parser import HTMLParser

import pytest

from bakeoff.records import Evidence
from bakeoff.report.notebook import notebook_html
from bakeoff.report.text.judge_card import interval, judge_card_lines
from bakeoff.report.text.summary import rank_text, rating_notes
from tests.builders import make_results
from tests.unit.analysis.builders import evidence, failure, texts, won
from tests.unit.report.notebook_results import HOSTILE, three_models, two_models

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


def test_verdict_numbers_and_judge_card_are_in_order() -> None:
    results = two_models()
    (pair,) = results.summary.pairs
    text = Outline(notebook_html(results)).text
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
        *judge_card_lines(pair, ()),
        "A note.",
        results.summary.estimand,
    ):
        place = text.index(words, place) + len(words)


def test_flags_of_pairs_and_of_models_are_shown() -> None:
    rows = won(18, 4, 3)
    same = [completion for name in "ab" for completion in texts(name, ["the same"] * 25)]
    results = make_results(evidence(rows, completions=tuple(same)))
    assert results.summary.flags
    text = Outline(notebook_html(results)).text
    for flag in results.summary.flags:
        assert flag.message in text
        assert flag.action in text


def test_the_bar_has_a_text_alternative() -> None:
    results = two_models("tuned", "base")
    (pair,) = results.summary.pairs
    outline = Outline(notebook_html(results))
    assert outline.labels == [
        f"tuned won {pair.wins} prompts, base won {pair.losses}, {pair.ties} are ties. "
        f"Win rate of tuned, ties half: {interval(pair.win_rate)}"
    ]
    assert ("div", "class", "role", "aria-label") in outline.tags


def test_three_models_have_ratings_before_the_named_pairs() -> None:
    results = three_models()
    text = Outline(notebook_html(results)).text
    assert text.startswith("Strength, in log-odds of winning")
    order = [text.index(f"{rating.strength.estimate:+.2f}") for rating in results.summary.ratings]
    assert order == sorted(order)
    for rating in results.summary.ratings:
        assert f"{rank_text(rating).removeprefix('rank ')}{rating.group}" in text
    assert all(f"{note}." in text for note in rating_notes(results.summary))
    for pair in results.summary.pairs:
        assert f"{pair.a} against {pair.b} {pair.verdict}" in text


def test_results_without_verdicts_have_no_bar() -> None:
    empty = make_results(evidence([], failures=(failure("p0"),)))
    outline = Outline(notebook_html(empty))
    assert outline.labels == []
    assert outline.text.startswith(empty.summary.pairs[0].verdict)
    nobody = Evidence(models=("a",), prompts=(), completions=(), judgments=(), failures=())
    assert Outline(notebook_html(make_results(nobody))).text.startswith(
        "No two models were compared."
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_tag_and_no_attribute(hostile: str) -> None:
    plain = Outline(notebook_html(two_models("x", "y", "z")))
    attacked = Outline(notebook_html(two_models(f"{hostile}1", f"{hostile}2", hostile)))
    assert attacked.tags == plain.tags
    assert attacked.open == plain.open == []
    three_plain, three_attacked = (
        Outline(notebook_html(three_models(tuple(f"{name}{n}" for n in range(3)))))
        for name in ("x", hostile)
    )
    assert three_attacked.tags == three_plain.tags


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_fragment_can_be_encoded_without_control_characters(hostile: str) -> None:
    text = notebook_html(two_models(f"{hostile}1", f"{hostile}2", hostile))
    text.encode()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text)


def test_styles_are_scoped_and_nothing_is_fetched() -> None:
    text = notebook_html(three_models())
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    rules = re.sub(r"/\*.*?\*/", "", style)
    for selectors in re.findall(r"([^{}]+)\{(?!\s*\.bakeoff)", rules):
        for selector in re.split(r",(?![^(]*\))", selectors):
            assert ".bakeoff-results" in selector
    assert not re.search(r"url\(|@import|@font-face|src=|href=|<script", text)
