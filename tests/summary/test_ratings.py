"""Where several models stand."""

from itertools import combinations

import numpy as np
import pytest

from bakeoff.records import CLUSTER, Judgment, Standing
from bakeoff.stats.bradley_terry import Outcomes, bradley_terry
from bakeoff.summary import summarize
from tests.summary.cases import evidence, prompt, won

NAMES = ("weak", "strong", "middling")
STRENGTH = {"weak": 0, "middling": 1, "strong": 2}


def duels(names: tuple[str, ...] = NAMES, prompts: int = 24) -> list[Judgment]:
    """The stronger one wins two prompts of three, or all but some where the gap is larger."""
    rows = []
    for a, b in combinations(names, 2):
        gap = STRENGTH[a] - STRENGTH[b]
        wins = prompts * (3 + gap) // 6
        for row in won(wins, prompts - wins):
            sides = {"first": a if row.first == "a" else b, "second": b if row.first == "a" else a}
            rows.append(row.model_copy(update=sides))
    return rows


def ratings(names: tuple[str, ...] = NAMES, **more: object) -> tuple[Standing, ...]:
    return summarize(evidence(duels(names), names, **more)).ratings


def test_the_strongest_stands_first_and_the_mean_is_nought() -> None:
    found = ratings()
    assert [one.model for one in found] == ["strong", "middling", "weak"]
    assert sum(one.strength.estimate for one in found) == pytest.approx(0, abs=1e-9)
    assert all(one.strength.low < one.strength.estimate < one.strength.high for one in found)
    assert {one.strength.n for one in found} == {24}


def test_the_order_in_which_models_are_named_changes_nothing() -> None:
    found = ratings()
    for names in (("strong", "middling", "weak"), ("middling", "weak", "strong")):
        again = ratings(names)
        assert [one.model for one in again] == [one.model for one in found]
        for ours, theirs in zip(found, again, strict=True):
            assert ours.strength.estimate == pytest.approx(theirs.strength.estimate, abs=1e-5)


def test_they_are_bradley_and_terrys_of_the_preferences() -> None:
    rows = [
        (NAMES.index(a), NAMES.index(b), value, number)
        for a, b in combinations(NAMES, 2)
        for wins in [24 * (3 + STRENGTH[a] - STRENGTH[b]) // 6]
        for number, value in enumerate([1.0] * wins + [0.0] * (24 - wins))
    ]
    left, right, values, prompts = (np.array(column) for column in zip(*rows, strict=True))
    plain = bradley_terry(Outcomes(left, right, values, prompts), 3, resamples=0).strengths
    for one in ratings():
        expected = plain[NAMES.index(one.model)].estimate
        assert one.strength.estimate == pytest.approx(expected, abs=1e-6)


def test_prompts_of_a_cluster_are_one_unit() -> None:
    prompts = tuple(prompt(n, tags=[f"{CLUSTER}{n // 2}"]) for n in range(24))
    found, plain = ratings(prompts=prompts), ratings()
    assert {one.strength.n for one in found} == {12}
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.strength.estimate == pytest.approx(theirs.strength.estimate, abs=1e-6)


def test_two_models_have_none_nor_has_what_nobody_judged() -> None:
    assert summarize(evidence(won(15, 10))).ratings == ()
    assert summarize(evidence([], NAMES)).ratings == ()
