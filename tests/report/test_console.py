"""The terminal: the guide's summary, within its width, and no markup of anybody's."""

import io

from rich.console import Console

from bakeoff.records import Results
from bakeoff.report.console import live, print_results
from bakeoff.summary import summarize
from tests.report.sample import results_of
from tests.summary.cases import evidence, judgment, texts


def printed(*, samples: int = 0, **more: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    print_results(console, results_of(**more), samples)  # type: ignore[arg-type]
    return out.getvalue()


def test_the_summary_has_the_guides_blocks_in_their_order() -> None:
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
    ]
    assert "  Model 1: 100.0% (1 wins)" in text
    assert "  Average difference: +0.500 ± 0.000" in text


def test_a_judge_without_scores_has_none_made_up_for_it() -> None:
    text = printed(scores=False)
    assert "none: this judge says which is better" in text
    assert "Score Analysis" not in text


def test_samples_show_both_models_and_the_verdicts_within_the_width() -> None:
    text = printed(samples=2, text="word " * 400 + "[bold]no markup[/bold] ")
    assert text.count("a:\n") == 2
    assert "shown first is better with probability 1.00, scores 8 and 3" in " ".join(text.split())
    assert "[...]" in text
    assert max(map(len, text.splitlines())) <= 80


def test_markup_in_a_text_is_text() -> None:
    assert "[red]x[/red]" in printed(samples=1, text="[red]x[/red]")


def test_on_a_pipe_progress_is_a_line_when_somebody_is_through() -> None:
    out = io.StringIO()
    with live(Console(file=out, width=80)) as show:
        show("completion", "a", 0, 0, 2)
        show("completion", "a", 1, 0, 2)
        show("completion", "a", 2, 1, 2)
        show("judgment", "j", 4, 0, 4)
    assert out.getvalue().splitlines() == ["a completes: 2/2 1 failed", "j judges: 4/4"]


def test_on_a_terminal_progress_is_a_bar() -> None:
    out = io.StringIO()
    with live(Console(file=out, width=80, force_terminal=True)) as show:
        show("completion", "a[b]", 1, 0, 2)
    assert "a[b] completes" in out.getvalue()
    assert "1/2" in out.getvalue()


def test_what_is_wrong_with_a_model_stands_below_one_of_its_pairs_only() -> None:
    empty = [text for model in "abc" for text in texts(model, [""])]
    rows = [judgment(0, one, 0.5, second=two) for one, two in ("ab", "ac", "bc")]
    found = evidence(rows, models=("a", "b", "c"), completions=tuple(empty))
    out = io.StringIO()
    results = Results.of(found, summarize(found), {}, {})
    print_results(Console(file=out, width=200), results, 0)
    assert out.getvalue().count("1 of 1 completions (100 %) are empty") == 3
