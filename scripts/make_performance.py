"""Writes the results of `make bench` and `make bench-verdicts` into docs/performance.md.

    make bench bench-verdicts | tee /dev/stderr | python scripts/make_performance.py

Rows of benchmarks that did not run are kept.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- bench -->\n", "<!-- end of bench -->"
HEAD = ["| benchmark | measured | against | ratio |", "|---|---|---|---|"]


def main(lines: Iterable[str], page: Path = PAGE) -> None:
    """Update the table of a page from the lines of a bench run; other lines are ignored."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    old, after = rest.split(END)
    old_rows = {row.split("`")[1]: row for row in old.splitlines()[2:]}
    new_rows = dict(_row(json.loads(line)) for line in lines if line.startswith("{"))
    benchmarks = {name.partition(":")[0] for name in new_rows}
    kept = {name: row for name, row in old_rows.items() if name.partition(":")[0] not in benchmarks}
    table = "\n".join([*HEAD, *(row for _, row in sorted((kept | new_rows).items()))])
    page.write_text(f"{before}{BEGIN}{table}\n{END}{after}", encoding="utf-8")


def _row(line: dict[str, Any]) -> tuple[str, str]:
    """The name of a measurement and its row; `BENCHMARK: CASE` names one of several."""
    measured = f"{_short(line['figure'])} {line['unit']}"
    cells = (f"`{line['benchmark']}`", measured, line["peer"], f"{_short(line['ratio'])}x")
    return line["benchmark"], "| " + " | ".join(cells) + " |"


def _short(number: float) -> str:
    return f"{float(f'{number:.3g}'):,.10g}"


if __name__ == "__main__":
    main(sys.stdin)
