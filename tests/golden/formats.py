"""Reads the golden evaluations in the formats of the tools that write them, without bakeoff."""

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.golden.reference_prompts import similar_prompts


@dataclass(frozen=True)
class Verdict:
    """A verdict as stored in a file; `y` is None if it is unreadable, with the reason in `kind`.

    `first` is "a" or "b", None where the file does not say which was shown first.
    """

    prompt: str
    judge: str
    a: str
    b: str
    y: float | None
    first: str | None = None
    kind: str = ""
    scores: tuple[float, float] | None = None
    repeat: int = 0


@dataclass
class Evaluation:
    """The contents of the files of an evaluation."""

    verdicts: list[Verdict]
    texts: dict[tuple[str, str], str] = field(default_factory=dict)  # (model, prompt) -> text
    tags: dict[str, str] = field(default_factory=dict)
    cluster: dict[str, str] = field(default_factory=dict)
    people: frozenset[str] = frozenset()
    models: list[str] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)  # texts, where the files have them

    def __post_init__(self) -> None:
        self.models = list(
            dict.fromkeys([*self.models, *(m for v in self.verdicts for m in (v.a, v.b))])
        )

    @cached_property
    def similar(self) -> dict[str, str]:
        """Prompt -> name of the cluster of prompts with a similar text."""
        return similar_prompts(self.prompts)


def _by_text(
    verdicts: list[Verdict],
    texts: dict[tuple[str, str], str] | None = None,
    tags: dict[str, str] | None = None,
) -> Evaluation:
    """An evaluation whose prompts are named by their text."""
    return Evaluation(
        verdicts, texts or {}, tags or {}, prompts={v.prompt: v.prompt for v in verdicts}
    )


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def _csv(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text("utf-8"))))


def _kind(value: Any) -> str:
    """The failure kind of a label that is no verdict."""
    if value is None or value == "":
        return "missing"
    return "boolean" if isinstance(value, bool) else "unreadable"


def alpaca_eval(folder: Path) -> Evaluation:
    """The preference minus 1 is for output_2; the logprobs of m and M give the order."""
    evaluation = Evaluation([])
    for row in _json(folder, "alpaca_eval.json"):
        prompt, raw = row["instruction"], row["preference"]
        a, b = row["generator_2"], row["generator_1"]
        evaluation.texts[a, prompt], evaluation.texts[b, prompt] = row["output_2"], row["output_1"]
        evaluation.tags[prompt] = row["dataset"]
        y = None
        if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw <= 2:
            y = 0.5 if raw in (0, 1.5) else raw - 1
        first = None
        if y is not None and y != 0.5 and "top_logprobs" in row:
            m, upper = (math.exp(entry["logprob"]) for entry in row["top_logprobs"])
            share = m / (m + upper)  # probability of the token of the first position
            distance, name = min((abs(y - share), "a"), (abs(y - (1 - share)), "b"))
            first = name if distance <= 1e-3 else None  # the files are rounded
        evaluation.verdicts.append(Verdict(prompt, row["annotator"], a, b, y, first, _kind(raw)))
    return _by_text(evaluation.verdicts, evaluation.texts, evaluation.tags)


def arena_hard(folder: Path) -> Evaluation:
    """In the first game A is the baseline, in the second the model."""
    preference_of = {"A>>B": 1.0, "A>B": 1.0, "A=B": 0.5, "B>A": 0.0, "B>>A": 0.0}
    verdicts, tags = [], {}
    for row in _lines(folder, "arena_hard.jsonl"):
        tags[row["question_id"]] = row["category"]
        for turn, game in enumerate(row["games"]):
            y = preference_of.get(game["score"])
            if y is not None and turn == 0:
                y = 1 - y
            verdicts.append(
                Verdict(
                    *(row["question_id"], row["judge"], row["model"], row["baseline"], y),
                    first="ba"[turn],
                    kind=_kind(game["score"]),
                )
            )
    # bakeoff compares models that are always the first of a pair in the order of their names, and
    # then those that are always the second.
    return Evaluation(verdicts, tags=tags, models=sorted({v.a for v in verdicts}))


