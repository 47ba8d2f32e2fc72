"""People as judges: a blind page on loopback, a file of votes, and votes as judgments.

A vote knows models by name; what a voter's browser is sent does not.
"""

from bakeoff.report.export import VOTES
from bakeoff.web.voting.merge import Labels, people
from bakeoff.web.voting.serve import complete, gather

__all__ = [
    "VOTES",
    "Labels",
    "complete",
    "gather",
    "people",
]
