"""Builders of labeled pairs, of judges that grade them, and of verdicts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bakeoff.evaluation.judge_check import LabeledPair
from bakeoff.records import Failure, Judgment
from bakeoff.testing import shown_completions, verdict_json
from tests.builders import make_failure, make_judgment, make_prompt

Responder = Callable[[dict[str, Any]], Any]


def pair(number: int, better: str = "good", worse: str = "bad", **more: str) -> LabeledPair:
    """Return pair p0, p1, ... with unique prompt and texts."""
    question = make_prompt(f"question {number}")
    return LabeledPair(
        id=f"p{number}",
        prompt=question,
        better=f"{better} {number}",
        worse=f"{worse} {number}",
        **more,
    )


def perfect_judge(pairs: Sequence[LabeledPair], wrong: Iterable[str] = ()) -> Responder:
    """Return the responder of a judge that is always right, but always wrong on some sets."""

    def respond(body: dict[str, Any]) -> str:
        (labeled_pair,) = (p for p in pairs if _is_of(p, body))
        return _says(
            (shown_completions(body)[0] == labeled_pair.better.strip())
            != (labeled_pair.set in wrong)
        )

    return respond


def _is_of(labeled_pair: LabeledPair, body: dict[str, Any]) -> bool:
    texts = {labeled_pair.better.strip(), labeled_pair.worse.strip()}
    question = labeled_pair.prompt.messages[0].content.strip()
    return set(shown_completions(body)) == texts and question in body["messages"][0]["content"]


def always_first(body: dict[str, Any]) -> str:
    return verdict_json("A", 9, 2)


def prefers_longest(body: dict[str, Any]) -> str:
    first, second = map(len, shown_completions(body))
    return verdict_json("tie") if first == second else _says(first > second)


def _says(first: bool) -> str:
    return verdict_json("A", 9, 2) if first else verdict_json("B", 2, 9)


def judgments_of(
    labeled_pair: LabeledPair, better_first: float, better_second: float, **more: Any
) -> list[Judgment]:
    """Return judgments in both orders; each number is the probability of the first."""
    return [
        make_judgment(
            labeled_pair.id,
            first,
            second,
            value,
            judge=more.get("judge", "j"),
            **more.get("verdict", {}),
        )
        for first, second, value in (
            ("better", "worse", better_first),
            ("worse", "better", better_second),
        )
    ]


def failure_of(labeled_pair: LabeledPair, first: str = "better") -> Failure:
    return make_failure(labeled_pair.id, first, "worse" if first == "better" else "better")
