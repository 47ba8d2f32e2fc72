"""The order of the lines of a file changes no number of an audit, in any format."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff import audit
from bakeoff.importers.reader import importers
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "data"

Shuffle = Callable[[str, random.Random], str]


def lines(text: str, rng: random.Random) -> str:
    rows = text.splitlines()
    rng.shuffle(rows)
    return "\n".join(rows) + "\n"


def table(text: str, rng: random.Random) -> str:
    header, *rows = csv.reader(io.StringIO(text))
    rng.shuffle(rows)
    written = io.StringIO()
    csv.writer(written).writerows([header, *rows])
    return written.getvalue()


def array(text: str, rng: random.Random) -> str:
    rows = json.loads(text)
    rng.shuffle(rows)
    return json.dumps(rows)


def arrays_at(*keys: str) -> Shuffle:
    def shuffle(text: str, rng: random.Random) -> str:
        document = json.loads(text)
        for key in keys:
            rng.shuffle(document[key])
        return json.dumps(document)

    return shuffle


COLUMNS = {
    "prompt_id": "item",
    "cluster": "document",
    "model_a": "first choice",
    "model_b": "second choice",
    "winner": "outcome",
    "first": "seen first",
    "judge": "grader",
}


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def fastchat_single(rng: random.Random) -> str:
    """Three models, two turns of each question, some questions scored twice, one without text."""
    return jsonl(
        [
            {
                "question_id": question,
                "model": model,
                "judge": ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"],
                "score": rng.randint(1, 10) if rng.random() > 0.02 else -1,
                "turn": turn,
            }
            for question in range(81, 121)
            for model in ("vicuna-13b", "alpaca-13b", "llama-13b")
            for turn in (1, 2)
            for _ in range(1 + (question % 9 == 0))
        ]
    )


def fastchat_pair(rng: random.Random) -> str:
    winners = ("model_1", "model_2", "tie")
    return jsonl(
        [
            {
                "question_id": question,
                "model_1": "vicuna-13b",
                "model_2": "alpaca-13b",
                "g1_winner": rng.choice(winners),
                "g2_winner": rng.choice(winners),
                "judge": ["gpt-4", "pair-v2"],
                "turn": turn,
            }
            for question in range(81, 121)
            for turn in (1, 2)
        ]
    )


def arena(rng: random.Random) -> str:
    """Votes without prompts, some of them equal, by many voters."""
    names = ("m1", "m2", "m3", "m4")
    rows = []
    for _ in range(300):
        a, b = rng.sample(names, 2)
        winner = rng.choice(("model_a", "model_b", "tie", "tie (bothbad)"))
        voter = f"arena_user_{int(rng.paretovariate(0.6)) % 90}"
        rows.append({"model_a": a, "model_b": b, "winner": winner, "judge": voter})
    return jsonl(rows)


def bare(rng: random.Random) -> str:
    """Winners and scores without prompts and models."""
    rows = [(rng.choice("ab"), rng.randint(0, 10), rng.randint(0, 10)) for _ in range(120)]
    return "winner,score_a,score_b\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def repeats(rng: random.Random) -> str:
    """Repeats of judgments by two judges in both orders, on several completions of each prompt."""
    return json.dumps(
        [
            {
                "prompt": f"What is {question}?" if question % 5 else None,
                "prompt_id": question,
                "tags": rng.choice(("x", "y", "x, y")),
                "model_a": a,
                "model_b": b,
                "completion_a": f"{a} says {rng.randint(1, 2)} of {question}",
                "completion_b": f"{b} says {rng.randint(1, 2)} of {question}, " * 3,
                "winner": rng.choice(("a", "a", "b", "tie")),
                "score_a": rng.random(),
                "score_b": rng.random(),
                "judge": rng.choice(("j", "k")),
                "first": rng.choice(("a", "b")),
            }
            for question in range(30)
            for a, b in rng.sample((("zeta", "alpha"), ("alpha", "zeta"), ("zeta", "mu")) * 3, 6)
        ]
    )


MADE: dict[str, tuple[str, Callable[[random.Random], str], Shuffle]] = {
    "fastchat single": ("gpt-4_single.jsonl", fastchat_single, lines),
    "fastchat pair": ("gpt-4_pair.jsonl", fastchat_pair, lines),
    "arena": ("arena.jsonl", arena, lines),
    "bare": ("bare.csv", bare, table),
    "repeats": ("repeats.json", repeats, array),
}
SHUFFLES: dict[str, Shuffle] = {
    "alpaca_eval.json": array,
    "arena_hard.jsonl": lines,
    "battles.jsonl": lines,
    "clusters.csv": table,
    "llm_comparator.json": arrays_at("examples"),
    "pandalm.jsonl": lines,
    "preferences.csv": table,
    "results.json": arrays_at("prompts", "completions", "judgments", "failures"),
    "scores.csv": table,
    "script_1.json": arrays_at("results"),
    "script_swapped.json": arrays_at("results"),
}


def check(path: Path, folder: Path, shuffle: Shuffle, columns: dict[str, str] | None) -> str:
    """Compare the summaries of the file and of two shuffled copies; return its format."""
    before = audit([path], columns=columns)
    for seed in (1, 2):
        text = shuffle(path.read_text("utf-8"), random.Random(seed))
        shuffled = folder / str(seed) / path.name
        shuffled.parent.mkdir()
        shuffled.write_text(text, "utf-8")
        assert text != path.read_text("utf-8")
        after = audit([shuffled], columns=columns)
        assert after.summary.model_dump() == before.summary.model_dump()
    return str(before.config["format"][0])  # type: ignore[index,call-overload]


@pytest.mark.parametrize("name", SHUFFLES)
def test_shuffled_lines_of_every_format(name: str, tmp_path: Path) -> None:
    columns = COLUMNS if name == "clusters.csv" else None
    assert check(GOLDEN / name, tmp_path, SHUFFLES[name], columns) in importers()


@pytest.mark.parametrize("name", MADE)
def test_shuffled_lines_of_tables(name: str, tmp_path: Path) -> None:
    filename, make, shuffle = MADE[name]
    path = tmp_path / filename
    path.write_text(make(random.Random(5)), "utf-8")
    assert check(path, tmp_path, shuffle, None) == "table"


def test_every_format_is_shuffled() -> None:
    formats = {
        str(audit([GOLDEN / name]).config["format"][0])
        for name in SHUFFLES
        if name != "clusters.csv"
    }  # type: ignore[index,call-overload]
    assert formats == set(importers())


def test_shuffled_lines_of_several_files(tmp_path: Path) -> None:
    """Repeats of one evaluation: the order of the files stays, that of their lines changes."""
    names = ("script_1.json", "script_2.json", "script_3.json")
    before = audit([GOLDEN / name for name in names])
    shuffled = []
    for number, name in enumerate(names):
        shuffled.append(tmp_path / name)
        text = (GOLDEN / name).read_text("utf-8")
        shuffled[-1].write_text(arrays_at("results")(text, random.Random(number)), "utf-8")
    assert audit(shuffled).summary.model_dump() == before.summary.model_dump()
