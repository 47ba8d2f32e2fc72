"""Figures as files: names, resolution and errors."""

import json
import random
import re
import struct
import sys
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.records import Results
from bakeoff.report.charts import Chart, figures, theme
from bakeoff.report.charts.figures import PPI, WIDTH, write_figures
from tests.builders import make_results
from tests.marks import long
from tests.unit.analysis.builders import both, evidence


def results_of(*models: str) -> Results:
    """Four prompts on which each model was compared with each other one."""
    rng = random.Random(3)
    judgments = [
        row.model_copy(
            update={"first": names[row.first == "b"], "second": names[row.second == "b"]}
        )
        for index, first in enumerate(models)
        for names in ((first, second) for second in models[index + 1 :])
        for n in range(4)
        for row in both(n, rng.choice([0.0, 1.0]))
    ]
    compared = evidence(judgments, models)
    return make_results(compared)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the spec of each chart instead of its rendered images, which take a second."""

    def images(chart: Chart) -> tuple[str, bytes]:
        spec = json.dumps(chart.spec)
        return spec, spec.encode()

    monkeypatch.setattr(figures, "_images", images)


def test_files_of_a_single_pair_are_named_by_chart(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    written = write_figures(results_of("a", "b"), folder)
    stems = ["win-rate", "sequence", "order"]
    assert written == [folder / f"{stem}{kind}" for stem in stems for kind in (".svg", ".png")]
    assert names_in(folder) == sorted(path.name for path in written)


def test_figures_have_print_resolution_and_a_white_background(tmp_path: Path) -> None:
    for path in write_figures(results_of("a", "b"), tmp_path):
        content = path.read_bytes()
        if path.suffix == ".png":
            at = content.index(b"pHYs") + 4
            across, down, unit = struct.unpack(">IIB", content[at : at + 9])
            assert (across, down, unit) == (round(PPI / 0.0254), round(PPI / 0.0254), 1)
            assert abs(struct.unpack(">I", content[16:20])[0] - WIDTH * PPI / 72) <= 1
        else:
            text = content.decode()
            assert f'width="{WIDTH}"' in text[:300]
            assert 'fill="#ffffff"' in text[:400]
            assert str(theme(dark=True)["background"]) == "transparent"
            assert "#16181b" not in text


@pytest.mark.parametrize(
    "models",
    [
        ("../../x", "/etc/passwd", "..\\..\\y"),
        *long(
            [
                (("", " ", "\u202e"),),
                (("m" * 300, "m" * 299 + "n", "M" * 300),),
                (("a", "b-c", "a-b"),),
                (("مدل", "模型", "\x00\n\ud800"),),
            ]
        ),
    ],
    ids=range(5),
)
def test_hostile_names_give_unique_file_names_in_the_folder(
    models: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "figures"
    written = write_figures(results_of(*models), folder)
    # Three pairs with three charts each, and two of all models: as SVG and as PNG.
    assert len(written) == len(set(written)) == 2 * (3 * 3 + 2)
    assert names_in(folder) == sorted(path.name for path in written)
    assert names_in(tmp_path) == ["figures"]
    assert all(re.fullmatch(r"[a-z0-9-]{1,120}\.(svg|png)", path.name) for path in written)


def test_files_of_several_pairs_are_prefixed_by_their_models(
    tmp_path: Path, unrendered: None
) -> None:
    written = {path.name for path in write_figures(results_of("New One", "base", "c"), tmp_path)}
    assert {"ratings.svg", "pairs.png", "new-one-base-win-rate.svg", "base-c-order.png"} <= written


@pytest.mark.parametrize("obstacle", ["file", "folder of that name"])
def test_an_unwritable_figure_folder_is_a_one_line_error(obstacle: str, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    if obstacle == "file":
        folder.write_text("mine")
    else:
        (folder / "win-rate.svg" / "mine").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot write") as error:
        write_figures(results_of("a", "b"), folder)
    assert "\n" not in str(error.value)
    assert repr(str(folder))[1:-1] in str(error.value)
    if obstacle == "file":
        assert folder.read_text() == "mine"
    else:
        assert names_in(folder) == ["win-rate.svg"]


def test_the_missing_extra_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match=r"needs: pip install 'bakeoff\[figures\]'"):
        write_figures(results_of("a", "b"), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_writing_again_leaves_complete_files_only(tmp_path: Path, unrendered: None) -> None:
    results = results_of("a", "b")
    first = {path: path.read_bytes() for path in write_figures(results, tmp_path)}
    for path in first:
        path.write_bytes(b"half")
    assert {path: path.read_bytes() for path in write_figures(results, tmp_path)} == first
    assert names_in(tmp_path) == sorted(path.name for path in first)
