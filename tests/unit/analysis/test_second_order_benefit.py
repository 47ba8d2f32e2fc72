from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from bakeoff.analysis import second_order_benefit as orders
from bakeoff.analysis.aggregate import Panel, compare
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.analysis.second_order_benefit import second_order_may_matter
from bakeoff.records import Design, Judgment
from bakeoff.stats.detectable_rates import sequential_factor
from bakeoff.stats.power import OrderVariances
from tests.unit.analysis.builders import both, judgment, won


def pair_data(judgments: Sequence[Judgment], **config: Any) -> PairData:
    return PairData("a", "b", {}, {}, judgments, (), {}, AnalysisConfig(**config))


def single(prompt: int, value: float, **more: Any) -> Judgment:
    """The preference for a in one order, alternating between prompts."""
    return judgment(prompt, "a", value, **more) if prompt % 2 else both(prompt, value, **more)[1]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of each call of `power.second_order_may_matter`."""
    arguments_of_calls: list[tuple[Any, ...]] = []

    def spy(*arguments: Any) -> bool:
        arguments_of_calls.append(arguments)
        return False

    monkeypatch.setattr(orders.power, "second_order_may_matter", spy)
    return arguments_of_calls


def test_the_second_order_matters_only_for_open_verdicts() -> None:
    assert not second_order_may_matter(pair_data(won(24, 0)), 100)
    assert not second_order_may_matter(pair_data(won(0, 24)), 100)
    assert second_order_may_matter(pair_data(position_biased(24)), 100)
    assert second_order_may_matter(pair_data([]), 100)


def test_with_fewer_than_20_prompts_the_second_order_may_matter() -> None:
    assert second_order_may_matter(pair_data(won(19, 0)), 100)
    assert not second_order_may_matter(pair_data(won(20, 0)), 100)


def test_20_prompts_in_both_orders_are_needed() -> None:
    alone = [single(n, 1.0) for n in range(100, 130)]
    assert second_order_may_matter(pair_data(alone), 100)
    assert second_order_may_matter(pair_data([*won(19, 0), *alone]), 100)
    assert not second_order_may_matter(pair_data([*won(20, 0), *alone]), 100)


@pytest.mark.parametrize("presented", ["unknown", "pointwise"])
def test_with_unrecorded_orders_the_second_order_may_matter(presented: str) -> None:
    rows = won(30, 0)
    assert not second_order_may_matter(pair_data(rows), 100)
    rows[7] = rows[7].model_copy(update={"presented": presented})
    assert second_order_may_matter(pair_data(rows), 100)


def position_biased(prompts: int) -> list[Judgment]:
    """Each prompt is a tie over both orders; in one order the model shown first wins."""
    return [judgment(n, first, 1.0) for n in range(prompts) for first in "ab"]


def test_the_second_order_matters_for_a_position_biased_judge() -> None:
    assert second_order_may_matter(pair_data(position_biased(200)), 300)
    tied = [judgment(n, first, 0.5) for n in range(200) for first in "ab"]
    assert not second_order_may_matter(pair_data(tied), 300)


def expected_arguments(
    rows: Sequence[Judgment], panel: Panel
) -> tuple[list[float], OrderVariances]:
    """The preferences, and the variances of the prompts that have both orders, by definition."""
    ids = sorted({row.prompt_id for row in rows})
    by_prompt = {id_: [row for row in rows if row.prompt_id == id_] for id_ in ids}
    values = {id_: compare("a", "b", by_prompt[id_], panel)[0].preference for id_ in ids}
    twice = [id_ for id_ in ids if {row.first for row in by_prompt[id_]} == {"a", "b"}]
    by_order = [
        compare("a", "b", [row for row in by_prompt[id_] if row.first == first], panel)[
            0
        ].preference
        for id_ in twice
        for first in "ab"
    ]
    single, both = (
        float(np.var(preferences, ddof=1))
        for preferences in (by_order, [values[id_] for id_ in twice])
    )
    return list(values.values()), OrderVariances(single, both)


def random_judgments(seed: int, judges: str, samples: int) -> Iterator[Judgment]:
    """26 prompts in both orders and 6 in one order, with several judges and completions."""
    rng = np.random.default_rng(seed)
    for prompt in range(32):
        for judge in judges:
            for sample in range(samples):
                for first in ("ab", "ab", "a", "b")[max(0, prompt - 28)]:
                    if prompt < 26 or first == "ab"[prompt % 2]:
                        for repeat in range(int(rng.integers(1, 3))):
                            more = {"judge": judge, "sample": sample, "repeat": repeat}
                            yield judgment(prompt, first, rng.integers(0, 5) / 4, **more)


@pytest.mark.parametrize("panel", ["mean", "majority"])
@pytest.mark.parametrize(("judges", "samples"), [("j", 1), ("j", 3), ("jkl", 1), ("jkl", 2)])
def test_each_order_is_aggregated_as_a_separate_prompt(
    calls: list[tuple[Any, ...]], panel: Panel, judges: str, samples: int
) -> None:
    rows = list(random_judgments(len(judges) + samples, judges, samples))
    second_order_may_matter(pair_data(rows, margin=7.0, panel=panel), 90)
    expected_values, expected_variances = expected_arguments(rows, panel)
    ((values, variances, total, margin, z),) = calls
    assert len(rows) > 58
    assert len(values) == len(expected_values) > 26
    assert values == pytest.approx(expected_values, abs=1e-9)
    assert variances == pytest.approx(expected_variances)
    assert (total, margin, z) == (90, pytest.approx(0.07), pytest.approx(1.96, abs=1e-3))


def test_optional_stopping_and_many_pairs_raise_z(calls: list[tuple[Any, ...]]) -> None:
    rows, anytime = won(15, 10), Design(sequential=True)
    for terms in (
        {},
        {"pairs": 10},
        {"design": anytime},
        {"design": anytime, "pairs": 10},
    ):
        second_order_may_matter(pair_data(rows, **terms), 90)
    fixed, shared = float(norm.ppf(0.975)), float(norm.ppf(1 - 0.005 / 2))
    looked = [fixed * sequential_factor(alpha) ** 0.5 for alpha in (0.05, 0.005)]
    # Where nothing ends early Holm's p-values share the error out.
    assert [call[-1] for call in calls] == pytest.approx([fixed, shared, *looked])
    assert looked[1] > shared > fixed
    assert looked[0] > fixed


@given(st.integers(0, 10**6), st.integers(34, 400), st.sampled_from(["j", "jk"]))
def test_neither_the_names_nor_the_order_of_judgments_matter(
    seed: int, total: int, judges: str
) -> None:
    rows = list(random_judgments(seed, judges, 1))
    expected = second_order_may_matter(pair_data(rows), total)
    swapped = replace(pair_data(rows), a="b", b="a")
    assert second_order_may_matter(swapped, total) == expected
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    assert second_order_may_matter(pair_data(shuffled), total) == expected
