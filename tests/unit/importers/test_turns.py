import json
import random
from pathlib import Path
from typing import Any

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.importers.reader import read
from tests.builders import write_file
from tests.unit.importers.sample_files import Rows, arena, evidence


def single(question: int, model: str, turn: int, score: float, **more: Any) -> dict[str, Any]:
    """A row of FastChat's gpt-4_single.jsonl."""
    return {
        "question_id": question,
        "model": model,
        "judge": ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"],
        "user_prompt": "[Instruction]",
        "judgment": f"Rating: [[{score}]]",
        "score": score,
        "turn": turn,
        "tstamp": 1.5 * question + turn,
        **more,
    }


def pair(question: int, turn: int, game_1: str, game_2: str, **more: Any) -> dict[str, Any]:
    """A row of FastChat's gpt-4_pair.jsonl."""
    return {
        "question_id": question,
        "model_1": "vicuna",
        "model_2": "alpaca",
        "g1_winner": game_1,
        "g2_winner": game_2,
        "judge": ["gpt-4", "pair-v2"],
        "g1_judgment": "first game",
        "g2_judgment": "second game",
        "turn": turn,
        **more,
    }


@pytest.mark.parametrize(("offset", "closed"), [(0.5, False), (86_400, True)])
def test_the_times_of_single_scores_tell_whether_the_judge_may_have_changed(
    tmp_path: Path, offset: float, closed: bool
) -> None:
    rows = [
        single(n, model, 1, 5 + points * (n % 5 > 0), tstamp=100.0 * n + delay)
        for n in range(50)
        for model, points, delay in (("x", 2, 0.0), ("y", 1, offset))
    ]
    result = evidence(tmp_path, rows, name="gpt-4_single.json")
    assert {j.verdict.score_times[1] - j.verdict.score_times[0] for j in result.judgments} == {
        offset
    }
    summary = summarize(result).pairs[0]
    assert (summary.outcome == "withheld") == closed
    assert ("scored apart" in [reason.kind for reason in summary.reasons]) == closed
    untimed = [{key: value for key, value in row.items() if key != "tstamp"} for row in rows]
    unknown = evidence(tmp_path, untimed, name="gpt-4_single.json")
    assert {j.verdict.score_times for j in unknown.judgments} == {None}


@pytest.mark.parametrize("seed", range(4))
def test_single_scores_are_paired_by_turn_in_any_order_of_lines(tmp_path: Path, seed: int) -> None:
    """x has 9 and 2, y has 8 and 1: x is better at each turn, and worse across turns."""
    rows = [
        single(question, model, turn, score)
        for question in range(81, 101)
        for model, scores in (("x", (9, 2)), ("y", (8, 1)))
        for turn, score in enumerate(scores, 1)
    ]
    random.Random(seed).shuffle(rows)
    result = evidence(tmp_path, rows, name="gpt-4_single.json")
    assert {(j.verdict.first, j.verdict.scores) for j in result.judgments} == {
        (1, (9, 8)),
        (1, (2, 1)),
    }
    assert {j.judge for j in result.judgments} == {"gpt-4"}
    assert {prompt.id for prompt in result.prompts} == {
        f"{question}, turn {turn}" for question in range(81, 101) for turn in (1, 2)
    }
    (summary,) = summarize(result).pairs
    assert (summary.prompts, summary.clusters) == (40, 20)
    assert any(note.startswith("20 questions have several turns") for note in result.notes)


def test_a_missing_turn_is_a_failure_of_that_turn(tmp_path: Path) -> None:
    rows = [single(81, "x", 1, 9), single(81, "x", 2, 2), single(81, "y", 2, -1)]
    failures = evidence(tmp_path, rows).failures
    assert [(f.prompt_id, f.kind) for f in failures] == [
        ("81, turn 1", "missing"),
        ("81, turn 2", "unreadable"),
    ]


