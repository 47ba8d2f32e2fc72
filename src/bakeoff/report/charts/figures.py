"""The charts of results as files for a paper: SVG and PNG, on white. Knows no chart by its name."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

import vl_convert

from bakeoff.analysis.pair_data import pair_data_of
from bakeoff.records import PairSummary, Results
from bakeoff.report.charts import PAPER, Chart, pair_charts, theme, whole_charts
from bakeoff.report.export import check_writable, write

WIDTH = 480  # CSS pixels, 5 inches: a column and a half
PPI = 300
_LONGEST = 40  # characters of a model's name in that of a file


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Write each chart as NAME.svg and NAME.png; of several pairs, as A-B-NAME.

    The paths in the order of showing. ConfigError where the folder cannot be written.
    """
    check_writable(folder, "--charts")
    written = []
    for name, chart in _figures(results).items():
        svg, png = _drawn(chart)
        for suffix, content in ((".svg", svg), (".png", png)):
            path = folder / f"{name}{suffix}"
            write(path, content)
            written.append(path)
    return written


def _figures(results: Results) -> Mapping[str, Chart]:
    """Every chart by the name of its file."""
    summary, tried = results.summary, pair_data_of(results)
    order = [prompt.id for prompt in results.prompts]
    found = whole_charts(summary)
    for pair, prefix in zip(summary.pairs, _prefixes(summary.pairs), strict=True):
        pair_data = tried.get((pair.a, pair.b))
        charts = pair_charts(pair, pair_data, order) if pair_data else {}
        found |= {f"{prefix}{name}": chart for name, chart in charts.items()}
    return found


def _prefixes(pairs: tuple[PairSummary, ...]) -> Iterator[str]:
    """What the files of a pair begin with: nothing where there is one, and never the same twice."""
    if len(pairs) == 1:
        yield ""
        return
    taken: set[str] = set()
    for pair in pairs:
        slug = f"{_slug(pair.a)}-{_slug(pair.b)}"
        # Files that differ in case alone are one file on many disks; a slug has no capitals.
        unique, number = slug, 2
        while unique in taken:
            unique, number = f"{slug}-{number}", number + 1
        taken.add(unique)
        yield f"{unique}-"


def _slug(name: str) -> str:
    """A name as a part of a file's name: lower-case ASCII letters, digits and single hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:_LONGEST].strip("-") or "model"


def _drawn(chart: Chart) -> tuple[str, bytes]:
    spec = {**chart.spec, "width": WIDTH}
    config = {**theme(dark=False), "background": PAPER, "padding": 8}
    svg = vl_convert.vegalite_to_svg(spec, config=config, allowed_base_urls=[])
    png = vl_convert.vegalite_to_png(spec, config=config, ppi=PPI, allowed_base_urls=[])
    return svg, png
