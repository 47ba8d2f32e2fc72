"""`bakeoff audit` on generated tables; `tests/golden` asserts its numbers."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from bakeoff import Results, audit
from bakeoff.errors import ConfigError
from bakeoff.records import PairSummary


def only(results: Results) -> PairSummary:
    (pair,) = results.summary.pairs
    return pair


def test_audit_of_an_audit_is_the_same(tmp_path: Path) -> None:
    table = [["prompt", "completion_a", "completion_b", "winner", "first", "tags"]]
    for n in range(30):
        table += [
            [f"question {n}", f"one {n}", f"other {n}", "ab"[n % 3 == 0], first, "code"]
            for first in "ab"
        ]
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(table)
    results = audit([path], out=tmp_path / "one")
    again = audit([tmp_path / "one/results.json"], out=tmp_path / "two")
    assert again.summary == results.summary
    assert again.prompts == results.prompts
    assert only(results).wins == 20
    assert (tmp_path / "two/report.html").stat().st_size > 1000


def test_garbage_is_a_failure_by_kind_and_never_a_tie(tmp_path: Path) -> None:
    garbage = [True, None, float("nan"), "garbage", {"a": 1}, "", 7]
    good = [{"prompt": f"q{n}", "winner": "ab"[n % 2]} for n in range(200)]
    bad = [{"prompt": f"bad{n}", "winner": value} for n, value in enumerate(garbage)]
    path = tmp_path / "table.jsonl"
    path.write_text("\n".join(map(json.dumps, good + bad)))
    pair = only(audit([path]))
    assert (pair.wins, pair.losses, pair.ties) == (100, 100, 0)
    accounting = pair.accounting
    assert (accounting.asked, accounting.judged, accounting.failed) == (207, 200, 7)
    assert Counter(accounting.failed_by_kind) == Counter(
        {"boolean": 1, "missing": 2, "not a number": 1, "unreadable": 3}
    )
    assert "failures" in {reason.kind for reason in pair.reasons}


def test_invalid_margin_is_an_error_before_a_file_is_read() -> None:
    with pytest.raises(ConfigError, match=r"^the audit: margin = 200: "):
        audit(["missing.csv"], margin=200)


def test_unreadable_file_is_a_one_line_error_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"results": [')
    with pytest.raises(ConfigError) as caught:
        audit([path])
    assert "\n" not in str(caught.value)
    assert "broken.json" in str(caught.value)
