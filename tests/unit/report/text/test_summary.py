"""The lines of the summary: each block has the numbers of its pair."""

import math
import re

import pytest

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Judgment, Scores, Summary
from bakeoff.report.text.summary import baseline_lines, pair_sections, rating_lines, rating_notes
from tests.conftest import ROOT
from tests.unit.analysis.builders import both, evidence, failure, judgment, pair, prompt, texts, won


def won_by_first(models: str, wins: int, losses: int) -> list[Judgment]:
    """Prompts won and lost by the first of two models, the same in both orders."""
    names = dict(zip("ab", models, strict=True))
    return [
        row.model_copy(update={"first": names[row.first], "second": names[row.second]})
        for row in won(wins, losses)
    ]


def lines(summary, title: str) -> str:  # type: ignore[no-untyped-def]
    return "\n".join(pair_sections(summary, ["j"], ()).get(title, []))


def test_the_number_of_clusters_follows_that_of_prompts() -> None:
    prompts = tuple(prompt(n, tags=(f"cluster:{n // 2}",)) for n in range(40))
    summary = pair(won(30, 10), prompts=prompts)
    assert "Total Comparisons: 40 in 20 clusters" in lines(summary, "Model Comparison Summary")
    assert lines(summary, "What it can show").startswith("20 clusters find a difference of")


def test_a_fixed_order_is_not_identifiable_and_pointwise_verdicts_have_none() -> None:
    fixed = pair([judgment(n, "a", 1.0) for n in range(20)])
    assert "won: not identifiable (one order)" in lines(fixed, "Judge card")
    apart = pair([judgment(n, "a", 1.0, presented="pointwise") for n in range(20)])
    assert "Each completion was judged alone" in lines(apart, "Judge card")


def test_a_panel_shows_each_judge_and_their_agreement() -> None:
    summary = pair(won(12, 8) + won(10, 10, judge="k"))
    assert "j alone: 60.0% [95%: 37.5 to 78.9]" in lines(summary, "Judge card")
    assert "Agreement of j and k: 90.0%; Cohen's kappa 0.80" in lines(summary, "Judge card")
    three = pair(won(12, 8) + won(12, 8, judge="k") + won(12, 8, judge="l"))
    assert "Agreement of 3 raters (j, ...): 100.0%; Fleiss' kappa 1.00" in lines(
        three, "Judge card"
    )
    unanimous = pair(won(20, 0) + won(20, 0, judge="k"))
    assert "Agreement of j and k: 100.0%; AC1 1.00\n" in lines(unanimous, "Judge card")


def test_failures_are_counted_by_kind_with_their_worst_case() -> None:
    summary = pair(won(10, 9), failures=(failure(kind="backend"), failure(kind="verdict")))
    assert "Had all that failed (1 backend, 1 verdict) gone one way: 50.0 to 55.0%" in lines(
        summary, "Judge card"
    )
    nothing = evidence([], failures=(failure(),))
    (lost,) = summarize(nothing).pairs
    assert "Model 1: - (0 wins)" in lines(lost, "Win Rates")
    assert lines(lost, "What it can show") == ""


def test_judge_biases_are_shown_if_they_are_known() -> None:
    completions = texts("a", [f"{'# T' if n % 2 else 'x'}{n}" + "y" * n for n in range(40)])
    completions += texts("b", [f"<think>z</think> {n}" if n < 5 else f"z {n}" for n in range(40)])
    rows = [row for n in range(40) for row in both(n, float(n % 3 > 0))]
    text = lines(pair(rows, completions=tuple(completions)), "Judge card")
    for words in ("The longer completion won", "Model 1 at equal length and style"):
        assert words in text
    assert "shows thinking" not in text  # only one side does
    completions[0] = texts("a", ["<think>y</think>"])[0]
    completions[40] = texts("b", ["z"])[0]
    text = lines(pair(rows, completions=tuple(completions)), "Judge card")
    assert "Model 1 where only it shows thinking: 0.0% (n = 1)" in text
    assert "where only model 2 does: 75.0% (n = 4)" in text


