"""A bounded cache of results by text, which does not keep the texts."""

from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from typing import TypeVar

MAX_TEXTS = 2**18
"""Results that each function keeps, in about 30 MB; one more, and it forgets all of them."""

T = TypeVar("T")


def cache_by_digest(function: Callable[[str], T]) -> Callable[[str], T]:
    """`function` with a cache by a digest of 128 bits of the text.

    A cache of the least recently used texts would never have a result where a larger number of
    texts is read twice in the same order.
    """
    results: dict[bytes, T] = {}

    @wraps(function)
    def cached(text: str) -> T:
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        result = results.get(digest)  # once: another thread may clear the cache
        if result is None:
            result = function(text)
            if len(results) >= MAX_TEXTS:
                results.clear()
            results[digest] = result
        return result

    return cached
