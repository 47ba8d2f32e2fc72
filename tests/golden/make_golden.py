"""Write the golden evaluations and their expected numbers.

    python -m tests.golden.make_golden

Each evaluation is a simulation with a fixed seed: models of known strength answer prompts with
sentences from a short list, and judges with a known position bias, length bias and noise compare
the answers. One evaluation per input format of `bakeoff audit`, in the shape that the other tool
writes; every text is our own. `tests/golden/reference.py` computes the expected numbers from the
raw rows. Nothing here imports bakeoff.

Only `random.Random.random` is drawn from: its sequence for a seed is the same in every version of
Python, so the files come out the same, byte for byte.
"""

import csv
import io
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
DATA = HERE / "data"
EXPECTED_AUDIT = HERE / "expected_audit.json"
EXPECTED_STATISTICS = HERE / "expected_statistics.json"
SEED = 7

Files = dict[str, str]  # name -> text
Row = dict[str, Any]

SUBJECTS = (
    *("sourdough starter", "bicycle chain", "rain barrel", "wool jumper", "garden compost"),
    *("chess opening", "paper kite", "fountain pen", "wooden chair", "herb garden", "map legend"),
    *("camping stove", "piano scale", "tide table", "knitting pattern", "bird feeder"),
    *("cast iron pan", "train timetable", "watercolour set", "beehive", "canal lock", "sundial"),
)
QUESTIONS = (
    *("How do I look after a {}?", "What should a beginner know about a {}?"),
    *("Explain a {} to a child.", "Give me three facts about a {}."),
)
SENTENCES = (
    *("A {} rewards a little patience.", "Start small and write down each step."),
    *("Most mistakes come from haste.", "Keep it dry and out of the sun."),
    *("Check it once a week.", "The older kind is easier to repair."),
    *("Two people finish in half an hour.", "Measure twice before any cut."),
    *("A damp cloth is enough to clean it.", "The price varies from town to town."),
    *("Ask a neighbour who has one.", "In winter it needs a warmer place."),
    *("The {} is older than most of us think.", "Good light helps more than good tools."),
)


class Noise:
    """Draws from one seeded sequence of numbers between 0 and 1."""

    def __init__(self, seed: int) -> None:
        self.uniform = random.Random(seed).random

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return self.uniform() < share

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(n * self.uniform())

    def logistic(self, scale: float = 1.0) -> float:
        """A number from the logistic distribution with mean 0."""
        u = min(max(self.uniform(), 1e-9), 1 - 1e-9)
        return scale * math.log(u / (1 - u))


class Judge(NamedTuple):
    """A simulated judge; all terms are in log-odds.

    `first` favours the answer that is shown first, `length` the longer one (per 40 characters),
    `noise` is the scale of its own noise, and below `tie` it names no winner.
    """

    first: float = 0.0
    length: float = 0.0
    noise: float = 0.5
    tie: float = 0.3

    def leaning(self, noise: Noise, gap: float, longer: float, shown: int) -> float:
        """Log-odds of preferring a; `shown` is 1 if a is shown first, -1 if second, else 0."""
        return gap + self.length * longer / 40 + self.first * shown + noise.logistic(self.noise)

    def prefers(self, noise: Noise, gap: float, longer: float = 0.0, shown: int = 0) -> float:
        """1 for a, 0 for b, 0.5 for a tie."""
        leaning = self.leaning(noise, gap, longer, shown)
        return 0.5 if abs(leaning) < self.tie else float(leaning > 0)


def question(number: int) -> str:
    """The prompt of this number; the first 88 are different."""
    return QUESTIONS[number // len(SUBJECTS) % len(QUESTIONS)].format(
        SUBJECTS[number % len(SUBJECTS)]
    )


def answer(noise: Noise, number: int, sentences: int) -> str:
    """An answer to `question(number)` of about `sentences` sentences."""
    count = max(1, sentences + noise.below(3) - 1)
    chosen = [SENTENCES[noise.below(len(SENTENCES))] for _ in range(count)]
    return " ".join(chosen).replace("{}", SUBJECTS[number % len(SUBJECTS)])


def as_json(value: Sequence[Row] | Mapping[str, Any]) -> str:
    """JSON with one line for each element of the list, or of the lists of the object."""
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(key)}: {_listed(content)}" for key, content in value.items())
        return "{" + ",\n".join(parts) + "}\n"
    return _listed(value) + "\n"


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in value) + "\n]"


