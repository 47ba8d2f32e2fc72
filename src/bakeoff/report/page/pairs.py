"""The pairs of results as compressed data for the page.

An index has the columns by which the page lists, filters and sorts; the texts are in chunks that it
unpacks on demand. Equal results give equal bytes.
"""

import base64
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import TypeVar

from pydantic import JsonValue

from bakeoff.analysis.aggregate import preference_of
from bakeoff.analysis.completions import is_truncated
from bakeoff.analysis.injection import detect_injection
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Completion, Failure, Judgment, Prompt, Results

# The marks of a pair: bits of a column, in this order, and the names of the filters of the page.
MARKS = ("flipped", "disagree", "failed", "cut", "suspicious", "regression", "people")

_MAX_HEAD = 120  # characters of a prompt in the list
_CHUNK_PROMPTS = 64
_CHUNK_CHARACTERS = 256_000
_MAX_RAW = 4_000  # characters of an unreadable reply

_Record = TypeVar("_Record", Judgment, Failure)
# Prompt id and model to the kinds of suspicious content of each sample.
_Suspicious = Mapping[tuple[str, str], Sequence[tuple[str, ...]]]


@dataclass(frozen=True)
class PackedPairs:
    """The data of the pairs; `index` and `chunks` are zlib streams of ASCII JSON, in base64."""

    rows: int  # the number of pairs
    index: str
    chunks: tuple[str, ...]


def pack_pairs(results: Results, all_data: Sequence[PairData]) -> PackedPairs:
    """The pairs of all compared models.

    Prompts that have neither a verdict, nor a mark, nor both completions are omitted.
    """
    suspicious = _suspicious(results)
    rows = {number: _rows(data, results, suspicious) for number, data in enumerate(all_data)}
    listed = {prompt_id for by_prompt in rows.values() for prompt_id in by_prompt}
    prompts = [prompt for prompt in results.prompts if prompt.id in listed]
    bodies = _bodies(prompts, results, all_data, suspicious)
    sizes, chunks = _chunks(bodies)
    models = [model.model for model in results.summary.models]
    columns = _row_columns(prompts, rows)
    index = {
        "models": models,
        "pairs": [[models.index(data.a), models.index(data.b)] for data in all_data],
        "marks": list(MARKS),
        "chunks": sizes,
        **_prompt_columns(prompts),
        **columns,
    }
    return PackedPairs(len(columns["winner"]), _pack(index), tuple(chunks))


def _suspicious(results: Results) -> _Suspicious:
    """The kinds of suspicious content of every sample, by prompt and model.

    Completions of models without suspicious ones in the summary are not searched again.
    """
    counts = {model.model: model.suspicious for model in results.summary.models}
    kinds: dict[str, tuple[str, ...]] = {"": ()}
    suspicious: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for authored in sorted(results.completions, key=lambda c: c.sample):
        text = authored.completion.text if counts.get(authored.model) else ""
        if text not in kinds:
            kinds[text] = detect_injection(text)
        suspicious[authored.prompt_id, authored.model].append(kinds[text])
    return suspicious


# -- The index: columns ----------------------------------------------------------------------------


def _prompt_columns(prompts: Sequence[Prompt]) -> dict[str, JsonValue]:
    tags = sorted({tag for prompt in prompts for tag in prompt.tags})
    codes = {tag: number for number, tag in enumerate(tags)}
    return {
        "ids": [prompt.id for prompt in prompts],
        "heads": [_head(prompt) for prompt in prompts],
        "tags": list(tags),
        "tagged": [[codes[tag] for tag in prompt.tags] for prompt in prompts],
    }


def _head(prompt: Prompt) -> str:
    """The beginning of the last user turn, on one line."""
    user_turns = [message.content for message in prompt.messages if message.role == "user"]
    text = user_turns[-1] if user_turns else prompt.messages[-1].content
    return " ".join(text[: 4 * _MAX_HEAD].split())[:_MAX_HEAD]


def _row_columns(
    prompts: Sequence[Prompt], rows: Mapping[int, Mapping[str, dict[str, JsonValue]]]
) -> dict[str, list[JsonValue]]:
    """The rows as columns, ordered by prompt and then by pair of models."""
    columns: dict[str, list[JsonValue]] = {key: [] for key in _COLUMNS}
    for index, prompt in enumerate(prompts):
        for number, by_prompt in rows.items():
            if prompt.id in by_prompt:
                row = by_prompt[prompt.id] | {"prompt": index, "pair": number}
                for key, value in row.items():
                    columns[key].append(value)
    return columns


