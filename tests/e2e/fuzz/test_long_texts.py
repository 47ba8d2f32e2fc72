"""Long repetitive texts: readers take linear time.

A linear reader needs hundredths of a second, a quadratic one minutes.
"""

import time
from collections.abc import Callable

import pytest

from bakeoff.errors import VerdictError
from bakeoff.generators.thinking import split_thinking
from bakeoff.judges.rendering import Template, TemplateInput
from bakeoff.records import Completion
from bakeoff.report.plain_text import escape_controls, escape_json, shorten, wrap_line
from tests.builders import make_prompt
from tests.e2e.fuzz.mutations import TOKENS
from tests.e2e.fuzz.targets import PARSERS

LONG = 100_000
MAX_SECONDS = 4.0  # CPU seconds, a hundred times the usual

PIECES = tuple(
    dict.fromkeys(
        [token.decode("utf-8", "replace")[:40] for token in TOKENS]
        + ["<think>\n", "\n<think>", "<answer>", "Answer A: ", '{"', '{"a":', "{'", "(a", '\\"{']
        + ['"\\', "[[A]] ", "[ *", "| a ", "a: b\n", "> ", "- ", "```\n", "```", "“", "{“", " \n"]
        + ["score a: 1\n", '{"score_a":1}', '{"score_a":1,', "::", "the my final ", '{"score_a": {']
        + ["1. ", "\u3000", "&amp;", "A", "[[A", "]]", "\\[", "=", "%", "7/10 ", "**", "NaN", "1,"]
    )
)
ENDS = ("", "x", '"]}')

Reader = Callable[[str], object]


def parse_with(reader: Callable[[Completion], object]) -> Reader:
    def read(text: str) -> object:
        try:
            return reader(Completion(text=text))
        except VerdictError as error:
            return error

    return read


def render_pair(text: str) -> str:
    prompt = make_prompt(text)
    return _PAIRWISE.render(TemplateInput(prompt, (text, text)), 1000)


_PAIRWISE = Template("pairwise", 2)
READERS: dict[str, Reader] = {
    **{f"reader {number}": parse_with(reader) for number, reader in enumerate(PARSERS)},
    "visible": escape_controls,
    "wrapped": lambda text: list(wrap_line(text, 80)),
    "shortened": lambda text: shorten(text, 40),
    "json": lambda text: escape_json("ascii", text),
    "shown": render_pair,
    "thinking": split_thinking,
}


# One piece of each syntax that is read: tags, marks, JSON, Markdown, white space.
COMMON_PIECES = ("<think>\n", "<answer>", "[[A]] ", '{"a":', "score a: 1\n", "```\n", " \n")


@pytest.mark.parametrize("name", READERS)
def test_repetitive_texts_are_read(name: str) -> None:
    """A reader that takes the square of the length would exceed the timeout of a test."""
    for piece in COMMON_PIECES:
        READERS[name](piece * (LONG // len(piece)))


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_reading_takes_linear_time(name: str) -> None:
    slow = []
    for piece in PIECES:
        for end in ENDS:
            text = (piece * (LONG // len(piece) + 1))[:LONG] + end
            began = time.process_time()
            READERS[name](text)
            seconds = time.process_time() - began
            if seconds > MAX_SECONDS:
                slow.append((piece, end, round(seconds, 1)))
    assert slow == []
