"""Votes, and their conversion to judgments."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import Field

from bakeoff.evaluation.votes.items import PairKey, item_lookup
from bakeoff.records import HUMAN_PREFIX, Evidence, Failure, HumanSample, Judgment, Record, Verdict

Choice = Literal["first", "second", "tie", "skip"]

_FIRST_IS_BETTER = {"first": 1.0, "second": 0.0, "tie": 0.5}


class Vote(Record):
    """One vote of a person on a pair: a line of the vote file."""

    voter: str = Field(min_length=1)
    prompt_id: str
    first: str
    """Model of the completion that was shown first."""
    second: str
    sample: int = Field(default=0, ge=0)
    content_key: str
    """Hash of the texts shown (`VotingItem.content_key`)."""
    choice: Choice | Literal["undone"]
    """`undone` withdraws the voter's earlier vote on the pair."""
    human_sample: HumanSample
    """How the pair was selected; only votes on a random sample can correct a judge."""
    time: str
    """UTC, ISO 8601."""

    @property
    def key(self) -> PairKey:
        """Key of the pair."""
        return PairKey.of(self.prompt_id, self.first, self.second, self.sample)


class VoteJudgments(NamedTuple):
    """Votes as judgments."""

    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    """Skipped pairs."""
    human_sample: HumanSample | None
    """`random` if every counted vote is on a random sample; None if no vote counts."""
    stale: int
    """Votes that do not count because the texts have changed."""


def human_judges(evidence: Evidence) -> set[str]:
    """Return the names of the judges that are people."""
    return {name for name, origin in evidence.origins.items() if origin.startswith(HUMAN_PREFIX)}


def latest_votes(votes: Iterable[Vote]) -> dict[tuple[str, PairKey], Vote]:
    """Return the last vote per voter and pair, oldest first, without withdrawn ones."""
    latest: dict[tuple[str, PairKey], Vote] = {}
    for vote in votes:
        latest.pop((vote.voter, vote.key), None)
        if vote.choice != "undone":
            latest[vote.voter, vote.key] = vote
    return latest


def matching_votes(votes: Iterable[Vote], evidence: Evidence) -> list[Vote]:
    """Return the votes on texts that are those of the evidence."""
    item_of = item_lookup(evidence)

    def matches(vote: Vote) -> bool:
        item = item_of(vote.key, vote.first)
        return item is not None and item.content_key == vote.content_key

    return [vote for vote in votes if matches(vote)]


def judgments_from_votes(votes: Iterable[Vote], evidence: Evidence) -> VoteJudgments:
    """Return the votes as judgments, ordered by voter and prompt; a skip is a failure."""
    votes = list(votes)
    current = latest_votes(matching_votes(votes, evidence))
    position = {prompt.id: index for index, prompt in enumerate(evidence.prompts)}
    counted = sorted(current.values(), key=lambda v: (v.voter, position[v.prompt_id], v.key))
    chosen = any(vote.human_sample == "chosen" for vote in counted)
    return VoteJudgments(
        judgments=tuple(_judgment(vote) for vote in counted if vote.choice != "skip"),
        failures=tuple(_failure(vote) for vote in counted if vote.choice == "skip"),
        human_sample=("chosen" if chosen else "random") if counted else None,
        stale=len(latest_votes(votes).keys() - current.keys()),
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
