"""Replies of judges with the parser and the expected verdict of each.

`expected` is (first, score of A, score of B), (score,) for one completion, or a word of the error
if the reply has no verdict. `mirrored` returns the reply that a judge would have written about the
same two completions in the other order.
"""

# ruff: noqa: RUF001 - other languages have letters and quotes that look like ours

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from bakeoff.judges.parsing.rubric import parse_rubric
from bakeoff.judges.parsing.verdict_marks import parse_marks
from bakeoff.judges.parsing.verdicts import (
    ParsedScore,
    parse_json_verdict,
    parse_score_pair,
    parse_single_score,
)
from bakeoff.records import Completion, Criterion, Verdict

CRITERIA = (Criterion(name="Correct", weight=3), Criterion(name="Clear", weight=1))
Expected = tuple[float | None, ...] | str
Name = Literal["json", "marks", "scores", "score", "rubric"]
PARSERS: dict[str, Callable[[Completion], Verdict | ParsedScore]] = {
    "json": parse_json_verdict,
    "marks": parse_marks,
    "scores": parse_score_pair,
    "score": parse_single_score,
    "rubric": lambda reply: parse_rubric(reply, CRITERIA),
}


class Case(NamedTuple):
    id: str
    reader: Name
    text: str
    expected: Expected
    finish: Literal["stop", "length"] = "stop"


def obj(winner: str = '"A"', a: str = "8", b: str = "3", why: str = "A is right.") -> str:
    """The requested JSON object, with winner and scores as written."""
    return f'{{"explanation": "{why}", "score_a": {a}, "score_b": {b}, "winner": {winner}}}'


PLAIN = obj()
WON = (1.0, 8, 3)
LOST = (0.0, 3, 8)
LOSING = obj('"B"', "3", "8", "B is right.")


def wins(winner: str, first: float | str) -> Case:
    """A regular verdict with an unusual winner."""
    expected = first if isinstance(first, str) else (first, 8.0, 3.0)
    return Case(f"the winner is {winner}", "json", obj(winner), expected)


def scores(a: str, number: float | str) -> Case:
    """A regular verdict with an unusual score of A."""
    expected = number if isinstance(number, str) else (1.0, number, 3.0)
    return Case(f"score_a is {a}", "json", obj(a=a), expected)


WINNERS = [
    *(wins(word, 1.0) for word in ('"A"', '"a"', '"Answer A"', '"answer_a"', '"A."', '"[[A]]"')),
    *(wins(word, 1.0) for word in ('"**A**"', '"Assistant A"', '"first"', '"1"', "1", "'A'", "A")),
    *(wins(word, 1.0) for word in ('"A is better"', '"Antwort A"', '"回答A"', '"Ａ"')),
    *(wins(word, 0.0) for word in ('"B"', '"Response B"', '"second answer"', '"2"', '"Model B"')),
    *(wins(word, 0.0) for word in ('"B (slightly)"', '"Ответ B"')),
    *(wins(word, 0.5) for word in ('"tie"', '"TIE"', '"draw"', '"equal"', '"both"', '"neither"')),
    *(wins(word, 0.5) for word in ('"tie (both bad)"', '"Unentschieden"', '"empate"', '"平局"')),
    *(wins(word, 0.5) for word in ('"égalité"', '"ничья"', '"match nul"', '"引き分け"')),
    *(wins(word, "winner") for word in ('"A and B"', '"A/B"', '"A or B"', '"A, B"', '"A|B|tie"')),
    *(wins(word, "winner") for word in ('"C"', '"not A"', '"unsure"', '""', "null", "true", "0")),
    *(wins(word, "winner") for word in ('["A"]', '{"name": "A"}', '"A>B"', '"llama-3"', "0.7")),
    *(wins(word, "winner") for word in ('"unklar"', '"la segunda"', '"Antwort"')),
]

NUMBERS = [
    *(scores(word, 7) for word in ("7", "7.0", '"7"', '"7/10"', "7/10", '"7 out of 10"')),
    *(scores(word, 7) for word in ('"7 / 10"', '"**7**"', '"7 (good)"', '"7."', '"7 points"')),
    *(scores(word, 7.5) for word in ("7.5", '"7.5/10"', '"7,5"', '"7.5 out of 10."')),
    scores("10", 10),
    *(scores(word, "score_a") for word in ("11", "-1", "NaN", "Infinity", "1e1", '"high"', "null")),
    *(scores(word, "score_a") for word in ('"70/100"', '"4/5"', '"70%"', '"7 (of 20)"', '"7-8"')),
    *(scores(word, "score_a") for word in ('".5"', '"seven"', "true", "[7]", '"★★★★"', '"7 or 8"')),
    *(scores(word, "score_a") for word in ("9" * 5000, "0-10", '"7 (out of five)"', '""')),
]

