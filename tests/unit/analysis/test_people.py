"""People in addition to judges: not in the panel, and the rate corrected by their labels."""

from typing import Any

import numpy as np
import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Judgment, PairSummary
from bakeoff.stats.calibration import corrected_rate
from tests.unit.analysis.builders import both, evidence, failure, judgment, pair, prompt, texts, won

ORIGINS = {"anna": "human:", "ben": "human:", "j": "openai:gpt-4"}


def label(n: int, value: float, voter: str = "anna") -> Judgment:
    return judgment(n, "a", value, judge=voter)


def pair_with_labels(rows: list[Judgment], **more: Any) -> PairSummary:
    return pair(rows, origins=ORIGINS, **more)


def test_people_are_not_averaged_into_the_panel() -> None:
    judged = won(30, 10)
    alone = pair_with_labels(judged)
    beside = pair_with_labels([*judged, *(label(n, 0.0) for n in range(10))])
    assert alone.people is None
    assert beside.people is not None
    assert beside.people.win_rate.estimate == 0
    assert beside.win_rate == alone.win_rate
    assert [card.judge for card in beside.judges] == ["j"]
    assert beside.accounting == alone.accounting


def test_a_skip_by_a_person_is_no_failure_of_a_judge() -> None:
    judged = won(30, 10)
    summary = pair_with_labels(
        [*judged, label(0, 1.0)], failures=(failure(participant="anna", kind="skipped"),)
    )
    assert summary.accounting.failed == 0


def test_without_other_judges_people_are_the_judges() -> None:
    rows = [label(n, float(n % 3 > 0), person) for n in range(30) for person in ("anna", "ben")]
    summary = pair_with_labels(rows)
    assert summary.people is None
    assert [card.judge for card in summary.judges] == ["anna", "ben"]


def test_the_corrected_rate_is_over_prompts() -> None:
    rng = np.random.default_rng(7)
    judge = rng.choice([0.0, 0.5, 1.0], 60)
    labels = np.where(rng.random(20) < 0.8, judge[:20], 0.0)
    rows = [row for n, value in enumerate(judge) for row in both(n, float(value))]
    rows += [label(n, float(value)) for n, value in enumerate(labels)]
    people = pair_with_labels(rows).people
    expected = corrected_rate(labels, judge[:20], judge[20:])
    assert people is not None
    assert people.corrected is not None
    assert people.corrected.value.estimate == pytest.approx(expected.value.estimate)
    assert people.corrected.value.low == pytest.approx(expected.value.low)
    assert (people.corrected.labeled, people.corrected.unlabeled) == (20, 40)


def test_labels_of_selected_prompts_give_no_corrected_rate() -> None:
    rows = [*won(30, 10), *(label(n, 1.0) for n in range(10))]
    people = pair_with_labels(rows, human_sample="chosen").people
    assert people is not None
    assert people.corrected is None
    assert people.labels_needed is None
    everything = pair_with_labels([*won(30, 10), *(label(n, 1.0) for n in range(40))]).people
    assert everything is not None
    assert everything.corrected is not None  # nothing is left to correct
    assert everything.corrected.value.estimate == 1
    assert everything.corrected.unlabeled == 0


def test_enough_labels_decide_whatever_the_judge_says() -> None:
    """The judge names a on every prompt, in one order only; people prefer b on 40 of 60."""
    rows = [judgment(n, "a", 1.0) for n in range(200)]
    labels = [label(n, float(n % 3 == 0)) for n in range(60)]
    summary = pair_with_labels([*rows, *labels])
    assert summary.people is not None
    assert summary.people.decides
    assert summary.people.corrected is not None
    assert summary.win_rate == summary.people.corrected.value
    assert summary.judges_win_rate is not None
    assert summary.judges_win_rate.estimate == 1
    assert (summary.outcome, summary.reasons) == ("worse", ())
    assert "corrected by 60 labels of people" in summary.verdict
    assert "one order" in [flag.kind for flag in summary.flags]
    assert summary.sensitivity is not None
    assert summary.sensitivity.prompts is None


@pytest.mark.parametrize(
    ("wins", "losses", "selection"), [(15, 14, "random"), (16, 14, "random"), (40, 40, "chosen")]
)
def test_few_or_chosen_labels_do_not_decide(wins: int, losses: int, selection: str) -> None:
    rows = won(60, 60)
    values = [1.0] * wins + [0.0] * losses
    labels = [label(3 * n % 120, value) for n, value in enumerate(values)]
    summary = pair_with_labels([*rows, *labels], human_sample=selection)
    assert summary.people is not None
    assert not summary.people.decides
    assert summary.judges_win_rate is None


