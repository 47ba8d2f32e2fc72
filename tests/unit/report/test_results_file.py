"""Reading results.json."""

import json
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.report.results_file import read_results, results_folder
from tests.builders import sample_results


def test_results_are_read_from_file_or_folder(tmp_path: Path) -> None:
    expected = sample_results()
    (tmp_path / "results.json").write_text(expected.to_json())
    text = expected.to_json()
    for path in (tmp_path, tmp_path / "results.json", str(tmp_path)):
        assert read_results(path).to_json() == text
        assert results_folder(Path(path)) == tmp_path


@pytest.mark.parametrize("text", ["", "[]", "{}", "no results", '{"schema": "bakeoff/1"}'])
def test_invalid_results_are_a_one_line_error(text: str) -> None:
    Path("x.json").write_text(text)
    with pytest.raises(ConfigError, match=r"'x.json' holds no results") as caught:
        read_results(Path("x.json"))
    assert "\n" not in str(caught.value)


def test_other_schema_and_missing_file_are_one_line_errors(tmp_path: Path) -> None:
    document = json.loads(sample_results().to_json()) | {"schema": "bakeoff/99"}
    Path("x.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="schema 'bakeoff/99'"):
        read_results(Path("x.json"))
    with pytest.raises(ConfigError, match="No such file"):
        read_results(tmp_path / "nothing")
