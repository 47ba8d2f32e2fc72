"""The charts, the page, the notebook view and the viewer have the same colors."""

import re
from importlib.resources import files

import pytest

from bakeoff.report.charts import theme

NAMED = re.compile(r"--([a-z-]+): ([^;]+);")
TWO = re.compile(r"light-dark\((#\w+), (#\w+)\)")


def six_digits(colour: str) -> str:
    """The colour with six digits, from three or six."""
    return "#" + "".join(2 * digit for digit in colour[1:]) if len(colour) == 4 else colour


def themes(package: str, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The named colours of a style sheet, in light and in dark."""
    text = (files(package) / name).read_text(encoding="utf-8")
    both = {key: TWO.fullmatch(value) for key, value in NAMED.findall(text)}
    if any(both.values()):
        pairs = {key: pair.groups() for key, pair in both.items() if pair}
        return {k: six_digits(v[0]) for k, v in pairs.items()}, {
            k: six_digits(v[1]) for k, v in pairs.items()
        }
    light, dark = text.split("@media (prefers-color-scheme: dark)", 1)
    dark = dark.split("* {", 1)[0]
    light_colors, dark_colors = (
        {key: six_digits(value) for key, value in NAMED.findall(part) if value.startswith("#")}
        for part in (light, dark)
    )
    return light_colors, dark_colors


PAGE = themes("bakeoff.report.page", "page.css")


@pytest.mark.parametrize(
    ("package", "name"), [("bakeoff.report", "notebook.css"), ("bakeoff.web.viewer", "viewer.css")]
)
def test_style_sheets_have_the_same_colors(package: str, name: str) -> None:
    for ours, theirs in zip(PAGE, themes(package, name), strict=True):
        shared = ours.keys() & theirs.keys()
        assert {"ink", "soft", "line", "paper", "a", "b", "tie", "a-ink", "b-ink"} <= shared
        assert {key: theirs[key] for key in shared} == {key: ours[key] for key in shared}


@pytest.mark.parametrize("dark", [False, True])
def test_charts_have_the_colors_of_the_page(dark: bool) -> None:
    colours = PAGE[dark]
    category = theme(dark=dark)["range"]["category"]  # type: ignore[index, call-overload]
    assert category[:3] == [colours["a"], colours["b"], colours["tie"]]
