"""Votes into evidence: people become judges like any other."""

from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.vote_log import read
from bakeoff.evaluation.votes.votes import count, people_in
from bakeoff.records import HUMAN_PREFIX, Evidence


class Labels(NamedTuple):
    """Evidence with what people said in it, who they are, and how many votes are left out.

    `stale` votes are on other texts than those of the evidence.
    """

    evidence: Evidence
    voters: tuple[str, ...]
    stale: int


def machines(evidence: Evidence) -> frozenset[str]:
    """The names that no voter may have: every model and every judge that is no person."""
    judges = {one.judge for one in evidence.judgments}
    judges |= {one.participant for one in evidence.failures} | set(evidence.origins)
    return frozenset(evidence.models) | (judges - people_in(evidence))


def people(evidence: Evidence, file: Path) -> Labels:
    """The evidence with the votes of a file in it, in place of what its voters said before.

    It is `drawn` at random only where every vote is on a pair that was. Where there is no such
    file, the evidence as it is. ConfigError where the file cannot be read, or a voter has the name
    of a model or of a judge that is known to be no person.
    """
    votes = read(file)
    voters = {vote.voter for vote in votes}
    known = set(evidence.origins) - people_in(evidence)
    if both := voters & (known | set(evidence.models)):
        raise ConfigError(
            f"{min(both)!r} has voted in {str(file)!r} and is a model or judge of this comparison: "
            "give that one another name, as in name=backend:target"
        )
    counted = count(votes, evidence)
    before = tuple(one for one in evidence.judgments if one.judge not in voters)
    failed = tuple(one for one in evidence.failures if one.participant not in voters)
    said = {one.judge for one in counted.judgments} | {one.participant for one in counted.failures}
    kept = people_in(evidence) & {one.judge for one in before}
    drawn = {evidence.human_sample} if kept or not votes else set()
    drawn |= {counted.drawn} if counted.drawn else set()
    others = {name: origin for name, origin in evidence.origins.items() if name not in voters}
    merged = evidence.model_copy(
        update={
            "judgments": (*before, *counted.judgments),
            "failures": (*failed, *counted.failures),
            "origins": others | dict.fromkeys(sorted(said), HUMAN_PREFIX),
            "human_sample": "chosen" if "chosen" in drawn else "random",
        }
    )
    return Labels(merged, tuple(sorted(kept | said)), counted.stale)
