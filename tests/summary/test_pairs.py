"""The numbers of a pair: clusters of prompts, scores, power."""

import pytest

from bakeoff.records import Scores
from tests.summary.cases import judgment, pair, prompt, won


def test_clusters_of_prompts_have_one_voice_in_every_test() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 10}",)) for n in range(200))
    rows = won(140, 60)  # clusters 0 to 13 won, 14 to 19 lost, each as one
    found = pair(rows, prompts=prompts)
    assert (found.prompts, found.clusters) == (200, 20)
    assert found.win_rate is not None
    assert found.sign is not None
    assert (found.win_rate.n, found.sign.n) == (20, 20)
    assert found.win_rate.se == pytest.approx((0.7 * 0.3 / 19) ** 0.5)
    assert found.outcome == "not enough data"
    assert pair(rows).outcome == "better"


def test_scores_of_a_cluster_are_averaged_before_the_interval() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 4}",)) for n in range(40))
    rows = [judgment(n, "a", 1.0, scores=Scores(5 + n // 4 % 3, 5)) for n in range(40)]
    found = pair(rows, prompts=prompts).score_difference
    assert found is not None
    assert (found.value.n, found.test.n) == (10, 10)
    alone = pair(rows).score_difference
    assert alone is not None
    assert alone.value.estimate == pytest.approx(found.value.estimate)
    assert found.value.high - found.value.low > 1.9 * (alone.value.high - alone.value.low)


def test_a_prompt_without_a_cluster_is_one_by_itself() -> None:
    prompts = tuple(prompt(n, tags=("cluster:x",) if n < 2 else ()) for n in range(20))
    assert pair(won(20, 0), prompts=prompts).clusters == 19


def test_prompts_that_nobody_described_are_counted_all_the_same() -> None:
    assert pair(won(20, 0), prompts=()).outcome == "better"


def test_power_is_in_units_of_the_win_rate() -> None:
    found = pair(won(60, 40)).power
    assert found is not None
    assert found.detectable == pytest.approx(0.138, abs=0.002)
    assert found.needed == found.more + 100  # type: ignore[operator]