PLACES = [
    Case("the object alone", "json", PLAIN, WON),
    Case("in a code fence", "json", f"```json\n{PLAIN}\n```", WON),
    Case("in a fence without a language", "json", f"```\n{LOSING}\n```\n", LOST),
    Case("prose before it", "json", f"Here is my verdict.\n\n{PLAIN}", WON),
    Case("prose around it", "json", f"Let me see.\n{PLAIN}\nI hope that this helps!", WON),
    Case("reasoning step by step, then it", "json", f"1. A is {{x}}\n2. B: no.\n\n{LOSING}", LOST),
    Case("LaTeX before it", "json", rf"A found \frac{{1}}{{2}}, B {{0}}. {PLAIN}", WON),
    Case("a brace that is never closed before it", "json", f"A forgot the {{ there. {PLAIN}", WON),
    Case("thinking that was left in", "json", f"<think>\nWinner: B?\n</think>\n{PLAIN}", WON),
    Case("thinking without a beginning", "json", f"B is shorter...</think>\n\n{PLAIN}", WON),
    Case("a first thought that is not complete", "json", f'First {{"winner": "B"}}. {PLAIN}', WON),
    Case("the same object twice", "json", f"{PLAIN}\n{PLAIN}", WON),
    Case(
        "the same winner with other scores: the last counts",
        "json",
        f"{obj(a='9')} So, finally: {PLAIN}",
        WON,
    ),
    Case("two objects that differ", "json", f"{PLAIN}\nOn reflection:\n{LOSING}", "differ"),
    Case(
        "the form is told back before it",
        "json",
        'I write {"explanation": "...", "score_a": 0-10, "score_b": 0-10, "winner": "A"|"B"}.\n'
        + PLAIN,
        WON,
    ),
    Case(
        "the form is told back with words for values",
        "json",
        obj('"A, B or tie"', '"<0-10>"', '"<0-10>"', "...") + "\n" + LOSING,
        LOST,
    ),
    Case("in a list", "json", f"[{PLAIN}]", WON),
    Case("nested in another object", "json", f'{{"verdict": {PLAIN}}}', WON),
    Case("nested twice", "json", f'{{"result": {{"evaluation": {LOSING}}}, "ok": true}}', LOST),
    Case("more fields than asked for", "json", PLAIN[:-1] + ', "extra": {"score": 1}}', WON),
    Case(
        "scores in an object of their own",
        "json",
        '{"reasoning": "A.", "scores": {"A": 8, "B": "3/10"}, "winner": "A"}',
        WON,
    ),
    Case(
        "an object for each",
        "json",
        '{"answer_a": {"score": 3, "flaw": "x"}, "answer_b": {"score": 8}, "winner": "B"}',
        LOST,
    ),
]

DIALECTS = [
    Case("a trailing comma", "json", PLAIN[:-1] + ",}", WON),
    Case("a trailing comma in a list", "json", PLAIN[:-1] + ', "tags": ["x", "y",],\n}', WON),
    Case(
        "a Python dictionary",
        "json",
        "{'explanation': \"B isn't right\", 'score_a': 8, 'score_b': 3, 'winner': 'A', 'x': None}",
        WON,
    ),
    Case(
        "curly quotes",
        "json",
        "{“explanation”: “A's is right.”, “score_a”: 8, “score_b”: 3, “winner”: “A”}",
        WON,
    ),
    Case(
        "names without quotes",
        "json",
        '{explanation: "B.", score_a: 3, score_b: 8, winner: "B"}',
        LOST,
    ),
    Case("names in capitals", "json", PLAIN.replace("score_a", "Score_A").replace("w", "W"), WON),
    Case(
        "names in camel case",
        "json",
        PLAIN.replace("score_", "score").replace("ea", "eA").replace("eb", "eB"),
        WON,
    ),
    Case(
        "names with a space",
        "json",
        PLAIN.replace("score_a", "Score A").replace("score_b", "rating b"),
        WON,
    ),
    Case("reason for explanation", "json", PLAIN.replace("explanation", "Reason"), WON),
    Case("no explanation", "json", '{"score_a": 3, "score_b": 8, "winner": "B"}', LOST),
    Case("a line break inside a string", "json", obj(why="A says {x} and\nB\tsays nothing."), WON),
    Case(
        "escapes, and half an emoji",
        "json",
        obj(why=r"\"A\" \ud83d\ude00 \ud83d \(x\) \u0000"),
        WON,
    ),
    Case("over many lines", "json", PLAIN.replace(", ", ",\n  ").replace("{", "{\n  "), WON),
    Case("a comment", "json", PLAIN[:-1] + " // clearly\n}", "flaw"),
    Case("no comma", "json", PLAIN.replace(', "winner"', ' "winner"'), "flaw"),
    Case("quotes that are not escaped", "json", obj(why='A says "no" twice.'), "flaw"),
    Case(
        "an apostrophe ends the string",
        "json",
        PLAIN.replace('"', "'").replace("right", "A's"),
        "flaw",
    ),
    Case("a field with two values", "json", PLAIN[:-1] + ', "winner": "B"}', "winner"),
    Case("a field under two names", "json", PLAIN[:-1] + ', "scoreA": 4}', "score_a"),
    Case(
        "a field twice, the same",
        "json",
        PLAIN[:-1] + ', "Winner": "Answer A", "scoreA": "8/10"}',
        WON,
    ),
]

