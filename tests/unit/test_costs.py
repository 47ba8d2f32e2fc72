"""Tokens to money: known prices add up, unknown ones are unknown."""

import pytest

from bakeoff.costs import price_of
from bakeoff.records import Usage


def test_a_known_model_has_a_price_that_grows_with_its_tokens() -> None:
    some = price_of("openai", "gpt-4", Usage(input_tokens=1000, output_tokens=100))
    more = price_of("openai", "gpt-4", Usage(input_tokens=2000, output_tokens=200))
    assert some is not None
    assert more == pytest.approx(2 * some)
    assert some == pytest.approx(0.03 + 0.006)  # 30 and 60 dollars for a million tokens


def test_tokens_from_the_cache_are_cheaper_and_never_dearer() -> None:
    plain = price_of("openai", "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=100))
    cached = price_of(
        "openai", "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=100, cached_tokens=800)
    )
    assert plain is not None
    assert cached is not None
    assert cached < plain


def test_tokens_that_anthropic_puts_into_its_cache_are_dearer() -> None:
    plain, stored = (
        price_of(
            "anthropic",
            "claude-sonnet-4-5",
            Usage(input_tokens=1000, output_tokens=100, cache_write_tokens=stored),
        )
        for stored in (0, 800)
    )
    assert plain is not None
    assert stored == pytest.approx(plain + 0.25 * 800 * 3e-6)


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-none"), ("nobody", "gpt-4")])
def test_a_price_that_nobody_knows_is_not_nothing(provider: str, model: str) -> None:
    assert price_of(provider, model, Usage(input_tokens=1000, output_tokens=100)) is None


def test_a_batch_costs_half_where_the_lists_do_not_say_otherwise() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    for provider, model in (
        ("openai", "gpt-4"),
        ("anthropic", "claude-sonnet-4-5"),
        ("anthropic", "claude-3-5-haiku-latest"),  # its lists have no price for batches
    ):
        direct, batch = (price_of(provider, model, usage, how) for how in ("direct", "batch"))  # type: ignore[arg-type]
        assert direct
        assert batch == pytest.approx(direct / 2)
    assert price_of("openai", "gpt-none", usage, "batch") is None


def test_where_the_lists_have_a_price_for_batches_that_counts() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cached_tokens=500)
    direct, batch = (price_of("openai", "gpt-4o-mini", usage, how) for how in ("direct", "batch"))  # type: ignore[arg-type]
    assert direct
    assert batch
    assert direct / 2 < batch < direct  # what comes from the cache is no cheaper in a batch
