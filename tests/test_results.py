"""The document that people keep: read, shown in a notebook, as tables."""

import json
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.results import read_results
from tests.report.sample import results_of


def test_results_are_read_from_a_file_or_its_folder(tmp_path: Path) -> None:
    of = results_of()
    (tmp_path / "results.json").write_text(of.to_json())
    text = of.to_json()
    for path in (tmp_path, tmp_path / "results.json", str(tmp_path)):
        assert read_results(path).to_json() == text


@pytest.mark.parametrize("text", ["", "[]", "{}", "no results", '{"schema": "bakeoff/1"}'])
def test_what_is_no_results_is_one_line(text: str) -> None:
    Path("x.json").write_text(text)
    with pytest.raises(ConfigError, match=r"'x.json' holds no results") as caught:
        read_results(Path("x.json"))
    assert "\n" not in str(caught.value)


def test_another_schema_and_no_file_are_one_line_too(tmp_path: Path) -> None:
    document = json.loads(results_of().to_json()) | {"schema": "bakeoff/99"}
    Path("x.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="schema 'bakeoff/99'"):
        read_results(Path("x.json"))
    with pytest.raises(ConfigError, match="No such file"):
        read_results(tmp_path / "nothing")
