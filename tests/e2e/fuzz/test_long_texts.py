"""Long texts of one piece again and again: whoever reads them takes no more than its time.

A reader that looks at each letter once needs hundredths of a second; one that looks from each
letter to the end needs minutes.
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
from tests.e2e.fuzz.mutating import TOKENS
from tests.e2e.fuzz.targets import PARSERS

LONG = 100_000
SLOWEST = 4.0  # seconds of this process; it takes a hundredth of that

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

Reads = Callable[[str], object]


def reading(reader: Callable[[Completion], object]) -> Reads:
    def reads(text: str) -> object:
        try:
            return reader(Completion(text=text))
        except VerdictError as error:
            return error

    return reads


def shows(text: str) -> str:
    prompt = make_prompt(text)
    return _PAIRWISE.render(TemplateInput(prompt, (text, text)), 1000)


_PAIRWISE = Template("pairwise", 2)
READING: dict[str, Reads] = {
    **{f"reader {number}": reading(reader) for number, reader in enumerate(PARSERS)},
    "visible": escape_controls,
    "wrapped": lambda text: list(wrap_line(text, 80)),
    "shortened": lambda text: shorten(text, 40),
    "json": lambda text: escape_json("ascii", text),
    "shown": shows,
    "thinking": split_thinking,
}


@pytest.mark.long
@pytest.mark.parametrize("name", READING)
def test_the_time_grows_with_the_length_and_no_faster(name: str) -> None:
    slow = []
    for piece in PIECES:
        for end in ENDS:
            text = (piece * (LONG // len(piece) + 1))[:LONG] + end
            began = time.process_time()
            READING[name](text)
            took = time.process_time() - began
            if took > SLOWEST:
                slow.append((piece, end, round(took, 1)))
    assert slow == []
