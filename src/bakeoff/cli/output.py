"""Output that several commands share."""

from collections.abc import Sequence
from pathlib import Path

from bakeoff.config import Config, Spec
from bakeoff.config.options import AuditOptions, VoteOptions
from bakeoff.records import Results
from bakeoff.report.terminal import make_console, print_json, print_path, print_results


def hosted_names(models: Sequence[str], judges: Sequence[str]) -> set[str]:
    """Return the names of models and judges whose backend is a hosted provider."""
    from bakeoff.plugins import GENERATORS, JUDGES, backend_names, judge_spec

    local = {*backend_names(GENERATORS), *backend_names(JUDGES)}
    specs = [*map(Spec.parse, models), *map(judge_spec, judges)]
    return {spec.name for spec in specs if spec.backend not in local}


def print_outcome(
    results: Results, options: Config | AuditOptions | VoteOptions, out: Path
) -> None:
    """Print the results as JSON or as a summary with the paths of the files, unless quiet."""
    if options.print_json:
        print_json(results.to_json())
    elif not options.quiet:
        console = make_console()
        print_results(console, results, options.show_samples)
        for name in ("results.json", "report.html"):
            print_path(console, out / name)
