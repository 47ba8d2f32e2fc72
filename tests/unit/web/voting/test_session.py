import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.queue import Ballot
from bakeoff.evaluation.votes.vote_log import put, read
from bakeoff.evaluation.votes.votes import count, standing
from bakeoff.records import Criterion, Evidence, Message
from bakeoff.web.voting.session import Asked, Booth, Refusal
from tests.unit.web.voting.cases import MODELS, VOTES, evidence, vote

OF = evidence()
TAKEN = frozenset({*MODELS, "judge-gamma", "Große Waage"})


def opened(of: Evidence = OF, poll: VoteOptions | None = None, file: Path = VOTES) -> Booth:
    return Booth(of, file, poll or VoteOptions(), taken=TAKEN, end=lambda: None)


def pair(booth: Booth, voter: str = "Anna") -> Any:
    return booth.state(Asked(voter=voter))["pair"]


def cast(booth: Booth, choice: str, voter: str = "Anna") -> dict[str, Any]:
    asked = {"voter": voter, "id": pair(booth, voter)["id"], "choice": choice}
    return booth.vote(Asked.model_validate(asked))


def refused(do: Any, **asked: Any) -> str:
    with pytest.raises(Refusal) as caught:
        do(Asked.model_validate(asked))
    assert 400 <= caught.value.status < 600
    return str(caught.value)


def test_a_voter_goes_through_all_pairs_in_the_order_of_the_ballot() -> None:
    booth = opened()
    for done, candidates in enumerate(Ballot(OF, VoteOptions()).candidates):
        state = booth.state(Asked(voter="Anna"))
        assert (state["done"], state["total"], state["voter"]) == (done, 4, "Anna")
        assert pair(booth)["turns"] == [
            {"role": "user", "content": candidates.prompt_id.replace("prompt-", "question ")}
        ]
        after = cast(booth, "first")
    assert (after["done"], after["pair"]) == (4, None)


def test_a_vote_is_for_the_text_that_was_shown_there() -> None:
    booth = opened(evidence(20))
    authors = {one.completion.text: one.model for one in evidence(20).completions}
    wanted = []
    for turn in range(20):
        shown = pair(booth)
        place = ("first", "second")[turn % 2]
        wanted.append(authors[shown[place]])
        cast(booth, place)
    votes = read(VOTES)
    assert [getattr(one, one.choice) for one in votes] == wanted
    assert {one.drawn for one in votes} == {"random"}
    assert len(count(votes, evidence(20)).judgments) == 20


def test_a_draw_that_is_not_random_is_kept_as_such() -> None:
    cast(opened(poll=VoteOptions(draw="order")), "tie")
    assert [one.drawn for one in read(VOTES)] == ["chosen"]


def test_undo_takes_back_the_last_vote_and_shows_that_pair_again() -> None:
    booth = opened()
    shown = [pair(booth)]
    cast(booth, "first")
    shown.append(pair(booth))
    cast(booth, "skip")
    after = booth.undo(Asked(voter="Anna"))
    assert (after["pair"], after["done"]) == (shown[1], 1)
    after = booth.undo(Asked(voter="Anna"))
    assert (after["pair"], after["done"], after["begun"]) == (shown[0], 0, False)
    assert "nothing to undo" in refused(booth.undo, voter="Anna")
    assert standing(read(VOTES)) == {}
    assert [one.choice for one in read(VOTES)] == ["first", "skip", "undone", "undone"]


def test_undo_works_after_a_new_start_and_from_the_end() -> None:
    booth = opened()
    for _ in range(3):
        cast(booth, "first")
    last = pair(booth)
    assert cast(booth, "second")["pair"] is None
    again = opened()
    after = again.undo(Asked(voter="Anna"))["pair"]
    assert isinstance(after, dict)
    assert {**after, "id": ""} == {**last, "id": ""}


def test_undo_is_of_ones_own_votes() -> None:
    booth = opened()
    cast(booth, "first", "Anna")
    assert "nothing to undo" in refused(booth.undo, voter="Bo")
    assert booth.state(Asked(voter="Anna"))["done"] == 1


def test_skipped_pairs_come_back_when_they_are_asked_for() -> None:
    booth = opened()
    skipped = [pair(booth)]
    cast(booth, "skip")
    cast(booth, "first")
    skipped.append(pair(booth))
    cast(booth, "skip")
    state = cast(booth, "tie")
    assert (state["pair"], state["skipped"], state["done"]) == (None, 2, 4)
    state = booth.again(Asked(voter="Anna"))
    assert (state["pair"], state["skipped"], state["done"]) == (skipped[0], 0, 2)
    cast(booth, "first")
    assert pair(booth) == skipped[1]


def test_voters_do_not_see_each_others_progress_as_their_own() -> None:
    booth = opened()
    cast(booth, "first", "Anna")
    cast(booth, "skip", "Anna")
    cast(booth, "second", "Bo")
    assert [booth.state(Asked(voter=name))["done"] for name in ("Anna", "Bo", "Cy")] == [2, 1, 0]
    assert booth.voters(Asked()) == {
        "voters": [{"name": "Anna", "done": 2}, {"name": "Bo", "done": 1}],
        "total": 4,
    }
    ids = [pair(booth, name)["id"] for name in ("Bo", "Cy")]
    cast(booth, "second", "Cy")
    assert ids[0] == pair(booth, "Cy")["id"]  # all go the same way


