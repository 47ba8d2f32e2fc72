from hypothesis import given
from hypothesis import strategies as st

from bakeoff.evaluation.votes.items import Candidates, Slips
from bakeoff.records import Message
from tests.unit.web.voting.cases import MODELS, evidence

ALPHA, BETA = MODELS


@given(st.text(), st.text())
def test_candidates_are_the_same_in_whatever_order_they_are_named(one: str, other: str) -> None:
    assert Candidates.of("p", one, other, 0) == Candidates.of("p", other, one, 0)


def test_the_text_of_each_stands_where_its_name_stands() -> None:
    of = evidence()
    said = {one.model: one.completion.text for one in of.completions if one.prompt_id == "prompt-2"}
    for first, second in ((ALPHA, BETA), (BETA, ALPHA)):
        slip = Slips(of).slip(Candidates("prompt-2", ALPHA, BETA, 0), first=first)
        assert slip
        assert (slip.first, slip.second) == (first, second)
        assert (slip.pair.first, slip.pair.second) == (said[first], said[second])
        assert slip.swapped().swapped() == slip
        assert slip.swapped() == Slips(of).slip(slip.candidates, first=second)


def test_without_a_completion_or_a_prompt_there_is_no_slip() -> None:
    slips = Slips(evidence())
    for candidates in (
        Candidates("prompt-9", ALPHA, BETA, 0),
        Candidates("prompt-0", ALPHA, "other", 0),
        Candidates("prompt-0", ALPHA, BETA, 1),
    ):
        assert slips.slip(candidates, first=ALPHA) is None


def test_the_key_is_of_all_that_is_read_and_of_nothing_else() -> None:
    candidates = Candidates("prompt-0", ALPHA, BETA, 0)
    of = evidence()
    slip = Slips(of).slip(candidates, first=ALPHA)
    assert slip
    other_turn = of.prompts[0].model_copy(update={"messages": (Message(role="user", content="?"),)})
    changed = [
        evidence(said={(0, ALPHA): "another"}),
        evidence(said={(0, BETA): "another"}),
        of.model_copy(update={"prompts": (other_turn, *of.prompts[1:])}),
    ]
    keys = {Slips(one).slip(candidates, first=ALPHA).shown for one in changed}  # type: ignore[union-attr]
    assert len(keys | {slip.shown, slip.swapped().shown}) == 5
    same = evidence(9).model_copy(update={"judgments": (), "failures": (), "notes": ()})
    assert Slips(same).slip(candidates, first=ALPHA).shown == slip.shown  # type: ignore[union-attr]
