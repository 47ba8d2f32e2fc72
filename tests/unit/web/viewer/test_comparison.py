from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.summarize import summarize
from bakeoff.records import HUMAN_PREFIX, Evidence, Results, Verdict
from bakeoff.web.viewer.comparison import Differences, Duel, differences
from bakeoff.web.viewer.incompatibilities import matched
from tests.marks import examples
from tests.unit.web.viewer.cases import SAMPLING, judge, model, results

DRAWS = st.builds(
    results,
    prompts=st.integers(1, 12).map(range),
    better=st.floats(0, 1),
    seed=st.integers(0, 1000),
    failed=st.integers(0, 3),
)


def compared(duel: Duel) -> set[str]:
    return {number.what for number in duel.numbers if number.difference is not None}


def why(found: Differences) -> set[str]:
    (duel,) = found.duels
    return set(duel.paired.refused)


@examples(12)
@given(DRAWS)
def test_a_run_against_itself_has_no_change(of: Results) -> None:
    found = differences(of, of)
    assert found.topics == ()
    assert found.prompts.same
    for duel in found.duels:
        assert duel.one == duel.other
        assert duel.moved == ""
        assert duel.paired.change is None or duel.paired.change.estimate == 0
        assert not duel.paired.interval
        for number in duel.numbers:
            assert number.refused == ()
            assert number.difference == 0 or number.one is None
    assert all(number.difference == 0 for number in found.runs)


@examples(12)
@given(DRAWS, DRAWS)
def test_the_other_way_round_mirrors(one: Results, other: Results) -> None:
    forth, back = differences(one, other), differences(other, one)
    assert (forth.prompts.one, forth.prompts.other) == (back.prompts.other, back.prompts.one)
    for ours, theirs in zip(forth.duels, back.duels, strict=True):
        assert ours.paired.refused == theirs.paired.refused
        if ours.paired.change and theirs.paired.change:
            assert ours.paired.change.estimate == pytest.approx(-theirs.paired.change.estimate)
            assert ours.paired.change.low == pytest.approx(-theirs.paired.change.high)
        for number, mirror in zip(ours.numbers, theirs.numbers, strict=True):
            assert (number.one, number.other) == (mirror.other, mirror.one)
            assert number.refused == mirror.refused


def test_two_checkpoints_against_one_baseline_are_compared() -> None:
    one = results(("step-300", "base"), better=0.5, seed=1, prompts=range(60))
    other = results(("step-400", "base"), better=0.8, seed=2, prompts=range(60))
    (duel,) = differences(one, other).duels
    assert duel.moved == "step-400 stands in for step-300"
    change = duel.paired.change
    assert change is not None
    assert duel.paired.prompts == 60
    rates = [run.summary.pairs[0].win_rate for run in (one, other)]
    assert rates[0]
    assert rates[1]
    assert change.estimate == pytest.approx(rates[1].estimate - rates[0].estimate)
    assert change.low < change.estimate < change.high
    assert duel.paired.interval
    assert all(number.refused == () for number in duel.numbers)


def test_other_prompts_leave_those_that_both_share() -> None:
    one = results(better=0.3, seed=1, prompts=range(50))
    other = results(better=0.9, seed=2, prompts=range(30, 90))
    (duel,) = differences(one, other).duels
    assert duel.paired.prompts == 20
    assert duel.paired.change is not None
    assert compared(duel) == {"Prompts judged"}
    assert {number.refused for number in duel.numbers[1:]} == {("the prompts are not the same",)}
    apart = differences(one, results(prompts=range(100, 120)))
    assert why(apart) == {"no prompt was judged in both runs"}


def test_a_cluster_of_prompts_changes_once() -> None:
    one = results(better=0.2, seed=1, prompts=range(40))
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
        for run in (one, other)
    ]
    (alone,), (together,) = differences(one, other).duels, differences(*tagged).duels
    assert alone.paired.change
    assert together.paired.change
    assert (alone.paired.change.n, together.paired.change.n) == (40, 10)
    assert together.paired.change.estimate == pytest.approx(alone.paired.change.estimate)


