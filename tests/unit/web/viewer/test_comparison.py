from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.summarize import summarize
from bakeoff.records import HUMAN_PREFIX, Evidence, Results, Verdict
from bakeoff.web.viewer.comparison import PairDiff, RunDiff, compare_runs
from bakeoff.web.viewer.incompatibilities import match_names
from tests.marks import examples
from tests.unit.web.viewer.builders import SAMPLING, judge, model, results

DRAWS = st.builds(
    results,
    prompts=st.integers(1, 12).map(range),
    better=st.floats(0, 1),
    seed=st.integers(0, 1000),
    failed=st.integers(0, 3),
)


def compared(duel: PairDiff) -> set[str]:
    return {number.label for number in duel.numbers if number.difference is not None}


def reasons_of(diff: RunDiff) -> set[str]:
    (duel,) = diff.pairs
    return set(duel.paired.incompatible)


@examples(12)
@given(DRAWS)
def test_a_run_against_itself_has_no_change(data: Results) -> None:
    diff = compare_runs(data, data)
    assert diff.groups == ()
    assert diff.prompts.same
    for duel in diff.pairs:
        assert duel.before == duel.after
        assert duel.substitutions == ""
        assert duel.paired.change is None or duel.paired.change.estimate == 0
        assert not duel.paired.has_interval
        for number in duel.numbers:
            assert number.incompatible == ()
            assert number.difference == 0 or number.before is None
    assert all(number.difference == 0 for number in diff.totals)


@examples(12)
@given(DRAWS, DRAWS)
def test_reversed_comparison_is_mirrored(first: Results, second: Results) -> None:
    forth, back = compare_runs(first, second), compare_runs(second, first)
    assert (forth.prompts.only_before, forth.prompts.only_after) == (
        back.prompts.only_after,
        back.prompts.only_before,
    )
    for ours, theirs in zip(forth.pairs, back.pairs, strict=True):
        assert ours.paired.incompatible == theirs.paired.incompatible
        if ours.paired.change and theirs.paired.change:
            assert ours.paired.change.estimate == pytest.approx(-theirs.paired.change.estimate)
            assert ours.paired.change.low == pytest.approx(-theirs.paired.change.high)
        for number, mirror in zip(ours.numbers, theirs.numbers, strict=True):
            assert (number.before, number.after) == (mirror.after, mirror.before)
            assert number.incompatible == mirror.incompatible


def test_two_checkpoints_against_one_baseline_are_compared() -> None:
    first = results(("step-300", "base"), better=0.5, seed=1, prompts=range(60))
    other = results(("step-400", "base"), better=0.8, seed=2, prompts=range(60))
    (duel,) = compare_runs(first, other).pairs
    assert duel.substitutions == "step-400 stands in for step-300"
    change = duel.paired.change
    assert change is not None
    assert duel.paired.prompts == 60
    rates = [run.summary.pairs[0].win_rate for run in (first, other)]
    assert rates[0]
    assert rates[1]
    assert change.estimate == pytest.approx(rates[1].estimate - rates[0].estimate)
    assert change.low < change.estimate < change.high
    assert duel.paired.has_interval
    assert all(number.incompatible == () for number in duel.numbers)


def test_different_prompts_compare_the_shared_ones() -> None:
    first = results(better=0.3, seed=1, prompts=range(50))
    other = results(better=0.9, seed=2, prompts=range(30, 90))
    (duel,) = compare_runs(first, other).pairs
    assert duel.paired.prompts == 20
    assert duel.paired.change is not None
    assert compared(duel) == {"Prompts judged"}
    assert {number.incompatible for number in duel.numbers[1:]} == {
        ("the prompts are not the same",)
    }
    apart = compare_runs(first, results(prompts=range(100, 120)))
    assert reasons_of(apart) == {"no prompt was judged in both runs"}


