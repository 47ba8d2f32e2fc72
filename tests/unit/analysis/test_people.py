"""People in addition to judges: not in the panel, and the rate corrected by their labels."""

from typing import Any

import numpy as np
import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Evidence, Judgment, PairSummary
from bakeoff.stats.calibration import ppi_plus_plus
from tests.unit.analysis.cases import both, evidence, failure, judgment, pair, prompt, texts, won

ORIGINS = {"anna": "human:", "ben": "human:", "j": "openai:gpt-4"}


def label(n: int, value: float, who: str = "anna") -> Judgment:
    return judgment(n, "a", value, judge=who)


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
    found = pair_with_labels(
        [*judged, label(0, 1.0)], failures=(failure(participant="anna", kind="skipped"),)
    )
    assert found.accounting.failed == 0


def test_without_other_judges_people_are_the_judges() -> None:
    rows = [label(n, float(n % 3 > 0), who) for n in range(30) for who in ("anna", "ben")]
    found = pair_with_labels(rows)
    assert found.people is None
    assert [card.judge for card in found.judges] == ["anna", "ben"]


def test_the_corrected_rate_is_ppi_over_prompts() -> None:
    rng = np.random.default_rng(7)
    judge = rng.choice([0.0, 0.5, 1.0], 60)
    labels = np.where(rng.random(20) < 0.8, judge[:20], 0.0)
    rows = [row for n, value in enumerate(judge) for row in both(n, float(value))]
    rows += [label(n, float(value)) for n, value in enumerate(labels)]
    found = pair_with_labels(rows).people
    expected = ppi_plus_plus(labels, judge[:20], judge[20:])
    assert found is not None
    assert found.corrected is not None
    assert found.corrected.value.estimate == pytest.approx(expected.value.estimate)
    assert found.corrected.value.low == pytest.approx(expected.value.low)
    assert (found.corrected.labeled, found.corrected.unlabeled) == (20, 40)


def test_labels_of_selected_prompts_give_no_corrected_rate() -> None:
    rows = [*won(30, 10), *(label(n, 1.0) for n in range(10))]
    found = pair_with_labels(rows, human_sample="chosen").people
    assert found is not None
    assert found.corrected is None
    assert found.labels_needed is None
    everything = pair_with_labels([*won(30, 10), *(label(n, 1.0) for n in range(40))]).people
    assert everything is not None
    assert everything.corrected is None  # nothing is left to correct


def test_people_agree_with_the_judges_and_with_each_other() -> None:
    rows = [*won(15, 15)]
    rows += [label(n, 1.0) for n in range(10)] + [label(n, 0.0) for n in range(20, 30)]
    rows += [label(n, 0.0, "ben") for n in range(5)]
    found = pair_with_labels(rows)
    assert found.people is not None
    assert found.people.voters == ("anna", "ben")
    assert found.people.prompts == 20
    assert found.people.judge_agreement is not None
    assert found.people.judge_agreement.share == pytest.approx(15 / 20)  # split prompts are ties
    assert found.people.voter_agreement is not None
    assert found.people.voter_agreement.share == 0
    assert found.judges[0].human_agreement is not None


def test_a_cluster_is_one_unit_of_the_correction() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 2}",)) for n in range(40))
    rows = [row for n in range(40) for row in both(n, float(n % 4 > 0))]
    rows += [label(n, float(n % 4 > 1)) for n in range(20)]
    found = pair_with_labels(rows, prompts=prompts).people
    assert found is not None
    assert found.corrected is not None
    assert (found.corrected.labeled, found.corrected.unlabeled) == (10, 10)


def test_a_cluster_with_a_label_is_not_unlabeled() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 2}",)) for n in range(40))
    rows = [row for n in range(40) for row in both(n, float(n % 4 > 0))]
    rows += [label(n, float(n % 4 > 1)) for n in range(0, 20, 2)]
    found = pair_with_labels(rows, prompts=prompts).people
    assert found is not None
    assert found.corrected is not None
    assert (found.corrected.labeled, found.corrected.unlabeled) == (10, 10)


def test_a_significantly_opposite_corrected_rate_withholds() -> None:
    judged = won(60, 10)
    rows = [*judged, *(label(n, float(n % 10 == 0)) for n in range(0, 70, 2))]
    found = pair_with_labels(rows)
    assert "people disagree" in {reason.kind for reason in found.reasons}
    assert found.outcome == "withheld"
    for n in range(0, 70, 2):
        rows[len(judged) + n // 2] = label(n, float(n < 60))
    assert "people disagree" not in {reason.kind for reason in pair_with_labels(rows).reasons}


def test_swapping_the_models_mirrors_the_people() -> None:
    rng = np.random.default_rng(3)
    rows = [row for n in range(50) for row in both(n, float(rng.choice([0, 0.5, 1])))]
    rows += [label(n, float(rng.choice([0, 0.5, 1]))) for n in range(0, 50, 3)]
    given: Evidence = evidence(rows, origins=ORIGINS)
    one = summarize(given).pairs[0].people
    other = summarize(given.model_copy(update={"models": ("b", "a")})).pairs[0].people
    assert one is not None
    assert other is not None
    assert one.corrected is not None
    assert other.corrected is not None
    assert other.corrected.value.estimate == pytest.approx(1 - one.corrected.value.estimate)
    assert other.corrected.value.high == pytest.approx(1 - one.corrected.value.low)
    assert other.labels_needed == one.labels_needed
    assert other.judge_agreement == one.judge_agreement


def test_prompts_with_identical_completions_are_ties_without_labels() -> None:
    rng = np.random.default_rng(9)
    judge = rng.choice([0.0, 1.0], 40)
    rows = [row for n, value in enumerate(judge) for row in both(n, float(value))]
    rows += [row for n in range(40, 60) for row in both(n, 0.5)]
    rows += [label(n, float(judge[n])) for n in range(0, 40, 3)]
    said = [*texts("a", map(str, range(60))), *texts("b", ["x"] * 40 + [*map(str, range(40, 60))])]
    found = pair_with_labels(rows, completions=tuple(said)).people
    alone = pair_with_labels([row for row in rows if int(row.prompt_id[1:]) < 40]).people
    assert found is not None
    assert alone is not None
    assert found.corrected is not None
    assert alone.corrected is not None
    assert found.corrected.unlabeled == alone.corrected.unlabeled
    whole, part = found.corrected.value, alone.corrected.value
    assert whole.estimate == pytest.approx(1 / 6 + part.estimate * 2 / 3)
    assert whole.high - whole.low == pytest.approx((part.high - part.low) * 2 / 3)
