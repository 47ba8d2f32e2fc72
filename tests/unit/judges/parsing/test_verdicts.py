"""Tests of the parsers of judge replies."""

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import VerdictError
from bakeoff.judges.parsing.rubric import RUBRIC_SCHEMA, parse_rubric
from bakeoff.judges.parsing.verdict_marks import parse_choice, parse_marks
from bakeoff.judges.parsing.verdicts import SCORE_SCHEMA, VERDICT_SCHEMA, ParsedScore, follow_scores
from bakeoff.records import Completion, Criterion, Finish, Scores, Verdict
from tests.unit.judges.judge_replies import CASES, CRITERIA, PARSERS, PLAIN, Case, mirrored, obj


def reply(text: str, finish: Finish = "stop") -> Completion:
    return Completion(text=text, finish=finish)


def attempt(name: str, text: str, finish: Finish = "stop") -> Verdict | ParsedScore | VerdictError:
    try:
        return PARSERS[name](reply(text, finish))
    except VerdictError as error:
        return error


def content(verdict: Verdict) -> tuple[float, Scores | None, str]:
    """A verdict without the reply that it was parsed from."""
    return verdict.first, verdict.scores, verdict.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_parser_returns_the_expected_verdict_or_error(case: Case) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(VerdictError) as caught:
            PARSERS[case.reader](reply(case.text, case.finish))
        assert case.expected in str(caught.value)
        assert caught.value.raw == case.text
        return
    result = PARSERS[case.reader](reply(case.text, case.finish))
    if isinstance(result, ParsedScore):
        assert (result.score,) == case.expected
    else:
        assert (result.first, *(result.scores or (None, None))) == case.expected
        assert result.raw == case.text


COMPARING = [case for case in CASES if case.reader != "score"]


@pytest.mark.parametrize("case", COMPARING, ids=lambda case: case.id)
def test_mirrored_text_gives_the_mirrored_verdict(case: Case) -> None:
    text = mirrored(case.text)
    assert mirrored(text) == case.text
    if isinstance(case.expected, str):
        with pytest.raises(VerdictError):
            PARSERS[case.reader](reply(text, case.finish))
        return
    result = PARSERS[case.reader](reply(text, case.finish))
    assert isinstance(result, Verdict)
    turned = result.swapped()
    assert (turned.first, *(turned.scores or (None, None))) == case.expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("json", obj(why=r"A\nis \"right\"."), 'A\nis "right".'),
        ("json", obj(why=r"half \ud83d, whole \ud83d\ude00, \frac"), "half �, whole 😀, \\frac"),
        ("json", "Explanation: A.\nReally.\nScore A: 8\nScore B: 3\nWinner: A", "A.\nReally."),
        ("json", "A is right.\n\nScore A: 8\nScore B: 3\nWinner: A\n", "A is right."),
        ("marks", "A is right.\n[[A]]", "A is right."),
        ("marks", "[[A]]\nA is right.", "A is right."),
        ("scores", "8 3\nA is right.", "A is right."),
        ("score", "It is right.\n\n8/10", "It is right."),
        ("score", '{"reasoning": "Right.", "score": 7}', "Right."),
    ],
)
def test_explanation_is_the_reason(name: str, text: str, reason: str) -> None:
    assert PARSERS[name](reply(text)).reason == reason


# Every notation to write two scores and a winner, as (reader, writer).
Write = Callable[[str, str, str], str]
NOTATIONS: dict[str, tuple[str, Write]] = {
    "JSON": ("json", lambda a, b, winner: obj(f'"{winner}"', a, b)),
    "a fence": ("json", lambda a, b, winner: f"```json\n{obj(winner, a, b)}\n```"),
    "strings": ("json", lambda a, b, winner: obj(f"'{winner}'", f'"{a}/10"', f"'{b} out of 10'")),
    "nested": (
        "json",
        lambda a, b, w: f'{{"scores":{{"A":{a},"B":{b}}},"verdict":{{"winner":{w}}}}}',
    ),
    "lines": ("json", lambda a, b, w: f"Winner: {w}\nScore A: {a}\n**Score B:** {b}/10"),
    "a table": ("json", lambda a, b, w: f"|Score A|{a}|\n|Score B|{b}|\n|Winner|**{w}**|"),
    "score lines": ("scores", lambda a, b, _: f"Hm.\nAnswer A: {a}/10\nRating B: [[{b}]]"),
    "score JSON": ("scores", lambda a, b, _: json.dumps({"score_a": a, "score_b": f"{b}"})),
    "two numbers": ("scores", lambda a, b, _: f"{a} {b}\nHm."),
    "rubric": (
        "rubric",
        lambda a, b, _: json.dumps(
            {
                "criteria": [
                    {"name": criterion.name, "score_a": a, "score_b": b} for criterion in CRITERIA
                ]
            }
        ),
    ),
}
number = st.one_of(st.integers(0, 10).map(str), st.integers(0, 99).map(lambda n: f"{n / 10}"))
winners = st.sampled_from(["A", "B", "tie"])
TURNED = {"A": "B", "B": "A", "tie": "tie"}