def as_lines(rows: Sequence[Row]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: Sequence[Row]) -> str:
    """CSV with a header; None is a blank cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def alpaca_eval(seed: int) -> Files:
    """One judge, one random order per prompt, soft preferences, draws, unreadable labels, tags."""
    noise, judge = Noise(seed), Judge(first=-0.5, length=0.5, noise=0.8)
    rows: list[Row] = []
    for number in range(60):
        texts = answer(noise, number, 2), answer(noise, number, 3)
        shown = 1 if noise.chance(0.5) else -1
        leaning = judge.leaning(
            noise, 0.2 + noise.logistic(0.5), len(texts[1]) - len(texts[0]), shown
        )
        p = round(1 / (1 + math.exp(-leaning)), 6)
        named = p if shown == 1 else 1 - p  # the probability of the token of the first position
        rows.append(
            {
                "instruction": question(number),
                "output_1": texts[0],
                "output_2": texts[1],
                "generator_1": "reference-large",
                "generator_2": "tuned-small",
                "dataset": ("garden", "kitchen", "travel")[number % 3],
                "annotator": "judge-one",
                "preference": round(1 + p, 6),
                "top_logprobs": [
                    {"token": "m", "logprob": round(math.log(0.98 * named), 6)},
                    {"token": "M", "logprob": round(math.log(0.98 * (1 - named)), 6)},
                ],
            }
        )
    for number, preference in ((3, 1.5), (11, 1.5), (29, 0), (8, None), (21, "n/a"), (40, 3.2)):
        rows[number]["preference"] = preference
    rows[50]["preference"] = True
    for number in (14, 15, 33):
        del rows[number]["top_logprobs"]  # then the order is unknown
    return {"alpaca_eval.json": as_json(rows)}


def arena_hard(seed: int) -> Files:
    """Three models against a baseline, both orders, much better wins, games that failed."""
    noise, judge = Noise(seed), Judge(first=0.5, noise=0.6)
    marks = {1.0: ("A>B", "A>>B"), 0.5: ("A=B", "A=B"), 0.0: ("B>A", "B>>A")}
    rows: list[Row] = []
    for model, strength in (("amber", 0.9), ("birch", 0.1), ("coral", -0.8)):
        for number in range(24):
            gap = strength + noise.logistic(0.7)
            games: list[Row] = []
            for shown in (-1, 1):  # the model is second in the first game, first in the second
                for_model = judge.prefers(noise, gap, shown=shown)
                for_a = for_model if shown == 1 else 1 - for_model
                games.append({"score": marks[for_a][noise.chance(0.3)], "judgment": "weighed both"})
            rows.append(
                {
                    "question_id": f"q{number:02}",
                    "category": ("maths", "prose")[number % 2],
                    "model": model,
                    "baseline": "reference-large",
                    "judge": "judge-one",
                    "games": games,
                }
            )
    rows[4]["games"][1]["score"] = None
    rows[30]["games"][0]["score"] = "A?B"
    rows[55]["games"] = [{"score": None}, {"score": None}]
    return {"arena_hard.jsonl": as_lines(rows)}


def llm_comparator(seed: int) -> Files:
    """Three raters, a random order per example, ties, missing and unreadable scores, tags."""
    noise = Noise(seed)
    raters = {
        "rater-1": Judge(first=0.4, tie=0.5),
        "rater-2": Judge(first=0.2, length=0.4),
        "rater-3": Judge(noise=1.5),
    }
    examples: list[Row] = []
    for number in range(44):
        texts = answer(noise, number, 3), answer(noise, number, 3)
        flipped, gap = noise.chance(0.5), 0.5 + noise.logistic(0.7)
        scores: list[Row] = []
        for name, judge in raters.items():
            longer, shown = len(texts[0]) - len(texts[1]), -1 if flipped else 1
            leaning = judge.leaning(noise, gap, longer, shown)
            score = max(-1.5, min(1.5, round(leaning, 2)))
            scores.append({"rater_id": name, "score": score, "is_flipped": flipped})
        examples.append(
            {
                "input_text": question(number),
                "tags": [("short", "long")[number % 2]],
                "output_text_a": texts[0],
                "output_text_b": texts[1],
                "score": round(math.fsum(rating["score"] for rating in scores) / 3, 4),
                "individual_rater_scores": scores,
            }
        )
    del examples[5]["individual_rater_scores"][2]
    del examples[17]["individual_rater_scores"][0]
    examples[9]["individual_rater_scores"][1]["score"] = None
    examples[20]["individual_rater_scores"][2]["score"] = "good"
    models = [{"name": "maple"}, {"name": "oak"}]
    return {
        "llm_comparator.json": as_json({"metadata": {}, "models": models, "examples": examples})
    }


def pandalm(seed: int) -> Files:
    """Four models, six pairs, three human annotators, an answer that is no text, a bad label, two
    prompts with the same answer by two models.
    """
    noise = Noise(seed)
    strengths = {"elm": 0.8, "fir_2": 0.3, "hazel": -0.2, "iris": -0.9}
    names = list(strengths)
    annotators = Judge(noise=0.7, tie=0.5), Judge(noise=0.9, tie=0.3), Judge(noise=1.1, tie=0.4)
    texts = {
        name: [answer(noise, number, 1 + at % 2) for number in range(20)]
        for at, name in enumerate(names)
    }
    for number in (3, 12):
        texts["hazel"][number] = texts["elm"][number]
    rows: list[Row] = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            for number in range(20):
                gap = strengths[a] - strengths[b] + noise.logistic(0.6)
                preferences = [judge.prefers(noise, gap) for judge in annotators]
                labels = {1.0: 1, 0.0: 2, 0.5: 0}
                rows.append(
                    {
                        "idx": len(rows),
                        "cmp_key": f"{a}_{b}",
                        "instruction": question(number),
                        "input": "Use one line." if number % 4 == 0 else "",
                        "response1": texts[a][number],
                        "response2": texts[b][number],
                        **{
                            f"annotator{k + 1}": labels[preference]
                            for k, preference in enumerate(preferences)
                        },
                    }
                )
    for row in rows:
        if row["cmp_key"].startswith("elm") and row["idx"] % 20 == 7:
            row["response1"] = True
    rows[10]["annotator2"] = 9
    rows[61]["annotator3"] = None
    rows[70]["annotator1"] = "1"
    return {"pandalm.jsonl": as_lines(rows)}


def script(seed: int) -> Files:
    """Two repeats by one judge and one run of another; the order never changes; scores; tags of
    thinking in some answers; a verdict that is a boolean.
    """
    noise = Noise(seed)
    judges = {"judge-one": Judge(first=0.3, noise=0.4), "judge-two": Judge(first=0.8, noise=1.0)}
    answers, gaps = [], []
    for number in range(32):
        texts = [answer(noise, number, 1), answer(noise, number, 1)]
        if number % 8 == 1:
            texts[1] = f"<think>{SENTENCES[1]}</think> {texts[1]}"
        if number % 10 == 4:
            texts[0] = f"<think>{SENTENCES[2]}</think> {texts[0]}"
        leak = ("<think>" in texts[1]) - ("<think>" in texts[0])
        answers.append(texts)
        gaps.append(0.1 + 0.9 * leak + noise.logistic(0.8))
    files: Files = {}
    runs = (("judge-one", 1), ("judge-one", 2), ("judge-two", 3))
    for name, run in runs:
        results: list[Row] = []
        for number in range(32):
            leaning = judges[name].leaning(noise, gaps[number], 0, 1)
            winner = "tie" if abs(leaning) < 0.3 else "model1" if leaning > 0 else "model2"
            base = 5 + noise.below(3)
            results.append(
                {
                    "prompt": question(number),
                    "model1_completion": answers[number][0],
                    "model2_completion": answers[number][1],
                    "winner": winner,
                    "model1_score": max(0, min(10, base + round(leaning))),
                    "model2_score": base,
                    "explanation": "Weighed both.",
                }
            )
        if run == 2:
            results[13]["winner"] = True
        if run == 3:
            results[6]["winner"] = "neither"
        paths = {"model1_path": "willow", "model2_path": "yew", "judge_model": name}
        files[f"script_{run}.json"] = as_json({**paths, "results": results})
    return files


def script_swapped(seed: int) -> Files:
    """The same script with a random order per prompt: A and B are positions."""
    noise, judge = Noise(seed), Judge(first=0.6, noise=0.7)
    results: list[Row] = []
    for number in range(36):
        swapped = noise.chance(0.5)
        preference = judge.prefers(noise, 0.4 + noise.logistic(0.6), shown=-1 if swapped else 1)
        letters = {1.0: "AB"[swapped], 0.0: "BA"[swapped], 0.5: "tie"}
        results.append(
            {"prompt": question(number), "winner": letters[preference], "swapped": swapped}
        )
    results[31]["winner"] = "C"
    paths = {"model1_path": "willow", "model2_path": "yew", "judge_model": "judge-one"}
    return {"script_swapped.json": as_json({**paths, "results": results})}


def own_results(seed: int) -> Files:
    """bakeoff's own file: three models, both orders, two judges, scores, and two human raters."""
    noise = Noise(seed)
    strengths = {"rowan": 1.0, "sorrel": 0.0, "thyme": -0.6}
    judges = {"strict": Judge(first=0.5, length=0.3), "kind": Judge(first=0.2, noise=0.9)}
    people = {"ann": Judge(noise=0.5, tie=0.6), "ben": Judge(noise=0.8, tie=0.4)}
    names, ids = list(strengths), [f"p{number:02}" for number in range(22)]
    texts = {name: [answer(noise, number, 3) for number in range(len(ids))] for name in names}
    judgments: list[Row] = []
    failures: list[Row] = []

    def judgment(at: int, judge: str, names: tuple[str, str], first: float, **more: Any) -> None:
        row = {"prompt_id": ids[at], "judge": judge, "first": names[0], "second": names[1]}
        judgments.append({**row, "verdict": {"first": first, **more}})

    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            for at in range(len(ids)):
                gap = strengths[a] - strengths[b] + noise.logistic(0.6)
                longer = len(texts[a][at]) - len(texts[b][at])
                for judge, how in judges.items():
                    for shown in (1, -1):
                        leaning = how.leaning(noise, gap, longer, shown) * shown
                        first = 0.5 if abs(leaning) < how.tie else float(leaning > 0)
                        two = (a, b) if shown == 1 else (b, a)
                        if judge == "strict" and at == 5 and shown == -1 and b == "thyme":
                            failures.append(
                                {
                                    "stage": "judgment",
                                    "prompt_id": ids[at],
                                    "participant": judge,
                                    "kind": "verdict",
                                    "message": "the reply names no winner",
                                    "first": two[0],
                                    "second": two[1],
                                }
                            )
                        elif judge == "strict":
                            scores = [6.0 + max(-3, min(3, round(leaning))), 6.0]
                            judgment(at, judge, two, first, scores=scores)
                        else:
                            judgment(at, judge, two, first)
                if (a, b) == ("rowan", "sorrel") and at % 2 == 0:
                    for person, how in people.items():
                        if person == "ben" and at % 6 == 0:
                            continue
                        shown = 1 if noise.chance(0.5) else -1
                        two = (a, b) if shown == 1 else (b, a)
                        judgment(at, person, two, how.prefers(noise, gap * shown))
    document = {
        "schema": "bakeoff/1",
        "config": {
            "model": [f"{name}=api:{name}" for name in names],
            "judge": ["strict=api:s", "kind=api:k", "ann=human:ann", "ben=human:ben"],
        },
        "prompts": [
            {"id": id, "messages": [{"role": "user", "content": question(at)}]}
            for at, id in enumerate(ids)
        ],
        "completions": [
            {"prompt_id": id, "model": name, "completion": {"text": texts[name][at]}}
            for name in names
            for at, id in enumerate(ids)
        ],
        "judgments": judgments,
        "failures": failures,
        "summary": {"models": [{"model": name} for name in names]},
    }
    return {"results.json": as_json(document)}