def test_a_new_start_goes_on_where_each_voter_stopped() -> None:
    booth = opened()
    cast(booth, "first", "Anna")
    cast(booth, "skip", "Anna")
    cast(booth, "second", "Bo")
    shown = {name: pair(booth, name) for name in ("Anna", "Bo", "Cy")}
    again = opened()
    for name, before in shown.items():
        after = pair(again, name)
        assert after.pop("id") != before.pop("id")
        assert after == before


def test_votes_on_other_texts_are_voted_on_anew() -> None:
    before = evidence(said={(0, MODELS[0]): "what it said before"})
    for number in range(4):
        put(VOTES, vote(before, number))
    state = opened().state(Asked(voter="Anna"))
    assert state["done"] == 3
    assert pair(opened())["turns"][0]["content"] == "question 0"


def test_fewer_labels_are_a_shorter_way() -> None:
    booth = opened(poll=VoteOptions(labels=2))
    cast(booth, "first")
    assert cast(booth, "first")["pair"] is None
    assert opened(poll=VoteOptions(labels=3)).state(Asked(voter="Anna"))["done"] == 2
    longer = opened(poll=VoteOptions(labels=1))
    assert longer.state(Asked(voter="Anna"))["done"] == 1  # of those that are asked about now


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 41, "a\nb\0", "\u202eevil", "zero\u200bwidth", "\ud800"]
)
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    assert "1 to 40" in refused(opened().state, voter=name)


@pytest.mark.parametrize("name", [MODELS[0], " MODEL-ALPHA ", "judge-gamma", "grosse  waage"])
def test_the_names_of_models_and_judges_are_taken(name: str) -> None:
    said = refused(opened().state, voter=name)
    assert "not free" in said
    assert not re.search("model|judge|alpha", said)


def test_one_name_is_one_voter_however_it_is_spelled() -> None:
    booth = opened()
    cast(booth, "first", "  Anna   Bell ")
    for name in ("Anna Bell", "ANNA BELL", "anna\tbell"):
        state = booth.state(Asked(voter=name))
        assert (state["voter"], state["done"]) == ("Anna Bell", 1)
    cast(booth, "first", "e\u0301")
    assert booth.state(Asked(voter="\u00c9"))["done"] == 1


@given(st.lists(st.sampled_from(["Anna", "ANNA", "anna"]), min_size=4, max_size=4))
def test_however_a_voter_is_spelled_votes_are_for_what_was_shown(names: list[str]) -> None:
    VOTES.unlink(missing_ok=True)
    booth = opened()
    authors = {one.completion.text: one.model for one in OF.completions}
    for name in names:
        shown = pair(booth, name)
        for other in {*names}:
            assert pair(booth, other) == shown
        cast(booth, "first", name)
        assert read(VOTES)[-1].first == authors[shown["first"]]
    assert {one.voter for one in read(VOTES)} == {names[0]}


def test_what_is_no_vote_changes_nothing() -> None:
    booth = opened()
    shown = pair(booth)["id"]
    assert "Load the page again" in refused(booth.vote, voter="Anna", id="no", choice="first")
    assert "Load the page again" in refused(booth.vote, voter="Anna", id=shown)
    assert "1 to 40" in refused(booth.vote, id=shown, choice="first")
    assert "Nobody has voted" in refused(booth.finish, voter="Anna")
    assert not VOTES.exists()


def test_a_vote_that_cannot_be_kept_is_not_counted() -> None:
    booth = opened()
    shown = pair(booth)
    VOTES.mkdir()
    said = refused(booth.vote, voter="Anna", id=shown["id"], choice="first")
    assert said == "This was not saved (Is a directory). Your other votes are safe."
    assert (pair(booth), booth.voters(Asked())["voters"]) == (shown, [])
    VOTES.rmdir()
    assert booth.vote(Asked(voter="Anna", id=shown["id"], choice="first"))["done"] == 1


def test_finish_ends_the_poll_once_there_is_a_vote() -> None:
    ended: list[bool] = []
    booth = Booth(OF, VOTES, VoteOptions(), taken=TAKEN, end=lambda: ended.append(True))
    cast(booth, "first")
    booth.undo(Asked(voter="Anna"))
    assert "Nobody has voted" in refused(booth.finish)
    cast(booth, "skip")
    assert ended == []
    assert booth.finish(Asked()) == {}
    assert ended == [True]


def test_what_a_judge_may_see_of_a_prompt_a_person_sees_too() -> None:
    turns = tuple(
        Message(role=role, content=role)  # type: ignore[arg-type]
        for role in ("system", "user", "assistant", "user")
    )
    asked = OF.prompts[0].model_copy(
        update={
            "messages": turns,
            "reference": "as good as it gets",
            "criteria": (Criterion(name="Brief", description="No padding.", weight=2),),
        }
    )
    shown = pair(opened(OF.model_copy(update={"prompts": (asked,)})))
    assert [turn["role"] for turn in shown["turns"]] == ["system", "user", "assistant", "user"]
    assert shown["reference"] == "as good as it gets"
    assert shown["criteria"] == [{"name": "Brief", "description": "No padding."}]