def test_prompts_of_a_cluster_are_one_unit() -> None:
    first = results(better=0.2, seed=1, prompts=range(40))
    other = results(better=0.9, seed=2, prompts=range(40))
    tagged = [
        run.model_copy(
            update={
                "prompts": tuple(
                    prompt.model_copy(update={"tags": (f"cluster:{number // 4}",)})
                    for number, prompt in enumerate(run.prompts)
                )
            }
        )
        for run in (first, other)
    ]
    (alone,), (together,) = compare_runs(first, other).pairs, compare_runs(*tagged).pairs
    assert alone.paired.change
    assert together.paired.change
    assert (alone.paired.change.n, together.paired.change.n) == (40, 10)
    assert together.paired.change.estimate == pytest.approx(alone.paired.change.estimate)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"identities": {"judges": {"judge": judge("Other.")}}}, "the judge's template differs"),
        (
            {"identities": {"judges": {"judge": judge(temperature=0.5)}}},
            "the judge's sampling differs (temperature: 0.0; 0.5)",
        ),
        (
            {"identities": {"judges": {"judge": judge(target="judge-2")}}},
            "the judge is another model",
        ),
        (
            {"identities": {"judges": {"judge": {**judge(), "verdict": "marks"}}}},
            "what the judge is asked for differs (verdict)",
        ),
        (
            {"snapshot": "judge-1-1106"},
            "the judge's snapshot differs (judge-1-0613; judge-1-1106)",
        ),
        ({"snapshot": None}, "the judge's snapshot differs (judge-1-0613; not told)"),
        ({"identities": {"judges": {}}}, "it is not recorded how the judge was asked"),
        ({"config": {"thinking": "keep"}}, "the setting thinking differs (none; keep)"),
    ],
)
def test_different_judge_makes_only_its_numbers_incompatible(
    changed: dict[str, Any], message: str
) -> None:
    diff = compare_runs(results(), results(**changed))
    assert reasons_of(diff) == {message}
    (duel,) = diff.pairs
    refused = {number.label for number in duel.numbers if number.incompatible}
    assert all(message in number.incompatible for number in duel.numbers if number.incompatible)
    assert refused == {
        "Win rate of tuned",
        "Win rate of tuned without ties",
        "Ties",
        "Mean score of tuned",
        "Mean score of base",
        "Same winner in both orders",
        "The first place wins",
    }
    assert duel.paired.change is None
    assert compared(duel) >= {"Prompts judged", "Characters of tuned", "Tokens of base"}


def test_different_sampling_makes_the_models_numbers_incompatible() -> None:
    warm = {"tuned": model("tuned", SAMPLING | {"temperature": 1.0}), "base": model("base")}
    diff = compare_runs(results(), results(identities={"models": warm}))
    assert reasons_of(diff) == {"the sampling of tuned differs (temperature: 0.7; 1.0)"}
    (duel,) = diff.pairs
    assert compared(duel) == {
        "Prompts judged",
        "Characters of base",  # nothing of base is another
        "Tokens of base",
        "base was cut short",
    }


def test_two_different_models_are_incompatible() -> None:
    others = {"tuned": model("later"), "base": model("larger")}
    assert reasons_of(compare_runs(results(), results(identities={"models": others}))) == {
        "both models are others"
    }
    diff = compare_runs(results(("a", "b")), results(("c", "d")))
    assert diff.pairs[0].after == ("c", "d")
    assert reasons_of(diff) == {"both models are others"}


def test_orders_and_repeats_affect_only_dependent_numbers() -> None:
    diff = compare_runs(results(), results(config={"orders": "random"}))
    (duel,) = diff.pairs
    assert duel.paired.change is not None
    refused = {number.label: number.incompatible for number in duel.numbers if number.incompatible}
    assert set(refused) == {
        "Win rate of tuned without ties",
        "Ties",
        "Same winner in both orders",
        "The first place wins",
    }
    assert set(refused.values()) == {("the setting orders differs (both; random)",)}