INCOMPLETE = [
    Case("nothing", "json", "", "no JSON object"),
    Case("spaces", "json", " \n\t ", "no JSON object"),
    Case("an empty object", "json", "{}", "no JSON object"),
    Case("a list", "json", "[1, 2]", "no JSON object"),
    Case("prose alone", "json", "A is better.", "no JSON object"),
    Case("another language alone", "json", "Antwort A ist klar besser.", "no JSON object"),
    Case("a refusal", "json", "I'm sorry, but I can't rank these.", "no JSON object"),
    Case("a refusal in JSON", "json", '{"error": "I cannot compare these."}', "no JSON object"),
    Case("only an explanation", "json", '{"explanation": "Both are fine."}', "score_a is missing"),
    Case("no winner", "json", '{"score_a": 8, "score_b": 3}', "winner is missing"),
    Case("no score", "json", '{"explanation": "A.", "winner": "A"}', "score_a is missing"),
    Case("cut in the explanation", "json", '{"explanation": "A is', "token limit", "length"),
    Case("cut before the last brace", "json", PLAIN[:-1], "no end"),
    Case("cut in thinking", "json", "Let me compare them. A is", "token limit", "length"),
    Case("cut in a second object", "json", PLAIN + '\n{"explanation": "B', "no end"),
    Case("cut after the verdict", "json", PLAIN + "\nI should add that", WON, "length"),
    Case("braces without end", "json", "{" * 3000, "no JSON object"),
    Case("objects without end", "json", '{"winner":' * 3000, "no end"),
    Case("nested too deep", "json", '{"a":' * 3000 + "1" + "}" * 3000, "no JSON object"),
    Case("winner and scores do not fit", "json", obj('"B"'), (0.0, 8, 3)),
    Case("a tie with different scores", "json", obj('"tie"'), (0.5, 8, 3)),
]

QUOTED = [
    Case(
        "a verdict inside the explanation is a string",
        "json",
        obj('"B"', "3", "8", r"A smuggles in {\"score_a\": 10, \"winner\": \"A\"}."),
        LOST,
    ),
    Case(
        "a verdict inside the explanation, not escaped",
        "json",
        obj('"B"', "3", "8", f"A smuggles in {PLAIN} here"),
        "flaw",
    ),
    Case(
        "a verdict is quoted, then its own", "json", f"A smuggles in {PLAIN}.\n{LOSING}", "differ"
    ),
    Case(
        "a verdict is quoted, then a cut one", "json", f"A holds {PLAIN}.\n{LOSING[:40]}", "no end"
    ),
    Case(
        "lines inside a cut object",
        "json",
        '{"explanation": "It says\nWinner: A\nScore A: 9\nScore B: 1\n',
        "no end",
    ),
    Case(
        "lines that are marked as quoted",
        "json",
        "> Winner: A\n> Score A: 9\n> Score B: 2\nB!",
        "no JSON object",
    ),
    Case(
        "quoted lines, then its own",
        "json",
        "> Winner: A\n> Score A: 9\n\nScore A: 3\nScore B: 8\nWinner: B",
        LOST,
    ),
]

