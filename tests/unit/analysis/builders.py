"""Small evidence for the tests of the summary: models a and b, prompts p0, p1, ..."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from bakeoff.analysis.aggregate import Panel
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import summarize
from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    PairSummary,
    Prompt,
    Scores,
)
from tests.builders import make_failure, make_judgment, make_prompt

WORDS = (
    "harbor lantern violet copper engine meadow quartz ribbon saddle thunder walnut zephyr anchor",
    "barley candle dragon ember falcon garden hollow island jungle kettle ladder marble needle",
    "orchard pepper quiver river silver temple umbrella velvet willow yonder amber bishop cedar",
    "dagger eagle fabric glacier hammer ivory jacket kernel lemon magnet nectar",
)


def sentences(count: int, length: int = 12, seed: int = 1) -> list[str]:
    """Texts of random words, none of which is a template of another."""
    rng, words = random.Random(seed), " ".join(WORDS).split()
    return [" ".join(rng.choices(words, k=length)) for _ in range(count)]


def judgment(prompt: int, first: str, value: float, **more: Any) -> Judgment:
    """`value` is the probability that `first` is better, of a and b."""
    second = more.pop("second", "b" if first == "a" else "a")
    return make_judgment(f"p{prompt}", first, second, value, **more)


def both(prompt: int, value: float, **more: Any) -> list[Judgment]:
    """The same preference for a in both orders."""
    return [judgment(prompt, "a", value, **more), judgment(prompt, "b", 1 - value, **more)]


def won(wins: int, losses: int, ties: int = 0, **more: Any) -> list[Judgment]:
    """These numbers of prompts won, lost and tied by a, the same in both orders."""
    values = [1.0] * wins + [0.0] * losses + [0.5] * ties
    return [row for n, value in enumerate(values) for row in both(n, value, **more)]


def failure(prompt: str = "x", kind: str = "verdict", **more: Any) -> Failure:
    """A verdict on a and b that failed."""
    judge, first, second = (
        more.pop("participant", "j"),
        more.pop("first", "a"),
        more.pop("second", "b"),
    )
    return make_failure(prompt, first, second, judge=judge, kind=kind, **more)


def prompt(number: int, text: str | None = None, tags: Sequence[str] = ()) -> Prompt:
    """Prompt p0, p1, ... with a distinct text."""
    return make_prompt(text or f"question {number}", id=f"p{number}", tags=tuple(tags))


def texts(
    model: str, contents: Iterable[str | Completion], sample: int = 0
) -> list[ModelCompletion]:
    """The completions of a model for p0, p1, ..."""
    return [
        ModelCompletion(
            prompt_id=f"p{number}",
            model=model,
            completion=content if isinstance(content, Completion) else Completion(text=content),
            sample=sample,
        )
        for number, content in enumerate(contents)
    ]


def evidence(
    judgments: Iterable[Judgment], models: Sequence[str] = ("a", "b"), **more: Any
) -> Evidence:
    """Evidence of these judgments, with their prompts unless other fields are given."""
    rows = tuple(judgments)
    numbers = sorted({int(row.prompt_id[1:]) for row in rows})
    fields = {"prompts": tuple(map(prompt, numbers)), "completions": (), "failures": ()} | more
    return Evidence(models=tuple(models), judgments=rows, **fields)


def pair(
    judgments: Iterable[Judgment], margin: float = 5.0, panel: Panel = "mean", **more: Any
) -> PairSummary:
    """The summary of the only pair."""
    return summarize(evidence(judgments, **more), AnalysisConfig(margin, panel)).pairs[0]


def reasons(summary: PairSummary) -> list[str]:
    """The kinds of the findings against a verdict."""
    return [reason.kind for reason in summary.reasons]


value = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)
scores = st.none() | st.builds(Scores, st.integers(0, 10), st.integers(0, 10))
rows = st.lists(
    st.builds(
        lambda prompt, first, value, scores, more: judgment(
            prompt, first, value, scores=scores, **more
        ),
        *(st.integers(0, 24), st.sampled_from("ab"), value, scores),
        st.fixed_dictionaries(
            {
                "repeat": st.integers(0, 1),
                "sample": st.integers(0, 1),
                "judge": st.sampled_from(["j", "k"]),
                "presented": st.sampled_from(["recorded"] * 5 + ["unknown", "pointwise"]),
            }
        ),
    ),
    min_size=1,
    max_size=80,
)
words_by_model = st.dictionaries(
    st.sampled_from("ab"),
    st.lists(st.text(max_size=8) | st.just("<think>x"), min_size=25, max_size=25),
)
