"""Tokens to money, by the public price lists of `genai-prices`. Knows no request and no run.

A price that is not known is None, and never nothing.
"""

from typing import Literal

from bakeoff.records import Usage

Processing = Literal["direct", "batch"]

_BATCH = 0.5  # of the direct price, with every provider whose batches we use


def price_of(
    provider: str, model: str, usage: Usage, processing: Processing = "direct"
) -> float | None:
    """US dollars for the tokens of a hosted model; None where the lists do not have it.

    A batch whose price the lists do not have costs half of what the same requests would directly.
    """
    import genai_prices  # 0.2 s, and a run of local models never asks

    tokens = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.stored,
    )
    try:
        found = genai_prices.calc_price(tokens, model_ref=model, provider_id=provider)
        if processing == "direct":
            return float(found.total_price)
        listed = genai_prices.calc_price(
            tokens, model_ref=model, provider_id=provider, price_context={"processing": processing}
        )
    except LookupError:
        return None
    if listed.total_price == found.total_price:  # what they give where they have none for batches
        return _BATCH * float(found.total_price)
    return float(listed.total_price)
