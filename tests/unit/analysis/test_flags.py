"""Red flags: each with its figure, and none on a clean evaluation."""

import pytest

from bakeoff.records import Message, PairSummary, Prompt, Scores
from tests.unit.analysis.builders import both, judgment, pair, prompt, texts, won


def flag(summary: PairSummary, kind: str) -> str | None:
    return next((flag.message for flag in summary.flags if flag.kind == kind), None)


def test_a_clean_evaluation_has_no_flags() -> None:
    contents = [f"A whole sentence, number {n}." for n in range(40)]
    completions = (*texts("a", contents), *texts("b", [f"{text} And more." for text in contents]))
    rows = [
        row for n in range(40) for row in both(n, float(n % 3 > 0), reason="It is clearer. " * 8)
    ]
    assert pair(rows, completions=completions).flags == ()


@pytest.mark.parametrize(("wins", "flagged"), [(15, True), (16, False)])
def test_a_low_win_rate(wins: int, flagged: bool) -> None:
    assert (flag(pair(won(wins, 40 - wins)), "low win rate") is not None) == flagged


def test_a_negative_score_difference_and_a_high_spread() -> None:
    rows = []
    for n in range(20):
        points = Scores(10, 9) if n % 2 else Scores(0, 9)
        rows += [judgment(n, "a", 0.5, scores=points)]
    summary = pair(rows)
    assert flag(summary, "negative score difference") == "a scores 0.400 less on average"
    assert flag(summary, "high score spread") == "the scores of a spread by 0.51 around 0.50"


def test_verdicts_that_change_with_the_order() -> None:
    rows = won(14, 0)
    for n in range(14, 20):
        rows += [judgment(n, "a", 1.0), judgment(n, "b", 1.0)]
    summary = pair(rows)
    assert "30 % of the prompts" in (flag(summary, "inconsistent verdicts") or "")
    assert flag(summary, "follows the place") is None
    second = [judgment(n, first, 0.0) for n in range(30) for first in "ab"]
    assert "won 0 % of the decisive" in (flag(pair(second), "follows the place") or "")


def test_a_judge_that_prefers_length() -> None:
    completions = texts("a", [f"{n} " + "long " * 9 for n in range(30)])
    completions += texts("b", [f"{n} short" for n in range(30)])
    summary = pair(won(26, 4), completions=tuple(completions))
    assert "won 87 % of the decisive" in (flag(summary, "longer wins") or "")


def test_thinking_tags_that_the_judge_saw() -> None:
    completions = texts("a", ["<think>hm</think>yes"] * 3 + ["no"] * 17) + texts("b", ["no"] * 20)
    summary = pair(won(10, 10), completions=tuple(completions))
    assert "for 3 prompts (3 of a only, 0 of b only)" in (flag(summary, "thinking shown") or "")
    assert summary.thinking is not None
    assert summary.thinking.rate_only_a is not None
    assert summary.thinking.rate_only_a.estimate == 1
    assert summary.thinking.rate_only_b is None


@pytest.mark.parametrize(
    ("value", "points", "wrong"),
    [
        (1.0, Scores(3, 8), True),
        (1.0, Scores(8, 3), False),
        (0.5, Scores(5, 5), False),
        (0.5, Scores(6, 5), True),
        (0.9, Scores(5, 5), False),
    ],
)
def test_scores_that_contradict_the_winner(value: float, points: Scores, wrong: bool) -> None:
    summary = pair([judgment(n, "a", value, scores=points) for n in range(20)])
    assert (flag(summary, "scores contradict winners") is not None) == wrong


def test_explanations_that_stop_in_the_middle() -> None:
    complete, cut = (
        "It is better in every way that I can think of here. " * 2,
        "It is better and " * 6,
    )
    rows = [judgment(n, "a", 1.0, reason=cut if n < 2 else complete.strip()) for n in range(20)]
    message = flag(pair(rows), "explanations cut off")
    assert message == "2 of 20 explanations stop in the middle of a sentence"
    short = [judgment(n, "a", 1.0, reason="Better") for n in range(20)]
    assert flag(pair(short), "explanations cut off") is None


@pytest.mark.parametrize(("wrong", "flagged"), [(1, False), (2, True)])
def test_contradictions_in_more_than_2_percent_are_flagged(wrong: int, flagged: bool) -> None:
    points = [Scores(3, 8) if n < wrong else Scores(8, 3) for n in range(50)]
    summary = pair([judgment(n, "a", 1.0, scores=points[n]) for n in range(50)])
    assert (flag(summary, "scores contradict winners") is not None) == flagged


@pytest.mark.parametrize(("cut", "flagged"), [(2, False), (3, True)])
def test_truncated_explanations_in_more_than_5_percent_are_flagged(cut: int, flagged: bool) -> None:
    reasons = ["It is better and " * 6 if n < cut else "It is better. " * 8 for n in range(40)]
    summary = pair([judgment(n, "a", 1.0, reason=text.strip()) for n, text in enumerate(reasons)])
    assert (flag(summary, "explanations cut off") is not None) == flagged


@pytest.mark.parametrize(("won_by_longer", "flagged"), [(60, False), (63, True)])
def test_longer_wins_over_60_percent_is_flagged(won_by_longer: int, flagged: bool) -> None:
    completions = texts("a", [f"{n:03} longer" for n in range(100)])
    completions += texts("b", [f"{n:03}" for n in range(100)])
    summary = pair(won(won_by_longer, 100 - won_by_longer), completions=tuple(completions))
    assert (flag(summary, "longer wins") is not None) == flagged


def test_prompts_with_the_same_text() -> None:
    prompts = [prompt(n, "the same" if n < 3 else None) for n in range(20)]
    summary = pair(won(10, 10), prompts=tuple(prompts))
    assert flag(summary, "prompts repeat") == (
        "3 of 20 prompts repeat the text of another one; each group of them counts as one cluster "
        "(18 clusters)"
    )
    tagged = [p.model_copy(update={"tags": (f"cluster:{p.messages[0].content}",)}) for p in prompts]
    assert flag(pair(won(10, 10), prompts=tuple(tagged)), "prompts repeat") is None


def test_prompts_that_differ_in_earlier_turns_are_no_repeats() -> None:
    turns = [Message(role="user", content="hi"), Message(role="assistant", content="ho")]
    earlier = Message(role="user", content="more")
    prompts = (
        Prompt(id="p0", messages=(*turns, earlier)),
        Prompt(id="p1", messages=(earlier,)),
    )
    assert flag(pair(won(1, 1), prompts=prompts), "prompts repeat") is None
