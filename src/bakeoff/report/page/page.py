"""One self-contained HTML page from a Results: no network, and every text is data.

The policy that it carries allows its own scripts and its own style, by their hashes, and no other.
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

from bakeoff.analysis.pair_data import Trial, trials_of
from bakeoff.records import PairSummary, Results
from bakeoff.report import charts
from bakeoff.report.page.pairs import packed
from bakeoff.report.provenance import command, origin_of
from bakeoff.report.text.costs import run_took
from bakeoff.report.text.judge_card import people, percent, trust
from bakeoff.report.text.panel import panel
from bakeoff.report.text.summary import blocks, p_value, rating_notes
from bakeoff.report.text.verdict import standing, would_change

_SCRIPTS = ("page.js", "diff.js", "markdown.js", "pair_list.js", "pair.js", "pairs.js")
_STYLES = ("page.css", "pairs.css")


Facts = list[tuple[str, str]]  # what is told of, and what of it


class Page(NamedTuple):
    """The page, and the Content-Security-Policy that it carries: whoever serves it sends it too."""

    html: str
    policy: str


class Seen(NamedTuple):
    """A pair as the page shows it."""

    pair: PairSummary
    charts: dict[str, charts.Chart]
    card: Facts
    panel: list[tuple[str, list[str]]]
    people: Facts
    scores: Facts
    power: Facts


def page(results: Results, links: Sequence[tuple[str, str]] = ()) -> Page:
    """The page of some results; `links` (words, address) lead from it to the pages of a server."""
    tried = trials_of(results)
    scripts = [_script(charts.javascript()), _script("\n".join(map(_read, _SCRIPTS)))]
    style = Markup("\n".join(map(_read, _STYLES)))  # noqa: S704 - our own files
    policy = _policy(style, scripts)
    order = [prompt.id for prompt in results.prompts]
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
            charts=charts.whole_charts(results.summary),
            seen=[
                _seen(results, pair, tried.get((pair.a, pair.b)), order)
                for pair in results.summary.pairs
            ],
            run_took=run_took(results.run_usage),
            command=command(results.config),
            origin=origin_of(results),
            judges=list(dict.fromkeys(judgment.judge for judgment in results.judgments)),
            pairs=packed(results, list(tried.values())),
        )
    )
    return Page(html, policy)


def _seen(results: Results, pair: PairSummary, trial: Trial | None, order: Sequence[str]) -> Seen:
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    told = blocks(pair, (), (), ())
    several = len(pair.judges) > 1
    card = trust(pair.model_copy(update={"judges": ()}) if several else pair, checks)
    return Seen(
        pair,
        charts.pair_charts(pair, trial, order) if trial else {},
        _facts(card),
        panel(pair),
        _facts(people(pair)),
        _facts(told.get("Score Analysis", ())),
        _facts(told.get("What it can show", ())),
    )


def _facts(lines: Sequence[str]) -> Facts:
    return [_parted(line) for line in lines]


def _parted(line: str) -> tuple[str, str]:
    """What a line is about, and what it says of that."""
    about, _, said = line.partition(": ")
    return (about, said) if said else ("", about)


def _policy(style: Markup, scripts: Sequence[Markup]) -> str:
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes([style])}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hashes(sources: Sequence[Markup]) -> str:
    digests = [hashlib.sha256(source.encode()).digest() for source in sources]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _script(source: str) -> Markup:
    """A script as it may stand inside of a page; `</script` in a string of it ends nothing."""
    safe = source.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    return Markup(safe)  # noqa: S704 - our own files, and those of Vega


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
    environment.filters["percent"] = _percent
    environment.filters["shown"] = _shown
    environment.filters["p"] = p_value
    environment.filters["bound"] = _bound
    environment.globals["would_change"] = would_change
    environment.globals["rating_notes"] = rating_notes
    environment.globals["standing"] = standing
    return environment


def _percent(share: float | None) -> str:
    return percent(share).replace("%", "\N{NO-BREAK SPACE}%")


def _shown(value: JsonValue) -> str:
    """Settings as a person reads them: in their own letters, nothing escaped."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _bound(text: str) -> str:
    """A sentence whose numbers stay on one line with their unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
