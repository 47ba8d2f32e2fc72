"""People as judges: a blind page on loopback, a file of votes, and votes as judgments.

A vote knows models by name; what a voter's browser is sent does not.
"""

from bakeoff.voting.gathering import complete, gather
from bakeoff.voting.merging import Labels, evidence_of, folder_of, people, read_results

VOTES = "votes.jsonl"  # beside the results

__all__ = [
    "VOTES",
    "Labels",
    "complete",
    "evidence_of",
    "folder_of",
    "gather",
    "people",
    "read_results",
]
