"""The booth: what a voter may do, and what each is told. Nothing that is told names a model.

Votes go to the urn before they are acknowledged. Draws no pair, counts no vote, knows no HTTP.
"""

import secrets
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.items import Candidates, Slip
from bakeoff.evaluation.votes.queue import Ballot
from bakeoff.evaluation.votes.vote_log import put, read
from bakeoff.evaluation.votes.votes import Choice, Vote, fitting, standing
from bakeoff.records import Evidence, Record

Told = dict[str, JsonValue]

LONGEST_NAME = 40


class Refusal(Exception):  # noqa: N818 - the voter's mistake, told to the voter; no error of a run
    """Why something cannot be done, in words for the page, and the HTTP status that fits."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Asked(Record):
    """What a browser may send: who it is, and what it says of which pair."""

    voter: str = ""
    id: str = ""
    choice: Choice | None = None


class Booth:
    """One poll: who has said what, and what comes next for each.

    `taken` are the names that no voter may have, those of the models and judges. `end` is called
    when a voter finishes the voting, and the page then goes to `after`, where that is given.
    """

    def __init__(
        self,
        evidence: Evidence,
        file: Path,
        poll: VoteOptions,
        *,
        taken: frozenset[str],
        end: Callable[[], None],
        after: str = "",
    ) -> None:
        self._file = file
        self._ballot = Ballot(evidence, poll)
        self._taken = {name.casefold() for name in taken}
        self._end = end
        self._after = after
        self._votes = fitting(read(file), evidence)
        # A name of an id would tell the prompt, a number how many were drawn before.
        self._ids = {candidates: secrets.token_urlsafe(9) for candidates in self._ballot.candidates}
        self._by_id = {name: candidates for candidates, name in self._ids.items()}

    def alive(self, _: Asked) -> Told:
        """Nothing: a page knows by it that somebody is here."""
        return {}

    def voters(self, _: Asked) -> Told:
        """Who has voted, and how far each has come."""
        names = dict.fromkeys(vote.voter for vote in self._votes)
        done = {name: len(self._said(name)) for name in names}
        return {
            "voters": [{"name": name, "done": count} for name, count in done.items() if count],
            "total": len(self._ids),
        }

    def state(self, asked: Asked) -> Told:
        """The first pair on which the voter has not said anything yet."""
        return self._state(self._voter(asked))

    def vote(self, asked: Asked) -> Told:
        """Keep a vote, or a skip; then the next pair."""
        voter = self._voter(asked)
        if asked.choice is None or asked.id not in self._by_id:
            raise Refusal(409, "This pair is not in this voting. Load the page again.")
        self._put(voter, self._by_id[asked.id], asked.choice)
        return self._state(voter)

    def undo(self, asked: Asked) -> Told:
        """Take back the voter's last vote, and show that pair."""
        voter = self._voter(asked)
        said = self._said(voter)
        if not said:
            raise Refusal(409, "There is nothing to undo.")
        last = next(reversed(said))
        self._put(voter, last, "undone")
        return self._state(voter, last)

    def again(self, asked: Asked) -> Told:
        """Open all the pairs that the voter skipped."""
        voter = self._voter(asked)
        for candidates, vote in self._said(voter).items():
            if vote.choice == "skip":
                self._put(voter, candidates, "undone")
        return self._state(voter)

    def finish(self, _: Asked) -> Told:
        """End the voting, for everybody."""
        if not self._begun():
            raise Refusal(409, "Nobody has voted yet.")
        self._end()
        return {"after": self._after} if self._after else {}

    def _state(self, voter: str, shown: Candidates | None = None) -> Told:
        said = self._said(voter)
        left = [candidates for candidates in self._ballot.candidates if candidates not in said]
        shown = shown or next(iter(left), None)
        return {
            "voter": voter,
            "total": len(self._ids),
            "done": len(said),
            "skipped": sum(vote.choice == "skip" for vote in said.values()),
            "begun": self._begun(),
            "pair": self._told(self._ballot.slip(shown, voter)) if shown else None,
        }

    def _told(self, slip: Slip) -> Told:
        """A pair as the browser gets it: only what was asked and what was said."""
        prompt = slip.pair.prompt
        return {
            "id": self._ids[slip.candidates],
            "turns": prompt.conversation(),
            "reference": prompt.reference,
            "criteria": [
                {"name": one.name, "description": one.description} for one in prompt.criteria
            ],
            "first": slip.pair.first,
            "second": slip.pair.second,
        }

    def _said(self, voter: str) -> dict[Candidates, Vote]:
        """What this voter said of the pairs of this poll, the last word last."""
        return {
            candidates: vote
            for (who, candidates), vote in standing(self._votes).items()
            if who == voter and candidates in self._ids
        }

    def _begun(self) -> bool:
        return any(candidates in self._ids for _, candidates in standing(self._votes))

    def _put(self, voter: str, candidates: Candidates, choice: Choice | Literal["undone"]) -> None:
        slip = self._ballot.slip(candidates, voter)
        vote = Vote(
            voter=voter,
            prompt_id=candidates.prompt_id,
            first=slip.first,
            second=slip.second,
            sample=candidates.sample,
            shown=slip.shown,
            choice=choice,
            drawn=self._ballot.drawn,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            put(self._file, vote)
        except OSError as error:
            why = error.strerror or str(error)
            raise Refusal(507, f"This was not saved ({why}). Your other votes are safe.") from None
        self._votes.append(vote)

    def _voter(self, asked: Asked) -> str:
        """Their name, spelled as they first spelled it."""
        name = " ".join(unicodedata.normalize("NFC", asked.voter).split())
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise Refusal(422, f"A name has 1 to {LONGEST_NAME} characters, all to be seen.")
        if name.casefold() in self._taken:
            raise Refusal(422, "This name is not free. Take another one.")
        known = {vote.voter.casefold(): vote.voter for vote in self._votes}
        return known.get(name.casefold(), name)
