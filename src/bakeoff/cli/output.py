"""What a command shows of results, and of who works for money."""

from collections.abc import Sequence
from pathlib import Path

from bakeoff.config import Config, Spec
from bakeoff.config.options import AuditOptions, VoteOptions
from bakeoff.records import Results
from bakeoff.report.terminal import print_document, print_path, print_results, terminal


def hosted(models: Sequence[str], judges: Sequence[str]) -> set[str]:
    """The names of those that somebody else runs, for money."""
    from bakeoff.plugins import GENERATORS, JUDGES, judge_spec, names

    here = {*names(GENERATORS), *names(JUDGES)}
    specs = [*map(Spec.parse, models), *map(judge_spec, judges)]
    return {spec.name for spec in specs if spec.backend not in here}


def present(results: Results, config: Config | AuditOptions | VoteOptions, out: Path) -> None:
    """Print results as a command was told to: as a document, as a summary, or not at all."""
    if config.print_json:
        print_document(results.to_json())
    elif not config.quiet:
        console = terminal()
        print_results(console, results, config.show_samples)
        for name in ("results.json", "report.html"):
            print_path(console, out / name)
