from hypothesis import given
from hypothesis import strategies as st

from bakeoff.evaluation.votes.items import PairKey, item_lookup
from bakeoff.records import Message
from tests.unit.web.voting.cases import MODELS, evidence

ALPHA, BETA = MODELS


@given(st.text(), st.text())
def test_pair_key_does_not_depend_on_the_order_of_names(one: str, other: str) -> None:
    assert PairKey.of("p", one, other, 0) == PairKey.of("p", other, one, 0)


def test_item_has_each_text_at_the_position_of_its_model() -> None:
    of = evidence()
    said = {one.model: one.completion.text for one in of.completions if one.prompt_id == "prompt-2"}
    for first, second in ((ALPHA, BETA), (BETA, ALPHA)):
        item = item_lookup(of)(PairKey("prompt-2", ALPHA, BETA, 0), first)
        assert item
        assert (item.first, item.second) == (first, second)
        assert (item.pair.first, item.pair.second) == (said[first], said[second])
        assert item.swapped().swapped() == item
        assert item.swapped() == item_lookup(of)(item.key, second)


def test_missing_completion_or_prompt_gives_no_item() -> None:
    item_of = item_lookup(evidence())
    for key in (
        PairKey("prompt-9", ALPHA, BETA, 0),
        PairKey("prompt-0", ALPHA, "other", 0),
        PairKey("prompt-0", ALPHA, BETA, 1),
    ):
        assert item_of(key, ALPHA) is None


def test_content_key_depends_on_the_shown_texts_only() -> None:
    key = PairKey("prompt-0", ALPHA, BETA, 0)
    of = evidence()
    item = item_lookup(of)(key, ALPHA)
    assert item
    other_turn = of.prompts[0].model_copy(update={"messages": (Message(role="user", content="?"),)})
    changed = [
        evidence(said={(0, ALPHA): "another"}),
        evidence(said={(0, BETA): "another"}),
        of.model_copy(update={"prompts": (other_turn, *of.prompts[1:])}),
    ]
    keys = {item_lookup(one)(key, ALPHA).content_key for one in changed}  # type: ignore[union-attr]
    assert len(keys | {item.content_key, item.swapped().content_key}) == 5
    same = evidence(9).model_copy(update={"judgments": (), "failures": (), "notes": ()})
    assert item_lookup(same)(key, ALPHA).content_key == item.content_key  # type: ignore[union-attr]
