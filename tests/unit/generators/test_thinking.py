import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.generators.thinking import make_completion, split_thinking
from bakeoff.records import Completion

TAGS = ("think", "thinking", "reasoning", "THINK", "Reasoning")
tags = st.sampled_from(TAGS)
words = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}){0,3}(\n[a-z]{1,8})?", fullmatch=True)
pieces = [f"{open_}{tag}>" for tag in TAGS[:4] for open_ in ("<", "</")]
jumbles = st.lists(
    st.sampled_from([*pieces, "<answer>", "</answer>", "\n", " ", "\t", "\r", "x", "y z"]),
    max_size=14,
).map("".join)


def bare(text: str) -> str:
    """Return `text` without tags and whitespace."""
    return "".join(
        sorted(re.sub(r"</?(think|thinking|reasoning|answer)>|\s", "", text, flags=re.I))
    )


@given(tags, words, words)
def test_closed_block_is_thinking(tag: str, thought: str, answer: str) -> None:
    assert split_thinking(f"<{tag}>\n{thought}\n</{tag}>\n\n{answer}") == (answer, thought)


@given(tags, words, words, words)
def test_block_in_the_middle_is_removed(tag: str, before: str, thought: str, after: str) -> None:
    text, thinking = split_thinking(f"{before}\n<{tag}>{thought}</{tag}>\n{after}")
    assert text.split() == [*before.split(), *after.split()]
    assert thinking == thought


@given(st.lists(st.tuples(tags, words), min_size=2, max_size=4), st.sampled_from(["", "\n"]), words)
def test_consecutive_blocks_are_thinking(
    blocks: list[tuple[str, str]], between: str, answer: str
) -> None:
    raw = between.join(f"<{tag}>{thought}</{tag}>" for tag, thought in blocks)
    assert split_thinking(raw + answer) == (answer, "\n\n".join(thought for _, thought in blocks))


@given(tags, words)
def test_unclosed_block_is_thinking_to_the_end(tag: str, thought: str) -> None:
    assert split_thinking(f"<{tag}>{thought}") == ("", thought)
    assert split_thinking(f"answer\n  <{tag}>{thought}") == ("answer", thought)


@given(tags, words, words)
def test_text_before_an_orphan_closing_tag_is_thinking(tag: str, thought: str, answer: str) -> None:
    assert split_thinking(f"{thought}</{tag}>\n{answer}") == (answer, thought)
    assert split_thinking(f"{thought}\n</{tag}>") == ("", thought)


@given(words, words)
def test_answer_tags_around_the_rest_are_removed(thought: str, answer: str) -> None:
    assert split_thinking(f"<answer>{answer}</answer>") == (answer, None)
    assert split_thinking(f"<answer>\n{answer}") == (answer, None)
    closed = f"<think>{thought}</think>\n<answer>{answer}</answer>\n"
    assert split_thinking(closed) == (answer, thought)
    assert split_thinking(f"{thought}</think><answer>{answer}</answer>") == (answer, thought)
    for gap in ("", "\n"):
        inside = f"<answer><think>{thought}</think>{gap}{answer}</answer>"
        assert split_thinking(inside) == (answer, thought)


def test_answer_tags_within_the_text_are_kept() -> None:
    for raw in ("<answer>4</answer>\nThat is all.", "It is <answer>4</answer>."):
        assert split_thinking(raw) == (raw, None)


@pytest.mark.parametrize(
    "raw",
    [
        "A model writes `<think>` before it answers.",
        "A model writes `<think>` and `</think>` around it.",
        "First <think>, then speak.\nThat is my advice.",
        "Close it with </think> and go on.",
        "<thinker> is no tag, and <think /> is none.",
        "1 < 2, and <b>bold</b>",
    ],
)
def test_tags_within_a_sentence_are_kept(raw: str) -> None:
    assert split_thinking(raw) == (raw, None)


@given(st.text().filter(lambda text: not re.search("think|reason|answer", text, re.I)))
def test_text_without_tags_is_stripped(raw: str) -> None:
    assert split_thinking(raw) == (raw.strip(), None)


@given(jumbles)
def test_split_is_idempotent(raw: str) -> None:
    text, _ = split_thinking(raw)
    assert split_thinking(text) == (text, None)


@given(jumbles)
def test_split_keeps_every_word_once(raw: str) -> None:
    text, thinking = split_thinking(raw)
    assert bare(text + (thinking or "")) == bare(raw)


@given(jumbles)
def test_raw_is_kept_if_it_differs_from_the_text(raw: str) -> None:
    completion = make_completion(raw, finish="stop", tokens=3)
    assert (completion.text, completion.thinking) == split_thinking(raw)
    assert (completion.raw or completion.text) == raw
    assert (completion.raw is None) == (completion.text == raw)
    assert (completion.finish, completion.tokens) == ("stop", 3)


def test_thinking_of_the_api_takes_precedence() -> None:
    assert make_completion("<think>a</think>b", thinking="c").thinking == "c"
    assert make_completion("<think>a</think>b", thinking="").thinking == "a"
    assert make_completion("b").thinking is None


surrogates = st.text(st.characters(categories=["Cs", "Lu", "Zs"]), max_size=6)


@given(
    surrogates, st.none() | surrogates, st.dictionaries(surrogates, st.floats(-9, 0), max_size=2)
)
def test_completion_with_lone_surrogates_can_be_stored(
    raw: str, thinking: str | None, top: dict[str, float]
) -> None:
    completion = make_completion(raw, thinking=thinking, top_logprobs=top)
    kept = completion.model_dump_json()
    assert Completion.model_validate_json(kept) == completion


def test_lone_surrogate_becomes_a_question_mark() -> None:
    assert make_completion("so \ud83d").text == "so ?"
    assert make_completion("so 😀").text == "so 😀"


def test_infinite_logprob_is_left_out() -> None:
    completion = make_completion("A", top_logprobs={"A": -0.1, "B": float("-inf")})
    assert completion.top_logprobs == {"A": -0.1}
    assert Completion.model_validate_json(completion.model_dump_json()) == completion
