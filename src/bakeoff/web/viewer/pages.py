"""The viewer's own pages: what is known becomes HTML, every word escaped. Knows no request."""

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from bakeoff.stats.results import Estimate
from bakeoff.web.viewer.comparison import Paired
from bakeoff.web.viewer.numbers import Number, Unit
from bakeoff.web.viewer.settings_diff import pieces

FILES = {"viewer.css": "text/css", "viewer.js": "text/javascript"}

_MINUS, _NONE = "\u2212", "\u2013"


def render(page: str, /, **told: object) -> str:
    """A page by the name of its template."""
    return _ENVIRONMENT.get_template(f"{page}.html.j2").render(**told)


def file(name: str) -> str:
    """A file that pages load."""
    return (files("bakeoff.web.viewer") / name).read_text(encoding="utf-8")


def amount(value: float | None, unit: Unit) -> str:
    """A number with its unit; a dash where there is none."""
    return _NONE if value is None else _UNITS[unit](value)


def change(number: Number) -> str:
    """A difference with its sign: shares in points."""
    value = number.difference
    if value is None:
        return ""
    told = f"{100 * abs(value):.1f} points" if number.unit == "share" else None
    told = told or amount(abs(value), number.unit)
    zero = not any(digit in told for digit in "123456789")
    return told if zero else (_MINUS if value < 0 else "+") + told


def points(share: float) -> str:
    """A difference of shares with its sign, in points."""
    told = f"{100 * abs(share):.1f}"
    return told if told == "0.0" else (_MINUS if share < 0 else "+") + told


def share(value: float) -> str:
    """A share as `72.0 %`."""
    return f"{100 * value:.1f} %"


def money(dollars: float) -> str:
    """US dollars, to the cent where it is not less than that."""
    return f"${dollars:.2f}" if dollars >= 0.995 or not dollars else f"${dollars:.2g}"


def duration(seconds: float) -> str:
    """About how long, in the largest unit that tells it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


def when(moment: datetime) -> str:
    """A moment by the clock of this machine."""
    local = moment.astimezone()
    return f"{local.day} {local:%b %Y, %H:%M}"


def rate(per_second: float) -> str:
    """How fast something goes, in whole numbers where that can be."""
    for seconds, unit in ((1, "s"), (60, "min")):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.1f} / {unit}"
    return f"{per_second * 3_600:.1f} / h"


def reading(paired: Paired) -> str:
    """What the interval of a change lets one say."""
    found = paired.change
    if found is None or not paired.interval:
        return "Too few prompts changed to tell this from chance."
    if found.low <= 0 <= found.high:
        return "0 is inside the interval: this may be chance."
    return "0 is outside the interval: this is more than chance."


def across(value: float, low: float = 0, high: float = 1) -> float:
    """Where a value lies on an axis of 0 to 100, two digits."""
    return round(100 * (min(max(value, low), high) - low) / (high - low), 2)


def reach(change: Estimate) -> float:
    """The end of an axis that holds a change and its interval, the same on both sides of 0."""
    widest = max(abs(change.low), abs(change.high), abs(change.estimate))
    return next(end for end in (0.1, 0.25, 0.5, 1.0) if widest <= end or end == 1.0)


_UNITS: dict[Unit, Callable[[float], str]] = {
    "share": share,
    "score": lambda value: f"{value:.3f}",
    "count": lambda value: f"{value:,.0f}",
    "length": lambda value: f"{value:,.0f}",
    "dollars": money,
    "seconds": duration,
}


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bakeoff", "web/viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (amount, change, points, share, money, duration, when, rate, reading, across, reach)
    made.filters |= {one.__name__: one for one in shown}
    made.globals["pieces"] = pieces
    return made


_ENVIRONMENT = _environment()
