"""Placeholders: one text for most prompts, and the ordinary answers that look like one."""

import random

import pytest

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.placeholders import RepeatedText, repeated_text
from bakeoff.analysis.reused_words import REWORDED, SHUFFLED
from tests.unit.analysis.builders import evidence, prompt, sentences, texts, won

TOPICS = [text.replace(" ", "") for text in sentences(40, 2)]
QUESTIONS = [f"Tell me in a few lines what you know about {topic}." for topic in TOPICS]
COUNT = len(QUESTIONS)
PROSE = sentences(COUNT, 30, seed=3)


def detected(
    a: list[str], b: list[str] | None = None, questions: list[str] | None = None
) -> RepeatedText | None:
    """The repeated text of model a, beside completions of b in prose."""
    data = evidence(
        won(len(a), 0),
        completions=(*texts("a", a), *texts("b", b or PROSE[: len(a)])),
        prompts=tuple(prompt(n, text) for n, text in enumerate(questions or QUESTIONS[: len(a)])),
    )
    return repeated_text(build_pair_data(data, AnalysisConfig())[0], "a", "b")


@pytest.mark.parametrize(
    ("template", "varying"),
    [
        ("Model 1 completion for prompt {n}", "numbers"),
        ("Completion no. {n}.", "numbers"),
        ("I am the best model and this is my text, take it. Ref {serial}", "numbers"),
        ("Answer to: {question}", "the prompt"),
        ("{question}", "the prompt"),
        ("You asked: {question} I shall answer soon. ({n})", "numbers and the prompt"),
        ("There is much to be said about {topic}, as we all know.", "words of the prompt"),
        ("{topic} is what you want to hear about, so {topic} it is.", "words of the prompt"),
    ],
)
def test_a_template_is_a_placeholder(template: str, varying: str) -> None:
    contents = [
        template.format(n=n, serial=(n * 7919 + 12345) % 100_000, question=question, topic=topic)
        for n, (question, topic) in enumerate(zip(QUESTIONS, TOPICS, strict=True))
    ]
    assert detected(contents) == RepeatedText(contents[0], COUNT, COUNT, varying)
    half = COUNT // 2
    assert detected([*contents[:half], *PROSE[half:]]) is None
    assert detected([*contents[: half + 1], *PROSE[half + 1 :]]) is not None


def test_both_models_may_have_the_same_placeholder() -> None:
    a, b = ([f"Model {m} completion for prompt {n}" for n in range(COUNT)] for m in (1, 2))
    assert detected(a, b) is not None


def test_equal_texts_are_a_placeholder_even_if_short() -> None:
    contents = ["I don't know."] * COUNT
    assert detected(contents) == RepeatedText("I don't know.", COUNT, COUNT)