def clusters(seed: int) -> Files:
    """A CSV with custom column names: clusters of prompts, two judges, both orders."""
    noise = Noise(seed)
    judges = {"north": Judge(first=0.6), "south": Judge(first=-0.1, noise=1.0)}
    rows: list[Row] = []
    number = 0
    for group in range(17):
        of_group = noise.logistic(0.6)
        for _ in range(2 + noise.below(2)):
            gap = 0.35 + of_group + noise.logistic(0.4)
            for judge, how in judges.items():
                for shown in (1, -1):
                    preference = how.prefers(noise, gap, shown=shown)
                    rows.append(
                        {
                            "item": f"item-{number}",
                            "document": f"doc-{group}",
                            "first choice": "plum",
                            "second choice": "quince",
                            "outcome": {1.0: "plum", 0.0: "quince", 0.5: "tie"}[preference],
                            "seen first": "plum" if shown == 1 else "quince",
                            "grader": judge,
                        }
                    )
            number += 1
    rows[22]["outcome"] = ""
    rows[57]["outcome"] = "both of them"
    return {"clusters.csv": as_csv(rows)}


def battles(seed: int) -> Files:
    """JSON lines without prompts and orders: five models, each row a separate prompt."""
    noise, judge = Noise(seed), Judge(noise=1.0, tie=0.4)
    strengths = {"ash": 0.9, "beech": 0.5, "cedar": 0.0, "dogwood": -0.4, "elder": -1.0}
    names = list(strengths)
    rows: list[Row] = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            for _ in range(18):
                preference = judge.prefers(noise, strengths[a] - strengths[b])
                winner = {1.0: "model_a", 0.0: "model_b", 0.5: "tie"}[preference]
                rows.append({"model_a": a, "model_b": b, "winner": winner})
    rows[77]["winner"] = "nobody"
    return {"battles.jsonl": as_lines(rows)}