def test_few_labels_withhold_where_they_exclude_the_judges() -> None:
    rows = won(90, 10)
    against = [label(n, float(n % 6 == 0)) for n in range(24)]
    summary = pair_with_labels([*rows, *against])
    assert [reason.kind for reason in summary.reasons] == ["people disagree"]
    assert "which excludes the 90.0 % of the judges" in summary.verdict
    with_them = [label(n, float(n % 6 > 0)) for n in range(24)]
    assert pair_with_labels([*rows, *with_them]).outcome == "better"


def test_people_agree_with_the_judges_and_with_each_other() -> None:
    rows = [*won(15, 15)]
    rows += [label(n, 1.0) for n in range(10)] + [label(n, 0.0) for n in range(20, 30)]
    rows += [label(n, 0.0, "ben") for n in range(5)]
    summary = pair_with_labels(rows)
    assert summary.people is not None
    assert summary.people.voters == ("anna", "ben")
    assert summary.people.prompts == 20
    assert summary.people.judge_agreement is not None
    assert summary.people.judge_agreement.share == pytest.approx(15 / 20)  # split prompts are ties
    assert summary.people.voter_agreement is not None
    assert summary.people.voter_agreement.share == 0
    assert summary.judges[0].human_agreement is not None


def test_a_cluster_is_one_unit_of_the_correction() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 2}",)) for n in range(40))
    rows = [row for n in range(40) for row in both(n, float(n % 4 > 0))]
    rows += [label(n, float(n % 4 > 1)) for n in range(20)]
    people = pair_with_labels(rows, prompts=prompts).people
    assert people is not None
    assert people.corrected is not None
    assert (people.corrected.labeled, people.corrected.unlabeled) == (10, 10)


def test_a_cluster_with_a_label_is_not_unlabeled() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 2}",)) for n in range(40))
    rows = [row for n in range(40) for row in both(n, float(n % 4 > 0))]
    rows += [label(n, float(n % 4 > 1)) for n in range(0, 20, 2)]
    people = pair_with_labels(rows, prompts=prompts).people
    assert people is not None
    assert people.corrected is not None
    assert (people.corrected.labeled, people.corrected.unlabeled) == (10, 10)


def test_a_significantly_opposite_corrected_rate_withholds() -> None:
    judged = won(60, 10)
    rows = [*judged, *(label(n, float(n % 10 == 0)) for n in range(0, 70, 2))]
    summary = pair_with_labels(rows)
    assert "people disagree" in {reason.kind for reason in summary.reasons}
    assert summary.outcome == "withheld"
    for n in range(0, 70, 2):
        rows[len(judged) + n // 2] = label(n, float(n < 60))
    assert "people disagree" not in {reason.kind for reason in pair_with_labels(rows).reasons}


def test_swapping_the_models_mirrors_the_people() -> None:
    rng = np.random.default_rng(3)
    rows = [row for n in range(50) for row in both(n, float(rng.choice([0, 0.5, 1])))]
    rows += [label(n, float(rng.choice([0, 0.5, 1]))) for n in range(0, 50, 3)]
    data: Evidence = evidence(rows, origins=ORIGINS)
    people = summarize(data).pairs[0].people
    other = summarize(data.model_copy(update={"models": ("b", "a")})).pairs[0].people
    assert people is not None
    assert other is not None
    assert people.corrected is not None
    assert other.corrected is not None
    assert other.corrected.value.estimate == pytest.approx(1 - people.corrected.value.estimate)
    assert other.corrected.value.high == pytest.approx(1 - people.corrected.value.low)
    assert other.labels_needed == people.labels_needed
    assert other.judge_agreement == people.judge_agreement


def test_prompts_with_identical_completions_are_ties_without_labels() -> None:
    rng = np.random.default_rng(9)
    judge = rng.choice([0.0, 1.0], 40)
    rows = [row for n, value in enumerate(judge) for row in both(n, float(value))]
    rows += [row for n in range(40, 60) for row in both(n, 0.5)]
    rows += [label(n, float(judge[n])) for n in range(0, 40, 3)]
    completions = [
        *texts("a", map(str, range(60))),
        *texts("b", ["x"] * 40 + [*map(str, range(40, 60))]),
    ]
    people = pair_with_labels(rows, completions=tuple(completions)).people
    alone = pair_with_labels([row for row in rows if int(row.prompt_id[1:]) < 40]).people
    assert people is not None
    assert alone is not None
    assert people.corrected is not None
    assert alone.corrected is not None
    assert people.corrected.unlabeled == alone.corrected.unlabeled
    complete, part = people.corrected.value, alone.corrected.value
    assert complete.estimate == pytest.approx(1 / 6 + part.estimate * 2 / 3)
    assert complete.high - complete.low == pytest.approx((part.high - part.low) * 2 / 3)