@pytest.mark.parametrize(
    ("judge", "name"),
    [
        (["gpt-4", "single-v1"], "gpt-4"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("['claude-3', 'single-v1']", "claude-3"),
        ("('claude-3', 'single-v1')", "claude-3"),
        ({"name": "o3"}, "o3"),
        (None, "gpt-4"),
        ("", "gpt-4"),
    ],
)
def test_the_judge_is_that_of_the_row_or_of_the_file(tmp_path: Path, judge: Any, name: str) -> None:
    rows = [single(81, model, 1, 5, judge=judge) for model in "xy"]
    for file in ("gpt-4_single.jsonl", "gpt-4_single.json", "gpt-4_pair.json"):
        result = read([write_file(tmp_path / file, rows if file.endswith("n") else _lines(rows))])
        assert {j.judge for j in result.evidence.judgments} == {name}
    other = read([write_file(tmp_path / "scores.json", [row | {"judge": None} for row in rows])])
    assert {j.judge for j in other.evidence.judgments} == {"score"}


def _lines(rows: Rows) -> str:
    return "\n".join(map(json.dumps, rows))


def test_pairwise_games_have_both_orders_and_turns_of_their_own(tmp_path: Path) -> None:
    rows = [
        pair(81, 1, "model_1", "model_1"),
        pair(81, 2, "model_2", "tie"),
        pair(82, 1, "error", "model_2"),
    ]
    result = evidence(tmp_path, rows, name="gpt-4_pair.json")
    assert [
        (j.prompt_id, j.first, j.presented, j.verdict.first, j.verdict.reason)
        for j in result.judgments
    ] == [
        ("81, turn 1", "vicuna", "recorded", 1, "first game"),
        ("81, turn 1", "alpaca", "recorded", 0, "second game"),
        ("81, turn 2", "vicuna", "recorded", 0, "first game"),
        ("81, turn 2", "alpaca", "recorded", 0.5, "second game"),
        ("82, turn 1", "alpaca", "recorded", 1, "second game"),
    ]
    assert [(f.prompt_id, f.first, f.kind) for f in result.failures] == [
        ("82, turn 1", "vicuna", "unreadable")
    ]
    assert {j.judge for j in result.judgments} == {"gpt-4"}
    assert [prompt.tags for prompt in result.prompts] == [("cluster:81",), ("cluster:81",), ()]


def test_games_without_an_id_are_on_one_prompt(tmp_path: Path) -> None:
    row = pair(81, 1, "model_1", "model_1")
    del row["question_id"]
    result = evidence(tmp_path, [row])
    assert len(result.prompts) == 1
    assert [j.first for j in result.judgments] == ["vicuna", "alpaca"]


@pytest.mark.parametrize("column", ["turn", "Turn", "turn_id", "turn number"])
def test_turns_of_a_table_with_winners(tmp_path: Path, column: str) -> None:
    rows: Rows = [
        {"prompt": text, "model_a": "x", "model_b": "y", "winner": "a", column: turn, "tags": "t"}
        for text in ("q", "r")
        for turn in (1.0, "2")
    ]
    prompts = evidence(tmp_path, rows).prompts
    assert [prompt.messages[0].content for prompt in prompts] == ["q", "q", "r", "r"]
    assert len({prompt.id for prompt in prompts}) == 4
    clusters = [prompt.tags for prompt in prompts]
    assert clusters[0] == clusters[1] != clusters[2] == clusters[3]
    assert all(tags[0] == "t" and tags[1].startswith("cluster:") for tags in clusters)


def test_a_cluster_of_the_file_stays_and_a_single_turn_is_none(tmp_path: Path) -> None:
    rows = [{"prompt_id": 1, "winner": "a", "turn": turn, "cluster": "c"} for turn in (1, 2)]
    assert {prompt.tags for prompt in evidence(tmp_path, rows).prompts} == {("cluster:c",)}
    rows = [{"prompt_id": n, "winner": "a", "turn": 3} for n in range(3)]
    assert {prompt.tags for prompt in evidence(tmp_path, rows).prompts} == {()}


def test_turns_of_other_files_belong_to_the_question(tmp_path: Path) -> None:
    files = [[single(81, model, turn, 5) for model in "xy"] for turn in (1, 2)]
    result = evidence(tmp_path, *files)
    assert [(p.id, p.tags) for p in result.prompts] == [
        ("81, turn 1", ("cluster:81",)),
        ("81, turn 2", ("cluster:81",)),
    ]


def test_turns_of_another_format(tmp_path: Path) -> None:
    result = evidence(tmp_path, [arena("A>B", turn=1), arena("B>A", turn=2)])
    assert [(p.id, p.tags) for p in result.prompts] == [
        ("x1, turn 1", ("cluster:x1",)),
        ("x1, turn 2", ("cluster:x1",)),
    ]
