"""Results as a fragment of HTML for a notebook: no script, no network, every text escaped."""

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from bakeoff.records import NullCheck, PairSummary, Rating, Results
from bakeoff.report.text.costs import took
from bakeoff.report.text.judge_card import interval, trust
from bakeoff.report.text.summary import ranks, rating_notes

Scale = Callable[[float], str]

_UNSEEN = {code: "\ufffd" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))}


def fragment(results: Results) -> str:
    """The verdict, the bar and the judge card of each two models; of three or more the ratings.

    It has colors of its own for a light and for a dark notebook, and touches nothing around it.
    """
    folder = files("bakeoff.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["interval"] = interval
    template = environment.from_string((folder / "notebook.html.j2").read_text(encoding="utf-8"))
    text = template.render(
        summary=results.summary,
        card=lambda pair: trust(pair, _checks(pair, results.summary.null_checks)),
        said=_said,
        took=took(results),
        ranks=lambda one: ranks(one).removeprefix("rank "),
        rating_notes=rating_notes,
        scale=_scale(results.summary.ratings),
        style=(folder / "notebook.css").read_text(encoding="utf-8"),
    )
    return _printable(text)


def _checks(pair: PairSummary, checks: Iterable[NullCheck]) -> list[NullCheck]:
    return [check for check in checks if check.model in (pair.a, pair.b)]


def _said(pair: PairSummary) -> str:
    """The bar, for those who cannot see it."""
    return (
        f"{pair.a} won {pair.wins} prompts, {pair.b} won {pair.losses}, {pair.ties} are ties. "
        f"Win rate of {pair.a}, ties half: {interval(pair.win_rate)}"
    )


def _scale(ratings: Sequence[Rating]) -> Scale:
    """Where a strength stands between the lowest and the highest end of all intervals, in percent.

    Ends that are far out would leave no room for the others: 4 is a win in 98 of 100 prompts.
    """
    low = max(-4.0, min((one.strength.low for one in ratings), default=0.0))
    high = min(4.0, max((one.strength.high for one in ratings), default=0.0))
    width = (high - low) or 1.0
    return lambda strength: f"{100 * min(1.0, max(0.0, (strength - low) / width)):.2f}%"


def _printable(text: str) -> str:
    """Half a surrogate pair cannot be sent to a notebook, and NUL is nothing in HTML."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_UNSEEN)