@pytest.mark.parametrize(
    ("changed", "said"),
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
def test_another_judge_refuses_what_it_says_and_nothing_else(
    changed: dict[str, Any], said: str
) -> None:
    found = differences(results(), results(**changed))
    assert why(found) == {said}
    (duel,) = found.duels
    refused = {number.what for number in duel.numbers if number.refused}
    assert all(said in number.refused for number in duel.numbers if number.refused)
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


def test_another_sampling_of_a_model_refuses_what_it_says() -> None:
    warm = {"tuned": model("tuned", SAMPLING | {"temperature": 1.0}), "base": model("base")}
    found = differences(results(), results(identities={"models": warm}))
    assert why(found) == {"the sampling of tuned differs (temperature: 0.7; 1.0)"}
    (duel,) = found.duels
    assert compared(duel) == {
        "Prompts judged",
        "Characters of base",  # nothing of base is another
        "Tokens of base",
        "base was cut short",
    }


def test_with_two_other_models_nothing_stays_the_same() -> None:
    others = {"tuned": model("later"), "base": model("larger")}
    assert why(differences(results(), results(identities={"models": others}))) == {
        "both models are others"
    }
    found = differences(results(("a", "b")), results(("c", "d")))
    assert found.duels[0].other == ("c", "d")
    assert why(found) == {"both models are others"}


def test_orders_and_repeats_decide_only_over_what_depends_on_them() -> None:
    found = differences(results(), results(config={"orders": "random"}))
    (duel,) = found.duels
    assert duel.paired.change is not None
    refused = {number.what: number.refused for number in duel.numbers if number.refused}
    assert set(refused) == {
        "Win rate of tuned without ties",
        "Ties",
        "Same winner in both orders",
        "The first place wins",
    }
    assert set(refused.values()) == {("the setting orders differs (both; random)",)}


def test_models_that_changed_places_are_told_of_the_same_one() -> None:
    one = results(("tuned", "base"), better=0.9)
    evidence = one.evidence
    turned = evidence.model_copy(update={"models": ("base", "tuned")})
    other = Results.of(turned, summarize(turned), one.config, one.environment)
    assert other.summary.pairs[0].a == "base"
    (duel,) = differences(one, other).duels
    assert (duel.one, duel.other) == (("tuned", "base"), ("tuned", "base"))
    assert duel.paired.change is not None
    assert duel.paired.change.estimate == pytest.approx(0)
    for number in duel.numbers:
        assert number.difference == pytest.approx(0)


def test_people_are_compared_only_with_themselves() -> None:
    def voted(name: str) -> Results:
        of = results()
        judgments = tuple(
            row.model_copy(update={"judge": name, "verdict": Verdict(first=row.verdict.first)})
            for row in of.judgments
        )
        origins = {name: HUMAN_PREFIX}
        told: Evidence = of.evidence.model_copy(update={"judgments": judgments, "origins": origins})
        environment = of.environment | {"judges": {}}
        return Results.of(told, summarize(told), of.config, environment)

    assert why(differences(voted("Anna"), voted("Anna"))) == set()
    assert why(differences(voted("Anna"), voted("Bo"))) == {"other people judged"}


def test_an_audit_that_tells_nothing_of_its_judge_is_not_compared() -> None:
    of = results(identities={"models": {}, "judges": {}})
    assert why(differences(of, of)) == {
        "it is not recorded how the judge was asked",
        "it is not recorded how the models were asked",
    }


def test_too_few_prompts_have_no_interval() -> None:
    (duel,) = differences(
        results(prompts=range(5), better=0.1), results(prompts=range(5), better=0.9)
    ).duels
    assert duel.paired.change is not None
    assert not duel.paired.interval


def test_runs_without_common_models_have_no_duel() -> None:
    assert differences(results(("a", "b")), results(("c", "d", "e"))).duels == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
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
def test_who_is_matched_with_whom(
    ours: list[str], theirs: list[str], found: dict[str, str]
) -> None:
    assert matched(ours, theirs) == found
    assert matched(theirs, ours) == {its: name for name, its in found.items()}


def seated(*judges: str, panel: str = "mean") -> Results:
    """Results in which every judge says the same."""
    of = results(config={"panel": panel})
    judgments = tuple(
        row.model_copy(update={"judge": name}) for name in judges for row in of.judgments
    )
    told = of.evidence.model_copy(update={"judgments": judgments})
    environment = of.environment | {"judges": {name: judge() for name in judges}}
    return Results.of(told, summarize(told), of.config, environment)


def test_another_panel_is_not_compared() -> None:
    one = seated("judge", "second")
    assert why(differences(one, one)) == set()
    assert why(differences(one, seated("judge"))) == {"the judges are others"}
    assert why(differences(one, seated("judge", "third"))) == set()  # by place: asked the same
    voted = seated("judge", "second", panel="majority")
    assert why(differences(one, voted)) == {"the setting panel differs (mean; majority)"}
    alone = seated("judge"), seated("judge", panel="majority")
    assert why(differences(*alone)) == set()  # of one judge there is nothing to fold


def test_where_nobody_judged_nothing_is_compared() -> None:
    of = results(prompts=range(3), failed=3, identities={"judges": {}})
    assert why(differences(of, of)) == {"nothing was judged"}
