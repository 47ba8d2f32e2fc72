"""Counts of the completions of each model, and flags where too many have a problem."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean

from bakeoff.analysis.injection import detect_injection
from bakeoff.records import Completion, Evidence, Flag, ModelCompletion, ModelSummary

_TAGS = ("think", "thinking", "reasoning", "answer")
_REFUSAL = re.compile(
    r"\A\W*(?:i['\u2019]?m (?:really |very )?sorry\W|sorry\W|as an ai\b"
    r"|i (?:cannot|can['\u2019]?t|am unable|am not able|won['\u2019]?t)\b)"
    r"(?=.{0,160}(?:can(?:no|['\u2019]?)t|unable|not able|won['\u2019]?t|assist|language model"
    r"|comply|against))",
    re.IGNORECASE | re.DOTALL,
)
_MIN_PROSE = 300  # characters: a shorter text without a full stop is likely a title or a list
_UNFINISHED = re.compile(r"[\w,;:(\-–—]\Z")  # noqa: RUF001 - a truncated text may end in a dash
_LIST_LINE = re.compile(r"\A\s*(?:[-*+•|#>]|\d+[.)]|```|\S*://)|\Z")

# Field of `ModelSummary`, its largest share of the completions without a flag, and the flag's
# description and action.
_COMPLETION_CHECKS = (
    (
        "truncated",
        0.1,
        "are cut off, or look so",
        "raise --max-tokens; check that the model stops by itself",
    ),
    (
        "empty",
        0.0,
        "are empty",
        "see `raw` in results.json: a wrong template, or cut while thinking",
    ),
    ("refused", 0.05, "are refusals", "read them: a refusal loses, whatever the model can do"),
    (
        "duplicated",
        0.05,
        "say what another prompt's completion says",
        "read them: a placeholder, a collapsed model, or a wrong file",
    ),
    (
        "malformed",
        0.0,
        "have a broken <think> or <answer> format",
        "look at the chat template and the format reward; a judge marks a leak down",
    ),
    (
        "suspicious",
        0.01,
        "speak to the judge, or hide something",
        "read them: what fools a judge is not better",
    ),
)


def summarize_model(model: str, evidence: Evidence) -> ModelSummary:
    """Return the counts and mean lengths of one model's completions, and the flags they raise."""
    rows = [row for row in evidence.completions if row.model == model]
    completions = [row.completion for row in rows]
    tokens = [completion.tokens for completion in completions if completion.tokens is not None]
    failed = sum(f.stage == "completion" and f.participant == model for f in evidence.failures)
    counts = {
        "truncated": sum(map(is_truncated, completions)),
        "empty": sum(not completion.text.strip() for completion in completions),
        "refused": sum(map(is_refusal, completions)),
        "duplicated": _duplicate_count(rows),
        "malformed": sum(map(is_malformed, completions)),
        "suspicious": sum(bool(detect_injection(completion.text)) for completion in completions),
    }
    flags = (
        *_count_flags(model, len(rows), counts),
        *_failure_flags(model, len(rows), failed),
        *_snapshot_flags(model, completions),
    )
    return ModelSummary(
        model=model,
        completed=len(rows),
        failed=failed,
        **counts,
        mean_tokens=fmean(tokens) if tokens else None,
        mean_characters=fmean(len(c.text) for c in completions) if completions else None,
        flags=flags,
    )


def is_truncated(completion: Completion) -> bool:
    """Whether generation stopped at the token limit; guessed from the text if that is unknown."""
    if completion.finish != "unknown":
        return completion.finish == "length"
    text = completion.text.rstrip()
    last_line = text.rsplit("\n", 1)[-1]
    prose = len(text) >= _MIN_PROSE and not _LIST_LINE.match(last_line)
    return prose and bool(_UNFINISHED.match(text[-1]))


def is_refusal(completion: Completion) -> bool:
    """Whether the model refused, by the finish reason or by the beginning of the text."""
    return completion.finish == "refused" or bool(_REFUSAL.match(completion.text))


def is_malformed(completion: Completion) -> bool:
    """Whether tags such as `<think>` or `<answer>` are not opened as often as closed."""
    raw = completion.raw or completion.text
    if "<" not in raw:
        return False
    raw = raw.lower()
    return any(raw.count(f"<{tag}>") != raw.count(f"</{tag}>") for tag in _TAGS)


def _duplicate_count(rows: Sequence[ModelCompletion]) -> int:
    """The number of non-empty completions whose text also completes another prompt."""
    first_prompt: dict[str, str] = {}  # of each text
    counts: Counter[str] = Counter()
    shared = set()
    for row in rows:
        text = row.completion.text
        counts[text] += 1
        if first_prompt.setdefault(text, row.prompt_id) != row.prompt_id:
            shared.add(text)
    return sum(counts[text] for text in shared if text.strip())


def _count_flags(model: str, completed: int, counts: dict[str, int]) -> Iterator[Flag]:
    for kind, allowed, description, action in _COMPLETION_CHECKS:
        count = counts[kind]
        if count > allowed * completed:
            share = count / completed
            message = f"{count} of {completed} completions ({100 * share:.0f} %) {description}"
            yield Flag(kind=kind, about=model, value=share, message=message, action=action)


def _failure_flags(model: str, completed: int, failed: int) -> Iterator[Flag]:
    if failed:
        requested = failed + completed
        yield Flag(
            kind="failed",
            about=model,
            value=failed / requested,
            message=f"{failed} of {requested} completions failed",
            action="read the messages; a run that is started again asks only for what failed",
        )


def _snapshot_flags(model: str, completions: Sequence[Completion]) -> Iterator[Flag]:
    names = sorted({completion.snapshot for completion in completions if completion.snapshot})
    if len(names) > 1:
        yield Flag(
            kind="model changed",
            about=model,
            value=len(names),
            message=f"it was {' and '.join(names)} within these results",
            action="name one snapshot in the spec, and complete again with another --store",
        )
