"""Parse rate limits and retry delays from the headers of a reply."""

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bakeoff.runtime import Quota

_FIELDS = ("limit", "remaining", "reset")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_DELAY = 1e8  # seconds
_DURATION = re.compile(r"([0-9.]+)(ms|s|m|h|d)")


def parse_quotas(headers: Mapping[str, str]) -> tuple[Quota | None, Quota | None]:
    """Return the quotas of requests and of tokens; None for one that is not in the headers.

    Supports the headers of OpenAI and of Anthropic.
    """
    if any(f"x-ratelimit-limit-{unit}" in headers for unit in ("requests", "tokens")):
        name = "x-ratelimit-{field}-{unit}"
    elif "anthropic-ratelimit-requests-limit" in headers:
        name = "anthropic-ratelimit-{unit}-{field}"
    else:
        return None, None
    requests, tokens = (
        _quota([headers.get(name.format(unit=unit, field=field), "") for field in _FIELDS], headers)
        for unit in ("requests", "tokens")
    )
    return requests, tokens


def _quota(values: list[str], headers: Mapping[str, str]) -> Quota | None:
    limit, remaining, reset = values
    try:
        return Quota(float(limit), float(remaining), _seconds(reset, _now(headers)))
    except ValueError:
        return None


def _seconds(text: str, now: float) -> float:
    """Return the seconds of a number or of a duration like `6m0.5s`, or until an ISO 8601 time.

    Raises ValueError for any other text.
    """
    durations = _DURATION.findall(text)
    if durations and "".join(number + unit for number, unit in durations) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in durations)
    if "T" in text:
        end = datetime.fromisoformat(text)
        return end.replace(tzinfo=end.tzinfo or UTC).timestamp() - now
    return float(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait before a retry, from `retry-after-ms` or `Retry-After`.

    At most 1e8 seconds; None without a valid header. A date is compared with the `Date` header, the
    server's clock, if there is one.
    """
    value = headers.get("retry-after", "")
    try:
        milliseconds = headers.get("retry-after-ms")
        seconds = float(value) if milliseconds is None else float(milliseconds) / 1000
    except ValueError:
        date = _date(value)
        seconds = math.nan if date is None else date - _now(headers)
    return min(max(0.0, seconds), _MAX_DELAY) if math.isfinite(seconds) else None


def _now(headers: Mapping[str, str]) -> float:
    """Return the server's time if the headers contain it, else the local time."""
    return _date(headers.get("date", "")) or time.time()


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