def test_swapped_models_keep_the_perspective() -> None:
    first = results(("tuned", "base"), better=0.9)
    evidence = first.evidence
    turned = evidence.model_copy(update={"models": ("base", "tuned")})
    other = Results.of(turned, summarize(turned), first.config, first.environment)
    assert other.summary.pairs[0].a == "base"
    (duel,) = compare_runs(first, other).pairs
    assert (duel.before, duel.after) == (("tuned", "base"), ("tuned", "base"))
    assert duel.paired.change is not None
    assert duel.paired.change.estimate == pytest.approx(0)
    for number in duel.numbers:
        assert number.difference == pytest.approx(0)


def test_different_voters_are_incompatible() -> None:
    def voted(name: str) -> Results:
        data = results()
        judgments = tuple(
            row.model_copy(update={"judge": name, "verdict": Verdict(first=row.verdict.first)})
            for row in data.judgments
        )
        origins = {name: HUMAN_PREFIX}
        changed: Evidence = data.evidence.model_copy(
            update={"judgments": judgments, "origins": origins}
        )
        environment = data.environment | {"judges": {}}
        return Results.of(changed, summarize(changed), data.config, environment)

    assert reasons_of(compare_runs(voted("Anna"), voted("Anna"))) == set()
    assert reasons_of(compare_runs(voted("Anna"), voted("Bo"))) == {"other people judged"}


def test_unrecorded_judge_is_incompatible() -> None:
    data = results(identities={"models": {}, "judges": {}})
    assert reasons_of(compare_runs(data, data)) == {
        "it is not recorded how the judge was asked",
        "it is not recorded how the models were asked",
    }


def test_too_few_prompts_have_no_interval() -> None:
    (duel,) = compare_runs(
        results(prompts=range(5), better=0.1), results(prompts=range(5), better=0.9)
    ).pairs
    assert duel.paired.change is not None
    assert not duel.paired.has_interval


def test_runs_without_common_models_have_no_pairs() -> None:
    assert compare_runs(results(("a", "b")), results(("c", "d", "e"))).pairs == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (["a", "b"], ["b", "a"], {"a": "a", "b": "b"}),
        (["x", "b"], ["b", "y"], {"x": "y", "b": "b"}),
        (["a", "b"], ["c", "d"], {"a": "c", "b": "d"}),
        (["a", "b", "c"], ["a", "d", "e"], {"a": "a"}),
        (["a", "b", "c"], ["a", "b", "d"], {"a": "a", "b": "b", "c": "d"}),
        (["a", "b"], ["a", "b", "c"], {"a": "a", "b": "b"}),
        ([], [], {}),
    ],
)
def test_models_are_matched_by_name(
    ours: list[str], theirs: list[str], expected: dict[str, str]
) -> None:
    assert match_names(ours, theirs) == expected
    assert match_names(theirs, ours) == {its: name for name, its in expected.items()}


def results_of_panel(*judges: str, panel: str = "mean") -> Results:
    """Return results in which all judges agree."""
    data = results(config={"panel": panel})
    judgments = tuple(
        row.model_copy(update={"judge": name}) for name in judges for row in data.judgments
    )
    changed = data.evidence.model_copy(update={"judgments": judgments})
    environment = data.environment | {"judges": {name: judge() for name in judges}}
    return Results.of(changed, summarize(changed), data.config, environment)


def test_different_panel_is_incompatible() -> None:
    first = results_of_panel("judge", "second")
    assert reasons_of(compare_runs(first, first)) == set()
    assert reasons_of(compare_runs(first, results_of_panel("judge"))) == {"the judges are others"}
    assert (
        reasons_of(compare_runs(first, results_of_panel("judge", "third"))) == set()
    )  # by place: asked the same
    voted = results_of_panel("judge", "second", panel="majority")
    assert reasons_of(compare_runs(first, voted)) == {"the setting panel differs (mean; majority)"}
    alone = results_of_panel("judge"), results_of_panel("judge", panel="majority")
    assert reasons_of(compare_runs(*alone)) == set()  # of one judge there is nothing to fold


def test_runs_without_judgments_are_incompatible() -> None:
    data = results(prompts=range(3), failed=3, identities={"judges": {}})
    assert reasons_of(compare_runs(data, data)) == {"nothing was judged"}
