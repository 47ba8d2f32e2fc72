"""The report page: its numbers, no external resources, and texts shown as data."""

import base64
import hashlib
import json
import random
import re
import string
from html.parser import HTMLParser
from importlib.resources import files
from itertools import combinations
from typing import Any

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Results
from bakeoff.report.page.page import render_page
from bakeoff.report.text.summary import rating_notes
from tests.builders import make_results, sample_results
from tests.unit.analysis.builders import evidence, prompt, texts, won

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "{{ 7 * 7 }}{% raw %}",
    "</style></pre></details><!--",
    "a\x00b\u202ec",
    "half a pair: \ud800",
]


class Tags(HTMLParser):
    """Every tag and attribute of a page, its text, and its scripts and islands of data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.data: dict[str, str] = {}
        self._script: dict[str, str | None] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._script = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self.text += f"{data} "
        elif "type" in self._script:
            self.data[self._script.get("id") or ""] = data
        else:
            self.scripts.append(data)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def parsed_page(results: Results) -> Tags:
    return Tags(render_page(results).html)


def several(models: int = 3) -> Results:
    """Each model wins more than the next."""
    names = tuple(f"m{number}" for number in range(models))
    rows = [
        judgment.model_copy(
            update={side: {"a": a, "b": b}[getattr(judgment, side)] for side in ("first", "second")}
        )
        for a, b in combinations(names, 2)
        for judgment in won(20, 5, 1)
    ]
    data = evidence(
        rows,
        names,
        completions=tuple(
            c for name in names for c in texts(name, [f"{name}, {chr(97 + n)}" for n in range(26)])
        ),
    )
    return make_results(data)


def test_the_page_shows_the_numbers_of_the_results() -> None:
    words = parsed_page(sample_results()).words
    for text in (
        "Verdict withheld: 2 of 4 verdicts failed (50.0 %)",
        "Win rate of a 100.0 %",
        "What would change it Judge more prompts with --limit.",
        "0.800 ± 0.000",
        "50.0 to 100.0%",
        "4 asked = 2 judged + 2 failed",
        "bakeoff run --model a --model b --judge j",
        "Hash of the prompts",
        "What failed: 2",
    ):
        assert text in words, text
    assert (
        "None: this judge says which is better" in parsed_page(sample_results(scores=False)).words
    )


def test_the_sections_are_in_order() -> None:
    words = parsed_page(sample_results()).words
    parts = (
        "Verdict withheld",
        "Can this judge be trusted?",
        "Verdicts asked for",
        "Scores",
        "Models and cost",
        "The pairs",
        "How it was made",
    )
    places = [words.index(part, words.index("model 1")) for part in parts]
    assert places == sorted(places)


def test_several_models_start_with_verdicts_ratings_and_matrix() -> None:
    results = several()
    tags = parsed_page(results)
    for pair in results.summary.pairs:
        assert tags.words.count(pair.verdict) >= 2  # at the top, and in the section of the pair
    assert {"allratings-spec", "allpairs-spec", "p1-win-rate-spec", "p3-win-rate-spec"} <= set(
        tags.data
    )
    ids = [value for _, name, value in tags.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    notes = rating_notes(results.summary)
    assert notes
    assert all(f"{note}." in tags.words for note in notes)


def test_results_without_verdicts_have_a_page() -> None:
    data = evidence([])
    empty = make_results(data)
    assert "Nothing was judged" in parsed_page(empty).words


def test_the_policy_allows_its_own_scripts_by_their_hashes_and_nothing_else() -> None:
    page = render_page(sample_results())
    tags = Tags(page.html)
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in tags.scripts
    ]
    assert len(hashes) == 2
    assert ("meta", "content", page.policy) in tags.attributes
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in hashes]
    assert "unsafe" not in page.policy


def test_vendored_scripts_match_their_checksums_and_include_their_licenses() -> None:
    folder = files("bakeoff.report.page") / "vendor"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+\.js)` .* `([0-9a-f]{64})` \|$", readme, re.MULTILINE)
    assert {name for name, _ in rows} == {
        file.name for file in folder.iterdir() if file.name.endswith(".js")
    }
    for name, digest in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    html = render_page(sample_results()).html
    assert "Copyright (c) 2014 Vitaly Puzrin, Alex Kocharin" in html
    assert "Copyright (c) Felix B" in html
    assert "Apache License" in html
    assert "University of Washington Interactive Data Lab" in html
    assert "sourceMappingURL" not in html


def test_the_page_references_no_external_resource() -> None:
    for tag, name, value in parsed_page(sample_results()).attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "action", "style"), tag
        assert name != "href" or value.startswith(("#", "data:image/svg+xml,"))


def unflagged(results: Results) -> Results:
    """The page without the list of hidden characters, which a page of plain texts lacks."""
    models = tuple(m.model_copy(update={"flags": ()}) for m in results.summary.models)
    return results.model_copy(
        update={"summary": results.summary.model_copy(update={"models": models})}
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_tag_no_attribute_and_no_script(hostile: str) -> None:
    attacked = unflagged(sample_results(hostile))
    tags, plain = parsed_page(attacked), parsed_page(unflagged(sample_results()))
    assert tags.tags == plain.tags
    assert [name for _, name, _ in tags.attributes] == [name for _, name, _ in plain.attributes]
    assert tags.scripts == plain.scripts


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_tag(hostile: str) -> None:
    def renamed(name: str) -> Tags:
        rows = [
            row.model_copy(
                update={
                    "judge": name + row.judge,
                    "first": name + row.first,
                    "second": name + row.second,
                }
            )
            for row in won(2, 21)  # so that the verdict names both, and a flag the first
        ]
        prompts = tuple(prompt(n, tags=(name + "tag",)) for n in range(23))
        data = evidence(rows, (name + "a", name + "b"), prompts=prompts, origins={name + "a": name})
        environment: dict[str, Any] = {"models": {name: [name]}, "packages": {name: name}}
        results = Results.of(data, summarize(data), {"model": [name]}, environment)
        (pair,) = results.summary.pairs
        assert f"{name}b is better than {name}a" in pair.verdict
        assert any(f"{name}a wins" in flag.message for flag in pair.flags)
        return parsed_page(results)

    tags, plain = renamed(hostile), renamed("x")
    assert tags.tags == plain.tags
    assert tags.scripts == plain.scripts


def test_every_chart_has_a_table_and_a_text_alternative() -> None:
    html = render_page(several()).html
    figures = re.findall(r"<figure.*?</figure>", html, re.DOTALL)
    assert len(figures) > 6
    for figure in figures:
        tags = Tags(figure)
        assert "table" in tags.tags
        (label,) = re.findall(r'role="img" aria-label="([^"]*)"', figure)
        assert re.search(r"\d", label)
        (spec,) = tags.data.values()
        assert json.loads(spec)


def test_links_lead_to_the_pages_of_a_server() -> None:
    html = render_page(sample_results(), links=[("All runs", "../"), ("<b>", "vote/")]).html
    assert '<a href="../">All runs</a>' in html
    assert '<a href="vote/">&lt;b&gt;</a>' in html


def test_fifty_pairs_of_1024_tokens_are_a_small_file() -> None:
    lot = random.Random(1)
    words = [
        "".join(lot.choices(string.ascii_lowercase, k=lot.randint(2, 11))) for _ in range(3000)
    ]
    contents = [[" ".join(lot.choices(words, k=770)) for _ in range(50)] for _ in "ab"]
    data = evidence(
        [
            row.model_copy(
                update={
                    "verdict": row.verdict.model_copy(
                        update={"reason": " ".join(lot.choices(words, k=150))}
                    )
                }
            )
            for row in won(30, 20)
        ],
        completions=(*texts("a", contents[0]), *texts("b", contents[1])),
    )
    html = render_page(make_results(data)).html
    assert len(html.encode()) < 1_600_000
