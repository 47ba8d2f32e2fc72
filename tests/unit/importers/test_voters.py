import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakeoff.importers.voters import VoteKey, find_voters
from tests.unit.importers.sample_files import Rows, evidence


def votes(judge: str, *prompts: int, models: str = "ab") -> list[VoteKey]:
    return [VoteKey(judge, frozenset(models), str(prompt)) for prompt in prompts]


def test_many_names_with_few_votes_are_voters() -> None:
    few = [vote for n in range(30) for vote in votes(f"v{n}", n, n + 1)]
    assert find_voters(few) == {f"v{n}" for n in range(30)}
    assert find_voters(few[:20]) == set()  # ten names


def test_a_busy_voter_is_known_by_its_name() -> None:
    few = [vote for n in range(30) for vote in votes(f"user-{n}", n)]
    few += votes("user-77", *range(200)) + votes("gpt-4", *range(200))
    assert find_voters(few) == {f"user-{n}" for n in range(30)} | {"user-77"}
    hashes = [f"{n:03}deadbeef{n}" for n in range(30)]
    hashed = [vote for n, name in enumerate(hashes) for vote in votes(name, n)]
    assert find_voters([*hashed, *votes("gpt-4o", *range(90))]) == set(hashes)


def test_judges_of_all_prompts_are_no_voters() -> None:
    panel = [vote for n in range(12) for vote in votes(f"judge-{n}", *range(15))]
    assert find_voters(panel) == set()
    shared = [vote for n in range(12) for vote in votes(f"judge-{n}", *range(30 * n, 30 * n + 30))]
    assert find_voters(shared) == set()


def test_votes_are_counted_per_pair_of_models() -> None:
    """An expert has 45 votes, but three on each pair of models."""
    pairs = [f"{a}{b}" for a in "abcdef" for b in "abcdef" if a < b]
    rng = random.Random(1)
    experts = [
        vote
        for n in range(20)
        for pair in pairs
        for vote in votes(f"expert {n}", *rng.sample(range(80), 3), models=pair)
    ]
    assert len(find_voters(experts)) == 20


@pytest.mark.parametrize("column", ["judge", "voter_id", "user", "judge_hash", "annotator_id"])
def test_voters_of_an_arena_are_one_judge(tmp_path: Path, column: str) -> None:
    rows: Rows = [
        {
            "question_id": f"h{n}",
            "model_a": "x",
            "model_b": "y",
            "winner": ("model_a", "model_b", "tie (bothbad)", "maybe")[n % 4],
            column: f"arena_user_{n // 2}",
        }
        for n in range(80)
    ]
    result = evidence(tmp_path, rows)
    assert {j.judge for j in result.judgments} == {"voters"}
    assert {f.participant for f in result.failures} == {"voters"}
    (note,) = [note for note in result.notes if "voters" in note]
    assert note.startswith("40 names of judges have few verdicts each ('arena_user_0', ")


def test_voters_on_one_prompt_are_repeats(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt_id": n // 3, "winner": "ab"[n % 2], "annotator": f"worker {n % 40}"}
        for n in range(240)
    ]
    result = evidence(tmp_path, rows)
    assert len({(j.prompt_id, j.repeat) for j in result.judgments}) == 240
    assert any(note.startswith("160 verdicts are on a prompt") for note in result.notes)


def test_scores_of_voters_are_compared_across_voters(tmp_path: Path) -> None:
    """Of each prompt, x and z have three ratings and y one, by 280 voters."""
    rows: Rows = [
        {"prompt_id": n, "model": model, "score": "zyx".index(model), "user_id": f"u{7 * n + k}"}
        for n in range(40)
        for k, model in enumerate("xxxyzzz")
    ]
    result = evidence(tmp_path, rows)
    assert Counter((j.first, j.second, j.judge, j.verdict.first) for j in result.judgments) == {
        ("x", "y", "voters", 1): 40,
        ("x", "z", "voters", 1): 120,
        ("y", "z", "voters", 1): 40,
    }
    assert not result.failures
    assert "280 names of judges" in result.notes[0]


def test_scores_of_one_voter_are_compared_with_each_other(tmp_path: Path) -> None:
    rows: Rows = [
        {"prompt_id": n, "model": model, "score": (5 + v % 5) - (model == "y"), "voter": f"v{v}"}
        for n in range(40)
        for v in range(3 * n, 3 * n + 3)
        for model in "xy"
    ]
    result = evidence(tmp_path, rows)
    assert {(j.judge, j.verdict.first) for j in result.judgments} == {("voters", 1)}
    assert len(result.judgments) == 120