def llm_comparator(folder: Path) -> Evaluation:
    """A score above 0.25 is a win of a, below -0.25 of b, else a tie."""
    document = _json(folder, "llm_comparator.json")
    a, b = (model["name"] for model in document["models"])
    evaluation = Evaluation([])
    for row in document["examples"]:
        prompt = row["input_text"]
        evaluation.texts[a, prompt], evaluation.texts[b, prompt] = (
            row["output_text_a"],
            row["output_text_b"],
        )
        evaluation.tags[prompt] = row["tags"][0]
        for rating in row["individual_rater_scores"]:
            score, y = rating["score"], None
            if isinstance(score, int | float):
                y = 0.5 if abs(score) <= 0.25 else float(score > 0)
            first = "b" if rating["is_flipped"] else "a"
            evaluation.verdicts.append(
                Verdict(prompt, rating["rater_id"], a, b, y, first, _kind(score))
            )
    return _by_text(evaluation.verdicts, evaluation.texts, evaluation.tags)


def pandalm(folder: Path) -> Evaluation:
    """1 is a win of the first model of the key, 2 of the second, 0 a tie; no order is recorded."""
    preference_of = {"1": 1.0, "2": 0.0, "0": 0.5}
    evaluation = Evaluation([])
    for row in _lines(folder, "pandalm.jsonl"):
        prompt = row["instruction"] + row["input"]
        a, b = row["cmp_key"].replace("fir_2", "fir-2").split("_")
        a, b = a.replace("-", "_"), b.replace("-", "_")
        for model, text in ((a, row["response1"]), (b, row["response2"])):
            if isinstance(text, str):
                evaluation.texts[model, prompt] = text
        for judge in ("annotator1", "annotator2", "annotator3"):
            y = preference_of.get(str(row[judge]))
            evaluation.verdicts.append(Verdict(prompt, judge, a, b, y, kind=_kind(row[judge])))
    return _by_text(evaluation.verdicts, evaluation.texts)


def script(folder: Path) -> Evaluation:
    """Two runs of one judge are repeats; model1 is always shown first."""
    evaluation = Evaluation([])
    for file, repeat in (("script_1.json", 0), ("script_2.json", 1), ("script_3.json", 0)):
        document = _json(folder, file)
        a, b, judge = (document[key] for key in ("model1_path", "model2_path", "judge_model"))
        for row in document["results"]:
            prompt, winner = row["prompt"], row["winner"]
            evaluation.texts[a, prompt] = row["model1_completion"]
            evaluation.texts[b, prompt] = row["model2_completion"]
            y = {"model1": 1.0, "model2": 0.0, "tie": 0.5}.get(winner)
            scores = float(row["model1_score"]), float(row["model2_score"])
            evaluation.verdicts.append(
                Verdict(prompt, judge, a, b, y, "a", _kind(winner), scores, repeat)
            )
    return _by_text(evaluation.verdicts, evaluation.texts)


def script_swapped(folder: Path) -> Evaluation:
    """A is the first position: model2 in swapped rows."""
    document = _json(folder, "script_swapped.json")
    a, b, judge = (document[key] for key in ("model1_path", "model2_path", "judge_model"))
    verdicts = []
    for row in document["results"]:
        y = {"A": 1.0, "B": 0.0, "tie": 0.5}.get(row["winner"])
        if y is not None and row["swapped"]:
            y = 1 - y
        first = "b" if row["swapped"] else "a"
        verdicts.append(Verdict(row["prompt"], judge, a, b, y, first, _kind(row["winner"])))
    return _by_text(verdicts)


