"""Costs by the public price lists."""

import pytest

from bakeoff.costs import listed_cost
from bakeoff.records import Usage


def test_cost_grows_with_tokens() -> None:
    some = listed_cost("openai", "gpt-4", Usage(input_tokens=1000, output_tokens=100))
    more = listed_cost("openai", "gpt-4", Usage(input_tokens=2000, output_tokens=200))
    assert some is not None
    assert more == pytest.approx(2 * some)
    assert some == pytest.approx(0.03 + 0.006)  # 30 and 60 dollars for a million tokens


def test_cached_tokens_cost_less() -> None:
    plain = listed_cost("openai", "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=100))
    cached = listed_cost(
        "openai", "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=100, cached_tokens=800)
    )
    assert plain is not None
    assert cached is not None
    assert cached < plain


def test_tokens_stored_in_the_cache_of_anthropic_cost_more() -> None:
    plain, stored = (
        listed_cost(
            "anthropic",
            "claude-sonnet-4-5",
            Usage(input_tokens=1000, output_tokens=100, cache_write_tokens=stored),
        )
        for stored in (0, 800)
    )
    assert plain is not None
    assert stored == pytest.approx(plain + 0.25 * 800 * 3e-6)


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-none"), ("nobody", "gpt-4")])
def test_cost_of_an_unlisted_model_is_none(provider: str, model: str) -> None:
    assert listed_cost(provider, model, Usage(input_tokens=1000, output_tokens=100)) is None


def test_batch_without_a_listed_price_costs_half() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    for provider, model in (
        ("openai", "gpt-4"),
        ("anthropic", "claude-sonnet-4-5"),
        ("anthropic", "claude-3-5-haiku-latest"),  # no batch price is listed
    ):
        direct, batch = (listed_cost(provider, model, usage, how) for how in ("direct", "batch"))  # type: ignore[arg-type]
        assert direct
        assert batch == pytest.approx(direct / 2)
    assert listed_cost("openai", "gpt-none", usage, "batch") is None


def test_listed_batch_price_is_used() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100, cached_tokens=500)
    direct = listed_cost("openai", "gpt-4o-mini", usage, "direct")
    batch = listed_cost("openai", "gpt-4o-mini", usage, "batch")
    assert direct
    assert batch
    assert direct / 2 < batch < direct  # cached tokens are not cheaper in a batch
