import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.queue import VotingQueue
from bakeoff.evaluation.votes.vote_log import append_vote, read_votes
from bakeoff.evaluation.votes.votes import judgments_from_votes, latest_votes
from bakeoff.records import Criterion, Evidence, Message
from bakeoff.web.voting.session import VoterRequest, VotingError, VotingSession
from tests.unit.web.voting.builders import MODELS, VOTES, evidence, vote

OF = evidence()
RESERVED = frozenset({*MODELS, "judge-gamma", "Große Waage"})


def open_session(
    data: Evidence = OF, options: VoteOptions | None = None, file: Path = VOTES
) -> VotingSession:
    return VotingSession(
        data, file, options or VoteOptions(), reserved=RESERVED, on_finish=lambda: None
    )


def next_pair(session: VotingSession, voter: str = "Anna") -> Any:
    return session.state(VoterRequest(voter=voter))["pair"]


def cast_vote(session: VotingSession, choice: str, voter: str = "Anna") -> dict[str, Any]:
    fields = {"voter": voter, "id": next_pair(session, voter)["id"], "choice": choice}
    return session.vote(VoterRequest.model_validate(fields))


def error_of(call: Any, **fields: Any) -> str:
    with pytest.raises(VotingError) as caught:
        call(VoterRequest.model_validate(fields))
    assert 400 <= caught.value.status < 600
    return str(caught.value)


def test_voter_sees_all_pairs_in_queue_order() -> None:
    session = open_session()
    for done, key in enumerate(VotingQueue(OF, VoteOptions()).keys):
        state = session.state(VoterRequest(voter="Anna"))
        assert (state["done"], state["total"], state["voter"]) == (done, 4, "Anna")
        assert next_pair(session)["turns"] == [
            {"role": "user", "content": key.prompt_id.replace("prompt-", "question ")}
        ]
        after = cast_vote(session, "first")
    assert (after["done"], after["pair"]) == (4, None)


def test_vote_is_for_the_shown_text() -> None:
    session = open_session(evidence(20))
    authors = {
        completion.completion.text: completion.model for completion in evidence(20).completions
    }
    expected = []
    for turn in range(20):
        shown = next_pair(session)
        place = ("first", "second")[turn % 2]
        expected.append(authors[shown[place]])
        cast_vote(session, place)
    votes = read_votes(VOTES)
    assert [getattr(vote, vote.choice) for vote in votes] == expected
    assert {vote.human_sample for vote in votes} == {"random"}
    assert len(judgments_from_votes(votes, evidence(20)).judgments) == 20


def test_non_random_draw_is_recorded() -> None:
    cast_vote(open_session(options=VoteOptions(draw="order")), "tie")
    assert [one.human_sample for one in read_votes(VOTES)] == ["chosen"]


def test_undo_withdraws_the_last_vote() -> None:
    session = open_session()
    shown = [next_pair(session)]
    cast_vote(session, "first")
    shown.append(next_pair(session))
    cast_vote(session, "skip")
    after = session.undo(VoterRequest(voter="Anna"))
    assert (after["pair"], after["done"]) == (shown[1], 1)
    after = session.undo(VoterRequest(voter="Anna"))
    assert (after["pair"], after["done"], after["has_votes"]) == (shown[0], 0, False)
    assert "nothing to undo" in error_of(session.undo, voter="Anna")
    assert latest_votes(read_votes(VOTES)) == {}
    assert [vote.choice for vote in read_votes(VOTES)] == ["first", "skip", "undone", "undone"]


def test_undo_works_after_a_restart() -> None:
    session = open_session()
    for _ in range(3):
        cast_vote(session, "first")
    last = next_pair(session)
    assert cast_vote(session, "second")["pair"] is None
    again = open_session()
    after = again.undo(VoterRequest(voter="Anna"))["pair"]
    assert isinstance(after, dict)
    assert {**after, "id": ""} == {**last, "id": ""}


def test_undo_affects_own_votes_only() -> None:
    session = open_session()
    cast_vote(session, "first", "Anna")
    assert "nothing to undo" in error_of(session.undo, voter="Bo")
    assert session.state(VoterRequest(voter="Anna"))["done"] == 1


def test_skipped_pairs_can_be_reopened() -> None:
    session = open_session()
    skipped = [next_pair(session)]
    cast_vote(session, "skip")
    cast_vote(session, "first")
    skipped.append(next_pair(session))
    cast_vote(session, "skip")
    state = cast_vote(session, "tie")
    assert (state["pair"], state["skipped"], state["done"]) == (None, 2, 4)
    state = session.reopen_skipped(VoterRequest(voter="Anna"))
    assert (state["pair"], state["skipped"], state["done"]) == (skipped[0], 0, 2)
    cast_vote(session, "first")
    assert next_pair(session) == skipped[1]


def test_voters_have_separate_progress() -> None:
    session = open_session()
    cast_vote(session, "first", "Anna")
    cast_vote(session, "skip", "Anna")
    cast_vote(session, "second", "Bo")
    assert [session.state(VoterRequest(voter=name))["done"] for name in ("Anna", "Bo", "Cy")] == [
        2,
        1,
        0,
    ]
    assert session.voters(VoterRequest()) == {
        "voters": [{"name": "Anna", "done": 2}, {"name": "Bo", "done": 1}],
        "total": 4,
    }
    ids = [next_pair(session, name)["id"] for name in ("Bo", "Cy")]
    cast_vote(session, "second", "Cy")
    assert ids[0] == next_pair(session, "Cy")["id"]  # all go the same way


