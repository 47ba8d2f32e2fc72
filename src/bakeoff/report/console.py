"""What the terminal shows: progress on stderr while a run goes on, summary and samples after it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import wrap

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bakeoff.records import Interval, PairSummary, Prompt, Results, Spread

Show = Callable[[str, str, int, int, int], None]

_SHOWN = 500  # characters of a text in a sample
_DOES = {"completion": "completes", "judgment": "judges"}


@contextmanager
def live(console: Console) -> Iterator[Show]:
    """Yields `show(stage, who, done, failed, total)`: a bar each; on a pipe a line at the end."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
    )
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    bars = {}

    def show(stage: str, who: str, done: int, failed: int, total: int) -> None:
        words = f"{failed} failed" if failed else ""
        if (stage, who) not in bars:
            label = f"{who} {_DOES[stage]}"
            bars[stage, who] = progress.add_task(label, total=total, failed=words)
            progress.start()  # not before: a model that is fetched first has a bar of its own
        progress.update(bars[stage, who], completed=done, failed=words)
        if not console.is_terminal and done == total:
            console.print(Text(f"{who} {_DOES[stage]}: {done}/{total} {words}".rstrip()))

    try:
        yield show
    finally:
        progress.stop()


def print_results(console: Console, results: Results, samples: int) -> None:
    """The summary in the guide's shape, a block for each two models; then some sample prompts."""
    _print_failures(console, results)
    for pair in results.summary.pairs:
        _print_pair(console, results, pair)
    for note in results.summary.notes:
        _print_wrapped(console, f"Note: {note}", style="yellow")
    for prompt in results.prompts[:samples]:
        _print_sample(console, results, prompt)


def _print_pair(console: Console, results: Results, pair: PairSummary) -> None:
    asked = pair.accounting
    difference = pair.score_difference
    blocks: dict[str, list[str]] = {
        "Model Comparison Summary": [
            f"Model 1: {pair.a}",
            f"Model 2: {pair.b}",
            f"Judge Model: {', '.join(_judges(results))}",
            f"Total Comparisons: {pair.prompts}",
        ],
        "Win Rates": [
            f"Model 1: {_share(pair.wins, pair.prompts)} ({pair.wins} wins)",
            f"Model 2: {_share(pair.losses, pair.prompts)} ({pair.losses} wins)",
            f"Ties: {_share(pair.ties, pair.prompts)} ({pair.ties})",
            f"Model 1, ties half, over prompts: {_interval(pair.win_rate)}",
        ],
        "Average Scores (0-1)": [
            f"Model 1: {_spread(pair.scores_a)}",
            f"Model 2: {_spread(pair.scores_b)}",
        ],
        "Score Analysis": [
            f"Average difference: {_spread(difference)}",
            f"Model 1 better {pair.scored_better} times, worse {pair.scored_worse}, "
            f"equal {pair.scored_equal}",
        ],
        "Judge": [
            f"Same winner in both orders: {_percent(pair.consistency)}; "
            f"opposite winners: {_percent(pair.flipped)}",
            f"The completion shown first won: {_percent(pair.pick_first)}",
            f"Verdicts: {asked.asked} asked = {asked.judged} judged + {asked.failed} failed",
        ],
        "Overall winner": [pair.verdict],
    }
    if difference is None:
        blocks["Average Scores (0-1)"] = ["none: this judge says which is better, not how good"]
        del blocks["Score Analysis"]
    for title, lines in blocks.items():
        console.print(Text(title, style="bold"))
        for line in lines:
            _print_wrapped(console, line, indent="  ")
    console.print()


def _print_failures(console: Console, results: Results) -> None:
    failures = results.failures
    if failures:
        first = failures[0]
        words = f"{len(failures)} failed, the first: {first.who}: {first.message}"
        console.print(Text(f"{words} (run again to retry)\n", style="bold red"))


def _print_sample(console: Console, results: Results, prompt: Prompt) -> None:
    console.rule(Text(f"sample {prompt.id}"), style="dim")
    console.print(Text(f"Prompt: {_short(prompt.messages[-1].content)}"))
    for authored in results.completions:
        if authored.prompt_id == prompt.id:
            console.print(Text(f"\n{authored.model}:", style="bold"))
            console.print(Text(_short(authored.completion.text) or "(empty)"))
    console.print()
    for judgment in results.judgments:
        if judgment.prompt_id == prompt.id:
            verdict = judgment.verdict
            scores = verdict.scores and f", scores {verdict.scores[0]:g} and {verdict.scores[1]:g}"
            console.print(
                Text(
                    f"{judgment.judge}: {judgment.first} shown first is better with probability "
                    f"{verdict.first:.2f}{scores or ''}. {_short(verdict.reason)}".rstrip(),
                    style="dim",
                )
            )


def _print_wrapped(console: Console, line: str, *, indent: str = "", style: str = "") -> None:
    """A line that keeps its indent where it has to be broken."""
    broken = wrap(line, console.width, initial_indent=indent, subsequent_indent=indent + "  ")
    console.print(Text("\n".join(broken), style=style))


def _judges(results: Results) -> list[str]:
    return list(dict.fromkeys(judgment.judge for judgment in results.judgments)) or ["none"]


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}%" if total else "-"


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{100 * share:.1f}%"


def _spread(spread: Spread | None) -> str:
    return f"{spread.mean:.3f} ± {spread.sd:.3f}" if spread else "-"


def _interval(rate: Interval | None) -> str:
    if rate is None:
        return "-"
    return f"{100 * rate.estimate:.1f}% [95%: {100 * rate.low:.1f} to {100 * rate.high:.1f}]"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()} [...]"
