import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bakeoff.web.viewer.comparison import cost_of
from bakeoff.web.viewer.run_cards import RunCard, RunCards
from bakeoff.web.viewer.runs import find_runs
from tests.unit.web.viewer.builders import results, write_progress, write_results


def card(folder: Path, cards: RunCards | None = None) -> RunCard:
    (run,) = find_runs(folder).runs.values()
    run_card = (cards or RunCards()).card(run)
    assert run_card is not None
    return run_card


def test_card_matches_the_results(tmp_path: Path) -> None:
    data = results(failed=2)
    run_card = card(write_results(tmp_path / "run", data))
    assert run_card.pairs == data.summary.pairs
    assert (run_card.models, run_card.judges, run_card.prompts) == (
        ("tuned", "base"),
        ("judge",),
        40,
    )
    assert run_card.failed == len(data.failures) == 4
    assert run_card.cost == pytest.approx(cost_of(data))
    assert run_card.when == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert run_card.seconds == 63.5
    assert run_card.problem == ""


def test_card_is_cached_until_the_results_change(tmp_path: Path) -> None:
    cards, folder = RunCards(), write_results(tmp_path / "run", results(seed=1))
    first = card(folder, cards)
    assert card(folder, cards) is first
    write_results(folder, results(seed=2, prompts=range(30)))
    assert card(folder, cards).prompts == 30


def test_run_without_results_has_no_card(tmp_path: Path) -> None:
    (run,) = find_runs(write_progress(tmp_path / "run")).runs.values()
    assert RunCards().card(run) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"schema": "bakeoff/1"}',
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "[" * 100_000,
    ],
)
def test_invalid_results_are_one_line_without_a_path(text: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(text)
    run_card = card(tmp_path / "run")
    assert run_card.problem.startswith("no results of this version of bakeoff (")
    assert "\n" not in run_card.problem
    assert str(tmp_path) not in run_card.problem


def test_other_schema_is_named(tmp_path: Path) -> None:
    document = json.loads(results(prompts=range(3)).to_json()) | {"schema": "bakeoff/9"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps(document))
    assert card(tmp_path / "run").problem == (
        "its schema is 'bakeoff/9', and this version reads 'bakeoff/1'"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "run", results(prompts=range(3)))
    (folder / "results.json").chmod(0)
    assert card(folder).problem == "its results cannot be read (Permission denied)"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"started": "yesterday", "seconds": "long", "judges": ["judge"]},
        {"started": 5, "seconds": None, "judges": None},
        {"started": "9999-12-31T23:59:59-23:59"},
    ],
)
def test_environment_may_contain_anything(environment: dict[str, Any], tmp_path: Path) -> None:
    data = results(prompts=range(5)).model_copy(update={"environment": environment})
    run_card = card(write_results(tmp_path / "run", data))
    assert (run_card.problem, run_card.judges, run_card.seconds) == ("", ("judge",), None)
    written = (tmp_path / "run" / "results.json").stat().st_mtime
    assert run_card.when.timestamp() == pytest.approx(written)