_COLUMNS = ("prompt", "pair", "winner", "mark", "score", "spread", "length_a", "length_b")


def _rows(
    data: PairData, results: Results, suspicious: _Suspicious
) -> dict[str, dict[str, JsonValue]]:
    """The columns of each prompt of a pair of models, by prompt id.

    `winner` is `a`, `b`, `t` (tie) or `-` (not judged); `mark` has a bit per mark; `score` is the
    mean score of a minus that of b, from -10 to 10; `spread` is twice the standard deviation of the
    verdicts, from 0 to 1; `length_a` and `length_b` are characters.
    """
    marked = _marked(data, results, suspicious)
    comparisons = {comparison.prompt_id: comparison for comparison in data.comparisons}
    judgments = _by_prompt(data.judgments)
    rows: dict[str, dict[str, JsonValue]] = {}
    for prompt in results.prompts:
        comparison = comparisons.get(prompt.id)
        texts = [data.completions.get(model, {}).get(prompt.id, ()) for model in (data.a, data.b)]
        marks = [name for name in MARKS if prompt.id in marked[name]]
        if not comparison and not marks and not all(texts):
            continue
        scores = comparison.scores if comparison else None
        preferences = [preference_of(data.a, judgment) for judgment in judgments[prompt.id]]
        rows[prompt.id] = {
            "winner": comparison.winner[0] if comparison else "-",
            "mark": sum(1 << MARKS.index(name) for name in marks),
            "score": round(scores.first - scores.second, 2) if scores else None,
            "spread": round(2 * _sd(preferences), 3) if preferences else 0,
            "length_a": max((len(completion.text) for completion in texts[0]), default=0),
            "length_b": max((len(completion.text) for completion in texts[1]), default=0),
        }
    return rows


def _sd(values: Sequence[float]) -> float:
    """The standard deviation; `statistics.pstdev`, in exact fractions, takes ten times as long."""
    mean = fmean(values)
    return math.sqrt(fmean((value - mean) ** 2 for value in values))


def _marked(data: PairData, results: Results, suspicious: _Suspicious) -> dict[str, set[str]]:
    """The ids of the prompts with each mark."""
    models = (data.a, data.b)
    winners: dict[str, set[str]] = defaultdict(set)
    for comparisons in data.comparisons_by_judge.values():
        for comparison in comparisons:
            winners[comparison.prompt_id].add(comparison.winner)
    failed = {failure.prompt_id for failure in data.failures}
    failed |= {
        f.prompt_id for f in results.failures if f.stage == "completion" and f.participant in models
    }
    texts = [
        (id_, c) for m in models for id_, cs in data.completions.get(m, {}).items() for c in cs
    ]
    return {
        "flipped": {c.prompt_id for c in data.comparisons if c.flipped},
        "disagree": {prompt_id for prompt_id, names in winners.items() if len(names) > 1},
        "failed": failed,
        "cut": {prompt_id for prompt_id, completion in texts if is_truncated(completion)},
        "suspicious": {
            id_ for (id_, model), kinds in suspicious.items() if model in models and any(kinds)
        },
        "regression": _regressions(data),
        "people": {judgment.prompt_id for judgment in data.labels},
    }


def _regressions(data: PairData) -> set[str]:
    """The ids of the prompts that a lost in both orders.

    Verdicts of judges that read each completion alone have no order and count as both. Prompts that
    were judged in one order only are not included.
    """
    lost = {c.prompt_id for c in data.comparisons if c.winner == "b" and not c.flipped}
    orders: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judgment in data.judgments:
        if judgment.presented != "unknown":
            order = judgment.first if judgment.presented == "recorded" else "pointwise"
            orders[judgment.prompt_id][order].append(preference_of(data.a, judgment))
    return {
        prompt_id
        for prompt_id in lost
        if ({data.a, data.b} <= orders[prompt_id].keys() or "pointwise" in orders[prompt_id])
        and all(sum(values) / len(values) < 0.5 - 1e-9 for values in orders[prompt_id].values())
    }


# -- The bodies: the texts of a prompt -------------------------------------------------------------


