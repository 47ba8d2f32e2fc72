"""Rate limits and retry delays in headers of several servers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bakeoff.generators.api.quota_headers import parse_quotas, retry_after
from bakeoff.runtime import Quota


def of_openai(limit: str, remaining: str, reset: str, unit: str = "requests") -> dict[str, str]:
    quota = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{field}-{unit}": text for field, text in quota.items()}


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1s", 1), ("6m0s", 360), ("8.64s", 8.64), ("120ms", 0.12), ("2m59.56s", 179.56),
     ("1h2m3s", 3723), ("1d", 86400), ("7", 7), ("0.5", 0.5)],
)  # fmt: skip
def test_openai_quotas_are_parsed(reset: str, seconds: float) -> None:
    requests, tokens = parse_quotas(of_openai("600", "599", reset))
    assert requests == Quota(600, 599, pytest.approx(seconds))
    assert tokens is None
    requests, tokens = parse_quotas(of_openai("90000", "1", reset, "tokens"))
    assert (requests, tokens) == (None, Quota(90000, 1, pytest.approx(seconds)))


def test_anthropic_quotas_with_reset_times_are_parsed() -> None:
    at = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="seconds")
    headers = {
        f"anthropic-ratelimit-{unit}-{field}": text
        for unit in ("requests", "tokens")
        for field, text in {
            "limit": "50",
            "remaining": "20",
            "reset": at.replace("+00:00", "Z"),
        }.items()
    }
    requests, tokens = parse_quotas(headers)
    for quota in (requests, tokens):
        assert quota
        assert (quota.limit, quota.remaining) == (50, 20)
        assert 28 <= quota.reset <= 30


@pytest.mark.parametrize("reset", ["", "soon", "1x", "-", "10:00"])
def test_malformed_quota_is_none(reset: str) -> None:
    assert parse_quotas(of_openai("600", "599", reset)) == (None, None)
    assert parse_quotas(of_openai("many", "599", "1s")) == (None, None)
    assert parse_quotas({}) == (None, None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:30 GMT"},
         30),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, 1e8),
        ({}, None),
    ],
)  # fmt: skip
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_date_without_date_header_uses_the_local_clock() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = retry_after({"retry-after": at})
    assert seconds is not None
    assert 55 <= seconds <= 60
