"""One self-contained HTML page from a Results: no script, no network, every text escaped."""

from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, StrictUndefined

from bakeoff.records import Judgment, Results


def page(results: Results) -> str:
    """The page as text."""
    folder = files("bakeoff.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["percent"] = percent
    environment.filters["signed"] = lambda value: f"{value:+.3f}"
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
        style=(folder / "page.css").read_text(encoding="utf-8"),
    )


def percent(value: float) -> str:
    """A share as `72.0 %`."""
    return f"{100 * value:.1f} %"
