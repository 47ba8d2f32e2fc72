"""Render the viewer's pages from Jinja templates, with everything escaped."""

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from bakeoff.stats.results import Estimate
from bakeoff.web.viewer.comparison import ComparedNumber, PairedChange, Unit
from bakeoff.web.viewer.settings_diff import diff_spans

FILES = {"viewer.css": "text/css", "viewer.js": "text/javascript"}

_MINUS, _NONE = "\u2212", "\u2013"


def render(page: str, /, **context: object) -> str:
    """Return a page by the name of its template."""
    return _ENVIRONMENT.get_template(f"{page}.html.j2").render(**context)


def file(name: str) -> str:
    """Return the text of one of FILES."""
    return (files("bakeoff.web.viewer") / name).read_text(encoding="utf-8")


# The functions below are filters of the templates.


def amount(value: float | None, unit: Unit) -> str:
    """Return a number with its unit; a dash for None."""
    return _NONE if value is None else _UNITS[unit](value)


def change(number: ComparedNumber) -> str:
    """Return the difference with sign and unit, shares in points; empty without difference."""
    value = number.difference
    if value is None:
        return ""
    if number.unit == "share":
        text = f"{100 * abs(value):.1f} points"
    else:
        text = amount(abs(value), number.unit)
    is_zero = not any(digit in text for digit in "123456789")
    return text if is_zero else (_MINUS if value < 0 else "+") + text


def points(share: float) -> str:
    """Return a difference of shares, in points with sign."""
    text = f"{100 * abs(share):.1f}"
    return text if text == "0.0" else (_MINUS if share < 0 else "+") + text


def share(value: float) -> str:
    """Return a share, as `72.0 %`."""
    return f"{100 * value:.1f} %"


def money(dollars: float) -> str:
    """Return US dollars: two decimals, below one dollar two significant digits."""
    return f"${dollars:.2f}" if dollars >= 0.995 or not dollars else f"${dollars:.2g}"


def duration(seconds: float) -> str:
    """Return a rounded duration in days, hours, minutes or seconds."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"


def when(moment: datetime) -> str:
    """Return a date and time in the local time zone."""
    local = moment.astimezone()
    return f"{local.day} {local:%b %Y, %H:%M}"


def rate(per_second: float) -> str:
    """Return a rate per second, minute or hour."""
    for seconds, unit in ((1, "s"), (60, "min")):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.1f} / {unit}"
    return f"{per_second * 3_600:.1f} / h"


def significance(paired: PairedChange) -> str:
    """Return a sentence on whether the interval of a change includes zero."""
    estimate = paired.change
    if paired.withheld:
        return "No conclusion: in one of the runs the verdict on this pair is withheld."
    if estimate is None or not paired.has_interval:
        return "Too few prompts changed to tell this from chance."
    if estimate.low <= 0 <= estimate.high:
        return "0 is inside the interval: this may be chance."
    return "0 is outside the interval: this is more than chance."


def axis_position(value: float, low: float = 0, high: float = 1) -> float:
    """Return where a value lies on an axis from `low` to `high`: 0 to 100, clipped."""
    return round(100 * (min(max(value, low), high) - low) / (high - low), 2)


def axis_limit(change: Estimate) -> float:
    """Return the end of a symmetric axis that holds a change and its interval."""
    largest = max(abs(change.low), abs(change.high), abs(change.estimate))
    return next(end for end in (0.1, 0.25, 0.5, 1.0) if largest <= end or end == 1.0)


_UNITS: dict[Unit, Callable[[float], str]] = {
    "share": share,
    "score": lambda value: f"{value:.3f}",
    "count": lambda value: f"{value:,.0f}",
    "length": lambda value: f"{value:,.0f}",
    "dollars": money,
    "seconds": duration,
}

_FILTERS = (
    amount,
    axis_limit,
    axis_position,
    change,
    duration,
    money,
    points,
    rate,
    share,
    significance,
    when,
)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bakeoff", "web/viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {filter_.__name__: filter_ for filter_ in _FILTERS}
    environment.globals["diff_spans"] = diff_spans
    return environment


_ENVIRONMENT = _environment()
