"""Requests that begin with the same long text: one goes first, and the others find it read already.

Providers and engines keep the beginnings of requests and read them once, at a tenth or a half of
the price, if they are long enough; but not of requests that come at the same moment.
"""

from collections.abc import Sequence
from os.path import commonprefix

from bakeoff.records import PrefixedPrompt, Prompt

LONG = 4096  # characters: what has fewer than about 1,024 tokens no provider keeps


def waves(prompts: Sequence[Prompt]) -> list[list[tuple[int, Prompt]]]:
    """The prompts as they are to be sent, each with its place, those of the first wave and those of
    the second: what shares its beginning with one of the first comes after that.
    """
    alike: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        text = prompt.messages[0].content
        alike.setdefault(text[:LONG] if len(text) >= LONG else f"{place}", []).append(place)
    first: list[tuple[int, Prompt]] = []
    second: list[tuple[int, Prompt]] = []
    for places in alike.values():
        sent = [prompts[place] for place in places]
        if len(sent) > 1:
            shared = len(commonprefix([p.messages[0].content for p in sent]))  # noqa: RUF071
            sent = [PrefixedPrompt.of(prompt, shared) for prompt in sent]
        first.append((places[0], sent[0]))
        second += zip(places[1:], sent[1:], strict=True)
    return [first, second] if second else [first]