def _bodies(
    prompts: Sequence[Prompt],
    results: Results,
    all_data: Sequence[PairData],
    suspicious: _Suspicious,
) -> Iterator[dict[str, JsonValue]]:
    """Yield texts of each prompt, completions by model, verdicts and failures by model pair."""
    texts: Mapping[str, Mapping[str, Sequence[Completion]]] = (
        all_data[0].completions if all_data else {}
    )
    people = {judgment.judge for data in all_data for judgment in data.labels}
    verdicts = [_by_prompt((*data.judgments, *data.labels)) for data in all_data]
    judgment_failures = [_by_prompt(data.failures) for data in all_data]
    completion_failures = _by_prompt([f for f in results.failures if f.stage == "completion"])
    models = [model.model for model in results.summary.models]
    for prompt in prompts:
        yield {
            "turns": [[message.role, message.content] for message in prompt.messages],
            "reference": prompt.reference,
            "criteria": [[c.name, c.description, c.weight] for c in prompt.criteria],
            "completions": [
                [
                    _completion(completion, kinds)
                    for completion, kinds in zip(
                        texts.get(model, {}).get(prompt.id, ()),
                        suspicious.get((prompt.id, model), ()),
                        strict=True,
                    )
                ]
                for model in models
            ],
            "verdicts": [
                [_verdict(judgment, data.a, people) for judgment in by_prompt[prompt.id]]
                for data, by_prompt in zip(all_data, verdicts, strict=True)
            ],
            "judgment_failures": [
                [_failure(failure) for failure in by_prompt[prompt.id]]
                for by_prompt in judgment_failures
            ],
            "completion_failures": [
                _failure(failure) for failure in completion_failures[prompt.id]
            ],
        }


def _completion(completion: Completion, kinds: Sequence[str]) -> JsonValue:
    fields: dict[str, JsonValue] = {
        "text": completion.text,
        "thinking": completion.thinking,
        "finish": completion.finish,
        "tokens": completion.tokens,
        "truncated": is_truncated(completion),
        "suspicious": list(kinds),
        # The raw reply explains an empty completion.
        "raw": completion.raw if not completion.text.strip() else None,
    }
    return _without_empty(fields)


def _verdict(judgment: Judgment, a: str, people: set[str]) -> JsonValue:
    """A verdict by model: `a` is the probability that a is better, scores are those of a and b."""
    verdict = judgment.verdict if judgment.first == a else judgment.verdict.swapped()
    fields: dict[str, JsonValue] = {
        "judge": judgment.judge,
        "person": judgment.judge in people,
        "first": judgment.first if judgment.presented == "recorded" else None,
        "presented": judgment.presented,
        "repeat": judgment.repeat,
        "sample": judgment.sample,
        "a": round(verdict.first, 4),
        "scores": list(verdict.scores) if verdict.scores else None,
        "raw_scores": [s if isfinite(s) else None for s in verdict.raw_scores or ()],
        "reason": verdict.reason,
        "retry_reason": verdict.retry_reason,
        "contradicts_scores": verdict.contradicts_scores,
        "shown_characters": verdict.shown_characters,
    }
    return _without_empty(fields) | {"a": fields["a"]}


def _failure(failure: Failure) -> JsonValue:
    fields: dict[str, JsonValue] = {
        "participant": failure.participant,
        "kind": failure.kind,
        "message": failure.message,
        "raw": failure.raw[:_MAX_RAW] if failure.raw else None,
        "status": failure.status,
        "first": failure.first,
        "repeat": failure.repeat,
    }
    return _without_empty(fields)


def _without_empty(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in fields.items() if value not in (None, "", False, 0, [])}


# -- Packing ---------------------------------------------------------------------------------------


def _chunks(bodies: Iterable[JsonValue]) -> tuple[list[JsonValue], list[str]]:
    """The number of prompts of each chunk, and the chunks."""
    sizes: list[JsonValue] = []
    chunks: list[str] = []
    pending: list[str] = []
    for body in map(_json, bodies):
        full = len(pending) == _CHUNK_PROMPTS
        if pending and (full or sum(map(len, pending)) + len(body) > _CHUNK_CHARACTERS):
            sizes.append(len(pending))
            chunks.append(_compressed(f"[{','.join(pending)}]"))
            pending = []
        pending.append(body)
    if pending:
        sizes.append(len(pending))
        chunks.append(_compressed(f"[{','.join(pending)}]"))
    return sizes, chunks


def _pack(value: object) -> str:
    return _compressed(_json(value))


def _json(value: object) -> str:
    """Compact ASCII JSON: lone surrogates are preserved as escapes."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _compressed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")


def _by_prompt(records: Sequence[_Record]) -> dict[str, list[_Record]]:
    by_prompt: dict[str, list[_Record]] = defaultdict(list)
    for record in records:
        by_prompt[record.prompt_id].append(record)
    return by_prompt
