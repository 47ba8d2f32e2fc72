from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.items import PairKey
from bakeoff.evaluation.votes.queue import VotingQueue
from bakeoff.records import HUMAN_PREFIX, Design, Evidence
from tests.builders import make_completion
from tests.unit.web.voting.builders import MODELS, evidence, judged

ALPHA, BETA = MODELS
THREE = (*MODELS, "model-mu")
OF = evidence(12, THREE)


def numbers(queue: VotingQueue) -> list[int]:
    return [int(key.prompt_id.removeprefix("prompt-")) for key in queue.keys]


def test_queue_has_every_pair_on_every_prompt_once() -> None:
    keys = VotingQueue(OF, VoteOptions()).keys
    assert len(set(keys)) == len(keys) == 12 * 3
    assert Counter((key.a, key.b) for key in keys) == {
        (ALPHA, BETA): 12,
        (ALPHA, "model-mu"): 12,
        (BETA, "model-mu"): 12,
    }


def test_equal_or_missing_completions_are_not_queued() -> None:
    data = evidence(4, replacements={(1, ALPHA): "same", (1, BETA): "same"})
    data = data.model_copy(update={"completions": data.completions[1:]})
    assert sorted(numbers(VotingQueue(data, VoteOptions()))) == [2, 3]


def test_first_differing_sample_is_queued() -> None:
    data = evidence(2, replacements={(1, ALPHA): "same", (1, BETA): "same"})
    more = [
        make_completion(f"prompt-{number}", model, f"again {model}", sample=5)
        for number in range(2)
        for model in MODELS
    ]
    data = data.model_copy(update={"completions": (*data.completions, *more)})
    assert set(VotingQueue(data, VoteOptions()).keys) == {
        PairKey("prompt-0", ALPHA, BETA, 0),
        PairKey("prompt-1", ALPHA, BETA, 5),
    }


def test_empty_queue_is_an_error() -> None:
    same = evidence(2, replacements={(n, model): "same" for n in range(2) for model in MODELS})
    for data in (same, evidence(0), same.model_copy(update={"completions": ()})):
        with pytest.raises(ConfigError, match="nothing to vote on"):
            VotingQueue(data, VoteOptions())


@given(st.text(min_size=1, max_size=10), st.integers())
def test_item_is_the_pair_in_one_of_two_orders(voter: str, seed: int) -> None:
    queue = VotingQueue(OF, VoteOptions(seed=seed))
    text_of = {
        (completion.prompt_id, completion.model): completion.completion.text
        for completion in OF.completions
    }
    for key in queue.keys:
        item = queue.item(key, voter)
        assert {item.first, item.second} == {key.a, key.b}
        texts = tuple(text_of[key.prompt_id, name] for name in (item.first, item.second))
        assert (item.pair.first, item.pair.second) == texts
        assert item == VotingQueue(OF, VoteOptions(seed=seed)).item(key, voter)


def test_voter_names_ignore_case() -> None:
    queue = VotingQueue(OF, VoteOptions())
    for key in queue.keys:
        assert queue.item(key, "ANNA") == queue.item(key, "anna")


def test_order_is_balanced_over_voters_and_pairs() -> None:
    queue = VotingQueue(OF, VoteOptions())
    first = Counter[str]()
    for key in queue.keys:
        by_voter = [queue.item(key, f"voter {n}").first for n in range(200)]
        share = by_voter.count(key.a) / 200
        assert 0.35 < share < 0.65
        first[key.a] += by_voter.count(key.a)
    for a, total in first.items():
        pairs = sum(key.a == a for key in queue.keys)
        assert total / (200 * pairs) == pytest.approx(0.5, abs=0.03)
    by_pair = [queue.item(key, "Anna").first == key.a for key in queue.keys]
    assert 9 <= sum(by_pair) <= 27


