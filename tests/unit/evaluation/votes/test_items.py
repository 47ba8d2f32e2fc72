from hypothesis import given
from hypothesis import strategies as st

from bakeoff.evaluation.votes.items import PairKey, item_lookup
from bakeoff.records import Message
from tests.unit.web.voting.builders import MODELS, evidence

ALPHA, BETA = MODELS


@given(st.text(), st.text())
def test_pair_key_does_not_depend_on_the_order_of_names(first: str, second: str) -> None:
    assert PairKey.of("p", first, second, 0) == PairKey.of("p", second, first, 0)


def test_item_has_each_text_at_the_position_of_its_model() -> None:
    data = evidence()
    texts = {
        completion.model: completion.completion.text
        for completion in data.completions
        if completion.prompt_id == "prompt-2"
    }
    for first, second in ((ALPHA, BETA), (BETA, ALPHA)):
        item = item_lookup(data)(PairKey("prompt-2", ALPHA, BETA, 0), first)
        assert item
        assert (item.first, item.second) == (first, second)
        assert (item.pair.first, item.pair.second) == (texts[first], texts[second])
        assert item.swapped().swapped() == item
        assert item.swapped() == item_lookup(data)(item.key, second)


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
    data = evidence()
    item = item_lookup(data)(key, ALPHA)
    assert item
    other_turn = data.prompts[0].model_copy(
        update={"messages": (Message(role="user", content="?"),)}
    )
    changed = [
        evidence(replacements={(0, ALPHA): "another"}),
        evidence(replacements={(0, BETA): "another"}),
        data.model_copy(update={"prompts": (other_turn, *data.prompts[1:])}),
    ]
    keys = {item_lookup(changed_data)(key, ALPHA).content_key for changed_data in changed}  # type: ignore[union-attr]
    assert len(keys | {item.content_key, item.swapped().content_key}) == 5
    same = evidence(9).model_copy(update={"judgments": (), "failures": (), "notes": ()})
    assert item_lookup(same)(key, ALPHA).content_key == item.content_key  # type: ignore[union-attr]
