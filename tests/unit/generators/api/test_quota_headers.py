"""What a server says of its limits, in the words of several."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bakeoff.generators.api.quota_headers import quotas_in, retry_after
from bakeoff.runtime import Quota


def of_openai(limit: str, remaining: str, reset: str, what: str = "requests") -> dict[str, str]:
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{field}-{what}": text for field, text in told.items()}


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1s", 1), ("6m0s", 360), ("8.64s", 8.64), ("120ms", 0.12), ("2m59.56s", 179.56),
     ("1h2m3s", 3723), ("1d", 86400), ("7", 7), ("0.5", 0.5)],
)  # fmt: skip
def test_a_limit_that_is_told_is_read(reset: str, seconds: float) -> None:
    requests, tokens = quotas_in(of_openai("600", "599", reset))
    assert requests == Quota(600, 599, pytest.approx(seconds))
    assert tokens is None
    requests, tokens = quotas_in(of_openai("90000", "1", reset, "tokens"))
    assert (requests, tokens) == (None, Quota(90000, 1, pytest.approx(seconds)))


def test_anthropic_says_when_and_not_how_long() -> None:
    at = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="seconds")
    headers = {
        f"anthropic-ratelimit-{what}-{field}": text
        for what in ("requests", "tokens")
        for field, text in {
            "limit": "50",
            "remaining": "20",
            "reset": at.replace("+00:00", "Z"),
        }.items()
    }
    requests, tokens = quotas_in(headers)
    for quota in (requests, tokens):
        assert quota
        assert (quota.limit, quota.remaining) == (50, 20)
        assert 28 <= quota.reset <= 30


@pytest.mark.parametrize("reset", ["", "soon", "1x", "-", "10:00"])
def test_what_cannot_be_read_is_not_known(reset: str) -> None:
    assert quotas_in(of_openai("600", "599", reset)) == (None, None)
    assert quotas_in(of_openai("many", "599", "1s")) == (None, None)
    assert quotas_in({}) == (None, None)


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
def test_when_to_come_again_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_is_by_our_clock_where_the_server_tells_none() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = retry_after({"retry-after": at})
    assert found is not None
    assert 55 <= found <= 60


def test_a_quota_says_how_fast_it_is_filled_again() -> None:
    assert Quota(600, 300, 30).refill_rate == 10
    assert Quota(600, 600, 0).refill_rate == float("inf")
    assert Quota(600, 599, 0).refill_rate == float("inf")
