"""Analyze existing evaluations of other tools; no model is called."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import analyze
from bakeoff.config import parse_fields
from bakeoff.config.options import AuditOptions
from bakeoff.environment import describe
from bakeoff.importers.reader import read
from bakeoff.records import MARGIN, Results
from bakeoff.report.export import check_writable, save


def audit(
    files: Sequence[Path | str],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    margin: float = MARGIN,
    panel: Literal["mean", "majority"] = "mean",
    out: Path | str | None = None,
) -> Results:
    """Return the results of existing evaluation files: summary, verdicts and warnings.

    Several files are read as one evaluation: repeats, other judges or other completions of the
    same prompts. `format` names the format if it cannot be detected; `columns` maps bakeoff's
    column names to those of a table; `margin` is in points around 50 %. `results.json` and
    `report.html` are written to `out` if it is given. Raises ConfigError if a file cannot be read
    or `out` is not writable.
    """
    parse_fields(AuditOptions, {"margin": margin, "panel": panel}, where="the audit")
    paths = [Path(file) for file in files]
    if out is not None:
        check_writable(Path(out))
    imported = read(paths, format=format, columns=columns or {})
    config: dict[str, JsonValue] = {
        "files": [str(path) for path in paths],
        "format": list(imported.formats),
        "columns": dict(columns or {}),
        "margin": margin,
        "panel": panel,
    }
    started = datetime.now(UTC).isoformat(timespec="seconds")
    evidence = imported.evidence
    summary, pair_data = analyze(evidence, AnalysisConfig(margin, panel))
    results = Results.of(evidence, summary, config, describe() | {"started": started})
    if out is not None:
        save(results, Path(out), pair_data=pair_data)
    return results
