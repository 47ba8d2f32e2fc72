"""The functions of `bakeoff.stats` on fixed vectors, against independent numbers."""

from functools import cache
from pathlib import Path

import pytest

from tests.golden import make_golden
from tests.golden.comparing import changeable, differing, read, unexpected
from tests.golden.observed import Found, statistics

EXPECTED = read(make_golden.EXPECTED_STATISTICS)


@cache
def found() -> Found:
    return statistics(make_golden.DATA / "vectors.json")


@pytest.mark.parametrize("group", EXPECTED)
def test_every_number_is_the_independent_one(group: str) -> None:
    assert differing(EXPECTED[group], found()[group]) == {}
    assert unexpected(EXPECTED[group], found()[group]) == set()


def test_every_group_has_expected_numbers() -> None:
    assert found().keys() == EXPECTED.keys()


# Arguments that are the same whatever the data.
FIXED = ("sign ", "mcnemar ", "0/7", "11/16", "20/20", "prompts ", "detectable ", "fits ", "lee.")


@pytest.mark.parametrize("group", EXPECTED)
def test_no_number_is_the_same_for_other_data(group: str, tmp_path: Path) -> None:
    same = {name for name in changeable(EXPECTED[group]) if not name.startswith(FIXED)}
    for seed in (8, 9, 10):
        path = tmp_path / f"{seed}.json"
        path.write_text(make_golden.files("vectors", seed)["vectors.json"], encoding="utf-8")
        same -= differing(EXPECTED[group], statistics(path)[group]).keys()
    assert same == set()