def test_restart_resumes_each_voter() -> None:
    session = open_session()
    cast_vote(session, "first", "Anna")
    cast_vote(session, "skip", "Anna")
    cast_vote(session, "second", "Bo")
    shown = {name: next_pair(session, name) for name in ("Anna", "Bo", "Cy")}
    again = open_session()
    for name, before in shown.items():
        after = next_pair(again, name)
        assert after.pop("id") != before.pop("id")
        assert after == before


def test_changed_texts_are_voted_on_again() -> None:
    before = evidence(replacements={(0, MODELS[0]): "what it said before"})
    for number in range(4):
        append_vote(VOTES, vote(before, number))
    state = open_session().state(VoterRequest(voter="Anna"))
    assert state["done"] == 3
    assert next_pair(open_session())["turns"][0]["content"] == "question 0"


def test_labels_limit_the_pairs() -> None:
    session = open_session(options=VoteOptions(labels=2))
    cast_vote(session, "first")
    assert cast_vote(session, "first")["pair"] is None
    assert (
        open_session(options=VoteOptions(labels=3)).state(VoterRequest(voter="Anna"))["done"] == 2
    )
    longer = open_session(options=VoteOptions(labels=1))
    assert (
        longer.state(VoterRequest(voter="Anna"))["done"] == 1
    )  # of the pairs in the present queue


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 41, "a\nb\0", "\u202eevil", "zero\u200bwidth", "\ud800"]
)
def test_unprintable_name_is_refused(name: str) -> None:
    assert "1 to 40" in error_of(open_session().state, voter=name)


@pytest.mark.parametrize("name", [MODELS[0], " MODEL-ALPHA ", "judge-gamma", "grosse  waage"])
def test_names_of_models_and_judges_are_reserved(name: str) -> None:
    message = error_of(open_session().state, voter=name)
    assert "not free" in message
    assert not re.search("model|judge|alpha", message)


def test_spellings_of_a_name_are_one_voter() -> None:
    session = open_session()
    cast_vote(session, "first", "  Anna   Bell ")
    for name in ("Anna Bell", "ANNA BELL", "anna\tbell"):
        state = session.state(VoterRequest(voter=name))
        assert (state["voter"], state["done"]) == ("Anna Bell", 1)
    cast_vote(session, "first", "e\u0301")
    assert session.state(VoterRequest(voter="\u00c9"))["done"] == 1


@given(st.lists(st.sampled_from(["Anna", "ANNA", "anna"]), min_size=4, max_size=4))
def test_votes_are_for_the_shown_text_in_any_spelling(names: list[str]) -> None:
    VOTES.unlink(missing_ok=True)
    session = open_session()
    authors = {completion.completion.text: completion.model for completion in OF.completions}
    for name in names:
        shown = next_pair(session, name)
        for other in {*names}:
            assert next_pair(session, other) == shown
        cast_vote(session, "first", name)
        assert read_votes(VOTES)[-1].first == authors[shown["first"]]
    assert {vote.voter for vote in read_votes(VOTES)} == {names[0]}


def test_invalid_votes_change_nothing() -> None:
    session = open_session()
    shown = next_pair(session)["id"]
    assert "Load the page again" in error_of(session.vote, voter="Anna", id="no", choice="first")
    assert "Load the page again" in error_of(session.vote, voter="Anna", id=shown)
    assert "1 to 40" in error_of(session.vote, id=shown, choice="first")
    assert "Nobody has voted" in error_of(session.finish, voter="Anna")
    assert not VOTES.exists()


def test_unsaved_vote_is_not_counted() -> None:
    session = open_session()
    shown = next_pair(session)
    VOTES.mkdir()
    message = error_of(session.vote, voter="Anna", id=shown["id"], choice="first")
    assert message == "This was not saved (Is a directory). Your other votes are safe."
    assert (next_pair(session), session.voters(VoterRequest())["voters"]) == (shown, [])
    VOTES.rmdir()
    assert session.vote(VoterRequest(voter="Anna", id=shown["id"], choice="first"))["done"] == 1


def test_finish_needs_a_vote() -> None:
    ended: list[bool] = []
    session = VotingSession(
        OF, VOTES, VoteOptions(), reserved=RESERVED, on_finish=lambda: ended.append(True)
    )
    cast_vote(session, "first")
    session.undo(VoterRequest(voter="Anna"))
    assert "Nobody has voted" in error_of(session.finish)
    cast_vote(session, "skip")
    assert ended == []
    assert session.finish(VoterRequest()) == {}
    assert ended == [True]


def test_voter_sees_what_a_judge_sees() -> None:
    turns = tuple(
        Message(role=role, content=role)  # type: ignore[arg-type]
        for role in ("system", "user", "assistant", "user")
    )
    prompt_ = OF.prompts[0].model_copy(
        update={
            "messages": turns,
            "reference": "as good as it gets",
            "criteria": (Criterion(name="Brief", description="No padding.", weight=2),),
        }
    )
    shown = next_pair(open_session(OF.model_copy(update={"prompts": (prompt_,)})))
    assert [turn["role"] for turn in shown["turns"]] == ["system", "user", "assistant", "user"]
    assert shown["reference"] == "as good as it gets"
    assert shown["criteria"] == [{"name": "Brief", "description": "No padding."}]
