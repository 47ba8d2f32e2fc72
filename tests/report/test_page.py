"""The page: true, self-contained, and data stays data."""

from html.parser import HTMLParser

import pytest

from bakeoff.records import Results
from bakeoff.report.page import page
from tests.report.sample import results_of

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "{{ 7 * 7 }}{% raw %}",
    "</style></pre></details>",
    "a\x00b\u202ec",
]


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def test_it_shows_what_the_results_hold() -> None:
    text = " ".join(parsed(page(results_of())).text.split())
    for words in (
        "Win rate of a against b",
        "1 wins · 0 ties · 0 losses",
        "Model 1: 0.800 ± 0.000",
        "Had all that failed (2 verdict) gone one way: 50.0 to 100.0%",
        "1 prompts were judged, 20 are the least",
        "4 asked = 2 judged + 2 failed",
        "cut at the limit",
        "8 / 3",
        "advice",
    ):
        assert words in text
    assert "none: this judge says which is better" in page(results_of(scores=False))


def unflagged(results: Results) -> Results:
    """Without what is said of hidden characters: a list more than in the page of a plain text."""
    models = tuple(m.model_copy(update={"flags": ()}) for m in results.summary.models)
    return results.model_copy(
        update={"summary": results.summary.model_copy(update={"models": models})}
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_tag_and_no_attribute(hostile: str) -> None:
    plain, attacked = (parsed(page(unflagged(r))) for r in (results_of(), results_of(hostile)))
    assert attacked.tags == plain.tags
    assert [name for name, _ in attacked.attributes] == [name for name, _ in plain.attributes]
    assert "script" not in attacked.tags


def test_it_reaches_for_nothing_outside_itself() -> None:
    attributes = parsed(page(results_of())).attributes
    assert not any(name in ("src", "href", "onclick", "onload") for name, _ in attributes)
    assert any("default-src 'none'" in (value or "") for _, value in attributes)
