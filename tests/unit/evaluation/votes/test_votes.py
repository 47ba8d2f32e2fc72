import random

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.aggregate import compare
from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.queue import VotingQueue
from bakeoff.evaluation.votes.votes import (
    Vote,
    VoteJudgments,
    judgments_from_votes,
    latest_votes,
    matching_votes,
)
from bakeoff.records import Verdict
from tests.builders import make_failure
from tests.unit.web.voting.builders import MODELS, evidence, vote

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
def test_model_of_the_chosen_text_wins_in_either_order(
    voter: str, number: int, better: str
) -> None:
    queue = VotingQueue(OF, VoteOptions())
    (key,) = (c for c in queue.keys if c.prompt_id == f"prompt-{number}")
    item = queue.item(key, voter)
    text = next(
        completion.completion.text
        for completion in OF.completions
        if (completion.prompt_id, completion.model) == (key.prompt_id, better)
    )
    choice = "first" if item.pair.first == text else "second"
    counted = judgments_from_votes([vote(OF, number, choice, voter=voter, first=item.first)], OF)
    (comparison,) = compare(ALPHA, BETA, counted.judgments)
    assert comparison.winner == ("a" if better == ALPHA else "b")
    assert counted.judgments[0].judge == voter
    assert counted.judgments[0].presented == "recorded"


def test_a_tie_is_half_and_a_skip_is_a_failure() -> None:
    counted = judgments_from_votes([vote(OF, 0, "tie"), vote(OF, 1, "skip", first=BETA)], OF)
    (judgment,) = counted.judgments
    assert judgment.verdict == Verdict(first=0.5)
    (failure,) = counted.failures
    expected = make_failure(
        "prompt-1", BETA, ALPHA, judge="Anna", kind="skipped", message=failure.message
    )
    assert failure == expected


@given(some_votes)
def test_latest_vote_per_voter_and_pair_counts(votes: list[Vote]) -> None:
    last = {(vote.voter, vote.prompt_id): vote.choice for vote in votes}
    counted = judgments_from_votes(votes, OF)
    judged = {
        (judgment.judge, judgment.prompt_id): {1.0: "first", 0.0: "second", 0.5: "tie"}[
            judgment.verdict.first
        ]
        for judgment in counted.judgments
    }
    skipped = {(failure.participant, failure.prompt_id): "skip" for failure in counted.failures}
    assert len(judged) == len(counted.judgments)
    assert judged | skipped == {key: choice for key, choice in last.items() if choice != "undone"}


@given(some_votes, st.randoms(use_true_random=False))
def test_order_of_other_voters_does_not_matter(votes: list[Vote], chance: random.Random) -> None:
    by_voter = {name: [vote for vote in votes if vote.voter == name] for name in ("Anna", "Bo")}
    mixed = [name for name, cast in by_voter.items() for _ in cast]
    chance.shuffle(mixed)
    lines = {name: iter(cast) for name, cast in by_voter.items()}
    assert judgments_from_votes([next(lines[name]) for name in mixed], OF) == judgments_from_votes(
        votes, OF
    )


def test_latest_votes_are_in_the_order_of_the_last_vote() -> None:
    votes = [vote(OF, n, "first") for n in (0, 1, 2)]
    votes += [vote(OF, 0, "tie"), vote(OF, 1, "undone")]
    assert [vote.prompt_id for vote in latest_votes(votes).values()] == ["prompt-2", "prompt-0"]


def test_vote_on_changed_texts_is_stale() -> None:
    before = evidence(replacements={(0, ALPHA): "what it said before", (1, ALPHA): "and here"})
    votes = [
        vote(before, 0, "first"),
        vote(before, 0, "second"),  # two votes on one pair
        vote(before, 1, "first"),
        vote(OF, 1, "second"),  # voted on anew
        vote(OF, 2, "first"),
        vote(evidence(9), 8, "first"),  # a prompt that is gone
    ]
    counted = judgments_from_votes(votes, OF)
    preferences = {judgment.prompt_id: judgment.verdict.first for judgment in counted.judgments}
    assert preferences == {"prompt-1": 0.0, "prompt-2": 1.0}
    assert counted.stale == 2
    assert matching_votes(votes, OF) == votes[3:5]


def test_restored_texts_restore_their_votes() -> None:
    before = evidence(replacements={(0, ALPHA): "what it said before"})
    votes = [vote(before, 0, "first"), vote(OF, 0, "second")]
    assert [
        judgment.verdict.first for judgment in judgments_from_votes(votes, before).judgments
    ] == [1.0]
    assert [judgment.verdict.first for judgment in judgments_from_votes(votes, OF).judgments] == [
        0.0
    ]


def test_one_chosen_pair_makes_the_sample_chosen() -> None:
    random_ones = [vote(OF, 0), vote(OF, 1, "skip")]
    assert judgments_from_votes(random_ones, OF).human_sample == "random"
    assert (
        judgments_from_votes([*random_ones, vote(OF, 2, human_sample="chosen")], OF).human_sample
        == "chosen"
    )
    undone = [vote(OF, 2, human_sample="chosen"), vote(OF, 2, "undone", human_sample="chosen")]
    assert judgments_from_votes([*random_ones, *undone], OF).human_sample == "random"
    assert judgments_from_votes([], OF) == VoteJudgments((), (), None, 0)


def test_judgments_are_in_the_order_of_voters_and_prompts() -> None:
    votes = [vote(OF, n, voter=name) for n in (3, 0, 2) for name in ("Bo", "Anna")]
    order = [
        (judgment.judge, judgment.prompt_id)
        for judgment in judgments_from_votes(votes, OF).judgments
    ]
    numbers = ("prompt-0", "prompt-2", "prompt-3")
    assert order == [(name, number) for name in ("Anna", "Bo") for number in numbers]
