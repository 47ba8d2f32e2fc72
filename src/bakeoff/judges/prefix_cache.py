"""Ordering of requests for prompt caches of providers and engines.

They cache long common beginnings of requests and charge a tenth to a half for reading them again,
but not for requests that are sent at the same time.
"""

from collections.abc import Sequence
from os.path import commonprefix

from bakeoff.records import PrefixedPrompt, Prompt

MIN_PREFIX_CHARS = 4096  # providers cache no prefix of fewer than about 1,024 tokens


def prefix_waves(prompts: Sequence[Prompt]) -> list[list[tuple[int, Prompt]]]:
    """Split prompts into one or two waves of (index, prompt), to be sent one after the other.

    Of prompts with a common prefix of at least `MIN_PREFIX_CHARS` characters, one is in the first
    wave and the others in the second; each is marked with the length of the common prefix.
    """
    groups: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        text = prompt.messages[0].content
        prefix = text[:MIN_PREFIX_CHARS] if len(text) >= MIN_PREFIX_CHARS else f"{index}"
        groups.setdefault(prefix, []).append(index)
    first: list[tuple[int, Prompt]] = []
    second: list[tuple[int, Prompt]] = []
    for indexes in groups.values():
        group = [prompts[index] for index in indexes]
        if len(group) > 1:
            shared = len(commonprefix([p.messages[0].content for p in group]))  # noqa: RUF071
            group = [PrefixedPrompt.of(prompt, shared) for prompt in group]
        first.append((indexes[0], group[0]))
        second += zip(indexes[1:], group[1:], strict=True)
    return [first, second] if second else [first]
