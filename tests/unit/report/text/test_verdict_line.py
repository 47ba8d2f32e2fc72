"""What would change a verdict, for every outcome."""

import re

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import PairSummary
from bakeoff.report.text.verdict_line import outcome_label, what_would_change
from bakeoff.stats.results import Estimate
from tests.unit.analysis.builders import evidence, won


def pair(wins: int, ties: int, losses: int) -> PairSummary:
    """Prompts that were judged in both orders, consistently."""
    (summary,) = summarize(evidence(won(wins, losses, ties))).pairs
    return summary


@pytest.mark.parametrize("counts", [(30, 0, 10), (35, 0, 5), (40, 0, 0), (10, 80, 0), (60, 9, 30)])
def test_the_number_of_prompts_that_overturn_a_verdict(counts: tuple[int, int, int]) -> None:
    wins, ties, losses = counts
    (line,) = what_would_change(pair(*counts))
    turned = int(re.findall(r"or (\d+) prompts? be decided", line)[0])
    assert pair(wins - turned, ties, losses + turned).outcome != "better"
    assert pair(wins - turned + 1, ties, losses + turned - 1).outcome == "better"


def test_a_verdict_for_the_second_model_names_it() -> None:
    summary = pair(5, 0, 35)
    assert summary.outcome == "worse"
    assert f"The judge would have to favor {summary.b} by " in what_would_change(summary)[0]


def test_a_pair_without_a_verdict_has_advice() -> None:
    few = pair(3, 0, 3)
    assert what_would_change(few) == ["Judge more prompts with --limit."]
    open_ = pair(22, 0, 18)
    assert open_.outcome == "not enough data"
    assert open_.power is not None
    assert what_would_change(open_) == [
        f"About {open_.power.more:,} more prompts would settle it, if the win rate stays as it is."
    ]


def test_an_equivalence_ends_where_its_interval_does() -> None:
    summary = pair(1, 398, 1)
    assert summary.outcome == "equivalent"
    (line,) = what_would_change(summary)
    width = float(line.split()[3])
    assert isinstance(summary.win_rate, Estimate)
    assert width == pytest.approx(100 * (summary.win_rate.high - 0.5), abs=0.06)


def test_every_outcome_has_a_label() -> None:
    assert [
        outcome_label(o) for o in ("better", "worse", "equivalent", "not enough data", "withheld")
    ] == [
        "Better",
        "Worse",
        "No difference",
        "Not enough data",
        "Withheld",
    ]