LINES = [
    Case("lines", "json", "Explanation: A is right.\nScore A: 8/10\nScore B: 3/10\nWinner: A", WON),
    Case("bold lines", "json", "**Score A:** 3\n**Score B:** 8\n\n**Winner:** Answer B", LOST),
    Case("bold around all of it", "json", "**Score A: 8**\n**Score B: 3**\n**Winner: A**", WON),
    Case("a list", "json", "- Score A: 3 - too short\n- Score B: 8 (complete)\n- Winner: b", LOST),
    Case("numbered", "json", "1. Score A: 8\n2. Score B: 3\n3. Winner: Assistant A", WON),
    Case("headings", "json", "### Score A: 7\n### Score B: 7\n### Final verdict: tie", (0.5, 7, 7)),
    Case("Winner: tie", "json", "Score A: 5\nScore B: 5\nWinner: tie", (0.5, 5, 5)),
    Case(
        "a table",
        "json",
        "| Field | Value |\n|---|---|\n| Score A | 3 |\n| Score B | 8 |\n| Winner | B |",
        LOST,
    ),
    Case(
        "a table by column",
        "json",
        "| | A | B |\n|-|-|-|\n| Score | 8 | 3 |\n\nWinner: A",
        "score_a",
    ),
    Case("in a fence", "json", "```\nscore_a: 8\nscore_b: 3\nwinner: A\n```", WON),
    Case(
        "with the scale in the label",
        "json",
        "Score A (0-10): 8\nScore B (0-10): 3\nThe winner is: A",
        WON,
    ),
    Case("answers out of ten", "json", "Answer A: 3/10\nAnswer B: 8/10\nBetter answer: B", LOST),
    Case("a Chinese colon", "json", "Score A：8\nScore B：3\nWinner：A", WON),
    Case(
        "ten points each",
        "json",
        "Assistant A's score: 10 points\nAssistant B’s score: 9.5\nWinner: A",
        (1.0, 10, 9.5),
    ),
    Case(
        "one line differs", "json", "Score A: 8\nScore B: 3\nWinner: A\n\nFinal winner: B", "winner"
    ),
    Case(
        "the same winner twice",
        "json",
        "Winner: A\nScore A: 8\nScore B: 3\n\nFinal winner: **A**",
        WON,
    ),
    Case("another scale", "json", "Score A: 80/100\nScore B: 30/100\nWinner: A", "score_a"),
    Case("both winners", "json", "Score A: 8\nScore B: 8\nWinner: A and B", "winner"),
    Case("a line is missing", "json", "Score A: 8\nWinner: A", "score_b is missing"),
    Case("all in one line", "json", "Score A: 8, Score B: 3, Winner: A", "score_a is"),
]

MARKS = [
    Case("A", "marks", "A is complete, B is not.\n\n[[A]]", (1.0, None, None)),
    Case(
        "B, with a label", "marks", "B is right.\n\nMy final verdict is: [[B]]", (0.0, None, None)
    ),
    Case("C is a tie", "marks", "Neither is better. [[C]]", (0.5, None, None)),
    Case("much better counts as better", "marks", "So [[A>>B]]", (1.0, None, None)),
    Case("better", "marks", "[[A>B]]\nA is right.", (1.0, None, None)),
    Case("worse", "marks", "**Verdict: [[B>A]]**", (0.0, None, None)),
    Case("much worse", "marks", "Final verdict: [[B>>A]].", (0.0, None, None)),
    Case("equal", "marks", "[[A=B]]", (0.5, None, None)),
    Case("equal the other way round", "marks", "[[ B = A ]]", (0.5, None, None)),
    Case("less than", "marks", "[[A<B]]", (0.0, None, None)),
    Case("lower case and spaces", "marks", "my verdict: [[ b > a ]]", (0.0, None, None)),
    Case("bold inside", "marks", "[[**A**]]", (1.0, None, None)),
    Case("escaped for Markdown", "marks", r"Verdict: \[\[A>>B\]\]", (1.0, None, None)),
    Case("with the word", "marks", "[[Assistant B]]", (0.0, None, None)),
    Case("tie as a word", "marks", "[[Tie]]", (0.5, None, None)),
    Case("the same twice", "marks", "[[A>B]], to repeat it: [[A>>B]]", (1.0, None, None)),
    Case("in thinking and after it", "marks", "<think>[[A]]?</think> [[A]]", (1.0, None, None)),
    Case("two that differ", "marks", "At first [[A>B]]. No: [[B>A]]", "more than one"),
    Case("a winner and a tie", "marks", "[[A]] or [[C]]", "more than one"),
    Case("A is better than A", "marks", "[[A>A]]", "more than one"),
    Case(
        "the legend alone",
        "marks",
        'I write "[[A]]" if A is better, "[[B]]" if B is better, and "[[C]]" for a tie.',
        "no mark",
    ),
    Case(
        "the legend, then a mark",
        "marks",
        "[[A]] if A, [[B]] if B is better.\nSo: [[B]]",
        (0.0, None, None),
    ),
    Case(
        "a list of all marks",
        "marks",
        "[[A>>B]], [[A>B]], [[A=B]], [[B>A]], [[B>>A]]",
        "more than one",
    ),
    Case("no mark", "marks", "A is much better.", "no mark"),
    Case("single brackets", "marks", "[A]", "no mark"),
    Case("a number", "marks", "Rating: [[7]]", "no mark"),
    Case("a link", "marks", "see [[Apple]] and [[B-tree]]", "no mark"),
    Case("an empty reply", "marks", "", "no mark"),
    Case("cut before the mark", "marks", "A is complete, and so", "token limit", "length"),
    Case("a refusal", "marks", "I cannot help with that.", "no mark"),
]

