"""What the terminal shows of results: the summary in the guide's shape, then sample prompts.

The one door to a terminal: whatever a model, judge, file or server said goes through `visible`
here, and is written in what the terminal's encoding has.
"""

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.text import Text

from bakeoff.environment import keys
from bakeoff.errors import masked, without
from bakeoff.records import (
    Failure,
    Judgment,
    ModelSummary,
    Outcome,
    PairSummary,
    Prompt,
    Results,
)
from bakeoff.report.plain_text import (
    LENIENT,
    LONGEST,
    json_in,
    shortened,
    spelled,
    visible,
    wrapped,
)
from bakeoff.report.text.costs import took
from bakeoff.report.text.summary import Blocks, blocks, ratings

Way = tuple[str, str, str, str, bool | None]  # what to write, what it is, what it needs, its key

_SHOWN = 500  # characters of a text in a sample
_LINES = 12  # and lines
_WINNER = "Overall winner"
_STYLES = {"Red flags": "yellow"}
_OUTCOMES: dict[Outcome, str] = {
    "better": "bold green",
    "worse": "bold green",
    "equivalent": "bold cyan",
    "not enough data": "bold yellow",
    "withheld": "bold yellow",
}


def terminal(*, errors: bool = False, quiet: bool = False) -> Console:
    """Stdout or stderr; nothing is drawn over itself where nobody watches, not even in colour."""
    stream: TextIO = sys.stderr if errors else sys.stdout
    return Console(stderr=errors, quiet=quiet, force_interactive=None if stream.isatty() else False)


def forgive_encodings() -> None:
    """Have stdout and stderr spell out what their encoding lacks, and never fail on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=LENIENT)


def log_to(console: Console) -> None:
    """Have our log lines printed there, above what is drawn; a quiet one wants errors only."""
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    handler.highlighter, handler.keywords = NullHighlighter(), []  # its colours say nothing
    handler.setFormatter(_Visible(console.encoding))
    log = logging.getLogger("bakeoff")
    log.handlers = [handler]
    log.setLevel(logging.ERROR if console.quiet else logging.INFO)
    log.propagate = False


class _Visible(logging.Formatter):
    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        return spelled(visible(_hidden(super().format(record))), self._encoding)


def _hidden(words: str) -> str:
    """Words without what nobody may read."""
    return masked(without(words, keys()))


def print_error(words: str) -> None:
    """One line on stderr, whole."""
    print(f"bakeoff: {one_visible_line(_hidden(words))}", file=sys.stderr)


def print_document(document: str) -> None:
    """A JSON document on stdout, escaped where its encoding lacks a sign."""
    sys.stdout.write(json_in(sys.stdout.encoding or "utf-8", document))


def print_path(console: Console, path: object) -> None:
    """A path on a line of its own: whole, to be copied."""
    text = visible(str(path)).replace("\n", "\\n")
    console.print(Text(spelled(text, console.encoding)), soft_wrap=True)


def print_results(console: Console, results: Results, samples: int) -> None:
    """The summary in the guide's shape, a block for each two models; then some sample prompts."""
    _print_failures(console, results)
    summary = results.summary
    if summary.ratings:
        print_blocks(console, {"Ratings (log-odds)": ratings(summary)})
    told: set[str] = set()  # a model's flags stand below the first pair that it is in
    for pair in summary.pairs:
        new = [m for m in summary.models if m.model in {pair.a, pair.b} - told]
        _print_pair(console, results, pair, new)
        told |= {pair.a, pair.b}
    if lines := took(results):
        print_blocks(console, {"What it took": lines})
    _print_line(console, summary.estimand, style="dim")
    for note in summary.notes:
        _print_line(console, f"Note: {note}", style="yellow")
    for prompt in results.prompts[:samples]:
        _print_sample(console, results, prompt)
    if samples and results.prompts:
        console.print()


def print_blocks(console: Console, found: Blocks, outcome: Outcome | None = None) -> None:
    """Titles, and their lines below them; the winner's line in the colour of its outcome."""
    for title, lines in found.items():
        console.print(Text(title, style="bold"))
        for nth, line in enumerate(lines):
            wins = outcome if title == _WINNER and nth == 0 else None
            style = _OUTCOMES[wins] if wins else _STYLES.get(title, "")
            _print_line(console, line, indent="  ", style=style)
    console.print()


def print_ways(console: Console, ways: Iterable[Way]) -> None:
    """What to write for each model or judge, what it needs, and what it is."""
    for spec, what, needs, key, has_key in ways:
        state = "" if has_key is None else " is set" if has_key else " is not set"
        told = ", ".join(filter(None, (needs, f"{key}{state}" if key else "")))
        ready = needs == "installed" and has_key is not False
        console.print(Text(spec, style="bold green" if ready else "bold"), soft_wrap=True)
        console.print(Text(f"  {told}"), soft_wrap=True)  # whole: a command is there to be copied
        _print_line(console, what, indent="  ", style="dim")


