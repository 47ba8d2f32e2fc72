"""The voting session: the actions of voters, and the JSON that the page receives.

No reply contains the name of a model. A vote is in the vote file before it is acknowledged.
"""

import secrets
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.items import PairKey, VotingItem
from bakeoff.evaluation.votes.queue import VotingQueue
from bakeoff.evaluation.votes.vote_log import append_vote, read_votes
from bakeoff.evaluation.votes.votes import Choice, Vote, latest_votes, matching_votes
from bakeoff.records import Evidence, Record

JsonObject = dict[str, JsonValue]

MAX_NAME_LENGTH = 40


class VotingError(Exception):
    """A request that cannot be fulfilled: a message for the page, and an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class VoterRequest(Record):
    """What the page sends."""

    voter: str = ""
    id: str = ""
    """The page's identifier of a pair."""
    choice: Choice | None = None


class VotingSession:
    """A vote in progress: the queue of pairs, and the votes of all voters.

    `reserved` are names that a voter cannot have: those of models and judges. `on_finish` is
    called when a voter presses Finish; the page then opens `next_page`, if it is not empty.
    """

    def __init__(
        self,
        evidence: Evidence,
        file: Path,
        options: VoteOptions,
        *,
        reserved: frozenset[str],
        on_finish: Callable[[], None],
        next_page: str = "",
    ) -> None:
        self._file = file
        self._queue = VotingQueue(evidence, options)
        self._reserved = {name.casefold() for name in reserved}
        self._on_finish = on_finish
        self._next_page = next_page
        self._votes = matching_votes(read_votes(file), evidence)
        # Random, because a key would reveal the prompt and a number the position in the queue.
        self._ids = {key: secrets.token_urlsafe(9) for key in self._queue.keys}
        self._by_id = {id_: key for key, id_ in self._ids.items()}

    def alive(self, _: VoterRequest) -> JsonObject:
        """Return an empty object: the server is running."""
        return {}

    def voters(self, _: VoterRequest) -> JsonObject:
        """Return the voters so far, and how many pairs each has done."""
        names = dict.fromkeys(vote.voter for vote in self._votes)
        done = {name: len(self._votes_of(name)) for name in names}
        return {
            "voters": [{"name": name, "done": count} for name, count in done.items() if count],
            "total": len(self._ids),
        }

    def state(self, request: VoterRequest) -> JsonObject:
        """Return the first pair without a vote of this voter, and the voter's counts."""
        return self._state(self._voter(request))

    def vote(self, request: VoterRequest) -> JsonObject:
        """Store a vote or a skip; return the next state."""
        voter = self._voter(request)
        if request.choice is None or request.id not in self._by_id:
            raise VotingError(409, "This pair is not in this voting. Load the page again.")
        self._append(voter, self._by_id[request.id], request.choice)
        return self._state(voter)

    def undo(self, request: VoterRequest) -> JsonObject:
        """Withdraw the voter's last vote; return the state with that pair."""
        voter = self._voter(request)
        votes = self._votes_of(voter)
        if not votes:
            raise VotingError(409, "There is nothing to undo.")
        last = next(reversed(votes))
        self._append(voter, last, "undone")
        return self._state(voter, last)

    def reopen_skipped(self, request: VoterRequest) -> JsonObject:
        """Withdraw all skips of the voter; return the next state."""
        voter = self._voter(request)
        for key, vote in self._votes_of(voter).items():
            if vote.choice == "skip":
                self._append(voter, key, "undone")
        return self._state(voter)

    def finish(self, _: VoterRequest) -> JsonObject:
        """End the vote for all voters."""
        if not self._has_votes():
            raise VotingError(409, "Nobody has voted yet.")
        self._on_finish()
        return {"next_page": self._next_page} if self._next_page else {}

    def _state(self, voter: str, shown: PairKey | None = None) -> JsonObject:
        votes = self._votes_of(voter)
        shown = shown or next((key for key in self._queue.keys if key not in votes), None)
        return {
            "voter": voter,
            "total": len(self._ids),
            "done": len(votes),
            "skipped": sum(vote.choice == "skip" for vote in votes.values()),
            "has_votes": self._has_votes(),
            "pair": self._pair_json(self._queue.item(shown, voter)) if shown else None,
        }

    def _pair_json(self, item: VotingItem) -> JsonObject:
        """Return the texts of a pair, and nothing that could reveal a model."""
        prompt = item.pair.prompt
        return {
            "id": self._ids[item.key],
            "turns": prompt.conversation(),
            "reference": prompt.reference,
            "criteria": [
                {"name": criterion.name, "description": criterion.description}
                for criterion in prompt.criteria
            ],
            "first": item.pair.first,
            "second": item.pair.second,
        }

    def _votes_of(self, voter: str) -> dict[PairKey, Vote]:
        """Return the voter's votes on pairs of this queue, oldest first."""
        return {
            key: vote
            for (name, key), vote in latest_votes(self._votes).items()
            if name == voter and key in self._ids
        }

    def _has_votes(self) -> bool:
        return any(key in self._ids for _, key in latest_votes(self._votes))

    def _append(self, voter: str, key: PairKey, choice: Choice | Literal["undone"]) -> None:
        item = self._queue.item(key, voter)
        vote = Vote(
            voter=voter,
            prompt_id=key.prompt_id,
            first=item.first,
            second=item.second,
            sample=key.sample,
            content_key=item.content_key,
            choice=choice,
            human_sample=self._queue.human_sample,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        try:
            append_vote(self._file, vote)
        except OSError as error:
            reason = error.strerror or str(error)
            message = f"This was not saved ({reason}). Your other votes are safe."
            raise VotingError(507, message) from None
        self._votes.append(vote)

    def _voter(self, request: VoterRequest) -> str:
        """Return the voter's name, in the spelling of the voter's first vote."""
        name = " ".join(unicodedata.normalize("NFC", request.voter).split())
        if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise VotingError(422, f"A name has 1 to {MAX_NAME_LENGTH} characters, all to be seen.")
        if name.casefold() in self._reserved:
            raise VotingError(422, "This name is not free. Take another one.")
        known = {vote.voter.casefold(): vote.voter for vote in self._votes}
        return known.get(name.casefold(), name)