def scores(seed: int) -> Files:
    """Three models, each answer scored alone by two judges; missing and unreadable scores."""
    noise = Noise(seed)
    strengths = {"lark": 1.2, "merle": 0.0, "nene": -0.5}
    rows: list[Row] = []
    for model, strength in strengths.items():
        for number in range(32):
            text = answer(noise, number, 1 + (model == "lark"))
            for judge in ("points-1", "points-2"):
                value = 5.5 + strength + len(text) / 60 + noise.logistic(1.0)
                rows.append(
                    {
                        "prompt_id": f"s{number:02}",
                        "model": model,
                        "completion": text,
                        "judge": judge,
                        "score": max(0, min(20, round(2 * value))) / 2,
                    }
                )
    rows[9]["score"] = "n/a"
    rows[100]["score"] = 11
    rows[150]["score"] = None
    del rows[40]
    return {"scores.csv": as_csv(rows)}


def preferences(seed: int) -> Files:
    """A CSV of soft preferences with scores, in both orders, which often contradict each other
    without being even; 16 prompts, few enough for an exact permutation test.
    """
    noise, judge = Noise(seed), Judge(first=0.8, noise=0.4)
    rows: list[Row] = []
    for number in range(16):
        gap, base = 0.4 + noise.logistic(0.4), 4 + noise.below(4)
        for shown in (1, -1):
            leaning = judge.leaning(noise, gap, 0, shown)
            rows.append(
                {
                    "prompt": question(number),
                    "model_a": "teal",
                    "model_b": "umber",
                    "preference": round(1 / (1 + math.exp(-leaning)), 4),
                    "first": "a" if shown == 1 else "b",
                    "score_a": max(0, min(10, base + round(2 * leaning) / 2)),
                    "score_b": base,
                }
            )
    return {"preferences.csv": as_csv(rows)}


