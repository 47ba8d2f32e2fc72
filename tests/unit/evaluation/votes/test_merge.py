import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.merge import Labels, machines, people
from bakeoff.evaluation.votes.vote_log import put
from bakeoff.records import HUMAN_PREFIX, Evidence, Results
from tests.builders import make_results
from tests.unit.web.voting.cases import MODELS, VOTES, evidence, judged, vote

OF = evidence()


def results(of: Evidence = OF) -> Results:
    return make_results(of)


def test_without_votes_the_evidence_is_as_it_was() -> None:
    for of in (OF, OF.model_copy(update={"human_sample": "chosen"})):
        assert people(of, VOTES) == Labels(of, (), 0)


def test_voters_are_judges_beside_the_others() -> None:
    put(VOTES, vote(OF, 2, "tie", voter="Bo"))
    put(VOTES, vote(OF, 1, "skip", voter="Bo"))
    put(VOTES, vote(OF, 1, "first", voter="Anna"))
    put(VOTES, vote(evidence(9), 8, "first", voter="Cy"))
    labels = people(OF, VOTES)
    assert (labels.voters, labels.stale) == (("Anna", "Bo"), 1)
    merged = labels.evidence
    assert merged.judgments[:4] == OF.judgments
    assert [one.judge for one in merged.judgments[4:]] == ["Anna", "Bo"]
    assert merged.failures[:1] == OF.failures
    assert [(one.participant, one.kind) for one in merged.failures[1:]] == [("Bo", "skipped")]
    assert merged.origins == OF.origins | {"Anna": HUMAN_PREFIX, "Bo": HUMAN_PREFIX}
    assert (merged.prompts, merged.completions) == (OF.prompts, OF.completions)
    assert people(merged, VOTES) == labels  # again, and nothing is counted twice
    assert summarize(merged).pairs


def test_results_give_back_the_evidence_that_they_were_made_of() -> None:
    put(VOTES, vote(OF, 0))
    for of in (
        OF,
        OF.model_copy(update={"human_sample": "chosen", "null_check": evidence(1)}),
        people(OF, VOTES).evidence,
    ):
        assert results(of).evidence == of


def test_labels_are_random_only_if_all_of_them_are() -> None:
    chosen = OF.model_copy(
        update={"human_sample": "chosen", "origins": OF.origins | {"Bo": HUMAN_PREFIX}}
    )
    put(VOTES, vote(OF, 0))
    assert (
        people(chosen, VOTES).evidence.human_sample == "random"
    )  # nothing is left of what Bo said
    by_bo = chosen.model_copy(
        update={"judgments": (*OF.judgments, judged(1, 1, *MODELS, judge="Bo"))}
    )
    assert people(by_bo, VOTES).evidence.human_sample == "chosen"
    put(VOTES, vote(OF, 1, drawn="chosen"))
    assert people(OF, VOTES).evidence.human_sample == "chosen"


def test_a_voter_who_took_everything_back_is_no_judge_anymore() -> None:
    put(VOTES, vote(OF, 0))
    before = people(OF, VOTES)
    put(VOTES, vote(OF, 0, "undone"))
    assert people(before.evidence, VOTES) == Labels(OF, (), 0)


def test_votes_that_are_in_the_results_are_read_anew() -> None:
    put(VOTES, vote(OF, 1, "first"))
    put(VOTES, vote(OF, 2, "skip"))
    before = people(OF, VOTES)
    kept = results(before.evidence).evidence
    put(VOTES, vote(OF, 1, "undone"))
    put(VOTES, vote(OF, 2, "second"))
    merged = people(kept, VOTES).evidence
    said = [(one.judge, one.prompt_id) for one in merged.judgments if one.judge == "Anna"]
    assert said == [("Anna", "prompt-2")]
    assert merged.failures == OF.failures


def test_votes_whose_file_is_gone_are_kept() -> None:
    put(VOTES, vote(OF, 1, "first"))
    before = people(OF, VOTES)
    VOTES.unlink()
    kept = results(before.evidence).evidence
    labels = people(kept, VOTES)
    assert labels == Labels(kept, ("Anna",), 0)
    assert labels.evidence.judgments == before.evidence.judgments
    put(VOTES, vote(OF, 1, "first", voter="Bo"))  # a new file holds another voter
    assert people(kept, VOTES).voters == ("Anna", "Bo")
    assert {one.judge for one in people(kept, VOTES).evidence.judgments} == {
        "judge-gamma",
        "Anna",
        "Bo",
    }


@pytest.mark.parametrize("name", [MODELS[0], "judge-gamma"])
def test_a_voter_with_the_name_of_a_judge_or_model_is_an_error(name: str) -> None:
    put(VOTES, vote(OF, 1, voter=name))
    with pytest.raises(ConfigError, match=f"'{name}' has voted") as caught:
        people(OF, VOTES)
    assert "\n" not in str(caught.value)


def test_no_voter_may_have_the_name_of_a_machine() -> None:
    of = OF.model_copy(
        update={
            "judgments": (*OF.judgments, judged(0, 1, *MODELS, judge="Anna")),
            "origins": {"Anna": HUMAN_PREFIX, "judge-nu": "api:nu"},
        }
    )
    assert machines(of) == {*MODELS, "judge-gamma", "judge-eta", "judge-nu"}
