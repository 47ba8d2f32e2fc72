"""Votes, and what they come to: which of them count, and as which judgments.

Knows no file and no page.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import Field

from bakeoff.evaluation.votes.items import Candidates, Slips
from bakeoff.records import HUMAN_PREFIX, Evidence, Failure, HumanSample, Judgment, Record, Verdict

Choice = Literal["first", "second", "tie", "skip"]

_FIRST_IS_BETTER = {"first": 1.0, "second": 0.0, "tie": 0.5}


class Vote(Record):
    """One press of a key: who said what of which two models, by the places that they had.

    `shown` is the key of the texts (`Slip.shown`). `drawn` tells whether the pair was drawn at
    random from all pairs: only such votes can correct a judge. `at` is UTC, as ISO 8601. `undone`
    takes back what the voter said of the pair before.
    """

    voter: str = Field(min_length=1)
    prompt_id: str
    first: str
    second: str
    sample: int = Field(default=0, ge=0)
    shown: str
    choice: Choice | Literal["undone"]
    drawn: HumanSample
    at: str

    @property
    def candidates(self) -> Candidates:
        """Whom it is about."""
        return Candidates.of(self.prompt_id, self.first, self.second, self.sample)


class Count(NamedTuple):
    """What votes come to.

    `drawn` is `random` where every vote that counts is, None where none counts. `stale` is how many
    are left out because the texts are others now.
    """

    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    drawn: HumanSample | None
    stale: int


def people_in(evidence: Evidence) -> set[str]:
    """The judges that are people."""
    return {name for name, origin in evidence.origins.items() if origin.startswith(HUMAN_PREFIX)}


def standing(votes: Iterable[Vote]) -> dict[tuple[str, Candidates], Vote]:
    """The last word of each voter on each two candidates, in the order in which it was said."""
    last: dict[tuple[str, Candidates], Vote] = {}
    for vote in votes:
        last.pop((vote.voter, vote.candidates), None)
        if vote.choice != "undone":
            last[vote.voter, vote.candidates] = vote
    return last


def fitting(votes: Iterable[Vote], evidence: Evidence) -> list[Vote]:
    """The votes on just the texts that the evidence holds."""
    slips = Slips(evidence)

    def fits(vote: Vote) -> bool:
        slip = slips.slip(vote.candidates, first=vote.first)
        return slip is not None and slip.shown == vote.shown

    return [vote for vote in votes if fits(vote)]


def count(votes: Iterable[Vote], evidence: Evidence) -> Count:
    """The votes as judgments, in the order of voters and prompts; a skip is a failure."""
    votes = list(votes)
    fit = standing(fitting(votes, evidence))
    place = {prompt.id: number for number, prompt in enumerate(evidence.prompts)}
    counted = sorted(fit.values(), key=lambda v: (v.voter, place[v.prompt_id], v.candidates))
    chosen = any(vote.drawn == "chosen" for vote in counted)
    return Count(
        judgments=tuple(_judgment(vote) for vote in counted if vote.choice != "skip"),
        failures=tuple(_failure(vote) for vote in counted if vote.choice == "skip"),
        drawn=("chosen" if chosen else "random") if counted else None,
        stale=len(standing(votes).keys() - fit.keys()),
    )


def _judgment(vote: Vote) -> Judgment:
    return Judgment(
        prompt_id=vote.prompt_id,
        judge=vote.voter,
        first=vote.first,
        second=vote.second,
        sample=vote.sample,
        verdict=Verdict(first=_FIRST_IS_BETTER[vote.choice]),
    )


def _failure(vote: Vote) -> Failure:
    return Failure(
        stage="judgment",
        prompt_id=vote.prompt_id,
        participant=vote.voter,
        kind="skipped",
        message="the voter passed this pair over",
        first=vote.first,
        second=vote.second,
    )
