"""Terminal output: the summary of results, sample prompts, errors and log lines.

Control characters in texts of models, judges, files and servers are escaped, and characters that
the terminal's encoding lacks are transliterated.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.text import Text

from bakeoff.config import Config
from bakeoff.config.options import AuditOptions, VoteOptions
from bakeoff.environment import credentials
from bakeoff.records import Failure, Judgment, ModelSummary, Outcome, PairSummary, Prompt, Results
from bakeoff.redact import masked, redact
from bakeoff.report.plain_text import (
    MAX_LINE,
    escape_controls,
    escape_json,
    shorten,
    transliterate,
    wrap_line,
)
from bakeoff.report.text.costs import cost_lines
from bakeoff.report.text.runs import history_lines
from bakeoff.report.text.summary import Sections, baseline_lines, pair_sections, rating_lines

# A spec, its description, how to install it, its key variable, and whether that is set.
BackendRow = tuple[str, str, str, str, bool | None]

_MAX_CHARACTERS = 500  # of a text in a sample
_MAX_LINES = 12
_WINNER = "Overall winner"
_STYLES = {"Red flags": "yellow"}
_OUTCOMES: dict[Outcome, str] = {
    "better": "bold green",
    "worse": "bold green",
    "equivalent": "bold cyan",
    "not enough data": "bold yellow",
    "withheld": "bold yellow",
}


def make_console(*, errors: bool = False, quiet: bool = False) -> Console:
    """A console for stdout or stderr; without colors and live displays if it is not a terminal."""
    stream: TextIO = sys.stderr if errors else sys.stdout
    return Console(stderr=errors, quiet=quiet, force_interactive=None if stream.isatty() else False)


def log_to(console: Console) -> None:
    """Print the log records of bakeoff to a console; only errors if it is quiet."""
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    handler.highlighter, handler.keywords = NullHighlighter(), []
    handler.setFormatter(_SafeFormatter(console.encoding))
    log = logging.getLogger("bakeoff")
    log.handlers = [handler]
    log.setLevel(logging.ERROR if console.quiet else logging.INFO)
    log.propagate = False


class _SafeFormatter(logging.Formatter):
    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        return transliterate(escape_controls(_redacted(super().format(record))), self._encoding)


def _redacted(text: str) -> str:
    """The text without keys and passwords."""
    return masked(redact(text, credentials()))


def print_error(message: str) -> None:
    """Print a message as one line on stderr, without wrapping it."""
    print(f"bakeoff: {single_line(_redacted(message))}", file=sys.stderr)


def print_json(document: str) -> None:
    """Print a JSON document to stdout, with escapes for what its encoding lacks."""
    sys.stdout.write(escape_json(sys.stdout.encoding or "utf-8", document))


def print_path(console: Console, path: object) -> None:
    """Print a path on a line of its own, without wrapping it."""
    text = escape_controls(str(path)).replace("\n", "\\n")
    console.print(Text(transliterate(text, console.encoding)), soft_wrap=True)


def print_outcome(
    results: Results, options: Config | AuditOptions | VoteOptions, out: Path
) -> None:
    """Print results to stdout: JSON, or the summary and the paths of the files in `out`."""
    if options.print_json:
        print_json(results.to_json())
    elif not options.quiet:
        console = make_console()
        print_results(console, results, options.show_samples)
        for name in ("results.json", "report.html"):
            print_path(console, out / name)


def print_results(console: Console, results: Results, samples: int) -> None:
    """Print the summary of each pair of models as the guide shows it, then `samples` prompts."""
    _print_failures(console, results)
    summary = results.summary
    if summary.ratings or summary.ratings_withheld:
        print_sections(console, {"Ratings (log-odds)": rating_lines(summary)})
    if summary.baseline_differences:
        print_sections(console, {"Over a common baseline": baseline_lines(summary)})
    printed: set[str] = set()  # a model's flags are printed with its first pair
    for pair in summary.pairs:
        new = [m for m in summary.models if m.model in {pair.a, pair.b} - printed]
        _print_pair(console, results, pair, new)
        printed |= {pair.a, pair.b}
    if lines := cost_lines(results):
        print_sections(console, {"What it took": lines})
    _print_line(console, summary.estimand, style="dim")
    for note in summary.notes:
        _print_line(console, f"Note: {note}", style="yellow")
    for prompt in results.prompts[:samples]:
        _print_sample(console, results, prompt)
    if samples and results.prompts:
        console.print()


def print_sections(console: Console, sections: Sections, outcome: Outcome | None = None) -> None:
    """Print titles and their lines; the line of the winner has the color of `outcome`."""
    for title, lines in sections.items():
        console.print(Text(title, style="bold"))
        for index, line in enumerate(lines):
            is_verdict = title == _WINNER and index == 0
            style = _OUTCOMES[outcome] if outcome and is_verdict else _STYLES.get(title, "")
            _print_line(console, line, indent="  ", style=style)
    console.print()


def print_backends(console: Console, backends: Iterable[BackendRow]) -> None:
    """Print the spec of each model or judge, what it needs, and what it is."""
    for spec, description, needs, key, has_key in backends:
        state = "" if has_key is None else " is set" if has_key else " is not set"
        requirements = ", ".join(filter(None, (needs, f"{key}{state}" if key else "")))
        ready = needs == "installed" and has_key is not False
        console.print(Text(spec, style="bold green" if ready else "bold"), soft_wrap=True)
        console.print(Text(f"  {requirements}"), soft_wrap=True)  # not wrapped: commands are copied
        _print_line(console, description, indent="  ", style="dim")


def single_line(text: str) -> str:
    """Untrusted text as one line without control characters."""
    return escape_controls(" ".join(text[:MAX_LINE].split()))


def _print_pair(
    console: Console, results: Results, pair: PairSummary, models: list[ModelSummary]
) -> None:
    names = list(pair.accounting.by_judge) or ["none"]
    checks = [c for c in results.summary.null_checks if c.model in (pair.a, pair.b)]
    sections = pair_sections(pair, names, models, checks)
    if label := results.design.label(pair.a, pair.b):
        sections[_WINNER].append(f"This is the {label}")
    sections[_WINNER] += history_lines(results, pair)
    print_sections(console, sections, pair.outcome)


def _print_failures(console: Console, results: Results) -> None:
    failures = results.failures
    if failures:
        first = failures[0]
        message = f"{len(failures)} failed, the first: {first.participant}: {first.message}"
        hint = " (run again to retry)" * ("model" in results.config)  # not in an audit
        _print_line(console, f"{_short(message)}{hint}", style="bold red")
        console.print()


def _print_sample(console: Console, results: Results, prompt: Prompt) -> None:
    title = transliterate(single_line(prompt.id), console.encoding)
    console.print()
    console.rule(Text(f"sample {shorten(title, 40, '...')}"), style="dim")
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
    for line in _verdict_lines(results, prompt, failed):
        _print_line(console, line)


def _verdict_lines(results: Results, prompt: Prompt, failed: Iterable[Failure]) -> Iterator[str]:
    """One line for each verdict on a prompt, and for each that failed."""
    two_models = len(results.summary.models) == 2
    for judgment in results.judgments:
        if judgment.prompt_id == prompt.id:
            head = f"{judgment.judge}, {_presentation(judgment, two_models)}"
            yield f"{head}: {_preference(judgment)}. {_short(judgment.verdict.reason)}"
    for failure in failed:
        if failure.stage == "judgment":
            head = f"{failure.participant}, {_presentation(failure, two_models)}"
            yield f"{head}: no verdict: {_short(failure.message)}"


def _presentation(outcome: Judgment | Failure, two_models: bool) -> str:
    """The order in which a judge saw the completions; short if there are only two models."""
    again = f", repeat {outcome.repeat + 1}" if outcome.repeat else ""
    if isinstance(outcome, Judgment) and outcome.presented != "recorded":
        how = "each alone" if outcome.presented == "pointwise" else "order not known"
        return f"{outcome.first} and {outcome.second}, {how}{again}"
    return f"{outcome.first} shown first{'' if two_models else f', {outcome.second} second'}{again}"


def _preference(judgment: Judgment) -> str:
    """The better model of a verdict with its probability and the scores, the winner's first."""
    verdict = judgment.verdict
    winner = judgment.first if verdict.first > 0.5 else judgment.second
    text = "tie" if verdict.first == 0.5 else f"{winner} better"
    if verdict.first not in (0, 0.5, 1):
        text += f" with probability {max(verdict.first, 1 - verdict.first):.2f}"
    if verdict.scores is None:
        return text
    scores = verdict.scores if verdict.first >= 0.5 else verdict.scores[::-1]
    return f"{text}, {scores[0]:g} to {scores[1]:g}"


def _print_text(console: Console, heading: str, text: str) -> None:
    """Print a heading and the beginning of a text with its line breaks."""
    console.print()
    _print_line(console, heading, style="bold")
    for line in escape_controls(_short(text)).split("\n"):
        _print_line(console, line, indent="  ", hanging="  ")


def _print_line(
    console: Console, line: str, *, indent: str = "", hanging: str = "", style: str = ""
) -> None:
    """Print a line of untrusted text; it keeps its indent if it is wrapped."""
    text = escape_controls(line[: MAX_LINE + 1]).replace("\n", " ")
    lines = wrap_line(
        transliterate(text, console.encoding),
        console.width,
        indent=indent,
        hanging=hanging or indent + "  ",
    )
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def _short(text: str) -> str:
    lines = text[:_MAX_CHARACTERS].rstrip().split("\n")
    cut = len(text.rstrip()) > _MAX_CHARACTERS or len(lines) > _MAX_LINES
    return "\n".join(lines[:_MAX_LINES]) + " [...]" * cut
