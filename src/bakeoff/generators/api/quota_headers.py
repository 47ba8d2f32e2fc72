"""What a server says of its limits in the headers of a reply: what is left, when to come again.

Knows headers; not what is done about them.
"""

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bakeoff.runtime import Quota

_FIELDS = ("limit", "remaining", "reset")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 1e8  # seconds: what is more is no time at all
_SPAN = re.compile(r"([0-9.]+)(ms|s|m|h|d)")


def quotas_in(headers: Mapping[str, str]) -> tuple[Quota | None, Quota | None]:
    """What is left of requests and of tokens, in OpenAI's words or in Anthropic's."""
    if any(f"x-ratelimit-limit-{what}" in headers for what in ("requests", "tokens")):
        name = "x-ratelimit-{field}-{what}"
    elif "anthropic-ratelimit-requests-limit" in headers:
        name = "anthropic-ratelimit-{what}-{field}"
    else:
        return None, None
    requests, tokens = (
        _quota([headers.get(name.format(what=what, field=field), "") for field in _FIELDS], headers)
        for what in ("requests", "tokens")
    )
    return requests, tokens


def _quota(told: list[str], headers: Mapping[str, str]) -> Quota | None:
    limit, remaining, reset = told
    try:
        return Quota(float(limit), float(remaining), _seconds(reset, _now(headers)))
    except ValueError:
        return None


def _seconds(text: str, now: float) -> float:
    """From a number, from `6m0.5s` and the like, or until a time that is given in ISO 8601."""
    spans = _SPAN.findall(text)
    if spans and "".join(number + unit for number, unit in spans) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in spans)
    if "T" in text:
        until = datetime.fromisoformat(text)
        return until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now
    return float(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """In how many seconds to come again: `retry-after-ms`, or `Retry-After` as seconds or a date.

    A date is taken by the server's own clock, where its reply tells that.
    """
    told = headers.get("retry-after", "")
    try:
        milliseconds = headers.get("retry-after-ms")
        seconds = float(told) if milliseconds is None else float(milliseconds) / 1000
    except ValueError:
        at = _date(told)
        seconds = math.nan if at is None else at - _now(headers)
    return min(max(0.0, seconds), _LONGEST) if math.isfinite(seconds) else None


def _now(headers: Mapping[str, str]) -> float:
    """The time by the server's own clock, where its reply tells that."""
    return _date(headers.get("date", "")) or time.time()


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
