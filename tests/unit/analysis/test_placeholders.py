"""Placeholders: one text for most prompts, and the ordinary answers that look like one."""

import pytest

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.placeholders import RepeatedText, repeated_text
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