def test_a_judge_without_scores_contradicts_none() -> None:
    assert "own scores" not in lines(pair(won(12, 8)), "Judge card")
    assert "Unreadable: 0 of 40, refused: 0" in lines(pair(won(12, 8)), "Judge card")
    assert "own scores" not in lines(pair(won(12, 8) + won(9, 9, judge="k")), "Judge card")
    scored = pair([row for n in range(9) for row in both(n, 1.0, scores=Scores(5, 5))])
    text = lines(scored, "Judge card")
    assert "Winner against its own scores: 0 of 18, unreadable: 0 of 18, refused: 0" in text


def three(rows: list[Judgment]) -> Summary:
    return summarize(evidence(rows, models=("a", "b", "c")))


def test_ratings_include_the_win_rate_against_the_average() -> None:
    rows = [row for pair_ in ("ab", "ac", "bc") for row in won_by_first(pair_, wins=17, losses=3)]
    summary = three(rows)
    printed = rating_lines(summary)
    assert [line.split(":")[0] for line in printed[:3]] == ["1. a", "2. b", "3. c"]
    shares = [float(re.findall(r"wins ([\d.]+)%", line)[0]) for line in printed[:3]]
    assert shares == sorted(shares, reverse=True)
    for line, winner, share in zip(printed, summary.ratings, shares, strict=False):
        value = winner.strength
        assert f"{value.low:+.2f} to " in line or abs(value.low) < 0.005
        assert math.log(share / (100 - share)) == pytest.approx(value.estimate, abs=0.01)
        assert "-0.00" not in line
        assert winner.ranks
        low, high = winner.ranks
        assert (
            f", rank {low}" + (f" to {high}" if low < high else "") + f", group {winner.group},"
            in line
        )
    assert printed[3] == "So much a model wins against one at 0"


