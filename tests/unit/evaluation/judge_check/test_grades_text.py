from bakeoff.evaluation.judge_check import CheckResults, LabeledPair, check_sections
from bakeoff.evaluation.judge_check.grading import agreements, grade_judge
from bakeoff.evaluation.judge_check.outcomes import length_baseline
from bakeoff.records import Failure, Judgment
from tests.unit.evaluation.judge_check.builders import failure_of, judgments_of, pair

PAIRS = [
    pair(number, "good", "bad, but longer", set="a set of pairs", kind=f"kind {number % 2}")
    for number in range(40)
]
RIGHT, WRONG, SPLIT, TIE = (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)


def results_of(
    judgments: list[Judgment],
    failures: list[Failure] | None = None,
    pairs: list[LabeledPair] = PAIRS,
    available: int = 40,
) -> CheckResults:
    judges = list(dict.fromkeys(judgment.judge for judgment in judgments)) or ["j"]
    return CheckResults(
        schema="bakeoff-check/1",
        source="pairs.jsonl",
        available=available,
        config={},
        pairs=tuple(pairs),
        judgments=tuple(judgments),
        failures=tuple(failures or ()),
        length_baseline=length_baseline(pairs),
        judges=tuple(
            grade_judge(name, pairs, [j for j in judgments if j.judge == name], failures or ())
            for name in judges
        ),
        agreement=agreements(judgments),
        notes=("mind this", "mind this"),
        environment={},
    )


def judgments_on(
    pairs: list[LabeledPair], *values: tuple[float, float], judge: str = "j"
) -> list[Judgment]:
    rest = [RIGHT] * (len(pairs) - len(values))
    both = zip(pairs, [*values, *rest], strict=True)
    return [row for pair_, two in both for row in judgments_of(pair_, *two, judge=judge)]


def text(results: CheckResults) -> str:
    return "\n".join(
        [line for title, shown in check_sections(results).items() for line in (title, *shown)]
    )


def test_first_block_shows_the_baselines() -> None:
    shown = check_sections(results_of(judgments_on(PAIRS), available=90))["Judge Check"]
    assert shown == [
        "Pairs whose better one is known: 40 of 90 (pairs.jsonl)",
        "A coin gets 50.0%",
        "Whoever picks the longer one gets 0.0% (0 right, 40 wrong, 0 of one length)",
    ]


def test_all_outcomes_and_verdicts_are_shown() -> None:
    rows = [row for row in judgments_on(PAIRS, WRONG, SPLIT, TIE) if row.prompt_id != "p39"]
    both = [failure_of(PAIRS[39], side) for side in ("better", "worse")]
    shown = check_sections(results_of(rows, both))["j"]
    assert shown[0].startswith("Right: 36 of 39 pairs, 92.3% [95%: ")
    assert shown[1] == "Wrong: 1; split, the winner changes with the order: 1; tie: 1"
    assert "Failed: 1 of 40 pairs" in shown[2]
    assert shown[-1] == "Verdicts: 80 asked = 78 judged + 2 failed (2 verdict)"


def test_judge_not_better_than_chance_is_marked() -> None:
    assert "not shown to be better" not in text(results_of(judgments_on(PAIRS)))
    coin = text(results_of(judgments_on(PAIRS, *[SPLIT] * 16)))
    assert "not shown to be better than a coin" in coin
    assert "than to pick the longer one" not in coin  # which is always wrong here
    turned = [p.model_copy(update={"better": p.worse, "worse": p.better}) for p in PAIRS]
    assert "than to pick the longer one" in text(
        results_of(judgments_on(turned, WRONG), pairs=turned)
    )


def test_at_most_ten_misses_are_shown() -> None:
    shown = check_sections(results_of(judgments_on(PAIRS, *[WRONG] * 11, SPLIT)))[
        "j: where it fails"
    ]
    assert len(shown) == 11
    assert shown[0] == "wrong: p0 (kind 0), 0.00: question 0"
    assert shown[-1] == "and 2 more"
    (only,) = check_sections(results_of(judgments_on(PAIRS, SPLIT)))["j: where it fails"]
    assert only == "split: p0 (kind 0): question 0"
    assert "j: where it fails" not in check_sections(results_of(judgments_on(PAIRS)))


def test_table_row_has_the_numbers_of_its_group() -> None:
    shown = check_sections(results_of(judgments_on(PAIRS, WRONG, SPLIT, TIE)))
    row = " ".join(shown["j: by set"][1].split())
    assert row == "a set of pairs 40 92.5% [80-97] 0.0% 1 1 1 0"
    names = [line[:22] for line in shown["j: by kind"][1:]]
    assert names == ["a set of pairs: kind 0", "a set of pairs: kind 1"]


def test_several_judges_have_own_blocks_and_agreement() -> None:
    shown = check_sections(
        results_of([*judgments_on(PAIRS), *judgments_on(PAIRS, *[SPLIT] * 10, judge="k")])
    )
    assert {"j", "k", "j: by set", "k: by set", "Agreement"} <= set(shown)
    assert shown["Agreement"][0].startswith("Agreement of j and k: 75.0%")
    assert shown["Notes"] == ["mind this"]


def test_judge_without_verdicts_has_a_block() -> None:
    every = [failure_of(pair, side) for pair in PAIRS for side in ("better", "worse")]
    shown = text(results_of([], every))
    assert "Right: 0 of 0 pairs, not known" in shown
    assert "80 asked = 0 judged + 80 failed" in shown
    assert "nan" not in shown.lower()


def test_tables_fit_eighty_columns() -> None:
    long = [
        pair(n, "good " * 9, "bad", set="a set with a name that has no end", kind="x" * n)
        for n in range(40)
    ]
    shown = check_sections(results_of(judgments_on(long, *[WRONG] * 20, *[SPLIT] * 5), pairs=long))
    for title in ("j: by set", "j: by kind"):
        assert len({len(line) for line in shown[title][1:]}) == 1
    assert all(len(line) <= 78 for block in shown.values() for line in block)


def test_retries_and_contradictions_are_shown() -> None:
    odd = {"retry_reason": "unreadable", "contradictory": True}
    rows = [row for pair in PAIRS[:2] for row in judgments_of(pair, 1.0, 0.0, verdict=odd)]
    shown = check_sections(results_of([*rows, *judgments_on(PAIRS[2:])]))["j"]
    assert "Asked once more: 4 unreadable" in shown
    assert "Winner and scores contradict each other: 4 verdicts" in shown


def test_pointwise_judge_shows_no_order() -> None:
    rows = [
        row.model_copy(update={"presented": "pointwise"})
        for row in judgments_on(PAIRS)
        if row.first == "better"
    ]
    shown = check_sections(results_of(rows))["j"]
    assert "Each completion was judged alone: there is no order" in shown
    assert not any("shown first" in line for line in shown)
