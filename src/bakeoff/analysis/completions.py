"""What happened to each model's completions, and what about them should make one stop."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from bakeoff.analysis.injection import suspicions
from bakeoff.records import Completion, Evidence, Flag, ModelCompletion, ModelSummary

_TAGS = ("think", "thinking", "reasoning", "answer")
_REFUSAL = re.compile(
    r"\A\W*(?:i['\u2019]?m (?:really |very )?sorry\W|sorry\W|as an ai\b"
    r"|i (?:cannot|can['\u2019]?t|am unable|am not able|won['\u2019]?t)\b)"
    r"(?=.{0,160}(?:can(?:no|['\u2019]?)t|unable|not able|won['\u2019]?t|assist|language model"
    r"|comply|against))",
    re.IGNORECASE | re.DOTALL,
)
_LONG = 300  # characters: a shorter text without a full stop is more likely a title or a list
_OPEN_END = re.compile(r"[\w,;:(\-–—]\Z")  # noqa: RUF001 - dashes are what a cut text may end in
_LOOSE_LINE = re.compile(r"\A\s*(?:[-*+•|#>]|\d+[.)]|```|\S*://)|\Z")

# What share of a model's completions is a red flag, what it may mean, and what to do.
_CHECKS = (
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


def model_summary(model: str, evidence: Evidence) -> ModelSummary:
    """The counts of one model and the flags that they raise."""
    ours = [authored for authored in evidence.completions if authored.model == model]
    completions = [authored.completion for authored in ours]
    tokens = [completion.tokens for completion in completions if completion.tokens is not None]
    found = ModelSummary(
        model=model,
        completed=len(ours),
        failed=sum(f.stage == "completion" and f.participant == model for f in evidence.failures),
        truncated=sum(map(looks_cut, completions)),
        empty=sum(not completion.text.strip() for completion in completions),
        refused=sum(map(refuses, completions)),
        duplicated=_duplicated(ours),
        malformed=sum(map(breaks_format, completions)),
        suspicious=sum(bool(suspicions(completion.text)) for completion in completions),
        mean_tokens=fmean(tokens) if tokens else None,
        mean_characters=fmean(len(c.text) for c in completions) if completions else None,
    )
    flags = [*_flags(found), *_changed(model, completions)]
    return found.model_copy(update={"flags": tuple(flags)})


def looks_cut(completion: Completion) -> bool:
    """Whether it stopped at the token limit; by its last character where nobody says."""
    if completion.finish != "unknown":
        return completion.finish == "length"
    text = completion.text.rstrip()
    last = text.rsplit("\n", 1)[-1]
    return len(text) >= _LONG and bool(_OPEN_END.match(text[-1])) and not _LOOSE_LINE.match(last)


def refuses(completion: Completion) -> bool:
    """Whether the model declined: by its finish, or by how such a text begins."""
    return completion.finish == "refused" or bool(_REFUSAL.match(completion.text))


def breaks_format(completion: Completion) -> bool:
    """Whether a `<think>` or `<answer>` is opened and not closed, or closed and not opened."""
    raw = completion.raw or completion.text
    if "<" not in raw:
        return False
    raw = raw.lower()
    return any(raw.count(f"<{tag}>") != raw.count(f"</{tag}>") for tag in _TAGS)


def _duplicated(completions: Sequence[ModelCompletion]) -> int:
    first: dict[str, str] = {}  # the prompt that each text was said to first
    times: Counter[str] = Counter()
    shared = set()
    for authored in completions:
        text = authored.completion.text
        times[text] += 1
        if first.setdefault(text, authored.prompt_id) != authored.prompt_id:
            shared.add(text)
    return sum(times[text] for text in shared if text.strip())


def _changed(model: str, completions: Sequence[Completion]) -> list[Flag]:
    names = sorted({completion.snapshot for completion in completions if completion.snapshot})
    if len(names) < 2:
        return []
    return [
        Flag(
            kind="model changed",
            about=model,
            value=len(names),
            message=f"it was {' and '.join(names)} within these results",
            action="name one snapshot in the spec, and complete again with another --store",
        )
    ]


def _flags(found: ModelSummary) -> list[Flag]:
    flags = []
    for field, allowed, words, action in _CHECKS:
        count = getattr(found, field)
        if count > allowed * found.completed:
            share = count / found.completed
            message = f"{count} of {found.completed} completions ({100 * share:.0f} %) {words}"
            flags.append(
                Flag(kind=field, about=found.model, value=share, message=message, action=action)
            )
    if found.failed:
        asked = found.failed + found.completed
        flags.append(
            Flag(
                kind="failed",
                about=found.model,
                value=found.failed / asked,
                message=f"{found.failed} of {asked} completions failed",
                action="read the messages; a run that is started again asks only for what failed",
            )
        )
    return flags
