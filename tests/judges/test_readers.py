"""What judges write, and what is read out of it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import VerdictError
from bakeoff.judges.readers import SCHEMA, read_choice, read_json
from bakeoff.records import Completion, Scores


def said(text: str) -> Completion:
    return Completion(text=text)


PLAIN = '{"explanation": "A is right.", "score_a": 8, "score_b": 3, "winner": "A"}'


@pytest.mark.parametrize(
    ("text", "first", "scores"),
    [
        (PLAIN, 1.0, (8, 3)),
        (f"```json\n{PLAIN}\n```", 1.0, (8, 3)),
        (f"Let me think.\n{PLAIN}\nThat is my verdict.", 1.0, (8, 3)),
        (PLAIN.replace('"A"}', '"A",}'), 1.0, (8, 3)),
        (PLAIN.replace('"A"}', '"Answer B"}'), 0.0, (8, 3)),
        (PLAIN.replace('"A"}', '"Tie"}'), 0.5, (8, 3)),
        (PLAIN.replace('"A"}', '"draw"}'), 0.5, (8, 3)),
        (PLAIN.replace("8", '"8/10"').replace(": 3", ': "3.5"'), 1.0, (8, 3.5)),
        (PLAIN.replace("score_a", "Score_A"), 1.0, (8, 3)),
        (PLAIN.replace("A is right.", "A says {x} and\nB says nothing."), 1.0, (8, 3)),
        ('First thoughts: {"winner": "B"}. Now: ' + PLAIN, 1.0, (8, 3)),
        (PLAIN.replace("}", ', "extra": {"score": 1}}'), 1.0, (8, 3)),
    ],
)
def test_a_verdict_is_read(text: str, first: float, scores: tuple[float, float]) -> None:
    verdict = read_json(said(text))
    assert (verdict.first, verdict.scores) == (first, Scores(*scores))
    assert verdict.raw == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON object"),
        ("A is better.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"explanation": "A is', "no JSON object"),
        ("{}", "score_a"),
        (PLAIN.replace('"winner": "A"', '"winner": "A and B"'), "winner"),
        (PLAIN.replace('"winner": "A"', '"winner": null'), "winner"),
        (PLAIN.replace("8", "11"), "score_a"),
        (PLAIN.replace("8", "-1"), "score_a"),
        (PLAIN.replace("8", "NaN"), "score_a"),
        (PLAIN.replace("8", '"high"'), "score_a"),
        (PLAIN.replace("8", "null"), "score_a"),
        ("{" * 5000, "no JSON object"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_the_text(text: str, words: str) -> None:
    with pytest.raises(VerdictError, match=words) as caught:
        read_json(said(text))
    assert caught.value.raw == text


def test_a_verdict_that_was_cut_says_so() -> None:
    with pytest.raises(VerdictError, match="cut at the token limit"):
        read_json(Completion(text='{"explanation": "A', finish="length"))


def test_the_schema_is_what_the_reader_reads() -> None:
    required = SCHEMA["required"]
    assert isinstance(required, list)
    assert required[0] == "explanation"  # before the scores: it is to be thought of first
    assert set(required) == set(json.loads(PLAIN))


score = st.integers(0, 10)


@given(score, score, st.sampled_from(["A", "B", "tie"]), st.text())
def test_swapping_the_labels_mirrors_the_verdict(a: int, b: int, winner: str, why: str) -> None:
    def text(x: int, y: int, who: str) -> str:
        fields = {"explanation": why, "score_a": x, "score_b": y, "winner": who}
        return json.dumps(fields)

    other = {"A": "B", "B": "A", "tie": "tie"}[winner]
    straight, mirrored = read_json(said(text(a, b, winner))), read_json(said(text(b, a, other)))
    assert mirrored.swapped().model_dump(exclude={"raw"}) == straight.model_dump(exclude={"raw"})


logprob = st.floats(-20, 0)


@given(logprob, logprob, st.dictionaries(st.sampled_from(["C", " the", "AB", "a"]), logprob))
def test_the_choice_is_the_share_of_the_two_labels(
    a: float, b: float, others: dict[str, float]
) -> None:
    verdict = read_choice(Completion(text="A", top={" A": a, "B": b, **others}))
    assert verdict.first == pytest.approx(1 / (1 + math.exp(b - a)))
    mirrored = read_choice(Completion(text="A", top={"A": b, " B": a, **others}))
    assert mirrored.first == pytest.approx(1 - verdict.first)


def test_tokens_of_one_letter_are_added_and_a_missing_one_is_zero() -> None:
    both = read_choice(Completion(text="", top={" A": math.log(0.3), "A": math.log(0.1), "B": 0.0}))
    assert both.first == pytest.approx(0.4 / 1.4)
    assert read_choice(Completion(text="", top={" B": -3.0, "C": -0.1})).first == 0.0


def test_without_either_label_there_is_no_verdict() -> None:
    with pytest.raises(VerdictError, match="neither A nor B"):
        read_choice(Completion(text="", top={"C": -0.1}))
    with pytest.raises(VerdictError, match="no log-probabilities"):
        read_choice(Completion(text="A"))
