from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.items import Candidates
from bakeoff.evaluation.votes.queue import Ballot
from bakeoff.records import HUMAN_PREFIX, Design, Evidence
from tests.builders import make_completion
from tests.unit.web.voting.cases import MODELS, evidence, judged

ALPHA, BETA = MODELS
THREE = (*MODELS, "model-mu")
OF = evidence(12, THREE)


def numbers(ballot: Ballot) -> list[int]:
    return [int(one.prompt_id.removeprefix("prompt-")) for one in ballot.candidates]


def test_every_two_models_on_every_prompt_are_on_the_ballot_once() -> None:
    found = Ballot(OF, VoteOptions()).candidates
    assert len(set(found)) == len(found) == 12 * 3
    assert Counter((one.a, one.b) for one in found) == {
        (ALPHA, BETA): 12,
        (ALPHA, "model-mu"): 12,
        (BETA, "model-mu"): 12,
    }


def test_equal_completions_and_missing_ones_are_not_asked_about() -> None:
    of = evidence(4, said={(1, ALPHA): "same", (1, BETA): "same"})
    of = of.model_copy(update={"completions": of.completions[1:]})
    assert sorted(numbers(Ballot(of, VoteOptions()))) == [2, 3]


def test_of_several_completions_the_first_two_that_differ_are_asked_about() -> None:
    of = evidence(2, said={(1, ALPHA): "same", (1, BETA): "same"})
    more = [
        make_completion(f"prompt-{number}", model, f"again {model}", sample=5)
        for number in range(2)
        for model in MODELS
    ]
    of = of.model_copy(update={"completions": (*of.completions, *more)})
    assert set(Ballot(of, VoteOptions()).candidates) == {
        Candidates("prompt-0", ALPHA, BETA, 0),
        Candidates("prompt-1", ALPHA, BETA, 5),
    }


def test_nothing_to_ask_is_an_error() -> None:
    same = evidence(2, said={(n, model): "same" for n in range(2) for model in MODELS})
    for of in (same, evidence(0), same.model_copy(update={"completions": ()})):
        with pytest.raises(ConfigError, match="nothing to vote on"):
            Ballot(of, VoteOptions())


@given(st.text(min_size=1, max_size=10), st.integers())
def test_what_is_shown_is_the_pair_in_one_of_its_two_orders(voter: str, seed: int) -> None:
    ballot = Ballot(OF, VoteOptions(seed=seed))
    said = {(one.prompt_id, one.model): one.completion.text for one in OF.completions}
    for candidates in ballot.candidates:
        slip = ballot.slip(candidates, voter)
        assert {slip.first, slip.second} == {candidates.a, candidates.b}
        texts = tuple(said[candidates.prompt_id, name] for name in (slip.first, slip.second))
        assert (slip.pair.first, slip.pair.second) == texts
        assert slip == Ballot(OF, VoteOptions(seed=seed)).slip(candidates, voter)


def test_a_name_in_capitals_is_the_same_voter() -> None:
    ballot = Ballot(OF, VoteOptions())
    for candidates in ballot.candidates:
        assert ballot.slip(candidates, "ANNA") == ballot.slip(candidates, "anna")


def test_over_voters_and_over_pairs_each_model_is_first_half_the_time() -> None:
    ballot = Ballot(OF, VoteOptions())
    first = Counter[str]()
    for candidates in ballot.candidates:
        by_voter = [ballot.slip(candidates, f"voter {n}").first for n in range(200)]
        share = by_voter.count(candidates.a) / 200
        assert 0.35 < share < 0.65
        first[candidates.a] += by_voter.count(candidates.a)
    for a, total in first.items():
        pairs = sum(one.a == a for one in ballot.candidates)
        assert total / (200 * pairs) == pytest.approx(0.5, abs=0.03)
    by_pair = [ballot.slip(one, "Anna").first == one.a for one in ballot.candidates]
    assert 9 <= sum(by_pair) <= 27


