"""Five outcomes, decided by the interval against a half and the margin."""

import re

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Scores
from tests.unit.analysis.builders import both, evidence, failure, judgment, pair, reasons, won


@pytest.mark.parametrize(
    ("wins", "losses", "ties", "outcome"),
    [
        (18, 2, 0, "better"),
        (2, 18, 0, "worse"),
        (11, 9, 0, "not enough data"),
        (3, 3, 94, "equivalent"),
    ],
)
def test_the_interval_decides_the_outcome(wins: int, losses: int, ties: int, outcome: str) -> None:
    summary = pair(won(wins, losses, ties))
    assert (summary.outcome, summary.reasons) == (outcome, ())


def test_a_wider_margin_makes_more_pairs_equivalent() -> None:
    assert pair(won(30, 28, 42)).outcome == "not enough data"
    assert pair(won(30, 28, 42), margin=10).outcome == "equivalent"
    assert pair(won(3, 3, 94), margin=0).outcome == "not enough data"


def test_the_sentence_says_if_the_difference_is_within_the_margin() -> None:
    assert pair(won(40, 0, 960)).verdict.endswith(", by less than the margin of 5 points")
    assert "margin" not in pair(won(18, 2)).verdict


def test_worse_is_worded_from_the_winners_side() -> None:
    worse, better = pair(won(2, 18)), pair(won(18, 2))
    assert worse.verdict == better.verdict.replace("a is better than b", "b is better than a")
    assert better.verdict == ("a is better than b: it wins 90.0 % (95 % interval 68.6 to 97.4 %)")


def test_only_ties_are_no_difference() -> None:
    rows = [row for n in range(30) for row in both(n, 0.5, scores=Scores(n % 9, n % 9))]
    assert pair(rows).verdict.startswith("No difference: every one of 30 prompts is a tie")


def test_the_sentence_has_the_number_of_prompts_that_decide_the_pair() -> None:
    summary = pair(won(13, 7))
    more = int(re.findall(r"about (\d+) more prompts", summary.verdict)[0])
    assert pair(won(round((20 + more) * 0.65), round((20 + more) * 0.35))).outcome == "better"
    assert pair(won(14, 7)).outcome == "not enough data"


def test_margin_0_never_gives_equivalence() -> None:
    assert "too close to tell apart" in pair(won(10, 10), margin=0).verdict


def test_no_judgments_are_not_enough_data() -> None:
    (summary,) = summarize(evidence([], failures=(failure(),))).pairs
    assert summary.outcome == "not enough data"
    assert summary.verdict == "Not enough data: nothing was judged"
    assert summary.accounting.worst_case == (0, 1)


def test_a_withheld_verdict_names_its_reasons_and_no_winner() -> None:
    rows = [judgment(n, "a", 1.0) for n in range(100)]
    summary = pair(rows)
    assert summary.outcome == "withheld"
    assert summary.verdict == "Verdict withheld: j always saw a first (100 prompts)"
    assert summary.win_rate is not None
    assert summary.win_rate.low > 0.9


def test_few_prompts_do_not_hide_the_reasons_to_withhold() -> None:
    few = pair(won(10, 0))
    assert (few.outcome, reasons(few)) == ("not enough data", ["few prompts"])
    assert "10 prompts were judged, 20 are the least; about 10 more" in few.verdict
    hidden = pair([judgment(n, "a", 1.0) for n in range(10)])
    assert (hidden.outcome, reasons(hidden)) == ("withheld", ["few prompts", "one order"])


def test_a_single_prompt_has_a_verdict() -> None:
    summary = pair(both(0, 1.0))
    assert summary.outcome == "not enough data"
    assert summary.power is None
