"""The functions of `bakeoff.stats` on fixed vectors, against independent numbers."""

from functools import cache
from pathlib import Path

import pytest

from tests.golden import make_golden
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
FIXED = ("sign ", "mcnemar ", "0/7", "11/16", "20/20", "prompts ", "detectable ", "fits ", "lee.")


@pytest.mark.parametrize("group", EXPECTED)
def test_other_data_changes_every_number(group: str, tmp_path: Path) -> None:
    same = {name for name in changeable(EXPECTED[group]) if not name.startswith(FIXED)}
    for seed in (8, 9, 10):
        path = tmp_path / f"{seed}.json"
        path.write_text(make_golden.files("vectors", seed)["vectors.json"], encoding="utf-8")
        same -= differences(EXPECTED[group], statistics(path)[group]).keys()
    assert same == set()
