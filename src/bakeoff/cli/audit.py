"""`bakeoff audit`: read existing evaluations and report what they support."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK
from bakeoff.config.options import AuditOptions
from bakeoff.report.terminal import log_to, make_console, print_outcome


def audit(
    files: Annotated[
        tuple[Path, ...], Parameter(help="Of one evaluation: repeats, judges, other completions.")
    ],
    /,
    *,
    options: Annotated[AuditOptions, Parameter(name="*")] = AuditOptions(),  # noqa: B008 - frozen
) -> int:
    """Read evaluations that other tools made, and say what they can carry. Asks no model."""
    from bakeoff.evaluation.audit import audit as run_audit

    log_to(make_console(errors=True, quiet=options.quiet))
    results = run_audit(
        files,
        format=options.format,
        columns=options.column_mapping(),
        margin=options.margin,
        panel=options.panel,
        out=options.out,
    )
    print_outcome(results, options, options.out)
    return OK
