"""The terminal report: the guide's summary, its width, and texts without markup."""

import io
import logging
import re
import sys
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.console import Console

from bakeoff.analysis.summarize import summarize
from bakeoff.records import Failure, Judgment, Results, Scores
from bakeoff.report.plain_text import transliterate_output
from bakeoff.report.terminal import (
    log_to,
    make_console,
    print_backends,
    print_error,
    print_json,
    print_path,
    print_results,
)
from tests.builders import make_results, sample_results
from tests.unit.analysis.builders import evidence, failure, judgment, texts, won
from tests.unit.report.test_plain_text import ANY, EVIL, acts


def printed(*, samples: int = 0, **more: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    print_results(console, sample_results(**more), samples)  # type: ignore[arg-type]
    return out.getvalue()


def test_the_summary_has_the_sections_of_the_guide_in_order() -> None:
    text = printed()
    lines = text.partition("\n\nA win rate is")[0].splitlines()
    blocks = [line for line in lines if line and not line.startswith(" ")]
    assert blocks == [
        "2 failed, the first: j: Hello. (run again to retry)",
        "Model Comparison Summary",
        "Win Rates",
        "Average Scores (0-1)",
        "Score Analysis",
        "Judge card",
        "By tag",
        "Red flags",
        "Overall winner",
        "What it took",
    ]
    assert "  Model 1: 100.0% (1 wins)" in text
    assert "  Average difference: +0.500 ± 0.000" in text


def test_no_scores_are_shown_for_a_judge_without_scores() -> None:
    text = printed(scores=False)
    assert "none: this judge says which is better" in text
    assert "Score Analysis" not in text


def test_samples_show_both_models_and_the_verdicts_within_the_width() -> None:
    text = printed(samples=2, text="word " * 400 + "[bold]no markup[/bold] ")
    assert text.count("\na\n") == text.count("\nb\n") == 2
    words = " ".join(text.split())
    assert "j, a shown first: a better, 8 to 3. word" in words
    assert "j, b shown first: a better, 8 to 3. word" in words
    assert "j, a shown first: no verdict: word" in words
    assert "Prompt, the last of 3 turns" in text
    assert "[...]" in text
    assert max(map(len, text.splitlines())) <= 80


def verdicts(rows: Sequence[Judgment | Failure], models: str = "ab") -> list[str]:
    """The printed verdicts of a sample of one prompt."""
    kept = tuple(row for row in rows if isinstance(row, Failure))
    data = evidence(
        [row for row in rows if isinstance(row, Judgment)], models=tuple(models), failures=kept
    )
    out = io.StringIO()
    print_results(Console(file=out, width=300), make_results(data), 1)
    return out.getvalue().rpartition("Prompt\n")[2].splitlines()


def test_a_sample_verdict_is_one_line() -> None:
    rows = [
        judgment(0, "a", 1.0, reason="Clear."),
        judgment(0, "b", 0.25, scores=Scores(6, 8.5), reason="Two\nlines."),
        judgment(0, "a", 0.5, scores=Scores(7, 7), repeat=1),
        judgment(0, "a", 0.0, judge="k", presented="pointwise"),
        judgment(0, "a", 0.0, judge="l", presented="unknown"),
        failure("p0", repeat=2, message="no\x1bthing"),
    ]
    lines_ = verdicts(rows)
    for line in (
        "j, a shown first: a better. Clear.",
        "j, b shown first: a better with probability 0.75, 8.5 to 6. Two lines.",
        "j, a shown first, repeat 2: tie, 7 to 7.",
        "k, a and b, each alone: b better.",
        "l, a and b, order not known: b better.",
        "j, a shown first, repeat 3: no verdict: no\\x1bthing",
    ):
        assert line in lines_


def test_samples_of_three_models_name_both_positions() -> None:
    rows = [judgment(0, first, 1.0, second=second) for first, second in ("ab", "ac", "bc")]
    lost = Failure(
        stage="completion", prompt_id="p0", participant="c", kind="backend", message="gone"
    )
    lines_ = verdicts([*rows, lost], "abc")
    assert "j, a shown first, b second: a better." in lines_
    assert lines_[lines_.index("c") + 1] == "  (no completion: gone)"


def test_three_models_have_ratings_above_their_pairs() -> None:
    rows = [
        judgment(n, winner, 1.0, second=loser)
        for n in range(20)
        for winner, loser in ("ab", "ac", "bc")
    ]
    data = evidence(rows, models=("a", "b", "c"))
    summary = summarize(data)
    out = io.StringIO()
    print_results(Console(file=out, width=80), Results.of(data, summary, {}, {}), 0)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Ratings (log-odds)"
    models_ = [line.split(":")[0] for line in lines if re.match(r"  \d\. ", line)]
    assert models_ == [
        f"  {place}. {winner.model}" for place, winner in enumerate(summary.ratings, 1)
    ]
    assert "Ratings" not in printed()


def coloured(results: Results, **env: str) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=80, force_terminal=True, color_system="standard", _environ=env
    )
    print_results(console, results, 0)
    return out.getvalue()


