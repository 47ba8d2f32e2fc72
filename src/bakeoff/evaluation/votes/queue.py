"""Which pairs people are asked about, in which order, and who is shown first to whom.

All of it follows from a seed and from what is asked, so that every voter goes the same way and a
second start goes on where the first one stopped. Knows no vote and no page.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from bakeoff.analysis.aggregate import preference_of
from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.items import Candidates, Slip, Slips
from bakeoff.evaluation.votes.vote_log import read
from bakeoff.evaluation.votes.votes import fitting, people_in, standing
from bakeoff.records import Evidence, HumanSample, content_key

_ANY = VoteOptions()


class Ballot:
    """The pairs of a poll, in order: of each prompt every two models that said something else.

    `drawn` is what a vote on one of them says of it.
    """

    def __init__(self, evidence: Evidence, poll: VoteOptions) -> None:
        """ConfigError where there is nothing to ask."""
        self.drawn: HumanSample = "random" if poll.draw == "random" else "chosen"
        self._seed = poll.seed
        self._slips = {slip.candidates: slip for slip in _found(evidence)}
        order = list(self._slips)
        if not order:
            raise ConfigError(
                "there is nothing to vote on: no prompt has two completions that differ"
            )
        if poll.draw != "order":
            order.sort(key=self._lot)
        if poll.draw == "close":
            order.sort(key=_Closeness(evidence))
        self.candidates = tuple(order[: poll.labels])

    def slip(self, candidates: Candidates, voter: str) -> Slip:
        """What this voter is shown of one pair: half of the voters see it the other way round.

        A name in capitals is the same voter.
        """
        lot = content_key("place", self._seed, voter.casefold(), *self._asked(candidates))
        slip = self._slips[candidates]
        return slip if int(lot[-1], 16) % 2 else slip.swapped()

    def _lot(self, candidates: Candidates) -> str:
        # A key of its own for each pair: more prompts later leave the order of these as it is.
        return content_key("order", self._seed, *self._asked(candidates))

    def _asked(self, candidates: Candidates) -> tuple[JsonValue, ...]:
        return (*candidates, self._slips[candidates].pair.prompt.conversation())


def _found(evidence: Evidence) -> Iterator[Slip]:
    """The first completions of each two models that differ."""
    slips = Slips(evidence)
    samples = sorted({one.sample for one in evidence.completions})
    duels = evidence.design.pairs(evidence.models)
    for prompt, (one, other) in itertools.product(evidence.prompts, duels):
        for sample in samples:
            candidates = Candidates.of(prompt.id, one, other, sample)
            slip = slips.slip(candidates, first=candidates.a)
            if slip and slip.pair.first != slip.pair.second:
                yield slip
                break


class _Closeness:
    """Sorts the contested pairs to the front, and those nobody judged to the end."""

    def __init__(self, evidence: Evidence) -> None:
        self._preferences: dict[Candidates, list[float]] = defaultdict(list)
        people = people_in(evidence)
        for judgment in evidence.judgments:
            if judgment.judge not in people:
                who = Candidates.of(
                    judgment.prompt_id, judgment.first, judgment.second, judgment.sample
                )
                self._preferences[who].append(preference_of(who.a, judgment))

    def __call__(self, candidates: Candidates) -> tuple[bool, bool, float]:
        found = self._preferences.get(candidates)
        if not found:
            return (True, True, 1.0)
        contested = min(found) < 0.5 < max(found)
        return (False, not contested, abs(sum(found) / len(found) - 0.5))


def complete(evidence: Evidence, file: Path, poll: VoteOptions = _ANY) -> bool:
    """Whether somebody has voted on, or skipped, every pair of the poll."""
    said = {candidates for _, candidates in standing(fitting(read(file), evidence))}
    return said.issuperset(Ballot(evidence, poll).candidates)