def test_notes_on_reading_follow_the_ratings() -> None:
    rows = [
        judgment(n, winner, (1.0, 1.0, 0.5, 0.0)[(n + n // 4 * at) % 4], second=loser)
        for n in range(40)
        for at, (winner, loser) in enumerate(("ab", "bc", "ca", "ba", "cb", "ac"))
    ]
    summary = three(rows)
    printed = rating_lines(summary)[4:]
    assert printed == rating_notes(summary)
    assert rating_lines(summary)[3].endswith(", ties aside")
    assert [line.partition(";")[0] for line in printed] == [
        "Two models that share a letter are not surely different",
        "Two equal models tie on 25.0% of the prompts",
        "Where two are equal and do not tie, the one shown first wins 66.7%",
        "Davidson, with the order of presentation",
    ]
    assert printed[-1].endswith("over prompts (40 prompts)")
    assert summary.rating_model is not None
    without_ties = summary.rating_model.model_copy(update={"tie_parameter": None})
    decided = summary.model_copy(update={"rating_model": without_ties})
    assert rating_notes(decided)[1].startswith("Where two are equal, the one shown first wins 66.")
    clusters = tuple(prompt(n, tags=[f"cluster:{n % 20}"]) for n in range(40))
    inside = summarize(evidence(rows, models=("a", "b", "c"), prompts=clusters))
    assert rating_notes(inside)[-1].endswith("over clusters of prompts (40 prompts in 20 clusters)")
    assert rating_notes(summarize(evidence(won(9, 8)))) == []


def test_unidentified_strengths_have_no_interval_and_a_note() -> None:
    rows = [row for pair_ in ("ab", "ac", "bc") for row in won_by_first(pair_, wins=20, losses=0)]
    printed = rating_lines(three(rows))
    assert "[no interval], rank 1, group a, wins" in printed[0]
    assert "The wins fall into 3 parts" in printed[5]


def test_ratings_of_older_versions_have_no_ranks() -> None:
    rows = [row for pair_ in ("ab", "ac", "bc") for row in won_by_first(pair_, wins=20, losses=0)]
    summary = three(rows)
    old = tuple(
        rating.model_copy(update={"ranks": None, "group": None}) for rating in summary.ratings
    )
    printed = rating_lines(summary.model_copy(update={"ratings": old, "rating_model": None}))
    assert len(printed) == 4
    assert "rank" not in " ".join(printed)


def test_the_markdown_bias_is_shown() -> None:
    completions = texts("a", [f"# Title {n}\n" if n % 2 else f"plain {n}" for n in range(20)])
    completions += texts("b", [f"plain {n} too" for n in range(20)])
    summary = pair(won(10, 10), completions=tuple(completions))
    assert "The one with more markdown won: 50.0%" in lines(summary, "Judge card")


def test_many_tags_are_cut_and_counted() -> None:
    prompts = tuple(prompt(n, tags=(f"t{n:02}",)) for n in range(20))
    rows = lines(pair(won(12, 8), prompts=prompts), "By tag").splitlines()
    assert len(rows) == 13
    assert rows[-1] == "and 8 more in results.json"
    assert rows[0].startswith("t00: 100.0% [no interval: too few], n = 1, expect 64.8%, adjusted p")


def test_adjusted_p_values_are_shown_with_several_pairs() -> None:
    rows = [*won(15, 5), judgment(0, "a", 1.0, second="c")]
    first = summarize(evidence(rows, models=("a", "b", "c"))).pairs[0]
    assert "exact sign test p = 0.041, Holm over all pairs p = 0.083" in lines(first, "Win Rates")


def test_each_action_follows_a_withheld_verdict_once() -> None:
    text = lines(pair([judgment(n, "a", 1.0) for n in range(20)]), "Overall winner")
    assert text.splitlines()[1:] == ["What to do: judge each pair in both orders"]


def test_every_line_is_documented_in_statistics() -> None:
    explained = " ".join((ROOT / "docs" / "statistics.md").read_text("utf-8").casefold().split())
    completions = texts("a", [f"{'# T' if n % 2 else 'x'}{n}" + "y" * n for n in range(40)])
    completions += texts("b", [f"<think>z</think> {n}" if n % 3 else f"z {n}" for n in range(40)])
    completions[0] = texts("a", ["<think>y</think>"])[0]
    rows = [
        row
        for n in range(40)
        for judge in "jk"
        for row in both(n, float(n % 3 > 0), judge=judge, scores=Scores(5, 5))
    ]
    rich = pair(rows, completions=tuple(completions), failures=(failure(),))
    fixed = pair([judgment(n, "a", 1.0) for n in range(20)])
    apart = pair([judgment(n, "a", 1.0, presented="pointwise") for n in range(20)])
    titles = (
        "Win Rates",
        "Average Scores (0-1)",
        "Score Analysis",
        "Judge card",
        "What it can show",
    )
    shown = [
        line
        for summary in (rich, fixed, apart)
        for t in titles
        for line in lines(summary, t).split("\n")
    ]
    assert len(shown) > 25
    for line in filter(None, shown):
        words = re.sub(r"^(Model [12]: |[\d.]+ )", "", line)
        words = re.sub(r"^JUDGE: ", "", re.sub(r"\b[jk]( alone)?:", r"JUDGE\1:", words))
        label = re.split(r"[\d:(,;]| of j|Model 1: -", words)[0].strip()
        assert label.casefold() in explained, (label, line)


def test_two_models_over_a_common_baseline_have_their_difference() -> None:
    rows = [*won_by_first("ac", wins=30, losses=10), *won_by_first("bc", wins=18, losses=22)]
    summary = summarize(evidence(rows, models=("a", "b", "c")))
    (line,) = baseline_lines(summary)
    assert line.startswith("a minus b, over c: +30.0 points [95%: ")
    assert line.endswith("n = 40, adjusted p < 0.001: better")
    direct = [*rows, *won_by_first("ab", wins=30, losses=10)]
    assert baseline_lines(summarize(evidence(direct, models=("a", "b", "c")))) == []
