"""Texts to tokens, about; and tokens to money, by the public price lists of `genai-prices`.

Knows no request and no run. A price that is not known is None, and never nothing.
"""

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from bakeoff.records import Usage

Processing = Literal["direct", "batch"]

_BATCH = 0.5  # of the direct price, with every provider whose batches we use
_PIECE = re.compile(r"[a-zA-Z]+|[0-9]+|\n\s*| {2,}|[^\x00-\x7f]+|[^\sa-zA-Z0-9\x80-\U0010ffff]+")
_CJK = "\u2e80"  # from here on a character is a syllable or a word
_Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Price(NamedTuple):
    """US dollars for a million tokens, read and written."""

    read: _Dollars
    written: _Dollars


def tokens_in(text: str) -> int:
    """About how many tokens a text has, for a tokeniser of today (50,000 to 260,000 pieces).

    A word is one, and a little more where it is longer than six letters; of digits there are 0.7
    each, of punctuation one for every two marks. English prose, code and JSON come out within 10 %
    of what the tokenisers of Qwen 2.5, SmolLM2 and Gemma 3 make of them; other scripts may be off
    by a half.
    """
    return round(sum(_tokens(piece.group()) for piece in _PIECE.finditer(text)))


def _tokens(piece: str) -> float:
    first, length = piece[0], len(piece)
    if not first.isascii():
        return length * (0.75 if first >= _CJK else 0.45)
    if first.isalpha():
        return 1 + 0.12 * max(0, length - 6)
    if first.isdigit():
        return 0.7 * length
    return 1.0 if first.isspace() else (length + 1) / 2


def price_at(price: Price, usage: Usage) -> float:
    """US dollars for tokens at a price that somebody gave: what came from a cache costs as much."""
    return (price.read * usage.input_tokens + price.written * usage.output_tokens) / 1e6


def price_of(
    provider: str, model: str, usage: Usage, processing: Processing = "direct"
) -> float | None:
    """US dollars for the tokens of a hosted model; None where the lists do not have it.

    A batch whose price the lists do not have costs half of what the same requests would directly.
    """
    import genai_prices  # 0.2 s, and a run of local models never asks

    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
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
