from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from bakeoff.analysis import second_order as orders
from bakeoff.analysis.aggregate import Panel, compare
from bakeoff.analysis.pair_data import Terms, Trial
from bakeoff.analysis.second_order import second_order_may_matter
from bakeoff.records import Design, Judgment
from bakeoff.stats.power import Spread, sequence_factor
from tests.unit.analysis.cases import both, judgment, won


def trial(judgments: Sequence[Judgment], **terms: Any) -> Trial:
    return Trial("a", "b", {}, {}, judgments, (), {}, Terms(**terms))


def single(prompt: int, value: float, **more: Any) -> Judgment:
    """The preference for a in one order, by turns."""
    return judgment(prompt, "a", value, **more) if prompt % 2 else both(prompt, value, **more)[1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """With what it is foreseen."""
    found: list[tuple[Any, ...]] = []

    def spy(*given: Any) -> bool:
        found.append(given)
        return False

    monkeypatch.setattr(orders, "may_matter", spy)
    return found


def test_who_wins_everything_needs_no_second_order_and_an_open_race_does() -> None:
    assert not second_order_may_matter(trial(won(24, 0)), 100)
    assert not second_order_may_matter(trial(won(0, 24)), 100)
    assert second_order_may_matter(trial(habit(24)), 100)
    assert second_order_may_matter(trial([]), 100)


def test_of_fewer_than_twenty_prompts_nothing_is_foreseen() -> None:
    assert second_order_may_matter(trial(won(19, 0)), 100)
    assert not second_order_may_matter(trial(won(20, 0)), 100)


def test_what_the_second_order_brings_is_told_by_twenty_prompts_that_have_it() -> None:
    alone = [single(n, 1.0) for n in range(100, 130)]
    assert second_order_may_matter(trial(alone), 100)
    assert second_order_may_matter(trial([*won(19, 0), *alone]), 100)
    assert not second_order_may_matter(trial([*won(20, 0), *alone]), 100)


@pytest.mark.parametrize("presented", ["unknown", "apart"])
def test_orders_that_nobody_knows_say_nothing_of_the_second(presented: str) -> None:
    rows = won(30, 0)
    assert not second_order_may_matter(trial(rows), 100)
    rows[7] = rows[7].model_copy(update={"presented": presented})
    assert second_order_may_matter(trial(rows), 100)


def habit(prompts: int) -> list[Judgment]:
    """In both orders each prompt is a tie; in one it is won by whoever is shown first."""
    return [judgment(n, first, 1.0) for n in range(prompts) for first in "ab"]


def test_a_habit_that_both_orders_cancel_is_worth_the_second() -> None:
    assert second_order_may_matter(trial(habit(200)), 300)
    tied = [judgment(n, first, 0.5) for n in range(200) for first in "ab"]
    assert not second_order_may_matter(trial(tied), 300)


def by_hand(rows: Sequence[Judgment], panel: Panel) -> tuple[list[float], Spread]:
    """The preferences, and the variances of the prompts that have both orders, by definition."""
    ids = sorted({row.prompt_id for row in rows})
    of = {one: [row for row in rows if row.prompt_id == one] for one in ids}
    values = {one: compare("a", "b", of[one], panel)[0].preference for one in ids}
    twice = [one for one in ids if {row.first for row in of[one]} == {"a", "b"}]
    each = [
        compare("a", "b", [row for row in of[one] if row.first == first], panel)[0].preference
        for one in twice
        for first in "ab"
    ]
    one, both = (float(np.var(v, ddof=1)) for v in (each, [values[one] for one in twice]))
    return list(values.values()), Spread(one, both)


def drawn(seed: int, judges: str, samples: int) -> Iterator[Judgment]:
    """26 prompts in both orders and 6 in one, judged by several, of several completions."""
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
def test_each_order_is_folded_as_a_prompt_of_its_own_is(
    asked: list[tuple[Any, ...]], panel: Panel, judges: str, samples: int
) -> None:
    rows = list(drawn(len(judges) + samples, judges, samples))
    second_order_may_matter(trial(rows, margin=7.0, panel=panel), 90)
    values, spread = by_hand(rows, panel)
    ((got, of, total, margin, z),) = asked
    assert len(rows) > 58
    assert len(got) == len(values) > 26
    assert got == pytest.approx(values, abs=1e-9)
    assert of == pytest.approx(spread)
    assert (total, margin, z) == (90, pytest.approx(0.07), pytest.approx(1.96, abs=1e-3))


def test_looks_and_many_pairs_ask_for_more_standard_errors(asked: list[tuple[Any, ...]]) -> None:
    rows, anytime = won(15, 10), Design(sequential=True)
    for terms in (
        {},
        {"pairs": 10},
        {"design": anytime},
        {"design": anytime, "pairs": 10},
    ):
        second_order_may_matter(trial(rows, **terms), 90)
    fixed, shared = float(norm.ppf(0.975)), float(norm.ppf(1 - 0.005 / 2))
    looked = [fixed * sequence_factor(alpha) ** 0.5 for alpha in (0.05, 0.005)]
    # Where nothing ends early Holm's p-values share the error out.
    assert [one[-1] for one in asked] == pytest.approx([fixed, shared, *looked])
    assert looked[1] > shared > fixed
    assert looked[0] > fixed


@given(st.integers(0, 10**6), st.integers(34, 400), st.sampled_from(["j", "jk"]))
def test_neither_the_names_nor_the_order_of_judgments_matter(
    seed: int, total: int, judges: str
) -> None:
    rows = list(drawn(seed, judges, 1))
    said = second_order_may_matter(trial(rows), total)
    swapped = replace(trial(rows), a="b", b="a")
    assert second_order_may_matter(swapped, total) == said
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    assert second_order_may_matter(trial(shuffled), total) == said
