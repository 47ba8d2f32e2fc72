"""Clusters of equal and similar prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.near_duplicates import duplicate_clusters, normalized_text
from bakeoff.records import Message, Prompt
from tests.builders import make_prompt
from tests.unit.analysis.builders import sentences


def clusters(texts: list[str]) -> list[set[int]]:
    """The numbers of the prompts of each cluster, the one with the smallest number first."""
    names = duplicate_clusters([make_prompt(t, id=f"p{n:03}") for n, t in enumerate(texts)])
    by_name: dict[str, set[int]] = {}
    for id_, name in names.items():
        by_name.setdefault(name, set()).add(int(id_[1:]))
    return sorted(by_name.values(), key=min)


def test_prompts_that_differ_in_case_space_and_punctuation_are_one_cluster():
    texts = ["Name a river.", "name  a river", "NAME A RIVER!!", "Name a mountain."]
    prompts = [make_prompt(text, id=f"p{n}") for n, text in enumerate(texts)]
    assert duplicate_clusters(prompts) == {
        "p0": "similar:p0",
        "p1": "similar:p0",
        "p2": "similar:p0",
    }


@pytest.mark.parametrize(
    "template", ["Prompt number {}", "question {}", "Explain topic {} in detail"]
)
def test_prompts_of_one_template_are_distinct(template):
    assert clusters([template.format(n) for n in range(200)]) == []


def test_numbers_alone_make_no_prompts_similar():
    texts = [f"What is {a} + {b}?" for a in range(12) for b in range(12)]
    assert clusters(texts) == []


def test_operators_between_digits_distinguish_prompts():
    assert normalized_text(make_prompt("What is 2+2?")) != normalized_text(
        make_prompt("what is 2-2")
    )
    assert normalized_text(make_prompt("a - b")) == normalized_text(make_prompt("a, b"))


def variants(text: str, other: str) -> list[str]:
    words = text.split()
    return [
        text,
        f"Please {text}",
        f"{text} (variant 3)",
        f"{text}, version 4",
        " ".join([*words[:4], other, *words[5:]]),
        f"{text.capitalize()}!",
        f"Could you help me? {text}. Thanks",
    ]


@pytest.mark.parametrize("length", [9, 20, 80])
@pytest.mark.parametrize("count", [12, 30, 100])
def test_variants_of_a_prompt_are_one_cluster(count, length):
    texts = [v for text in sentences(count, length) for v in variants(text, "astronomy")]
    size = len(variants("", ""))
    assert clusters(texts) == [
        set(range(start, start + size)) for start in range(0, len(texts), size)
    ]


@pytest.mark.parametrize("place", ["before", "after", "around"])
def test_a_prompt_with_other_sentences_added_is_similar_to_its_copies(place):
    originals, added = sentences(30, 16), sentences(360, 22, seed=4)
    texts = [
        f"{added[n] if place != 'after' else ''} {originals[n // 6]} "
        f"{added[180 + n] if place != 'before' else ''}"
        for n in range(180)
    ]
    assert clusters(texts) == [set(range(start, start + 6)) for start in range(0, 180, 6)]


def test_a_passage_in_many_prompts_or_a_short_part_of_them_makes_none_similar():
    instruction, inputs = sentences(1, 20)[0], sentences(100, 45, seed=3)
    some = [f"{instruction}. {text}" if n < 10 else text for n, text in enumerate(inputs)]
    assert clusters(some) == []
    long = sentences(40, 90, seed=5)
    assert clusters([f"{instruction}. {text}" for text in long[:2]] + long[2:]) == []
    assert clusters([f"{instruction}. {text}" for text in inputs[:2]] + inputs[2:]) == [{0, 1}]


def test_distinct_prompts_of_the_same_words_are_not_similar():
    assert clusters(sentences(400, 12)) == []


def test_short_prompts_that_exchange_the_subject_are_not_similar():
    fillers = sentences(60, 12)
    assert clusters(["Who is Larry Page?", "Who is Larry King?", *fillers]) == []
    assert clusters(["Who is Larry Page?", "Please: who is Larry Page?", *fillers]) == [{0, 1}]


def test_a_cluster_may_be_larger_than_the_number_of_neighbors():
    base, fillers = sentences(1, 20)[0], sentences(300, 20, seed=3)
    extra = sentences(90, 2, seed=4)
    copies = [f"{words} {base} {n}" for n, words in enumerate(extra)]
    assert clusters([*fillers, *copies]) == [set(range(300, 390))]


def test_all_messages_of_a_conversation_count():
    def conversation(last: str) -> Prompt:
        messages = (
            Message(role="user", content=sentences(1, 20)[0]),
            Message(role="assistant", content="Certainly."),
            Message(role="user", content=last),
        )
        return Prompt(messages=messages)

    same = [conversation("Go on."), conversation("go on")]
    other = [make_prompt(text) for text in sentences(20, 15, seed=5)]
    names = duplicate_clusters([*same, *other])
    assert set(names) == {prompt.id for prompt in same}


def test_scripts_without_spaces_are_compared_by_character():
    base = "请用简单的语言解释量子计算机的工作原理并举一个例子"
    fillers = [
        text.translate(
            str.maketrans({c: chr(0x4E00 + i) for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")})
        )
        for text in sentences(40, 5)
    ]
    assert clusters([base, base.replace("简单", "通俗"), *fillers]) == [{0, 1}]


@given(st.lists(st.text(max_size=12), max_size=30), st.randoms())
def test_the_clusters_do_not_depend_on_the_order_of_the_prompts(texts, rng):
    prompts = [make_prompt(text, id=f"p{n}") for n, text in enumerate(texts)]
    shuffled = rng.sample(prompts, len(prompts))
    names = duplicate_clusters(prompts)
    assert duplicate_clusters(shuffled) == names
    counts = [list(names.values()).count(name) for name in names.values()]
    assert all(count > 1 for count in counts)
    assert all(names[name.removeprefix("similar:")] == name for name in names.values())


@given(st.text(max_size=40))
def test_equal_prompts_are_a_cluster_whatever_their_text(text):
    assert len(duplicate_clusters([make_prompt(text, id="a"), make_prompt(text, id="b")])) == 2