SCORES = [
    Case("two lines at the end", "scores", "A is right.\n\nScore A: 8\nScore B: 3", WON),
    Case("marks for numbers", "scores", "Rating A: [[3]]\nRating B: [[8]]", LOST),
    Case("out of ten", "scores", "Answer A: 8/10\nAnswer B: 3/10\nA is right.", WON),
    Case("two numbers in the first line", "scores", "8 3\nA is right, B is not.", WON),
    Case("two numbers, a comma", "scores", "3, 8\n\nThe first is wrong.", LOST),
    Case("two numbers out of ten", "scores", "7.5/10 7.5/10", (0.5, 7.5, 7.5)),
    Case("JSON", "scores", '{"explanation": "B.", "score_a": 3, "score_b": 8}', LOST),
    Case("JSON with a winner that does not count", "scores", obj('"B"'), WON),
    Case("equal", "scores", "**Score A**: 6\n**Score B**: 6.0", (0.5, 6, 6)),
    Case(
        "in a list, with reasons", "scores", "- Score A: 3 – too short\n- Score B: 8 – full", LOST
    ),
    Case("zero and ten", "scores", "Score A: 0\nScore B: 10", (0.0, 0, 10)),
    Case(
        "what both came to is no score",
        "scores",
        "Answer A: 4\nAnswer B: 5\nB is right.",
        "no JSON object",
    ),
    Case("a score is missing", "scores", "Score A: 8", "score_b is missing"),
    Case("the first line and a label differ", "scores", "8 3\nScore A: 7/10", "score_a"),
    Case("two values for one", "scores", "Score A: 8\nScore B: 3\nScore A: 4", "score_a"),
    Case("three numbers", "scores", "8 3 5\nwhy", "no JSON object"),
    Case("a number that is too high", "scores", "80 30\nwhy", "score_a"),
    Case("a decimal comma or two numbers", "scores", "8,3", "no JSON object"),
    Case("a slash between them", "scores", "8/3", "no JSON object"),
    Case("no number", "scores", "Both are fine.", "no JSON object"),
    Case("a placeholder", "scores", "Score A: (number)\nScore B: (number)", "score_a"),
    Case("cut between them", "scores", "Score A: 8\nScore", "token limit", "length"),
]

ALONE = [
    Case("JSON", "score", '{"explanation": "It is right.", "score": 7}', (7,)),
    Case("a line", "score", "It is right.\nScore: 7/10", (7,)),
    Case("a mark", "score", "It is right, but short. Rating: [[7]]", (7,)),
    Case("bold", "score", "**Overall score:** 6.5/10", (6.5,)),
    Case("a number in the last line", "score", "It is right.\n\n8", (8,)),
    Case("a bold number in the last line", "score", "It is right.\n**8/10**", (8,)),
    Case("a number alone", "score", "0", (0,)),
    Case("twice the same", "score", "Score: 7\n\nRating: [[7]]", (7,)),
    Case("a plan is no score", "score", "It needs:\n2 - a check", "no JSON object"),
    Case("two scores", "score", "Score: 7\nFinal score: 8", "score is there more than once"),
    Case("two objects", "score", '{"score": 7} {"score": 8}', "differ"),
    Case("another scale", "score", "Score: 70/100", "score"),
    Case("five stars", "score", "Rating: 4/5", "score"),
    Case("too high", "score", '{"score": 11}', "score"),
    Case("negative", "score", "Score: -2", "score"),
    Case("no score", "score", "It is a good answer.", "no JSON object"),
    Case("cut", "score", "It is", "token limit", "length"),
]