ANSWERS = {
    "numbers": [str(n * n % 37) for n in range(COUNT)],
    "sentences with numbers": [f"The answer is {n * n % 37}." for n in range(COUNT)],
    "large numbers": [f"#### {n * 7919 % 100_003}" for n in range(COUNT)],
    "long sentences with numbers": [
        f"Adding all of this up, the total that we get is {n * n % 37}." for n in range(COUNT)
    ],
    "yes and no": ["Yes" if n % 3 else "No" for n in range(COUNT)],
    "letters": ["AABC"[n % 4] for n in range(COUNT)],
    "words of the prompt": TOPICS,
    "sentences with words of the prompt": [f"It is {topic}." for topic in TOPICS],
    "answers with words of the prompt": [
        f"From the text we see that the answer is {t}." for t in TOPICS
    ],
    "prose": PROSE,
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_ordinary_answers_are_no_placeholder(kind: str) -> None:
    answers = ANSWERS[kind]
    assert detected(answers, answers[1:] + answers[:1]) is None
    if "yes" not in kind and "letters" not in kind:
        assert detected(answers) is None


def test_a_quotation_of_the_prompt_is_no_copy() -> None:
    contents = [
        f"{' '.join(q.split()[:6])}: {prose}" for q, prose in zip(QUESTIONS, PROSE, strict=True)
    ]
    assert detected(contents) is None


def test_many_prompts_are_sampled() -> None:
    contents = [f"Model 1 completion for prompt {n}" for n in range(2500)]
    questions = [f"question {n}" for n in range(2500)]
    result = detected(contents, sentences(2500), questions)
    assert result is not None
    assert (result.prompts, result.total) == (2000, 2000)


def test_without_completions_nothing_is_found() -> None:
    assert (
        repeated_text(build_pair_data(evidence(won(3, 0)), AnalysisConfig())[0], "a", "b") is None
    )


# Templates that are recognized by their words. Prose has a large vocabulary.


def unlike_words(count: int, rng: random.Random) -> str:
    return " ".join(
        "".join(rng.choice(("ba", "ko", "ri", "tu", "ne", "sa", "lo", "mi")) for _ in range(4))
        for _ in range(count)
    )


def rich_texts(seed: int, count: int = COUNT, words: int = 20) -> list[str]:
    rng = random.Random(seed)
    return [unlike_words(words, rng) for _ in range(count)]


RICH = rich_texts(1)
RICH_QUESTIONS = [f"Tell me what you know about {text}" for text in rich_texts(2, words=8)]


def shuffled(text: str, seed: int) -> str:
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


def greeting(rng: random.Random) -> str:
    return " ".join(
        rng.choice(options)
        for options in (
            ("Sure,", "Of course,", "Certainly,", "Okay,", "Gladly,"),
            ("here is", "below is", "you find here", "this is"),
            ("the answer", "my answer", "a reply", "the response"),
            ("that you need.", "you asked for.", "to your question.", "for you."),
            ("Have a nice day!", "All the best!", "Cheers!", "Goodbye!"),
        )
    )


TEMPLATES = {
    "synonyms": (REWORDED, [greeting(random.Random(n)) for n in range(COUNT)]),
    "first words of the prompt": (
        REWORDED,
        [
            f"Regarding {' '.join(q.split()[n % 4 : n % 4 + 5])}: it all depends on your needs."
            for n, q in enumerate(RICH_QUESTIONS)
        ],
    ),
    "one of several sentences": (
        REWORDED,
        [
            (
                "I am sorry, but I am not able to do that.",
                "Could you tell me more about what you need?",
                "This depends on many things, and there is no simple answer.",
            )[n % 3]
            for n in range(COUNT)
        ],
    ),
    "shuffled prompt": (SHUFFLED, [shuffled(q, n) for n, q in enumerate(RICH_QUESTIONS)]),
    "words of the prompt in alphabetical order": (
        SHUFFLED,
        [f"Sure: {' '.join(sorted(q.split()))}" for q in RICH_QUESTIONS],
    ),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_of_a_few_words_or_those_of_the_prompt_is_a_placeholder(kind: str) -> None:
    varying, contents = TEMPLATES[kind]
    result = detected(contents, RICH, RICH_QUESTIONS)
    assert result is not None
    assert result.varying == varying
    assert result.prompts > COUNT // 2
    third = COUNT // 3
    assert detected([*contents[:third], *rich_texts(3)[third:]], RICH, RICH_QUESTIONS) is None
    assert detected(RICH, contents, RICH_QUESTIONS) is None


LABELS = [random.Random(n).choice(("positive", "negative", "neutral")) for n in range(COUNT)]
EXPLAINED = [f"{label}, because {text}" for label, text in zip(LABELS, RICH, strict=True)]
# Answers, those of the other model, and the questions.
TASKS = {
    "labels in sentences, and explanations": (
        [f"I would say that it reads as {label} on the whole here." for label in LABELS],
        EXPLAINED,
        RICH_QUESTIONS,
    ),
    "labels at the end of a sentence": (
        [f"The sentiment of this review is {label}." for label in LABELS],
        RICH,
        RICH_QUESTIONS,
    ),
    "extracted words": (
        [" ".join(q.split()[8:11]) for q in RICH_QUESTIONS],
        [f"It is {q.split()[9]}, {text}" for q, text in zip(RICH_QUESTIONS, RICH, strict=True)],
        RICH_QUESTIONS,
    ),
    "corrected sentences": (
        [q.replace(q.split()[9], q.split()[9][:-2]) for q in RICH_QUESTIONS],
        [f"Corrected: {q} {text}" for q, text in zip(RICH_QUESTIONS, RICH, strict=True)],
        RICH_QUESTIONS,
    ),
    "sorted words of both": (
        [" ".join(sorted(q.split())) for q in RICH_QUESTIONS],
        [" ".join(sorted(q.split(), reverse=True)) for q in RICH_QUESTIONS],
        RICH_QUESTIONS,
    ),
    "translations": (rich_texts(4), rich_texts(5), RICH_QUESTIONS),
    "prose, quoting the question": (
        [
            f"{' '.join(q.split()[:9])}: {text}"
            for q, text in zip(RICH_QUESTIONS, RICH, strict=True)
        ],
        rich_texts(6),
        RICH_QUESTIONS,
    ),
    "queries of a fixed form": (
        [
            f"SELECT {('name', 'age', 'count')[n % 3]} FROM users WHERE {('city', 'team')[n % 2]} "
            f"IS NOT NULL ORDER BY {('age', 'name')[n % 2]}"
            for n in range(COUNT)
        ],
        [
            f"{text} select {('name', 'age', 'count')[n % 3]} {('city', 'team')[n % 2]}"
            for n, text in enumerate(RICH)
        ],
        RICH_QUESTIONS,
    ),
}


@pytest.mark.parametrize("kind", TASKS)
def test_answers_of_few_words_or_those_of_the_prompt_are_no_placeholder(kind: str) -> None:
    a, b, questions = TASKS[kind]
    assert detected(a, b, questions) is None
    assert detected(b, a, questions) is None


def test_several_hundred_prompts_are_compared_by_a_sample() -> None:
    contents = [greeting(random.Random(n)) for n in range(700)]
    result = detected(contents, rich_texts(7, 700), [f"Case {text}" for text in rich_texts(8, 700)])
    assert result is not None
    assert (result.prompts, result.total, result.varying) == (500, 500, REWORDED)