def test_colors_show_the_outcome_and_red_flags() -> None:
    better, unsure = (make_results(data) for data in (evidence(won(30, 5)), evidence(won(6, 5))))
    assert "\x1b[1;32m  a is better than b" in coloured(better)
    assert "\x1b[1;33m  Not enough data" in coloured(unsure)
    assert "\x1b[33m" in coloured(sample_results())  # red flags
    bare = coloured(better, NO_COLOR="1")
    assert "\x1b[1m  a is better than b" in bare
    assert "32m" not in bare


@given(ANY)
def test_no_untrusted_text_controls_the_terminal(text: str) -> None:
    out = io.StringIO()
    print_results(Console(file=out, width=60), sample_results(text or "-"), 2)
    assert not [char for char in out.getvalue() if acts(char) and char != "\n"]
    assert max(map(cell_len, out.getvalue().split("\n"))) <= 60


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_fits_every_encoding_and_width(encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)  # strict
    print_results(Console(file=out, width=80), sample_results(EVIL + "日本 ± … é"), 2)
    out.flush()
    text = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert ("±" if encoding != "ascii" else "+/-") in text
    assert max(map(len, text.splitlines())) <= 80


def test_long_texts_in_samples_are_truncated() -> None:
    for text in ("x" * 1_000_000, "\n" * 400, "\x1b[2J" * 200_000):
        assert printed(samples=1, text=text).count("\n") < 300


def ascii_streams(monkeypatch: pytest.MonkeyPatch) -> tuple[io.BytesIO, io.BytesIO]:
    """The bytes written to stdout and stderr, which are ASCII streams during the test."""
    raw = io.BytesIO(), io.BytesIO()
    for name, raw_stream in zip(("stdout", "stderr"), raw, strict=True):
        stream = io.TextIOWrapper(raw_stream, encoding="ascii", write_through=True)
        monkeypatch.setattr(sys, name, stream)
    return raw


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The package's logger; its handlers are restored after the test."""
    ours = logging.getLogger("bakeoff")
    level = ours.level
    monkeypatch.setattr(ours, "handlers", [])
    monkeypatch.setattr(ours, "propagate", True)
    yield ours
    ours.setLevel(level)


def test_errors_logs_and_paths_are_escaped(
    monkeypatch: pytest.MonkeyPatch, log: logging.Logger
) -> None:
    streams = ascii_streams(monkeypatch)
    transliterate_output()
    log_to(make_console(errors=True))
    log.getChild("x").warning("é %s [red]x[/red]", EVIL)
    print_error(f"no\nsuch ± {EVIL}")
    print_path(make_console(), f"out/日{EVIL}")
    print_path(make_console(), "a  b\n")
    print("±")  # output of other code
    out, errors = (stream.getvalue().decode("ascii") for stream in streams)
    assert not [char for char in out + errors if acts(char) and char != "\n"]
    assert "\\xe9" in errors
    assert "[red]x[/red]" in errors
    assert "bakeoff: no such +/- \\x00" in errors
    assert out.startswith("out/\\u65e5\\x00")
    assert out.endswith("\na  b\\n\n+/-\n")


def test_a_quiet_console_logs_errors_only(log: logging.Logger) -> None:
    log_to(Console(quiet=True))
    assert not log.getChild("generators").isEnabledFor(logging.WARNING)
    log_to(Console())
    assert log.getChild("generators").isEnabledFor(logging.INFO)


def test_printed_json_is_valid_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = ascii_streams(monkeypatch)
    results = sample_results("± 日 😀")
    print_json(results.to_json())
    assert Results.model_validate_json(streams[0].getvalue()) == results


def test_backend_specs_are_not_wrapped() -> None:
    out = io.StringIO()
    command = "pip install " + "x" * 90
    ways = [("a:NAME", "what " * 40, command, "A_KEY", False), ("b", "it", "installed", "", None)]
    print_backends(Console(file=out, width=60), ways)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["a:NAME", f"  {command}, A_KEY is not set"]
    assert max(map(len, lines[2:])) <= 60
    assert lines[-3:] == ["b", "  installed", "  it"]


def test_rich_markup_in_a_text_is_not_interpreted() -> None:
    assert "[red]x[/red]" in printed(samples=1, text="[red]x[/red]")


def test_flags_of_a_model_are_printed_with_its_first_pair_only() -> None:
    empty = [text for model in "abc" for text in texts(model, [""])]
    rows = [judgment(0, first, 0.5, second=second) for first, second in ("ab", "ac", "bc")]
    data = evidence(rows, models=("a", "b", "c"), completions=tuple(empty))
    out = io.StringIO()
    results = make_results(data)
    print_results(Console(file=out, width=200), results, 0)
    assert out.getvalue().count("1 of 1 completions (100 %) are empty") == 3