def test_two_voters_are_not_shown_the_same_or_the_opposite() -> None:
    ballot = Ballot(OF, VoteOptions())
    alike = [
        ballot.slip(one, "Anna").first == ballot.slip(one, "Bo").first for one in ballot.candidates
    ]
    assert 0 < sum(alike) < len(alike)


def test_a_random_draw_is_no_order_and_another_seed_is_another_draw() -> None:
    draws = [Ballot(OF, VoteOptions(seed=seed)).candidates for seed in range(200)]
    assert len(set(draws)) == 200
    assert all(sorted(draw) == sorted(draws[0]) for draw in draws)
    early = Counter(one for draw in draws for one in draw[:18])  # half of all
    assert set(early) == set(draws[0])
    assert all(70 < times < 130 for times in early.values())


@given(st.integers(1, 36), st.integers())
def test_fewer_labels_are_the_first_of_more(labels: int, seed: int) -> None:
    whole = Ballot(OF, VoteOptions(seed=seed)).candidates
    assert Ballot(OF, VoteOptions(seed=seed, labels=labels)).candidates == whole[:labels]


def test_more_prompts_leave_the_order_of_the_others_as_it_is() -> None:
    before = Ballot(evidence(6, THREE), VoteOptions()).candidates
    after = Ballot(OF, VoteOptions()).candidates
    assert tuple(one for one in after if one in before) == before
    assert after[: len(before)] != before


def test_neither_judges_nor_the_order_of_models_and_prompts_change_the_draw() -> None:
    turned = OF.model_copy(
        update={"models": OF.models[::-1], "prompts": OF.prompts[::-1], "judgments": ()}
    )
    before, after = Ballot(OF, VoteOptions()), Ballot(turned, VoteOptions())
    assert after.candidates == before.candidates
    for candidates in before.candidates:
        assert after.slip(candidates, "Anna") == before.slip(candidates, "Anna")


def test_in_order_is_the_order_of_the_prompts() -> None:
    assert numbers(Ballot(evidence(12), VoteOptions(draw="order"))) == list(range(12))


def contested() -> Evidence:
    """Prompt 3 flips, on prompt 5 the judges disagree, 1 is close, 7 was judged by nobody."""
    judgments = [judged(n, 1.0, ALPHA, BETA) for n in (0, 2, 4, 6)]
    judgments += [judged(3, 1.0, ALPHA, BETA), judged(3, 1.0, BETA, ALPHA)]
    judgments += [judged(5, 0.9, ALPHA, BETA), judged(5, 0.0, ALPHA, BETA, judge="judge-eta")]
    judgments += [judged(1, 0.6, ALPHA, BETA)]
    judgments += [judged(4, 1.0, BETA, ALPHA, judge="Bo")]  # a person: not whom to check
    of = evidence(8)
    return of.model_copy(
        update={"judgments": tuple(judgments), "origins": of.origins | {"Bo": HUMAN_PREFIX}}
    )


def test_close_ones_are_those_on_which_judges_contradict_each_other_or_themselves() -> None:
    order = numbers(Ballot(contested(), VoteOptions(draw="close")))
    assert order[:3] == [3, 5, 1]
    assert sorted(order[3:7]) == [0, 2, 4, 6]
    assert order[7] == 7


@pytest.mark.parametrize(
    ("draw", "drawn"), [("random", "random"), ("order", "chosen"), ("close", "chosen")]
)
def test_only_a_random_draw_is_called_random(draw: str, drawn: str) -> None:
    assert Ballot(OF, VoteOptions.model_validate({"draw": draw})).drawn == drawn


@pytest.mark.parametrize("wrong", [{"labels": 0}, {"port": -1}, {"port": 65536}, {"draw": "best"}])
def test_a_poll_that_cannot_be_held(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VoteOptions.model_validate(wrong)


def test_with_a_baseline_people_are_asked_about_what_is_compared() -> None:
    found = OF.model_copy(update={"design": Design(baseline="model-mu")})
    asked = {(one.a, one.b) for one in Ballot(found, VoteOptions()).candidates}
    assert asked == {(ALPHA, "model-mu"), (BETA, "model-mu")}
