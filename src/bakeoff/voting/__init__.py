"""People as judges: a blind page on loopback, a file of votes, and votes as judgments.

A vote knows models by name; what a voter's browser is sent does not.
"""

from bakeoff.voting.gathering import complete, gather
from bakeoff.voting.merging import Labels, people

VOTES = "votes.jsonl"  # beside the results

__all__ = [
    "VOTES",
    "Labels",
    "complete",
    "gather",
    "people",
]
