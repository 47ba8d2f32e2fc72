"""The HTML page of results: one file that loads nothing, with every untrusted text escaped.

Its Content-Security-Policy allows only its own scripts and style, by their hashes.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from pydantic import JsonValue

from bakeoff.analysis.evidence_pairs import pair_data_of
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import PairSummary, Results
from bakeoff.report import charts
from bakeoff.report.page.pairs import pack_pairs
from bakeoff.report.provenance import command_line, content_hashes
from bakeoff.report.text.costs import run_lines
from bakeoff.report.text.judge_card import (
    interval,
    judge_card_lines,
    panel_table,
    people_lines,
    percent,
)
from bakeoff.report.text.runs import history_lines
from bakeoff.report.text.summary import baseline_lines, p_value, pair_sections, rating_notes
from bakeoff.report.text.verdict_line import outcome_label, what_would_change

_VENDORED = {  # license file to the scripts under it
    "LICENSE.vega": ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js"),
    "LICENSE.markdown-it": ("markdown-it.umd.min.js",),
    "LICENSE.dompurify": ("purify.min.js",),
}
_SCRIPTS = (
    *("page.js", "dom.js", "markdown.js", "word_diff.js"),
    *("pair_list.js", "pair.js", "pairs.js"),
)
_STYLES = ("page.css", "pairs.css")
_TEMPLATES = ("page.html.j2", "pair.html.j2", "pairs.html.j2")

Facts = list[tuple[str, str]]  # labels, which may be empty, and texts


class Page(NamedTuple):
    """A page as HTML."""

    html: str
    policy: str  # its Content-Security-Policy; a server sends it as a header too


class PairSection(NamedTuple):
    """The contents of the page on one pair of models."""

    pair: PairSummary
    look: str | None  # as in `Design.label`
    charts: dict[str, charts.Chart]  # by name
    card: Facts
    panel: list[tuple[str, list[str]]]
    people: Facts
    scores: Facts
    power: Facts


def load_assets() -> None:
    """Read the scripts and the style, and compile the templates, which all pages share."""
    _style(), _scripts()
    for name in _TEMPLATES:
        _environment().get_template(name)


def render_page(
    results: Results,
    links: Sequence[tuple[str, str]] = (),
    pair_data: Sequence[PairData] | None = None,
) -> Page:
    """The page of results; `links` are the text and URL of further links in its navigation.

    `pair_data` is that of the results' evidence; None: it is built.
    """
    pair_data = list(pair_data_of(results).values()) if pair_data is None else pair_data
    by_pair = {(data.a, data.b): data for data in pair_data}
    style, scripts = _style(), _scripts()
    policy = _policy(style, scripts)
    order = [prompt.id for prompt in results.prompts]
    pairs = pack_pairs(results, pair_data)  # before the charts, which are large
    sections = [
        _pair_section(results, pair, by_pair.get((pair.a, pair.b)), order)
        for pair in results.summary.pairs
    ]
    summary_charts = charts.summary_charts(results.summary)
    html = (
        _environment()
        .get_template("page.html.j2")
        .render(
            results=results,
            summary=results.summary,
            links=links,
            policy=policy,
            style=style,
            scripts=scripts,
            themes={"light": charts.theme(dark=False), "dark": charts.theme(dark=True)},
            charts=summary_charts,
            sections=sections,
            run_lines=run_lines(results.run_usage),
            history=[
                line for pair in results.summary.pairs for line in history_lines(results, pair)
            ],
            command=command_line(results.config),
            hashes=content_hashes(results),
            judges=list(dict.fromkeys(judgment.judge for judgment in results.judgments)),
            pairs=pairs,
        )
    )
    return Page(html, policy)


def _pair_section(
    results: Results, pair: PairSummary, data: PairData | None, order: Sequence[str]
) -> PairSection:
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    sections = pair_sections(pair, (), (), ())
    return PairSection(
        pair=pair,
        look=results.design.label(pair.a, pair.b),
        charts=charts.pair_charts(pair, data, order) if data else {},
        card=_facts(judge_card_lines(pair, checks, members=len(pair.judges) < 2)),
        panel=panel_table(pair),
        people=_facts(people_lines(pair)),
        scores=_facts(sections.get("Score Analysis", ())),
        power=_facts(sections.get("What it can show", ())),
    )


def _facts(lines: Sequence[str]) -> Facts:
    return [_fact(line) for line in lines]


def _fact(line: str) -> tuple[str, str]:
    """A line as its label and text; the label is empty if the line has none."""
    label, _, text = line.partition(": ")
    return (label, text) if text else ("", label)


def _policy(style: Markup, scripts: Sequence[Markup]) -> str:
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes([style])}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hashes(sources: Sequence[Markup]) -> str:
    digests = [hashlib.sha256(source.encode()).digest() for source in sources]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


@cache
def _style() -> Markup:
    return Markup("\n".join(map(_read, _STYLES)))  # noqa: S704 - our own files


@cache
def _scripts() -> tuple[Markup, Markup]:
    """The vendored scripts with their licenses, and our own."""
    vendored = "\n".join(_licensed(*item) for item in _VENDORED.items())
    return _script(vendored), _script("\n".join(map(_read, _SCRIPTS)))


def _licensed(license_file: str, scripts: Sequence[str]) -> str:
    """Vendored scripts after their license, without the references to their source maps."""
    sources = [_read(f"vendor/{name}").partition("//# sourceMappingURL=")[0] for name in scripts]
    return "\n".join((f"/*!\n{_read(f'vendor/{license_file}')}\n*/", *sources))


def _script(source: str) -> Markup:
    """A script for use in HTML: a `</script` in a string does not end the element."""
    safe = source.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    return Markup(safe)  # noqa: S704 - our own files, and vendored ones


@cache
def _read(name: str) -> str:
    return (files("bakeoff.report.page") / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_read),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = interval
    environment.filters["percent"] = _percent
    environment.filters["pretty_json"] = _pretty_json
    environment.filters["p"] = p_value
    environment.filters["keep_units"] = _keep_units
    environment.globals["what_would_change"] = what_would_change
    environment.globals["rating_notes"] = rating_notes
    environment.globals["baseline_lines"] = baseline_lines
    environment.globals["outcome_label"] = outcome_label
    return environment


def _percent(share: float | None) -> str:
    return percent(share).replace("%", "\N{NO-BREAK SPACE}%")


def _pretty_json(value: JsonValue) -> str:
    """Indented JSON in which non-ASCII characters are not escaped."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _keep_units(text: str) -> str:
    """The text with no-break spaces before percent signs."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
