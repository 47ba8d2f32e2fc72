import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import summarize
from bakeoff.records import HUMAN_PREFIX, Evidence, Judgment, Results, Scores
from bakeoff.report.charts import Chart, pair_charts, summary_charts, theme
from bakeoff.report.charts.drawing import display_name, percent, signed
from bakeoff.report.charts.lengths import MAX_POINTS
from bakeoff.report.charts.rates import MAX_LOOKS
from bakeoff.stats.sequential import mean_confidence_sequence
from tests.builders import make_completion, make_results
from tests.marks import examples, long
from tests.unit.analysis.builders import both, evidence, failure, judgment, prompt, rows, texts, won

PAIR = ["win-rate", "score-differences", "slices", "sequence", "order", "length", "agreement"]
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "a'b\"c\\",
    "datum.x[0].y",
    "\u202eevil",
    "مدل زبان",
    "{{7*7}} ${x} %s",
    "line\nbreak\ttab\x00\ud800",
    " ",
    "m" * 300,
]
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(")


def rich(
    count: int = 60, models: tuple[str, ...] = ("a", "b"), tags: tuple[str, ...] = ("x", "y")
) -> Evidence:
    """Two judges in both orders with scores, people, texts of many lengths, and tags."""
    rng = random.Random(7)
    judgments: list[Judgment] = []
    for number in range(count):
        for index, first in enumerate(models):
            for second in models[index + 1 :]:
                for judge in ("j", "k"):
                    judgments += verdicts_of(rng, number, judge, (first, second))
                if number % 3 == 0:
                    votes = judgment(number, first, float(rng.random() < 0.6), second=second)
                    judgments.append(votes.model_copy(update={"judge": "ann"}))
    completions = [
        make_completion(f"p{n}", m, "x" * rng.randint(1, 900)) for n in range(count) for m in models
    ]
    prompts = [prompt(n, tags=[rng.choice(tags)]) for n in range(count)]
    rng.shuffle(prompts)
    more = {"prompts": tuple(prompts), "completions": tuple(completions)}
    return evidence(judgments, models, origins={"ann": f"{HUMAN_PREFIX}ann"}, **more)


def verdicts_of(
    rng: random.Random, number: int, judge: str, names: tuple[str, str]
) -> Iterator[Judgment]:
    value = rng.choice([0.0, 0.5, 1.0, 1.0])
    for first, second, preference in (
        (*names, value),
        (*reversed(names), rng.choice([1 - value, 0.5])),
    ):
        scores = Scores(5 + round((2 * preference - 1) * rng.randint(1, 4)), 5)
        yield judgment(number, first, preference, second=second, judge=judge, scores=scores)


def charts_of(data: Evidence, pair: int = 0) -> dict[str, Chart]:
    summary = summarize(data)
    order = [prompt.id for prompt in data.prompts]
    pair_data = build_pair_data(data, AnalysisConfig())[pair]
    return pair_charts(summary.pairs[pair], pair_data, order) | summary_charts(summary)


def data_of(chart: Chart, field: str) -> list[dict[str, Any]]:
    """The first rows of a spec that have this field."""
    spec: dict[str, Any] = chart.spec
    written = [layer["data"] for layer in [spec, *spec["layer"]] if "data" in layer]
    return next(values["values"] for values in written if field in values["values"][0])


def svg_of(chart: Chart, *, dark: bool = False, width: int = 480) -> str:
    config = theme(dark=dark)
    return vl_convert.vegalite_to_svg({**chart.spec, "width": width}, config=config)


RICH = charts_of(rich())
WHOLE = summary_charts(summarize(rich(30, ("a", "b", "c"))))
EVERY = RICH | WHOLE


def test_a_rich_pair_has_every_chart_and_three_models_have_two_more() -> None:
    assert list(RICH) == PAIR
    assert list(WHOLE) == ["ratings", "pairs"]
    assert all(name == chart.name for name, chart in EVERY.items())


@pytest.mark.parametrize("name", EVERY)
def test_specs_are_valid_vega_lite_and_render_in_both_themes(
    name: str,
) -> None:
    chart = EVERY[name]
    alt.LayerChart.from_dict(chart.spec)  # against the schema of Vega-Lite
    light, dark = svg_of(chart), svg_of(chart, dark=True)
    theme_colors = {
        mode: set(re.findall(COLOUR, json.dumps(theme(dark=mode)))) for mode in (False, True)
    }
    mixed = re.compile(r"(?:fill|stroke)=\"(#[0-9a-f]{6})\"")
    for svg, ours, theirs in (
        (light, theme_colors[False], theme_colors[True]),
        (dark, theme_colors[True], theme_colors[False]),
    ):
        used = set(mixed.findall(svg))
        assert used & ours
        assert not used & (theirs - ours)
        assert used <= ours, used - ours  # Vega's own blue and black are of neither


@pytest.mark.parametrize("name", EVERY)
def test_specs_have_no_color_url_or_config_and_the_width_of_their_container(
    name: str,
) -> None:
    spec = EVERY[name].spec
    assert not COLOUR.search(json.dumps(spec))
    assert not {"config", "$schema", "usermeta", "datasets", "background"} & spec.keys()
    assert '"url"' not in json.dumps(spec)
    assert spec["width"] == "container"
    assert spec["autosize"] == {"type": "fit-x", "contains": "padding"}
    for width in (320, 900):
        assert f'width="{width}"' in svg_of(EVERY[name], width=width)[:200]


@pytest.mark.parametrize("name", EVERY)
def test_charts_have_a_description_and_a_short_table(name: str) -> None:
    chart = EVERY[name]
    assert re.search(r"\d", chart.description)
    assert chart.description.endswith(".")
    assert chart.spec["description"] == chart.description
    assert 0 < len(chart.table.rows) <= 50
    assert all(len(row) == len(chart.table.columns) for row in chart.table.rows)


def test_charts_without_data_are_omitted() -> None:
    assert list(charts_of(evidence(won(3, 2)))) == ["win-rate", "sequence", "order"]
    assert list(charts_of(evidence([judgment(0, "a", 0.5)]))) == ["win-rate"]
    assert list(charts_of(evidence(both(0, 1.0)))) == ["win-rate", "order"]
    unknown = [judgment(n, "a", 1.0, presented="unknown") for n in range(3)]
    assert list(charts_of(evidence(unknown))) == ["win-rate", "sequence"]
    clusters = tuple(prompt(n, tags=["cluster:one"]) for n in range(5))
    assert "sequence" not in charts_of(evidence(won(3, 2), prompts=clusters))


def test_a_pair_without_verdicts_has_no_chart() -> None:
    data = evidence([], prompts=(prompt(0),), failures=(failure("p0"),))
    assert charts_of(data) == {}


@examples(12)
@given(rows)
def test_the_bar_is_all_prompts_and_the_point_is_the_win_rate(judgments: list[Judgment]) -> None:
    data = evidence(judgments)
    pair = summarize(data).pairs[0]
    chart = charts_of(data)["win-rate"]
    counts = {row[0]: row[1] for row in chart.table.rows}
    assert (counts["a wins"], counts["tie"], counts["b wins"]) == (
        pair.wins,
        pair.ties,
        pair.losses,
    )
    parts = data_of(chart, "side")
    assert math.isclose(sum(row["high"] - row["low"] for row in parts), 1)
    assert all(low["high"] == high["low"] for low, high in pairwise(parts))
    point, rate = data_of(chart, "what")[0], pair.win_rate
    assert rate is not None
    assert (point["at"], point["low"], point["high"]) == (rate.estimate, rate.low, rate.high)
    assert percent(rate.estimate) in chart.description


@examples(4)
@given(rows)
def test_swapping_the_models_mirrors_every_chart(judgments: list[Judgment]) -> None:
    ours = charts_of(evidence(judgments))
    theirs = charts_of(evidence(judgments, models=("b", "a")))
    assert list(ours) == list(theirs)
    turned = {"a": "b", "b": "a", "tie": "tie"}

    def parts(chart: Chart) -> dict[str, str]:
        return {row["side"]: row["count"] for row in data_of(chart, "share")}

    assert parts(ours["win-rate"]) == {
        turned[side]: count for side, count in parts(theirs["win-rate"]).items()
    }
    if "score-differences" in ours:
        bins = [data_of(side["score-differences"], "count") for side in (ours, theirs)]
        rows_by_side = [
            sorted((r["low"], r["high"], r["side"], r["count"]) for r in side) for side in bins
        ]
        back = sorted((-h + 0.0, -low + 0.0, turned[s], c) for low, h, s, c in rows_by_side[1])
        assert rows_by_side[0] == back
    if "sequence" in ours:
        for left, right in zip(
            *(data_of(side["sequence"], "n") for side in (ours, theirs)), strict=True
        ):
            assert math.isclose(left["low"], 1 - right["high"], abs_tol=1e-4)


@examples(4)
@given(rows, st.randoms(use_true_random=False))
def test_the_last_look_includes_all_prompts(judgments: list[Judgment], rng: random.Random) -> None:
    data = evidence(judgments)
    prompts = list(data.prompts)
    rng.shuffle(prompts)
    data = data.model_copy(update={"prompts": tuple(prompts)})
    pair, charts = summarize(data).pairs[0], charts_of(data)
    assert ("sequence" in charts) == (pair.prompts > 1)
    if "sequence" in charts:
        looks = data_of(charts["sequence"], "n")
        last = mean_confidence_sequence(build_pair_data(data, AnalysisConfig())[0].preferences)
        assert looks[-1]["n"] == pair.prompts
        assert (looks[-1]["low"], looks[-1]["high"]) == (round(last.low, 4), round(last.high, 4))
        assert looks[-1]["share"] == round(last.estimate, 4)


def test_looks_follow_the_order_of_the_run() -> None:
    data = evidence(won(2, 1), prompts=(prompt(2), prompt(0), prompt(1)))
    looks = data_of(charts_of(data)["sequence"], "n")
    assert [row["share"] for row in looks] == [0, 0.5, 0.6667]


def test_bins_contain_every_scored_prompt() -> None:
    data = rich()
    pair, bins = summarize(data).pairs[0], data_of(RICH["score-differences"], "count")
    counts: dict[str, int] = defaultdict(int)
    for row in bins:
        counts[row["side"]] += row["count"]
        assert row["to"] - row["from"] == row["count"]
        middle = (row["low"] + row["high"]) / 2
        assert row["side"] == ("a" if middle > 1e-9 else "b") or abs(middle) < 1e-9
    totals = (counts["a"], counts["b"], counts["tie"])
    assert totals == (pair.scored_better, pair.scored_worse, pair.scored_equal)
    assert pair.score_difference
    assert data_of(RICH["score-differences"], "what")[0]["at"] == (
        pair.score_difference.value.estimate
    )


def test_integer_scores_have_bins_of_one_point() -> None:
    judgments = [
        judgment(n, "a", 1.0, scores=Scores(score, 5)) for n, score in enumerate((5, 6, 8, 3))
    ]
    bins = data_of(charts_of(evidence(judgments))["score-differences"], "count")
    assert [(row["low"], row["high"]) for row in bins] == [
        (-0.25, -0.15),
        (-0.05, 0.05),
        (0.05, 0.15),
        (0.25, 0.35),
    ]


def test_the_line_is_the_means_of_groups_and_the_point_the_rate_at_equal_length() -> None:
    data = rich()
    controls = summarize(data).pairs[0].controls
    assert controls
    assert controls.rate
    pair_data = build_pair_data(data, AnalysisConfig())[0]
    gaps = np.array([len(x[0].text) - len(y[0].text) for _, x, y in pair_data.paired_completions()])
    groups = np.array_split(np.argsort(gaps, kind="stable"), 5)
    line = [(row["d"], row["rate"]) for row in data_of(RICH["length"], "percent")]
    for group, (d, rate) in zip(groups, line, strict=True):
        assert math.isclose(d, gaps[group].mean(), abs_tol=0.1)
        assert math.isclose(rate, pair_data.preferences[group].mean(), abs_tol=1e-3)
    marked = data_of(RICH["length"], "value")[0]
    assert marked["d"] == 0
    assert (marked["rate"], marked["low"]) == (controls.rate.estimate, controls.rate.low)


def test_points_are_at_the_lengths_and_preferences_of_the_prompts() -> None:
    pair_data = build_pair_data(rich(), AnalysisConfig())[0]
    expected = sorted(
        (len(x[0].text) - len(y[0].text), round(float(pair_data.preferences[i]), 3))
        for i, x, y in pair_data.paired_completions()
    )
    points = data_of(RICH["length"], "v")
    assert sorted((row["d"], row["v"]) for row in points) == expected
    assert all(abs(row["y"] - row["v"]) <= 0.026 for row in points)


def test_win_rates_by_order_differ_by_the_order_effect() -> None:
    order = summarize(rich()).pairs[0].order
    lines = {row["name"]: row["at"] for row in data_of(RICH["order"], "name")}
    assert order.effect
    assert order.pick_first
    gap = lines["shown first"] - lines["shown second"]
    assert math.isclose(gap, order.effect.estimate, abs_tol=1e-9)
    assert lines["either shown first"] == order.pick_first.estimate


def test_the_largest_slices_are_shown_and_the_rest_is_counted() -> None:
    tags = tuple(f"tag {n}" for n in range(30))
    data = rich(200, tags=tags)
    pair = summarize(data).pairs[0]
    chart = charts_of(data)["slices"]
    lines = data_of(chart, "name")
    assert [row["name"] for row in lines] == ["all prompts", *(s.tag for s in pair.slices[:20])]
    assert [row["at"] for row in lines[1:]] == [s.win_rate.estimate for s in pair.slices[:20]]
    assert f"{len(pair.slices) - 20} smaller tags are left out" in chart.description


def test_agreement_is_the_share_of_equal_winners() -> None:
    data = evidence([*won(4, 0), *won(3, 1, judge="k")])
    chart = charts_of(data)["agreement"]
    assert chart.table.rows == (("j", "k", "75.0 %", 4),)
    assert {row["share"] for row in data_of(chart, "share")} == {0.75}
    people = evidence(
        [*won(4, 0), judgment(0, "a", 1.0, judge="ann"), judgment(1, "a", 0.0, judge="ann")],
        origins={"ann": f"{HUMAN_PREFIX}ann"},
    )
    assert charts_of(people)["agreement"].table.rows == (("j", "people", "50.0 %", 2),)


def test_the_matrix_has_both_cells_of_each_pair_strongest_first() -> None:
    summary = summarize(rich(30, ("c", "a", "b")))
    cells = {
        (row["row"], row["column"]): row
        for row in data_of(summary_charts(summary)["pairs"], "share")
    }
    assert len(cells) == 6
    for pair in summary.pairs:
        assert pair.win_rate
        there, back = cells[pair.a, pair.b], cells[pair.b, pair.a]
        assert math.isclose(there["share"], pair.win_rate.estimate, abs_tol=1e-6)
        assert math.isclose(there["share"] + back["share"], 1, abs_tol=2e-6)
        assert there["outcome"] == pair.outcome
    strengths = [row.strength.estimate for row in summary.ratings]
    assert strengths == sorted(strengths, reverse=True)


def test_strengths_have_ranks_and_groups_if_the_results_do() -> None:
    summary = summarize(rich(30, ("c", "a", "b")))
    chart = summary_charts(summary)["ratings"]
    rows = data_of(chart, "group")
    assert [row["group"] for row in rows] == [rating.group for rating in summary.ratings]
    for row, rating in zip(rows, summary.ratings, strict=True):
        assert rating.ranks
        low, high = rating.ranks
        assert row["n"] == (f"{low}" if low == high else f"{low} to {high}")
    assert chart.table.columns == ("Model", "Strength", "95 % interval", "Rank", "Group")
    assert [line[3:] for line in chart.table.rows] == [(row["n"], row["group"]) for row in rows]
    assert chart.description.endswith("Two models that share a letter are not surely different.")
    old = tuple(
        rating.model_copy(update={"ranks": None, "group": None}) for rating in summary.ratings
    )
    plain = summary_charts(summary.model_copy(update={"ratings": old}))["ratings"]
    assert plain.table.columns == ("Model", "Strength", "95 % interval", "Rank")
    assert [line[3] for line in plain.table.rows] == ["1", "2", "3"]
    assert "letter" not in plain.description


def test_an_unidentified_strength_has_no_interval() -> None:
    rows = [
        row
        for n in range(30)
        for winner, loser in ("ab", "ac", "bc")
        for row in (judgment(n, winner, 1.0, second=loser), judgment(n, loser, 0.0, second=winner))
    ]
    chart = summary_charts(summarize(evidence(rows, ("a", "b", "c"))))["ratings"]
    assert [line[2] for line in chart.table.rows] == ["none"] * 3


def test_two_models_have_no_summary_charts() -> None:
    assert summary_charts(summarize(rich())) == {}


PLAIN = charts_of(rich(6, ("a", "b", "c")))


@pytest.mark.parametrize("at", [0, *long(range(3, len(HOSTILE), 3))])
def test_hostile_names_are_only_data(at: int) -> None:
    names = HOSTILE[at : at + 3]
    charts = charts_of(rich(6, tuple(names), tags=tuple(names[1:])))
    assert list(charts) == list(PLAIN)
    for chart, expected in zip(charts.values(), PLAIN.values(), strict=True):
        # The same drawing, but for what its data and its description say.
        assert structure_of(chart.spec) == structure_of(expected.spec)
        svg_of(chart)
    for where in ("win-rate", "slices", "sequence", "order", "length"):
        texts_ = [charts[where].description, *charts[where].table.columns]
        assert any(display_name(names[0]) in text for text in texts_)
    for name in names:
        assert display_name(name) in [row["name"] for row in data_of(charts["ratings"], "name")]


def structure_of(value: Any) -> Any:
    if isinstance(value, dict):
        dropped = ("values", "description", "domain", "range")
        return {key: structure_of(child) for key, child in value.items() if key not in dropped}
    return [structure_of(child) for child in value] if isinstance(value, list) else value


def test_right_to_left_names_are_isolated() -> None:
    assert display_name("model") == "model"
    assert display_name("مدل") == "\u2068مدل\u2069"
    assert display_name("a\nb\x07\ud800") == "a b\ufffd\ufffd"
    assert display_name(" \n") == "(no name)"


def test_a_difference_other_than_0_has_a_sign() -> None:
    signs = [signed(value, 1) for value in (1234.5, -0.25, 0.04, -0.04, 0)]
    assert signs == ["+1,234.5", "\u22120.2", "0.0", "0.0", "0.0"]


def charts_of_random_prompts(count: int) -> dict[str, Chart]:
    """The charts of `count` prompts with random verdicts and texts."""
    rng = random.Random(1)
    values = [rng.choice([0.0, 0.5, 1.0]) for _ in range(count)]
    judgments = [row for n, value in enumerate(values) for row in both(n, value)]
    completions = [texts(m, ["x" * rng.randint(1, 400) for _ in values]) for m in "ab"]
    return charts_of(evidence(judgments, completions=(*completions[0], *completions[1])))


def test_charts_of_many_prompts_have_a_sample_of_points_and_looks() -> None:
    charts = charts_of_random_prompts(MAX_POINTS + 1)
    assert len(data_of(charts["length"], "v")) == MAX_POINTS
    drawn = f"{MAX_POINTS:,} prompts drawn from {MAX_POINTS + 1:,}"
    assert drawn in charts["length"].description
    assert len(data_of(charts["sequence"], "n")) == MAX_LOOKS


@pytest.mark.long
def test_charts_of_ten_thousand_prompts_are_small() -> None:
    charts = charts_of_random_prompts(10_000)
    assert sum(len(json.dumps(chart.spec)) for chart in charts.values()) < 150_000


def test_texts_have_enough_contrast() -> None:
    for dark in (False, True):
        config: dict[str, Any] = theme(dark=dark)
        ground = dict(zip("abt", config["range"]["category"], strict=False))
        style = {
            name: value["color"] for name, value in config["style"].items() if "color" in value
        }
        pairs = [(style["on-a"], ground["a"]), (style["on-b"], ground["b"])]
        pairs += [(style["on-tie"], ground["t"])]
        pairs += [(style["ink"], colour) for colour in config["range"]["diverging"]]
        paper = style["halo"]
        pairs += [(style[name], paper) for name in ("ink", "soft", "name-a", "name-b")]
        assert min(_contrast(*pair) for pair in pairs) >= 4.5


def test_the_sides_differ_in_grayscale() -> None:
    for dark in (False, True):
        config: dict[str, Any] = theme(dark=dark)
        a, b, tie, _ = config["range"]["category"]
        assert _contrast(a, b) > 1.7
        assert _contrast(b, tie) > 1.2
        assert _contrast(a, tie) > 1.7


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_results_and_their_file_give_equal_figures() -> None:
    data = rich()
    results = make_results(data)
    again = Results.model_validate_json(results.to_json())
    pair_data = build_pair_data(again.evidence, AnalysisConfig.from_config(again.config))[0]
    order = [prompt.id for prompt in again.evidence.prompts]
    assert pair_charts(again.summary.pairs[0], pair_data, order) == RICH