def vectors(seed: int) -> Files:
    """Input vectors of the functions of `bakeoff.stats`."""
    noise = Noise(seed)

    def multiples(n: int, steps: int, lean: float = 0.0) -> list[float]:
        """Values in [0, 1] that are multiples of 1/steps."""
        values = (1 / (1 + math.exp(-lean - noise.logistic())) for _ in range(n))
        return [round(round(value * steps) / steps, 9) for value in values]

    def differences(n: int, lean: float) -> list[float]:
        """Values that are multiples of 0.05."""
        return [round(round(2 * (lean + noise.logistic(0.6))) / 20, 9) for _ in range(n)]

    def rating(quality: float) -> int | None:
        """1 to 5, or none."""
        label = max(1, min(5, round(3 + quality + noise.logistic(0.6))))
        return None if noise.chance(0.1) else label

    def panel() -> list[list[float | None]]:
        """Verdicts of three judges on 40 prompts, some missing."""
        judges = Judge(noise=0.7), Judge(noise=0.9, first=0.8), Judge(noise=0.5, first=-0.6)
        rows: list[list[float | None]] = []
        for _ in range(40):
            gap = 0.2 + noise.logistic(0.7)
            rows.append(
                [
                    None if noise.chance(0.05) else judge.prefers(noise, gap, shown=1)
                    for judge in judges
                ]
            )
        return rows

    strengths = (0.8, 0.4, 0.0, -0.3, -0.9)
    battles: list[list[float]] = []
    for prompt in range(40):
        left = noise.below(5)
        right = (left + 1 + noise.below(4)) % 5
        judge = Judge(noise=1.0, tie=0.5, first=0.5)
        won = judge.prefers(noise, strengths[left] - strengths[right], shown=1)
        battles.append([left, right, won, prompt])
        won = judge.prefers(noise, strengths[right] - strengths[left], shown=1)
        battles.append([right, left, won, prompt])
    qualities = [noise.logistic(0.6) for _ in range(30)]
    labels, judged = [], []
    for _ in range(200):
        gap = 0.3 + noise.logistic(0.8)
        labels.append(Judge(tie=0.4).prefers(noise, gap))
        judged.append(Judge(tie=0.2, noise=0.8).prefers(noise, gap + 0.3))
    nested: list[list[float]] = []  # prompt, generation, order, repeat, value
    for prompt in range(12):
        of_prompt = noise.logistic(0.5)
        for generation in range(2):
            of_generation = of_prompt + noise.logistic(0.3)
            for order in range(2):
                of_order = of_generation + noise.logistic(0.2) + 0.3 * order
                for repeat in range(3):
                    value = 1 / (1 + math.exp(-of_order - noise.logistic(0.4)))
                    nested.append([prompt, generation, order, repeat, round(value, 6)])
    lengths = [round(120 * noise.logistic()) for _ in range(60)]
    hardness = [round(noise.logistic(0.5), 4) for _ in range(60)]
    soft = [
        round(1 / (1 + math.exp(0.5 * hard - 0.2 - noise.logistic(0.5))), 6) for hard in hardness
    ]
    values = {
        "singles": [(0.0, 0.5, 1.0)[noise.below(3)] for _ in range(25)],
        "few": multiples(14, 4, 0.4),
        "many": multiples(64, 4, 0.2),
        "rare": multiples(40, 10, 2.2),
        "groups": [noise.below(12) for _ in range(64)],
        "differences": differences(13, 0.3),
        "more_differences": differences(45, 0.25),
        "families": [[differences(1, lean)[0] for lean in (0.6, 0.2, 0.0)] for _ in range(11)],
        "p_values": [round(noise.uniform() ** 3, 6) for _ in range(9)],
        "discordant": [[12, 3], [31, 17], [9, 9]],
        "ratings": [[rating(quality) for _ in range(4)] for quality in qualities],
        "battles": battles,
        "labels": labels[:50],
        "more_labels": labels[:120],
        "judged": judged,
        "stream": [Judge().prefers(noise, 0.7, shown=0) for _ in range(60)],
        "nested": nested,
        "lengths": lengths,
        "hardness": hardness,
        "soft": soft,
        "gamed": [
            [round(noise.logistic(), 4), round(0.5 + 0.3 * noise.uniform(), 4), at % 60]
            for at in range(120)
        ],
        "panel": panel(),
        "baseline": multiples(64, 4),
        "slices": [[round(0.3 + 0.4 * noise.uniform(), 4), 0.02 + 0.01 * at] for at in range(8)],
    }
    return {"vectors.json": as_json(values)}


EVALUATIONS: dict[str, Callable[[int], Files]] = {
    make.__name__: make
    for make in (
        *(alpaca_eval, arena_hard, llm_comparator, pandalm, script, script_swapped, own_results),
        *(clusters, battles, scores, preferences),
    )
}


def files(name: str, seed: int = SEED) -> Files:
    """The files of an evaluation, or of `vectors`.

    Each has its own random sequence, so one can change without the others.
    """
    makers = {**EVALUATIONS, "vectors": vectors}
    return makers[name](1000 * seed + list(makers).index(name))


def main() -> None:
    """Write all data files, then both files of expected numbers."""
    from tests.golden import reference, reference_statistics

    DATA.mkdir(exist_ok=True)
    for name in (*EVALUATIONS, "vectors"):
        for file, text in files(name).items():
            (DATA / file).write_text(text, encoding="utf-8")
    audit, statistics = reference.expected(DATA), reference_statistics.expected(DATA)
    EXPECTED_AUDIT.write_text(reference.to_json(audit), encoding="utf-8")
    EXPECTED_STATISTICS.write_text(reference.to_json(statistics), encoding="utf-8")


if __name__ == "__main__":
    main()