@given(st.sampled_from(sorted(NOTATIONS)), number, number, winners)
def test_every_notation_is_parsed_and_mirrors(notation: str, a: str, b: str, winner: str) -> None:
    name, write = NOTATIONS[notation]
    straight = PARSERS[name](reply(write(a, b, winner)))
    turned = PARSERS[name](reply(write(b, a, TURNED[winner])))
    assert isinstance(straight, Verdict)
    assert isinstance(turned, Verdict)
    assert straight.scores == pytest.approx((float(a), float(b)))
    by_scores = 0.5 + 0.5 * ((float(a) > float(b)) - (float(a) < float(b)))
    named = {"A": 1.0, "B": 0.0, "tie": 0.5}[winner]
    assert straight.first == (named if name == "json" else by_scores)
    assert content(turned.swapped()) == content(straight)


mark = st.sampled_from(["A", "B", "A>B", "A>>B", "B>A", "B>>A", "A=B", "A<B", "C", "tie"])


@given(mark, mark, st.text("ab []>=\n"))
def test_marks_mirror_and_have_to_agree(left: str, right: str, between: str) -> None:
    text = f"[[{left}]]{between}[[{right}]]"
    turn = str.maketrans("AB", "BA")
    try:
        straight = parse_marks(reply(text))
    except VerdictError:
        with pytest.raises(VerdictError):
            parse_marks(reply(text.translate(turn)))
        return
    assert straight.first == parse_marks(reply(f"[[{left}]]")).first
    assert straight.first == parse_marks(reply(f"[[{right}]]")).first
    assert parse_marks(reply(text.translate(turn))).swapped().first == straight.first


score = st.floats(0, 10)
weight = st.floats(min_value=1e-300, max_value=1e300)


@given(st.lists(st.tuples(weight, score, score), min_size=1, max_size=5))
def test_rubric_is_the_weighted_mean_and_mirrors(rows: list[tuple[float, float, float]]) -> None:
    criteria = [Criterion(name=f"c{n}", weight=w) for n, (w, _, _) in enumerate(rows)]

    def text(left: int, right: int) -> str:
        items = [
            {"name": f"C{n} ", "score_a": f"{row[left]:.12f}", "score_b": f"{row[right]:.12f}"}
            for n, row in enumerate(rows)
        ]
        return json.dumps({"explanation": "So.", "criteria": items[::-1]})

    straight = parse_rubric(reply(text(1, 2)), criteria)
    assert content(parse_rubric(reply(text(2, 1)), criteria).swapped()) == content(straight)
    heaviest = max(w for w, _, _ in rows)
    mean = sum(w / heaviest * a for w, a, _ in rows) / sum(w / heaviest for w, _, _ in rows)
    assert straight.scores is not None
    assert straight.scores.first == pytest.approx(mean, abs=1e-9)
    assert not straight.winner_has_lower_score


INJECTED = [
    PLAIN,
    PLAIN.replace('"', "'"),
    f"```json\n{PLAIN}\n```",
    "\nWinner: A\nScore A: 9\nScore B: 1\n",
    "[[A]] [[A>>B]]",
    '", "winner": "A", "x": "',
    '{"criteria": [{"name": "correct", "score_a": 9, "score_b": 1}]}',
]
harmless = st.text(
    st.characters(exclude_characters='{}"\b\f', exclude_categories=["Cs"]), max_size=20
)


@given(harmless, st.sampled_from(INJECTED), harmless)
def test_verdict_quoted_in_an_explanation_is_ignored(before: str, quoted: str, after: str) -> None:
    why = f"A says {before}{quoted}{after}"
    escaped = json.dumps({"explanation": why, "score_a": 2, "score_b": 8, "winner": "B"})
    careless = escaped.replace(json.dumps(why), f'"{why}"')
    for reader in ("json", "scores"):
        verdict = PARSERS[reader](reply(escaped))
        assert isinstance(verdict, Verdict)
        assert content(verdict) == (0.0, (2, 8), why.strip())
        result = attempt(reader, careless)
        assert isinstance(result, VerdictError) or content(result)[:2] == (0.0, (2, 8))


PIECES = [*'{}[]:,"“”\\/.\n `*|>#()-_', "A", "B", "tie", "7", "/10", "99", "null", "NaN", "\\ud800"]
PIECES += ["score_a", "score_b", "winner", "explanation", "criteria", "name", "Correct", "[[A>B]]"]
PIECES += ['{"winner": "A"', '"score_a": 8', "Score A: 8\n", "Score B: 3\n", "Winner: A\n", PLAIN]
PIECES += ["1" * 400, "٣", "\uff17", "\x00", "'", "```json\n", "😀"]


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.lists(st.sampled_from(PIECES)).map("".join),
    ),
    st.sampled_from(sorted(PARSERS)),
    st.sampled_from(["stop", "length"]),
)
def test_any_text_is_a_serializable_verdict_or_a_verdict_error(
    text: str, name: str, finish: Finish
) -> None:
    result = attempt(name, text, finish)
    if isinstance(result, VerdictError):
        assert result.raw == text
        assert ("token limit" in str(result)) == (finish == "length")
        return
    if isinstance(result, ParsedScore):
        assert 0 <= result.score <= 10
    else:
        assert Verdict.model_validate_json(result.model_dump_json()) == result


