"""One self-contained HTML page from a Results: no script, no network, every text escaped."""

from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, StrictUndefined

from bakeoff.records import Judgment, PairSummary, Results
from bakeoff.report.blocks import Blocks, blocks


def page(results: Results) -> str:
    """The page as text."""
    folder = files("bakeoff.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["percent"] = percent
    template = environment.from_string((folder / "page.html.j2").read_text(encoding="utf-8"))
    by_prompt: dict[str, list[Judgment]] = {
        prompt_id: list(group)
        for prompt_id, group in groupby(
            sorted(results.judgments, key=lambda j: j.prompt_id), key=lambda j: j.prompt_id
        )
    }
    completions = {(c.prompt_id, c.model): c.completion for c in results.completions}
    return template.render(
        results=results,
        summary=results.summary,
        completions=completions,
        judgments=by_prompt,
        judges=list(dict.fromkeys(judgment.judge for judgment in results.judgments)),
        blocks=lambda pair: _numbers(results, pair),
        style=(folder / "page.css").read_text(encoding="utf-8"),
    )


def _numbers(results: Results, pair: PairSummary) -> Blocks:
    """What the page says in words of its own is left out."""
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    found = blocks(pair, (), (), checks)
    told = ("Model Comparison Summary", "By tag", "Red flags", "Overall winner")
    return {title: lines for title, lines in found.items() if title not in told}


def percent(value: float) -> str:
    """A share as `72.0 %`."""
    return f"{100 * value:.1f} %"
