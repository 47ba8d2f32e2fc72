"""The committed data and expected numbers equal the output of the script."""

import pytest

from tests.golden import make_golden, reference, reference_statistics
from tests.golden.comparison import read
from tests.golden.formats import READERS

MADE = {
    file: text
    for name in (*make_golden.EVALUATIONS, "vectors")
    for file, text in make_golden.files(name).items()
}


def test_data_files_are_reproduced_byte_for_byte() -> None:
    committed = {path.name: path.read_bytes() for path in make_golden.DATA.iterdir()}
    assert committed == {file: text.encode() for file, text in MADE.items()}


@pytest.mark.parametrize("name", READERS)
def test_numbers_of_an_evaluation_are_reproduced(name: str) -> None:
    committed = read(make_golden.EXPECTED_AUDIT)
    assert committed.keys() == READERS.keys()
    again = reference.evaluation(name, make_golden.DATA)
    assert again.keys() == committed[name].keys()
    for pair, numbers in again.items():
        assert numbers.keys() == committed[name][pair].keys(), pair
        for source, computed in numbers.items():
            assert computed == pytest.approx(committed[name][pair][source], rel=1e-9, abs=1e-9)


def test_numbers_of_the_statistics_are_reproduced() -> None:
    committed = read(make_golden.EXPECTED_STATISTICS)
    again = reference_statistics.expected(make_golden.DATA)
    assert again.keys() == committed.keys()
    for group, numbers in again.items():
        assert numbers.keys() == committed[group].keys(), group
        for source, computed in numbers.items():
            assert computed == pytest.approx(committed[group][source], rel=1e-9, abs=1e-9)