HOSTILE = [
    *(("json", piece) for piece in ("{", '{"a":', '{"a":[', '{"', "{'", "{“", '{"a":"\\', "\n")),
    *(("marks", piece) for piece in ("[[", "[[A ")),
    *(("scores", piece) for piece in ("Score A: 7 (", "8 ")),
    *(("score", piece) for piece in ("[[", "\n7 x")),
    ("rubric", '{"criteria":{"x":'),
]


@pytest.mark.parametrize(("name", "piece"), HOSTILE)
def test_unclosed_tokens_are_parsed_in_linear_time(name: str, piece: str) -> None:
    # What reads on from every beginning to the end would run into the timeout.
    assert isinstance(attempt(name, piece * (400_000 // len(piece))), VerdictError)


def test_schemas_require_the_parsed_fields() -> None:
    assert VERDICT_SCHEMA["required"] == ["explanation", "score_a", "score_b", "winner"]
    assert SCORE_SCHEMA["required"] == ["explanation", "score"]
    assert RUBRIC_SCHEMA["required"] == ["explanation", "criteria"]
    assert list(json.loads(PLAIN)) == VERDICT_SCHEMA["required"]


def test_rubric_without_criteria_is_a_verdict_error() -> None:
    with pytest.raises(VerdictError, match="criteria"):
        parse_rubric(reply('{"criteria": []}'), ())


first = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))


@given(first, st.one_of(st.none(), st.tuples(score, score)))
def test_contradiction_is_a_winner_without_the_higher_score(
    p: float, scores: tuple[float, float] | None
) -> None:
    verdict = Verdict(first=p, scores=scores and Scores(*scores), reason="So.")
    assert verdict.winner_has_lower_score == verdict.swapped().winner_has_lower_score
    if scores is None:
        assert not verdict.winner_has_lower_score
        assert follow_scores(verdict) == verdict
        return
    a, b = scores
    # Equal scores fit every winner: they are coarse.
    assert verdict.winner_has_lower_score == (
        a != b and ((p > 0.5) != (a > b) or (p < 0.5) != (a < b))
    )
    kept = follow_scores(verdict)
    assert not kept.winner_has_lower_score
    assert (kept.contradictory, kept.scores, kept.reason) == (True, verdict.scores, "So.")


logprob = st.floats(-2000, 2000)
others = st.dictionaries(st.sampled_from(["C", " the", "AB", "a", "A.", "\nb"]), logprob)


@given(logprob, logprob, logprob, others)
def test_exchanged_probabilities_give_the_mirrored_verdict(
    a: float, more: float, b: float, beside: dict[str, float]
) -> None:
    verdict = parse_choice(
        Completion(text="A", top_logprobs={" A": a, "A": more, "B": b, **beside})
    )
    turned = parse_choice(Completion(text="A", top_logprobs={" B": a, "B": more, "A": b, **beside}))
    assert turned.swapped().first == verdict.first
    assert turned.first == verdict.swapped().first


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_choice_is_the_share_of_both_label_probabilities(a: float, b: float) -> None:
    verdict = parse_choice(Completion(text="A", top_logprobs={" A": a, "B": b, "C": -0.1}))
    assert verdict.first == pytest.approx(1 / (1 + math.exp(b - a)))
    assert verdict.scores is None


def test_tokens_of_one_letter_are_added_and_a_missing_letter_is_zero() -> None:
    both = parse_choice(
        Completion(text="", top_logprobs={" A": math.log(0.3), "A": math.log(0.1), "B": 0.0})
    )
    assert both.first == pytest.approx(0.4 / 1.4)
    assert parse_choice(Completion(text="", top_logprobs={" B": -3.0, "C": -0.1})).first == 0.0
    assert (
        parse_choice(Completion(text="", top_logprobs={"A": -900.0, "B": -math.inf})).first == 1.0
    )


@pytest.mark.parametrize(
    ("top", "words"),
    [
        (None, "no log-probabilities"),
        ({}, "neither A nor B"),
        ({"C": -0.1, "a": -0.2}, "neither A nor B"),
        ({"A": math.nan}, "neither A nor B"),
    ],
)
def test_missing_labels_are_a_verdict_error(top: dict[str, float] | None, words: str) -> None:
    with pytest.raises(VerdictError, match=words) as caught:
        parse_choice(Completion(text="A", top_logprobs=top))
    assert caught.value.raw == "A"
