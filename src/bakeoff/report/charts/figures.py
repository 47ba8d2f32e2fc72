"""The charts of results as SVG and PNG files with a white background, for papers."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakeoff.analysis.evidence_pairs import pair_data_of
from bakeoff.environment import check_extra
from bakeoff.records import PairSummary, Results
from bakeoff.report.charts import PAPER, Chart, pair_charts, summary_charts, theme
from bakeoff.report.export import check_writable, write_file

WIDTH = 480  # CSS pixels, 5 inches: a column and a half
PPI = 300
_MAX_SLUG = 40  # characters of a model name in a file name


def write_figures(results: Results, folder: Path) -> list[Path]:
    """Write each chart as NAME.svg and NAME.png, with several pairs of models as A-B-NAME.

    Returns the paths in the order of showing. Raises ConfigError if the folder is not writable, or
    if the extra `figures` is not installed.
    """
    check_extra("figures", "a chart as a file")
    check_writable(folder, "--charts")
    paths = []
    for name, chart in _figures(results).items():
        svg, png = _images(chart)
        for suffix, content in ((".svg", svg), (".png", png)):
            path = folder / f"{name}{suffix}"
            write_file(path, content)
            paths.append(path)
    return paths


def _figures(results: Results) -> Mapping[str, Chart]:
    """All charts by their file name without suffix."""
    summary, by_pair = results.summary, pair_data_of(results)
    order = [prompt.id for prompt in results.prompts]
    figures = summary_charts(summary)
    for pair, prefix in zip(summary.pairs, _prefixes(summary.pairs), strict=True):
        pair_data = by_pair.get((pair.a, pair.b))
        charts = pair_charts(pair, pair_data, order) if pair_data else {}
        figures |= {f"{prefix}{name}": chart for name, chart in charts.items()}
    return figures


def _prefixes(pairs: tuple[PairSummary, ...]) -> Iterator[str]:
    """The unique prefixes of the file names of each pair; empty for a single pair."""
    if len(pairs) == 1:
        yield ""
        return
    taken: set[str] = set()
    for pair in pairs:
        slug = f"{_slug(pair.a)}-{_slug(pair.b)}"
        # Slugs are lower-case: many file systems ignore case.
        unique, number = slug, 2
        while unique in taken:
            unique, number = f"{slug}-{number}", number + 1
        taken.add(unique)
        yield f"{unique}-"


def _slug(name: str) -> str:
    """A name as part of a file name: lower-case ASCII letters, digits and single hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug[:_MAX_SLUG].strip("-") or "model"


def _images(chart: Chart) -> tuple[str, bytes]:
    import vl_convert

    spec = {**chart.spec, "width": WIDTH}
    config = {**theme(dark=False), "background": PAPER, "padding": 8}
    svg = vl_convert.vegalite_to_svg(spec, config=config, allowed_base_urls=[])
    png = vl_convert.vegalite_to_png(spec, config=config, ppi=PPI, allowed_base_urls=[])
    return svg, png
