"""Tokens to money, by the public price lists of `genai-prices`. Knows no request and no run.

A price that is not known is None, and never nothing.
"""

from bakeoff.records import Usage


def price_of(provider: str, model: str, usage: Usage) -> float | None:
    """US dollars for the tokens of a hosted model; None where the lists do not have it."""
    import genai_prices  # 0.2 s, and a run of local models never asks

    tokens = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached,
    )
    try:
        found = genai_prices.calc_price(tokens, model_ref=model, provider_id=provider)
    except LookupError:
        return None
    return float(found.total_price)