def own_results(folder: Path) -> Evaluation:
    """The records of results.json; judges whose spec begins with `human:` are people."""
    document = _json(folder, "results.json")
    models = [entry["model"] for entry in document["summary"]["models"]]
    verdicts = []
    for row in document["judgments"]:
        left, right = row["first"], row["second"]
        a_first = models.index(left) < models.index(right)
        a, b = (left, right) if a_first else (right, left)
        preference = row["verdict"]["first"]
        scores = row["verdict"].get("scores")
        if scores:
            scores = tuple(scores if a_first else scores[::-1])
        verdicts.append(
            Verdict(
                *(row["prompt_id"], row["judge"], a, b, preference if a_first else 1 - preference),
                first="a" if a_first else "b",
                scores=scores,
            )
        )
    for row in document["failures"]:
        a, b = sorted((row["first"], row["second"]), key=models.index)
        first = "a" if row["first"] == a else "b"
        verdicts.append(
            Verdict(row["prompt_id"], row["participant"], a, b, None, first, row["kind"])
        )
    texts = {
        (row["model"], row["prompt_id"]): row["completion"]["text"]
        for row in document["completions"]
    }
    specs = [spec.split("=", 1) for spec in document["config"]["judge"]]
    people = frozenset(name for name, spec in specs if spec.startswith("human:"))
    prompts = {row["id"]: row["messages"][0]["content"] for row in document["prompts"]}
    return Evaluation(verdicts, texts, people=people, models=models, prompts=prompts)


def clusters(folder: Path) -> Evaluation:
    """A table with custom column names, see `COLUMNS`."""
    verdicts, cluster = [], {}
    for row in _csv(folder, "clusters.csv"):
        a, b = row["first choice"], row["second choice"]
        cluster[row["item"]] = row["document"]
        y = {a: 1.0, b: 0.0, "tie": 0.5}.get(row["outcome"])
        first = "a" if row["seen first"] == a else "b"
        verdicts.append(Verdict(row["item"], row["grader"], a, b, y, first, _kind(row["outcome"])))
    return Evaluation(verdicts, cluster=cluster)


def battles(folder: Path) -> Evaluation:
    """Each row is a separate prompt; no order is recorded."""
    preference_of = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5}
    return Evaluation(
        [
            Verdict(
                f"row {at}",
                "judge",
                *names,
                preference_of.get(row["winner"]),
                kind=_kind(row["winner"]),
            )
            for at, row in enumerate(_lines(folder, "battles.jsonl"))
            for names in [(row["model_a"], row["model_b"])]
        ]
    )


def scores(folder: Path) -> Evaluation:
    """Scores of single answers: each judge prefers the answer with the higher score."""
    evaluation = Evaluation([])
    raw_scores: dict[tuple[str, str, str], str] = {}
    models: dict[str, None] = {}
    for row in _csv(folder, "scores.csv"):
        models[row["model"]] = None
        raw_scores[row["judge"], row["prompt_id"], row["model"]] = row["score"]
        evaluation.texts[row["model"], row["prompt_id"]] = row["completion"]
    for judge in sorted({key[0] for key in raw_scores}):
        for a, b in combinations(models, 2):
            for prompt in sorted({key[1] for key in raw_scores}):
                pair = [raw_scores.get((judge, prompt, model), "") for model in (a, b)]
                wrong = [_kind(raw) for raw in pair if not _is_score(raw)]
                if wrong:
                    evaluation.verdicts.append(Verdict(prompt, judge, a, b, None, kind=wrong[0]))
                    continue
                x, y = map(float, pair)
                preferred = 0.5 if x == y else float(x > y)
                evaluation.verdicts.append(Verdict(prompt, judge, a, b, preferred, scores=(x, y)))
    return Evaluation(evaluation.verdicts, evaluation.texts)


def _is_score(raw: str) -> bool:
    try:
        return 0 <= float(raw) <= 10
    except ValueError:
        return False


def preferences(folder: Path) -> Evaluation:
    """Soft preferences in one random order, with scores."""
    return _by_text(
        [
            Verdict(
                *(row["prompt"], "judge", row["model_a"], row["model_b"]),
                y=float(row["preference"]),
                first=row["first"],
                scores=(float(row["score_a"]), float(row["score_b"])),
            )
            for row in _csv(folder, "preferences.csv")
        ]
    )


READERS: dict[str, Callable[[Path], Evaluation]] = {
    read.__name__: read
    for read in (
        *(alpaca_eval, arena_hard, llm_comparator, pandalm, script, script_swapped, own_results),
        *(clusters, battles, scores, preferences),
    )
}
