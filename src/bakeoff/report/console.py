"""What the terminal shows: progress on stderr while a run goes on, summary and samples after it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from textwrap import wrap

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bakeoff.records import ModelSummary, PairSummary, Prompt, Results
from bakeoff.report.blocks import Blocks, blocks

Show = Callable[[str, str, int, int, int], None]
Way = tuple[str, str, str, str, bool | None]  # what to write, what it is, what it needs, its key

_SHOWN = 500  # characters of a text in a sample
_STYLES = {"Red flags": "yellow"}
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
    told: set[str] = set()  # a model's flags stand below the first pair that it is in
    for pair in results.summary.pairs:
        new = [m for m in results.summary.models if m.model in {pair.a, pair.b} - told]
        _print_pair(console, results, pair, new)
        told |= {pair.a, pair.b}
    _print_wrapped(console, results.summary.estimand, style="dim")
    for note in results.summary.notes:
        _print_wrapped(console, f"Note: {note}", style="yellow")
    for prompt in results.prompts[:samples]:
        _print_sample(console, results, prompt)


def print_blocks(console: Console, found: Blocks) -> None:
    """Titles, and their lines below them."""
    for title, lines in found.items():
        console.print(Text(title, style="bold"))
        for line in lines:
            _print_wrapped(console, line, indent="  ", style=_STYLES.get(title, ""))
    console.print()


def print_ways(console: Console, ways: Iterable[Way]) -> None:
    """What to write for each model or judge, what it needs, and what it is."""
    for spec, what, needs, key, has_key in ways:
        state = "" if has_key is None else " is set" if has_key else " is not set"
        told = ", ".join(filter(None, (needs, f"{key}{state}" if key else "")))
        ready = needs == "installed" and has_key is not False
        console.print(Text(spec, style="bold green" if ready else "bold"), soft_wrap=True)
        console.print(Text(f"  {told}"), soft_wrap=True)  # whole: a command is there to be copied
        _print_wrapped(console, what, indent="  ", style="dim")


def _print_pair(
    console: Console, results: Results, pair: PairSummary, models: list[ModelSummary]
) -> None:
    names = list(pair.accounting.by_judge) or ["none"]
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    print_blocks(console, blocks(pair, names, models, checks))


def _print_failures(console: Console, results: Results) -> None:
    failures = results.failures
    if failures:
        first = failures[0]
        words = f"{len(failures)} failed, the first: {first.who}: {first.message}"
        again = " (run again to retry)" * ("model" in results.config)  # not in an audit
        console.print(Text(f"{words}{again}\n", style="bold red"))


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
    broken = wrap(
        line,
        console.width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,  # names of models are to be found again
    )
    console.print(Text("\n".join(broken), style=style))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()} [...]"
