"""Tokens to money: known prices add up, unknown ones are unknown."""

import pytest

from bakeoff.costs import price_of
from bakeoff.records import Usage


def test_a_known_model_has_a_price_that_grows_with_its_tokens() -> None:
    some = price_of("openai", "gpt-4", Usage(input=1000, output=100))
    more = price_of("openai", "gpt-4", Usage(input=2000, output=200))
    assert some is not None
    assert more == pytest.approx(2 * some)
    assert some == pytest.approx(0.03 + 0.006)  # 30 and 60 dollars for a million tokens


def test_tokens_from_the_cache_are_cheaper_and_never_dearer() -> None:
    plain = price_of("openai", "gpt-4o-mini", Usage(input=1000, output=100))
    cached = price_of("openai", "gpt-4o-mini", Usage(input=1000, output=100, cached=800))
    assert plain is not None
    assert cached is not None
    assert cached < plain


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-none"), ("nobody", "gpt-4")])
def test_a_price_that_nobody_knows_is_not_nothing(provider: str, model: str) -> None:
    assert price_of(provider, model, Usage(input=1000, output=100)) is None
