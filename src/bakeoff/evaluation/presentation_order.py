"""Which of two completions is shown first: both orders, or one that is drawn by hash.

Judges and human voters prefer a position, so that the order is balanced over pairs.
"""

from pydantic import JsonValue

from bakeoff.records import content_key


def presentation_orders(
    pair: tuple[str, str], *, both: bool, seed: int, prompt_id: str
) -> list[tuple[str, str]]:
    """Return the orders in which the completions of two models are shown to a judge.

    Without `both`, a hash of the seed, the prompt and the names draws one of the two orders; the
    order of the names in `pair` does not matter.
    """
    orders = [pair, pair[::-1]]
    if both:
        return orders
    digest = content_key("order", seed, prompt_id, *sorted(pair))
    return [sorted(orders)[_bit(digest)]]


def is_swapped_for_voter(seed: int, voter: str, *item: JsonValue) -> bool:
    """Return whether this voter sees an item with its completions swapped.

    True for half of the voters of an item and half of the items of a voter. The case of the
    voter's name does not matter.
    """
    return not _bit(content_key("place", seed, voter.casefold(), *item))


def _bit(digest: str) -> int:
    return int(digest[-1], 16) % 2
