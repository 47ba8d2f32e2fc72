"""The functions of `bakeoff.stats` on fixed vectors, against independent numbers."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bakeoff.stats.tests import sign_flip_test
from tests.golden import make_golden, reference
from tests.golden.actual_values import NumbersByPair, statistics
from tests.golden.comparison import changeable, differences, read, unexpected

EXPECTED = read(make_golden.EXPECTED_STATISTICS)


@cache
def statistics_numbers() -> NumbersByPair:
    return statistics(make_golden.DATA / "vectors.json")


@pytest.mark.parametrize("group", EXPECTED)
def test_numbers_match_the_reference(group: str) -> None:
    assert differences(EXPECTED[group], statistics_numbers()[group]) == {}
    assert unexpected(EXPECTED[group], statistics_numbers()[group]) == set()


def test_every_group_has_expected_numbers() -> None:
    assert statistics_numbers().keys() == EXPECTED.keys()


# Arguments that do not depend on the data.
FIXED = (
    *("sign ", "mcnemar ", "0/7", "11/16", "20/20", "prompts ", "detectable ", "fits ", "lee."),
    *("look ", "tells "),
)


@pytest.mark.parametrize("group", EXPECTED)
def test_other_data_changes_every_number(group: str, tmp_path: Path) -> None:
    same = {name for name in changeable(EXPECTED[group]) if not name.startswith(FIXED)}
    for seed in (8, 9, 10):
        path = tmp_path / f"{seed}.json"
        path.write_text(make_golden.files("vectors", seed)["vectors.json"], encoding="utf-8")
        same -= differences(EXPECTED[group], statistics(path)[group]).keys()
    assert same == set()


@pytest.mark.parametrize(
    ("steps", "n"),
    [(4, 16), (12, 20), (6, 16), (10, 20)],
)
def test_sign_flips_count_equal_sums(steps: int, n: int) -> None:
    rng = np.random.default_rng(steps)
    for _ in range(20):
        deviations = rng.integers(0, steps + 1, n) / steps - 0.5
        p = sign_flip_test(np.round(deviations, 9)).p
        assert p == pytest.approx(reference.all_flips(deviations), abs=1e-9)