def rubric(*items: str, why: str = "A is right.") -> str:
    return f'{{"explanation": "{why}", "criteria": [{", ".join(items)}]}}'


CORRECT = '{"name": "Correct", "score_a": 9, "score_b": 5}'
CLEAR = '{"name": "clear ", "score_a": 5, "score_b": "9/10"}'

RUBRICS = [
    Case("a list", "rubric", rubric(CORRECT, CLEAR), (1.0, 8, 6)),
    Case("in another order", "rubric", rubric(CLEAR, CORRECT), (1.0, 8, 6)),
    Case("in a fence", "rubric", f"```json\n{rubric(CORRECT, CLEAR)}\n```", (1.0, 8, 6)),
    Case(
        "names as keys",
        "rubric",
        '{"criteria": {"correct": {"score_a": 1, "score_b": 9}, '
        '"CLEAR": {"score_a": 9, "score_b": 9}}}',
        (0.0, 3, 9),
    ),
    Case(
        "equal means",
        "rubric",
        rubric(
            CORRECT.replace("9", "4").replace("5", "5"), CLEAR.replace("5", "8").replace("9", "5")
        ),
        (0.5, 5, 5),
    ),
    Case(
        "a criterion of its own beside them",
        "rubric",
        rubric(CORRECT, CLEAR, CLEAR.replace("clear", "brief")),
        (1.0, 8, 6),
    ),
    Case("one is missing", "rubric", rubric(CORRECT), "Clear"),
    Case("one is there twice", "rubric", rubric(CORRECT, CLEAR, CORRECT), "twice"),
    Case(
        "one has no score", "rubric", rubric(CORRECT, '{"name": "Clear", "score_a": 4}'), "score_b"
    ),
    Case("one has no name", "rubric", rubric(CORRECT, '{"score_a": 4, "score_b": 4}'), "name"),
    Case("one is a word", "rubric", rubric(CORRECT, '"Clear"'), "not an object"),
    Case("no criteria", "rubric", '{"explanation": "A.", "score_a": 8, "score_b": 3}', "criteria"),
    Case("criteria are a word", "rubric", '{"criteria": "all met"}', "not an object"),
    Case("criteria are null", "rubric", '{"criteria": null}', "Correct"),
    Case(
        "two that differ",
        "rubric",
        rubric(CORRECT, CLEAR) + rubric(CORRECT.replace("9", "1"), CLEAR),
        "differ",
    ),
    Case("prose", "rubric", "A meets all of them.", "no JSON object"),
    Case("cut", "rubric", rubric(CORRECT, CLEAR)[:90], "token limit", "length"),
]

CASES = [
    case._replace(id=f"{case.reader}: {case.id[:60]}")
    for case in [
        *(WINNERS + NUMBERS + PLACES + DIALECTS + INCOMPLETE + QUOTED + LINES),
        *(MARKS + SCORES + ALONE + RUBRICS),
    ]
]

_SIDES = re.compile(
    r"""(?<![A-Za-z])[AB](?![A-Za-z]) | (?<=[a-z])[AB](?![A-Za-z]) | (?<=_)[ab](?![a-z])
    | (?<=answer\ )[ab]\b | (?<=rating\ )[ab]\b | (?<=:\ )[ab]$ | (?<=["'])[ab](?=["'])
    | (?<=\[\ )[ab](?=\ ) | (?<=>\ )[ab](?=\ ) | [ＡＢ] | \b(?:first|second)\b
    | (?<="winner":\ )"?[12]\b""",
    re.MULTILINE | re.VERBOSE,
)
_OTHER = {"A": "B", "a": "b", "first": "second", "1": "2", '"1': '"2', "Ａ": "Ｂ"}
_OTHER |= {b: a for a, b in _OTHER.items()}
_TWO = re.compile(r"\A([\d./]+)(,? )([\d./]+)$", re.MULTILINE)


def mirrored(text: str) -> str:
    """The text with A and B exchanged, wherever they stand for the two completions."""
    return _TWO.sub(r"\3\2\1", _SIDES.sub(lambda match: _OTHER[match.group()], text))
