"""Merge the votes of a vote file into evidence, as judgments of human judges."""

from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.vote_log import read_votes
from bakeoff.evaluation.votes.votes import human_judges, judgments_from_votes
from bakeoff.records import HUMAN_PREFIX, Evidence


class MergedVotes(NamedTuple):
    """Evidence that includes votes."""

    evidence: Evidence
    voters: tuple[str, ...]
    """Names of all human judges in the evidence."""
    stale: int
    """Votes that do not count because the texts have changed."""


def reserved_names(evidence: Evidence) -> frozenset[str]:
    """Return the names that a voter cannot have: those of models and machine judges."""
    judges = {judgment.judge for judgment in evidence.judgments}
    judges |= {failure.participant for failure in evidence.failures} | set(evidence.origins)
    return frozenset(evidence.models) | (judges - human_judges(evidence))


def with_votes(evidence: Evidence, file: Path) -> MergedVotes:
    """Return the evidence with the votes of a file, replacing earlier judgments of its voters.

    `human_sample` becomes `random` only if all counted votes are on random samples. A missing
    file counts as empty. Raises ConfigError if the file cannot be read or a voter has the name of
    a model or machine judge.
    """
    votes = read_votes(file)
    voters = {vote.voter for vote in votes}
    known = set(evidence.origins) - human_judges(evidence)
    if conflicts := voters & (known | set(evidence.models)):
        raise ConfigError(
            f"{min(conflicts)!r} has voted in {str(file)!r} and is a model or judge of this "
            "comparison: give that one another name, as in name=backend:target"
        )
    new = judgments_from_votes(votes, evidence)
    judgments = tuple(row for row in evidence.judgments if row.judge not in voters)
    failures = tuple(row for row in evidence.failures if row.participant not in voters)
    counted = {row.judge for row in new.judgments} | {row.participant for row in new.failures}
    unchanged = human_judges(evidence) & {row.judge for row in judgments}
    samples = {evidence.human_sample} if unchanged or not votes else set()
    samples |= {new.human_sample} if new.human_sample else set()
    origins = {name: origin for name, origin in evidence.origins.items() if name not in voters}
    merged = evidence.with_judgments(
        (*judgments, *new.judgments),
        (*failures, *new.failures),
        origins | dict.fromkeys(sorted(counted), HUMAN_PREFIX),
        "chosen" if "chosen" in samples else "random",
    )
    return MergedVotes(merged, tuple(sorted(unchanged | counted)), new.stale)
