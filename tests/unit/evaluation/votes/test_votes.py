import random

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.aggregate import compare
from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.queue import Ballot
from bakeoff.evaluation.votes.votes import Count, Vote, count, fitting, standing
from bakeoff.records import Verdict
from tests.builders import make_failure
from tests.unit.web.voting.cases import MODELS, evidence, vote

ALPHA, BETA = MODELS
OF = evidence()
CHOICES = ("first", "second", "tie", "skip", "undone")

some_votes = st.lists(
    st.builds(
        lambda *values: vote(OF, values[0], values[1], voter=values[2], first=values[3]),
        st.integers(0, 3),
        st.sampled_from(CHOICES),
        st.sampled_from(["Anna", "Bo"]),
        st.sampled_from(MODELS),
    ),
    max_size=20,
)


@given(st.text(min_size=1, max_size=8), st.integers(0, 3), st.sampled_from(MODELS))
def test_whoever_writes_the_better_text_wins_wherever_it_is_shown(
    voter: str, number: int, better: str
) -> None:
    ballot = Ballot(OF, VoteOptions())
    (candidates,) = (c for c in ballot.candidates if c.prompt_id == f"prompt-{number}")
    slip = ballot.slip(candidates, voter)
    text = next(
        one.completion.text
        for one in OF.completions
        if (one.prompt_id, one.model) == (candidates.prompt_id, better)
    )
    choice = "first" if slip.pair.first == text else "second"
    counted = count([vote(OF, number, choice, voter=voter, first=slip.first)], OF)
    (comparison,) = compare(ALPHA, BETA, counted.judgments)
    assert comparison.winner == ("a" if better == ALPHA else "b")
    assert counted.judgments[0].judge == voter
    assert counted.judgments[0].presented == "recorded"


def test_a_tie_is_half_and_a_skip_is_a_failure() -> None:
    counted = count([vote(OF, 0, "tie"), vote(OF, 1, "skip", first=BETA)], OF)
    (judgment,) = counted.judgments
    assert judgment.verdict == Verdict(first=0.5)
    (failure,) = counted.failures
    expected = make_failure(
        "prompt-1", BETA, ALPHA, judge="Anna", kind="skipped", message=failure.message
    )
    assert failure == expected


@given(some_votes)
def test_the_last_word_of_each_voter_on_each_pair_counts(votes: list[Vote]) -> None:
    last = {(one.voter, one.prompt_id): one.choice for one in votes}
    counted = count(votes, OF)
    judged = {
        (one.judge, one.prompt_id): {1.0: "first", 0.0: "second", 0.5: "tie"}[one.verdict.first]
        for one in counted.judgments
    }
    skipped = {(one.participant, one.prompt_id): "skip" for one in counted.failures}
    assert len(judged) == len(counted.judgments)
    assert judged | skipped == {key: said for key, said in last.items() if said != "undone"}


@given(some_votes, st.randoms(use_true_random=False))
def test_the_order_of_other_voters_changes_nothing(
    votes: list[Vote], chance: random.Random
) -> None:
    by_voter = {name: [one for one in votes if one.voter == name] for name in ("Anna", "Bo")}
    mixed = [name for name, cast in by_voter.items() for _ in cast]
    chance.shuffle(mixed)
    lines = {name: iter(cast) for name, cast in by_voter.items()}
    assert count([next(lines[name]) for name in mixed], OF) == count(votes, OF)


def test_what_stands_is_in_the_order_in_which_it_was_last_said() -> None:
    votes = [vote(OF, n, "first") for n in (0, 1, 2)]
    votes += [vote(OF, 0, "tie"), vote(OF, 1, "undone")]
    assert [one.prompt_id for one in standing(votes).values()] == ["prompt-2", "prompt-0"]


def test_a_vote_on_other_texts_is_left_out_and_counted() -> None:
    before = evidence(said={(0, ALPHA): "what it said before", (1, ALPHA): "and here"})
    votes = [
        vote(before, 0, "first"),
        vote(before, 0, "second"),  # one pair, said twice
        vote(before, 1, "first"),
        vote(OF, 1, "second"),  # voted on anew
        vote(OF, 2, "first"),
        vote(evidence(9), 8, "first"),  # a prompt that is gone
    ]
    counted = count(votes, OF)
    said = {one.prompt_id: one.verdict.first for one in counted.judgments}
    assert said == {"prompt-1": 0.0, "prompt-2": 1.0}
    assert counted.stale == 2
    assert fitting(votes, OF) == votes[3:5]


def test_texts_that_come_back_have_their_votes_again() -> None:
    before = evidence(said={(0, ALPHA): "what it said before"})
    votes = [vote(before, 0, "first"), vote(OF, 0, "second")]
    assert [one.verdict.first for one in count(votes, before).judgments] == [1.0]
    assert [one.verdict.first for one in count(votes, OF).judgments] == [0.0]


def test_one_pair_that_was_chosen_makes_the_labels_chosen() -> None:
    random_ones = [vote(OF, 0), vote(OF, 1, "skip")]
    assert count(random_ones, OF).drawn == "random"
    assert count([*random_ones, vote(OF, 2, drawn="chosen")], OF).drawn == "chosen"
    undone = [vote(OF, 2, drawn="chosen"), vote(OF, 2, "undone", drawn="chosen")]
    assert count([*random_ones, *undone], OF).drawn == "random"
    assert count([], OF) == Count((), (), None, 0)


def test_judgments_are_in_the_order_of_voters_and_prompts() -> None:
    votes = [vote(OF, n, voter=name) for n in (3, 0, 2) for name in ("Bo", "Anna")]
    order = [(one.judge, one.prompt_id) for one in count(votes, OF).judgments]
    numbers = ("prompt-0", "prompt-2", "prompt-3")
    assert order == [(name, number) for name in ("Anna", "Bo") for number in numbers]
