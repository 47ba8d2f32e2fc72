"""Saved files are complete and replace only files of the same comparison."""

from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.records import Results
from bakeoff.report.export import check_writable, save
from tests.builders import sample_results


def test_saved_results_are_read_back_equal(tmp_path: Path) -> None:
    results = sample_results()
    save(results, tmp_path)
    assert Results.model_validate_json((tmp_path / "results.json").read_bytes()) == results
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "results.json"]


def test_only_the_same_comparison_is_overwritten(tmp_path: Path) -> None:
    save(sample_results(config={"model": ["a", "b"], "out": "x"}), tmp_path)
    save(sample_results(config={"model": ["a", "b"], "out": "y"}), tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 1
    save(sample_results(config={"model": ["a", "c"], "out": "y"}), tmp_path)
    assert len(list(tmp_path.glob("results*.json"))) == 2
    assert len(list(tmp_path.glob("report*.html"))) == 2


def test_a_foreign_file_is_renamed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("mine")
    save(sample_results(), tmp_path)
    assert "mine" in [file.read_text() for file in tmp_path.glob("results-*.json")]


def test_an_unwritable_folder_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another folder"):
        check_writable(tmp_path / "file")
    with pytest.raises(ConfigError, match="choose another folder"):
        save(sample_results(), tmp_path / "file")
