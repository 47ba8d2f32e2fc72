"""Folding back and counting: what must hold whatever the judgments are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.records import Authored, Completion, Failure, Judgment, PairSummary, Scores, Verdict
from bakeoff.summary import compare, summarize


def judgment(prompt: int, first: str, value: float, **more: object) -> Judgment:
    second = "b" if first == "a" else "a"
    verdict = Verdict(first=value, scores=more.pop("scores", None))  # type: ignore[arg-type]
    return Judgment(
        prompt_id=f"p{prompt}", judge="j", first=first, second=second, verdict=verdict, **more
    )


value = st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)
scores = st.none() | st.builds(Scores, st.integers(0, 10), st.integers(0, 10))
row = st.builds(
    lambda prompt, first, value, scores, repeat: judgment(
        prompt, first, value, scores=scores, repeat=repeat
    ),
    *(st.integers(0, 8), st.sampled_from("ab"), value, scores, st.integers(0, 1)),
)
rows = st.lists(row, max_size=60)


def summary(judgments: list[Judgment], models: str = "ab", failed: int = 0) -> PairSummary:
    failures = [
        Failure(
            stage="judgment",
            prompt_id="x",
            who="j",
            kind="verdict",
            message="?",
            first="a",
            second="b",
        )
    ] * failed
    return summarize(list(models), [], judgments, failures).pairs[0]


@given(rows)
def test_swapping_the_models_mirrors_every_number(judgments: list[Judgment]) -> None:
    ab, ba = summary(judgments, "ab"), summary(judgments, "ba")
    assert (ab.wins, ab.losses, ab.ties) == (ba.losses, ba.wins, ba.ties)
    assert (ab.consistency, ab.pick_first) == (ba.consistency, ba.pick_first)
    assert (ab.scores_a, ab.scores_b) == (ba.scores_b, ba.scores_a)
    assert (ab.scored_better, ab.scored_worse) == (ba.scored_worse, ba.scored_better)
    mirror = {"better": "worse", "worse": "better"}
    assert mirror.get(ab.outcome, ab.outcome) == ba.outcome
    if ab.win_rate and ba.win_rate:
        assert ab.win_rate.estimate == pytest.approx(1 - ba.win_rate.estimate)
        assert ab.win_rate.low == pytest.approx(1 - ba.win_rate.high)


@given(rows, st.randoms())
def test_the_order_of_the_rows_changes_nothing(judgments: list[Judgment], random: object) -> None:
    mixed = list(judgments)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one, other = summary(judgments), summary(mixed)
    counted = {"wins", "losses", "ties", "consistency", "outcome"}
    assert one.model_dump(include=counted) == other.model_dump(include=counted)
    if one.win_rate and other.win_rate:
        assert one.win_rate.estimate == pytest.approx(other.win_rate.estimate)


@given(rows, st.integers(1, 5))
def test_a_failure_changes_nothing_but_the_accounting(
    judgments: list[Judgment], failed: int
) -> None:
    clean, broken = summary(judgments), summary(judgments, failed=failed)
    assert broken.model_dump(exclude={"accounting"}) == clean.model_dump(exclude={"accounting"})
    assert broken.accounting.failed == failed
    assert broken.accounting.failed_by_kind == {"verdict": failed}


@given(rows)
def test_repeating_every_row_changes_no_number(judgments: list[Judgment]) -> None:
    one, twice = summary(judgments), summary(judgments * 2)
    if one.win_rate and twice.win_rate:
        assert twice.win_rate.estimate == pytest.approx(one.win_rate.estimate)
        assert twice.win_rate.low == pytest.approx(one.win_rate.low)
    assert (one.wins, one.ties) == (twice.wins, twice.ties)


def test_orders_count_alike_however_often_each_was_judged() -> None:
    rows = [judgment(0, "a", 1.0), judgment(0, "b", 1.0), judgment(0, "b", 1.0, repeat=1)]
    folded = compare("a", "b", rows)[0]
    assert (folded.preference, folded.winner, folded.consistent) == (0.5, "tie", False)


def test_orders_that_contradict_each_other_are_a_tie_whatever_the_mean() -> None:
    folded = compare("a", "b", [judgment(0, "a", 0.9), judgment(0, "b", 0.6)])[0]
    assert folded.preference == pytest.approx(0.65)
    assert (folded.winner, folded.flipped, folded.consistent) == ("tie", True, False)


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_win() -> None:
    folded = compare("a", "b", [judgment(0, "a", 1.0), judgment(0, "b", 0.5)])[0]
    assert (folded.preference, folded.winner, folded.flipped) == (0.75, "a", False)


def test_one_order_says_nothing_on_consistency() -> None:
    assert compare("a", "b", [judgment(0, "a", 1.0)])[0].consistent is None


def test_scores_are_folded_to_the_models_and_shown_from_zero_to_one() -> None:
    rows = [
        judgment(0, "a", 1.0, scores=Scores(8, 4)),
        judgment(0, "b", 0.0, scores=Scores(2, 6)),
        judgment(1, "a", 0.5, scores=Scores(5, 5)),
    ]
    pair = summary(rows)
    assert pair.scores_a is not None
    assert pair.scores_b is not None
    assert pair.score_difference is not None
    assert pair.scores_a.mean == pytest.approx(0.6)
    assert pair.scores_b.mean == pytest.approx(0.4)
    assert pair.score_difference.mean == pytest.approx(0.2)
    assert (pair.scored_better, pair.scored_worse, pair.scored_equal) == (1, 0, 1)


@pytest.mark.parametrize(
    ("wins", "losses", "outcome"),
    [(18, 2, "better"), (2, 18, "worse"), (11, 9, "not enough data"), (0, 0, "not enough data")],
)
def test_a_winner_is_named_only_where_the_interval_leaves_half_out(
    wins: int, losses: int, outcome: str
) -> None:
    values = [1.0] * wins + [0.0] * losses
    rows = [judgment(n, "a", v) for n, v in enumerate(values)]
    rows += [judgment(n, "b", 1 - v) for n, v in enumerate(values)]
    assert summary(rows).outcome == outcome


def test_a_judge_that_changes_most_verdicts_with_the_order_names_no_winner() -> None:
    rows = [judgment(n, "a", 1.0) for n in range(20)]
    rows += [judgment(n, "b", 1.0 if n < 12 else 0.0) for n in range(20)]
    pair = summary(rows)
    assert pair.win_rate is not None
    assert pair.win_rate.low > 0.5
    assert (pair.outcome, pair.flipped) == ("withheld", 0.6)


def test_models_are_counted_by_what_happened_to_their_completions() -> None:
    texts = [("x", "stop", 3), ("", "stop", 0), ("long", "length", 9)]
    completions = [
        Authored(prompt_id=f"p{n}", model="a", completion=Completion(text=t, finish=f, tokens=k))  # type: ignore[arg-type]
        for n, (t, f, k) in enumerate(texts)
    ]
    failures = [Failure(stage="completion", prompt_id="q", who="a", kind="backend", message="!")]
    a, b = summarize(["a", "b"], completions, [], failures).models
    assert (a.completed, a.failed, a.cut, a.empty, a.mean_tokens) == (3, 1, 1, 1, 4)
    assert (b.completed, b.failed, b.mean_tokens) == (0, 0, None)