def test_orders_of_two_voters_are_independent() -> None:
    queue = VotingQueue(OF, VoteOptions())
    alike = [queue.item(key, "Anna").first == queue.item(key, "Bo").first for key in queue.keys]
    assert 0 < sum(alike) < len(alike)


def test_random_draw_depends_on_the_seed() -> None:
    draws = [VotingQueue(OF, VoteOptions(seed=seed)).keys for seed in range(200)]
    assert len(set(draws)) == 200
    assert all(sorted(draw) == sorted(draws[0]) for draw in draws)
    early = Counter(key for draw in draws for key in draw[:18])  # half of all
    assert set(early) == set(draws[0])
    assert all(70 < times < 130 for times in early.values())


@given(st.integers(1, 36), st.integers())
def test_smaller_number_of_labels_is_a_prefix(labels: int, seed: int) -> None:
    complete = VotingQueue(OF, VoteOptions(seed=seed)).keys
    assert VotingQueue(OF, VoteOptions(seed=seed, labels=labels)).keys == complete[:labels]


def test_additional_prompts_keep_the_order_of_others() -> None:
    before = VotingQueue(evidence(6, THREE), VoteOptions()).keys
    after = VotingQueue(OF, VoteOptions()).keys
    assert tuple(key for key in after if key in before) == before
    assert after[: len(before)] != before


def test_draw_does_not_depend_on_judgments_or_input_order() -> None:
    turned = OF.model_copy(
        update={"models": OF.models[::-1], "prompts": OF.prompts[::-1], "judgments": ()}
    )
    before, after = VotingQueue(OF, VoteOptions()), VotingQueue(turned, VoteOptions())
    assert after.keys == before.keys
    for key in before.keys:
        assert after.item(key, "Anna") == before.item(key, "Anna")


def test_draw_in_order_follows_the_prompts() -> None:
    assert numbers(VotingQueue(evidence(12), VoteOptions(draw="order"))) == list(range(12))


def contested() -> Evidence:
    """Prompt 3 flips, judges disagree on prompt 5, 1 is close, 7 is not judged."""
    judgments = [judged(n, 1.0, ALPHA, BETA) for n in (0, 2, 4, 6)]
    judgments += [judged(3, 1.0, ALPHA, BETA), judged(3, 1.0, BETA, ALPHA)]
    judgments += [judged(5, 0.9, ALPHA, BETA), judged(5, 0.0, ALPHA, BETA, judge="judge-eta")]
    judgments += [judged(1, 0.6, ALPHA, BETA)]
    judgments += [judged(4, 1.0, BETA, ALPHA, judge="Bo")]  # a person is no judge to check
    data = evidence(8)
    return data.model_copy(
        update={"judgments": tuple(judgments), "origins": data.origins | {"Bo": HUMAN_PREFIX}}
    )


def test_draw_close_starts_with_contradictory_pairs() -> None:
    order = numbers(VotingQueue(contested(), VoteOptions(draw="close")))
    assert order[:3] == [3, 5, 1]
    assert sorted(order[3:7]) == [0, 2, 4, 6]
    assert order[7] == 7


@pytest.mark.parametrize(
    ("draw", "drawn"), [("random", "random"), ("order", "chosen"), ("close", "chosen")]
)
def test_only_the_random_draw_is_a_random_sample(draw: str, drawn: str) -> None:
    assert VotingQueue(OF, VoteOptions.model_validate({"draw": draw})).human_sample == drawn


@pytest.mark.parametrize("wrong", [{"labels": 0}, {"port": -1}, {"port": 65536}, {"draw": "best"}])
def test_invalid_poll_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VoteOptions.model_validate(wrong)


def test_baseline_limits_the_voting_queue() -> None:
    data = OF.model_copy(update={"design": Design(baseline="model-mu")})
    pairs = {(key.a, key.b) for key in VotingQueue(data, VoteOptions()).keys}
    assert pairs == {(ALPHA, "model-mu"), (BETA, "model-mu")}
