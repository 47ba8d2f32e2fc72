import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.merge import MergedVotes, reserved_names, with_votes
from bakeoff.evaluation.votes.vote_log import append_vote
from bakeoff.records import HUMAN_PREFIX, Evidence, Results
from tests.builders import make_results
from tests.unit.web.voting.builders import MODELS, VOTES, evidence, judged, vote

OF = evidence()


def results(data: Evidence = OF) -> Results:
    return make_results(data)


def test_no_votes_leave_the_evidence_unchanged() -> None:
    for data in (OF, OF.model_copy(update={"human_sample": "chosen"})):
        assert with_votes(data, VOTES) == MergedVotes(data, (), 0)


def test_voters_become_judges() -> None:
    append_vote(VOTES, vote(OF, 2, "tie", voter="Bo"))
    append_vote(VOTES, vote(OF, 1, "skip", voter="Bo"))
    append_vote(VOTES, vote(OF, 1, "first", voter="Anna"))
    append_vote(VOTES, vote(evidence(9), 8, "first", voter="Cy"))
    labels = with_votes(OF, VOTES)
    assert (labels.voters, labels.stale) == (("Anna", "Bo"), 1)
    merged = labels.evidence
    assert merged.judgments[:4] == OF.judgments
    assert [judgment.judge for judgment in merged.judgments[4:]] == ["Anna", "Bo"]
    assert merged.failures[:1] == OF.failures
    assert [(row.participant, row.kind) for row in merged.failures[1:]] == [("Bo", "skipped")]
    assert merged.origins == OF.origins | {"Anna": HUMAN_PREFIX, "Bo": HUMAN_PREFIX}
    assert (merged.prompts, merged.completions) == (OF.prompts, OF.completions)
    assert with_votes(merged, VOTES) == labels  # again, and nothing is counted twice
    assert summarize(merged).pairs


def test_results_round_trip_the_evidence() -> None:
    append_vote(VOTES, vote(OF, 0))
    for data in (
        OF,
        OF.model_copy(update={"human_sample": "chosen", "null_check": evidence(1)}),
        with_votes(OF, VOTES).evidence,
    ):
        assert results(data).evidence == data


def test_human_sample_is_random_only_if_all_votes_are() -> None:
    chosen = OF.model_copy(
        update={"human_sample": "chosen", "origins": OF.origins | {"Bo": HUMAN_PREFIX}}
    )
    append_vote(VOTES, vote(OF, 0))
    assert (
        with_votes(chosen, VOTES).evidence.human_sample == "random"
    )  # without the withdrawn votes of Bo
    by_bo = chosen.model_copy(
        update={"judgments": (*OF.judgments, judged(1, 1, *MODELS, judge="Bo"))}
    )
    assert with_votes(by_bo, VOTES).evidence.human_sample == "chosen"
    append_vote(VOTES, vote(OF, 1, human_sample="chosen"))
    assert with_votes(OF, VOTES).evidence.human_sample == "chosen"


def test_voter_without_remaining_votes_is_no_judge() -> None:
    append_vote(VOTES, vote(OF, 0))
    before = with_votes(OF, VOTES)
    append_vote(VOTES, vote(OF, 0, "undone"))
    assert with_votes(before.evidence, VOTES) == MergedVotes(OF, (), 0)


def test_merged_votes_are_replaced_by_the_file() -> None:
    append_vote(VOTES, vote(OF, 1, "first"))
    append_vote(VOTES, vote(OF, 2, "skip"))
    before = with_votes(OF, VOTES)
    kept = results(before.evidence).evidence
    append_vote(VOTES, vote(OF, 1, "undone"))
    append_vote(VOTES, vote(OF, 2, "second"))
    merged = with_votes(kept, VOTES).evidence
    rows = [
        (judgment.judge, judgment.prompt_id)
        for judgment in merged.judgments
        if judgment.judge == "Anna"
    ]
    assert rows == [("Anna", "prompt-2")]
    assert merged.failures == OF.failures


def test_votes_of_a_missing_file_are_kept() -> None:
    append_vote(VOTES, vote(OF, 1, "first"))
    before = with_votes(OF, VOTES)
    VOTES.unlink()
    kept = results(before.evidence).evidence
    labels = with_votes(kept, VOTES)
    assert labels == MergedVotes(kept, ("Anna",), 0)
    assert labels.evidence.judgments == before.evidence.judgments
    append_vote(VOTES, vote(OF, 1, "first", voter="Bo"))  # a new file holds another voter
    assert with_votes(kept, VOTES).voters == ("Anna", "Bo")
    assert {judgment.judge for judgment in with_votes(kept, VOTES).evidence.judgments} == {
        "judge-gamma",
        "Anna",
        "Bo",
    }


@pytest.mark.parametrize("name", [MODELS[0], "judge-gamma"])
def test_voter_with_the_name_of_a_judge_or_model_is_an_error(name: str) -> None:
    append_vote(VOTES, vote(OF, 1, voter=name))
    with pytest.raises(ConfigError, match=f"'{name}' has voted") as caught:
        with_votes(OF, VOTES)
    assert "\n" not in str(caught.value)


def test_reserved_names_are_models_and_machine_judges() -> None:
    data = OF.model_copy(
        update={
            "judgments": (*OF.judgments, judged(0, 1, *MODELS, judge="Anna")),
            "origins": {"Anna": HUMAN_PREFIX, "judge-nu": "api:nu"},
        }
    )
    assert reserved_names(data) == {*MODELS, "judge-gamma", "judge-eta", "judge-nu"}
