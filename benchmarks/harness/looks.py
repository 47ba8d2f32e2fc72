"""The evidence of a later look at a comparison, as a run with more prompts records it."""

from collections.abc import Sequence
from typing import NamedTuple

from bakeoff import records
from bakeoff.records import Design, Evidence


class EarlierLook(NamedTuple):
    """A finished run that printed a verdict."""

    prompts: int
    outcome: str


def evidence_of_look(
    evidence: Evidence, prompt_ids: Sequence[str], earlier: Sequence[EarlierLook]
) -> Evidence:
    """The evidence on these prompts, with the earlier looks in its design.

    A version of bakeoff whose design has no looks gets none, and decides each look as the first.
    """
    kept = set(prompt_ids)
    design = evidence.design
    if earlier and "looks" in Design.model_fields:
        a, b = evidence.models
        looks = tuple(
            records.Look(a=a, b=b, prompts=n, outcome=outcome, time=f"2025-01-0{day}T12:00:00Z")
            for day, (n, outcome) in enumerate(earlier, 1)
        )
        design = design.model_copy(update={"looks": looks})
    return evidence.model_copy(
        update={
            "prompts": tuple(p for p in evidence.prompts if p.id in kept),
            "judgments": tuple(j for j in evidence.judgments if j.prompt_id in kept),
            "design": design,
        }
    )
