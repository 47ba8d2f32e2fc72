"""Results as an HTML fragment for notebooks, without scripts, network access or raw text."""

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from bakeoff.records import NullCheck, PairSummary, Rating, Results
from bakeoff.report.text.costs import cost_lines
from bakeoff.report.text.judge_card import interval, judge_card_lines
from bakeoff.report.text.summary import baseline_lines, rank_text, rating_notes

Scale = Callable[[float], str]

# Control characters, which HTML does not allow.
_CONTROLS = {code: "\ufffd" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))}


def notebook_html(results: Results) -> str:
    """The verdict, win rate and judge card of each pair; with three or more models the ratings.

    The fragment has light and dark colors, and its style applies to nothing around it.
    """
    folder = files("bakeoff.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["interval"] = interval
    template = environment.from_string((folder / "notebook.html.j2").read_text(encoding="utf-8"))
    text = template.render(
        summary=results.summary,
        card_lines=lambda pair: judge_card_lines(pair, _checks(pair, results.summary.null_checks)),
        bar_text=_bar_text,
        cost_lines=cost_lines(results),
        rank=lambda rating: rank_text(rating).removeprefix("rank "),
        rating_notes=rating_notes,
        baseline_lines=baseline_lines,
        scale=_scale(results.summary.ratings),
        style=(folder / "notebook.css").read_text(encoding="utf-8"),
    )
    return _printable(text)


def _checks(pair: PairSummary, checks: Iterable[NullCheck]) -> list[NullCheck]:
    return [check for check in checks if check.model in (pair.a, pair.b)]


def _bar_text(pair: PairSummary) -> str:
    """The text of the bar for screen readers."""
    return (
        f"{pair.a} won {pair.wins} prompts, {pair.b} won {pair.losses}, {pair.ties} are ties. "
        f"Win rate of {pair.a}, ties half: {interval(pair.win_rate)}"
    )


def _scale(ratings: Sequence[Rating]) -> Scale:
    """Maps a strength to a position between the ends of all intervals, as CSS percent.

    The range is limited to -4 to 4, a win rate of 98 %: outliers would compress the others.
    """
    low = max(-4.0, min((rating.strength.low for rating in ratings), default=0.0))
    high = min(4.0, max((rating.strength.high for rating in ratings), default=0.0))
    width = (high - low) or 1.0
    return lambda strength: f"{100 * min(1.0, max(0.0, (strength - low) / width)):.2f}%"


def _printable(text: str) -> str:
    """The text without lone surrogates, which cannot be encoded, and control characters."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_CONTROLS)
