"""`bakeoff report`: write the report, and charts as files, from existing results."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK
from bakeoff.report.terminal import make_console, print_path


def report(
    results: Annotated[Path, Parameter(help="A results.json, or the folder that it is in.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder for report.html. [that of the results]")
    ] = None,
    charts: Annotated[
        Path | None, Parameter(help="Folder for the charts as SVG and PNG, for a paper. [none]")
    ] = None,
) -> int:
    """Make the page anew from results that exist, and its charts as files. Asks no model."""
    from bakeoff.report.charts.figures import write_figures
    from bakeoff.report.export import save_page
    from bakeoff.report.results_file import read_results, results_folder

    document = read_results(results)
    figures = write_figures(document, charts) if charts else []
    page = save_page(document, out or results_folder(results))
    for path in (page, *figures):
        print_path(make_console(), path)
    return OK
