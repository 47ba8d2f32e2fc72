import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.generators.thinking import completion_of, split_thinking
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
    """What is left without any tag and any white space."""
    return "".join(
        sorted(re.sub(r"</?(think|thinking|reasoning|answer)>|\s", "", text, flags=re.I))
    )


@given(tags, words, words)
def test_a_closed_block_is_thinking(tag: str, thought: str, said: str) -> None:
    assert split_thinking(f"<{tag}>\n{thought}\n</{tag}>\n\n{said}") == (said, thought)


@given(tags, words, words, words)
def test_a_block_in_the_middle_leaves_what_stands_around_it(
    tag: str, before: str, thought: str, after: str
) -> None:
    text, thinking = split_thinking(f"{before}\n<{tag}>{thought}</{tag}>\n{after}")
    assert text.split() == [*before.split(), *after.split()]
    assert thinking == thought


@given(st.lists(st.tuples(tags, words), min_size=2, max_size=4), st.sampled_from(["", "\n"]), words)
def test_blocks_that_follow_each_other_are_all_thinking(
    blocks: list[tuple[str, str]], between: str, said: str
) -> None:
    raw = between.join(f"<{tag}>{thought}</{tag}>" for tag, thought in blocks)
    assert split_thinking(raw + said) == (said, "\n\n".join(thought for _, thought in blocks))


@given(tags, words)
def test_a_block_that_was_cut_off_is_thinking_to_the_end(tag: str, thought: str) -> None:
    assert split_thinking(f"<{tag}>{thought}") == ("", thought)
    assert split_thinking(f"said\n  <{tag}>{thought}") == ("said", thought)


@given(tags, words, words)
def test_a_block_that_the_template_opened_is_thinking(tag: str, thought: str, said: str) -> None:
    assert split_thinking(f"{thought}</{tag}>\n{said}") == (said, thought)
    assert split_thinking(f"{thought}\n</{tag}>") == ("", thought)


@given(words, words)
def test_an_answer_around_the_rest_is_unwrapped(thought: str, said: str) -> None:
    assert split_thinking(f"<answer>{said}</answer>") == (said, None)
    assert split_thinking(f"<answer>\n{said}") == (said, None)
    closed = f"<think>{thought}</think>\n<answer>{said}</answer>\n"
    assert split_thinking(closed) == (said, thought)
    assert split_thinking(f"{thought}</think><answer>{said}</answer>") == (said, thought)
    for gap in ("", "\n"):
        inside = f"<answer><think>{thought}</think>{gap}{said}</answer>"
        assert split_thinking(inside) == (said, thought)


def test_an_answer_that_is_not_around_the_rest_is_left_alone() -> None:
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
def test_a_text_that_talks_about_tags_keeps_its_words(raw: str) -> None:
    assert split_thinking(raw) == (raw, None)


@given(st.text().filter(lambda text: not re.search("think|reason|answer", text, re.I)))
def test_a_text_without_tags_is_only_stripped(raw: str) -> None:
    assert split_thinking(raw) == (raw.strip(), None)


@given(jumbles)
def test_its_own_text_is_not_split_again(raw: str) -> None:
    text, _ = split_thinking(raw)
    assert split_thinking(text) == (text, None)


@given(jumbles)
def test_no_word_is_lost_or_said_twice(raw: str) -> None:
    text, thinking = split_thinking(raw)
    assert bare(text + (thinking or "")) == bare(raw)


@given(jumbles)
def test_raw_is_kept_where_it_says_more_than_the_text(raw: str) -> None:
    completion = completion_of(raw, finish="stop", tokens=3)
    assert (completion.text, completion.thinking) == split_thinking(raw)
    assert (completion.raw or completion.text) == raw
    assert (completion.raw is None) == (completion.text == raw)
    assert (completion.finish, completion.tokens) == ("stop", 3)


def test_what_an_api_returned_as_thinking_counts_before_what_stood_in_the_text() -> None:
    assert completion_of("<think>a</think>b", thinking="c").thinking == "c"
    assert completion_of("<think>a</think>b", thinking="").thinking == "a"
    assert completion_of("b").thinking is None


surrogates = st.text(st.characters(categories=["Cs", "Lu", "Zs"]), max_size=6)


@given(
    surrogates, st.none() | surrogates, st.dictionaries(surrogates, st.floats(-9, 0), max_size=2)
)
def test_half_a_character_can_be_kept_like_any_other(
    raw: str, thinking: str | None, top: dict[str, float]
) -> None:
    completion = completion_of(raw, thinking=thinking, top=top)
    kept = completion.model_dump_json()
    assert Completion.model_validate_json(kept) == completion


def test_half_a_character_is_a_question_mark_and_the_rest_is_kept() -> None:
    assert completion_of("so \ud83d").text == "so ?"
    assert completion_of("so 😀").text == "so 😀"


def test_a_token_of_no_probability_at_all_can_be_kept() -> None:
    completion = completion_of("A", top={"A": -0.1, "B": float("-inf")})
    assert completion.top_logprobs == {"A": -0.1}
    assert Completion.model_validate_json(completion.model_dump_json()) == completion