def one_visible_line(words: str) -> str:
    """Anybody's words as one line that does nothing to a terminal."""
    return visible(" ".join(words[:LONGEST].split()))


def _print_pair(
    console: Console, results: Results, pair: PairSummary, models: list[ModelSummary]
) -> None:
    names = list(pair.accounting.by_judge) or ["none"]
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    print_blocks(console, blocks(pair, names, models, checks), pair.outcome)


def _print_failures(console: Console, results: Results) -> None:
    failures = results.failures
    if failures:
        first = failures[0]
        words = f"{len(failures)} failed, the first: {first.participant}: {first.message}"
        again = " (run again to retry)" * ("model" in results.config)  # not in an audit
        _print_line(console, f"{_short(words)}{again}", style="bold red")
        console.print()


def _print_sample(console: Console, results: Results, prompt: Prompt) -> None:
    title = spelled(one_visible_line(prompt.id), console.encoding)
    console.print()
    console.rule(Text(f"sample {shortened(title, 40, '...')}"), style="dim")
    turns = len(prompt.messages)
    heading = "Prompt" if turns == 1 else f"Prompt, the last of {turns} turns"
    _print_text(console, heading, prompt.messages[-1].content)
    for authored in results.completions:
        if authored.prompt_id == prompt.id:
            _print_text(console, authored.model, authored.completion.text or "(empty)")
    failed = [failure for failure in results.failures if failure.prompt_id == prompt.id]
    for failure in failed:
        if failure.stage == "completion":
            _print_text(console, failure.participant, f"(no completion: {failure.message})")
    console.print()
    for line in _verdicts(results, prompt, failed):
        _print_line(console, line)


def _verdicts(results: Results, prompt: Prompt, failed: Iterable[Failure]) -> Iterator[str]:
    """What each judge said on a prompt, a line for each verdict that was wanted."""
    two = len(results.summary.models) == 2
    for one in results.judgments:
        if one.prompt_id == prompt.id:
            yield f"{one.judge}, {_shown(one, two)}: {_said(one)}. {_short(one.verdict.reason)}"
    for failure in failed:
        if failure.stage == "judgment":
            shown, message = _shown(failure, two), _short(failure.message)
            yield f"{failure.participant}, {shown}: no verdict: {message}"


def _shown(one: Judgment | Failure, two: bool) -> str:
    """Who was shown how, in a word or two where there are only two models."""
    again = f", repeat {one.repeat + 1}" if one.repeat else ""
    if isinstance(one, Judgment) and one.presented != "recorded":
        how = "each alone" if one.presented == "apart" else "order not known"
        return f"{one.first} and {one.second}, {how}{again}"
    return f"{one.first} shown first{'' if two else f', {one.second} second'}{again}"


def _said(one: Judgment) -> str:
    """Who is better in a verdict, by which scores: the better one's stand first."""
    verdict = one.verdict
    winner = one.first if verdict.first > 0.5 else one.second
    words = "tie" if verdict.first == 0.5 else f"{winner} better"
    if verdict.first not in (0, 0.5, 1):
        words += f" with probability {max(verdict.first, 1 - verdict.first):.2f}"
    if verdict.scores is None:
        return words
    scores = verdict.scores if verdict.first >= 0.5 else verdict.scores[::-1]
    return f"{words}, {scores[0]:g} to {scores[1]:g}"


def _print_text(console: Console, heading: str, text: str) -> None:
    """A heading, and below it a text with its own line breaks, as much as a sample shows."""
    console.print()
    _print_line(console, heading, style="bold")
    for line in visible(_short(text)).split("\n"):
        _print_line(console, line, indent="  ", hanging="  ")


def _print_line(
    console: Console, line: str, *, indent: str = "", hanging: str = "", style: str = ""
) -> None:
    """One line of anybody's words that keeps its indent where it has to be broken."""
    text = visible(line[: LONGEST + 1]).replace("\n", " ")
    pieces = wrapped(
        spelled(text, console.encoding),
        console.width,
        indent=indent,
        hanging=hanging or indent + "  ",
    )
    console.print(Text("\n".join(pieces), style=style), soft_wrap=True)


def _short(text: str) -> str:
    lines = text[:_SHOWN].rstrip().split("\n")
    cut = len(text.rstrip()) > _SHOWN or len(lines) > _LINES
    return "\n".join(lines[:_LINES]) + " [...]" * cut
