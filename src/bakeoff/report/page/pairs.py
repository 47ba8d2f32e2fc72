"""Everything that can be read of the pairs, packed small for a page. Knows no HTML and no script.

An index says enough of every pair to list, filter and sort it; the texts stand in chunks that a
page opens when somebody reads or searches them. The same results give the same bytes.
"""

import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import pstdev
from typing import TypeVar

from pydantic import JsonValue

from bakeoff.analysis.aggregate import preference_of
from bakeoff.analysis.completions import looks_cut
from bakeoff.analysis.injection import suspicions
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Completion, Failure, Judgment, Prompt, Results

# What one pair can be, beside who won: a bit each, named as the page names its filters.
MARKS = ("flipped", "disagree", "failed", "cut", "suspicious", "regression", "people")

_HEAD = 120  # characters of a prompt in the list
_CHUNK_PROMPTS = 64
_CHUNK_CHARACTERS = 256_000
_RAW = 4_000  # characters of a reply that could not be read

_Told = TypeVar("_Told", Judgment, Failure)
_Suspicious = Mapping[tuple[str, str], Sequence[tuple[str, ...]]]


@dataclass(frozen=True)
class Packed:
    """`index` and `chunks` are zlib streams of ASCII JSON, in base64; `rows` counts the pairs."""

    rows: int
    index: str
    chunks: tuple[str, ...]


def packed(results: Results, trials: Sequence[Trial]) -> Packed:
    """Every prompt that something is known of, for each two models that were compared."""
    suspicious = _suspicious(results)
    rows = {number: _rows(trial, results, suspicious) for number, trial in enumerate(trials)}
    shown = {prompt_id for found in rows.values() for prompt_id in found}
    prompts = [prompt for prompt in results.prompts if prompt.id in shown]
    bodies = _bodies(prompts, results, trials, suspicious)
    sizes, chunks = _chunks(bodies)
    models = [model.model for model in results.summary.models]
    columns = _row_columns(prompts, rows)
    index = {
        "models": models,
        "pairs": [[models.index(trial.a), models.index(trial.b)] for trial in trials],
        "marks": list(MARKS),
        "chunks": sizes,
        **_prompt_columns(prompts),
        **columns,
    }
    return Packed(len(columns["winner"]), _pack(index), tuple(chunks))


def _suspicious(results: Results) -> _Suspicious:
    """The kinds of suspicious content in every sample, by prompt and model.

    The summary has counted already, so that nobody reads again what held nothing.
    """
    counted = {model.model: model.suspicious for model in results.summary.models}
    read: dict[str, tuple[str, ...]] = {"": ()}
    found: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for authored in sorted(results.completions, key=lambda c: c.sample):
        text = authored.completion.text if counted.get(authored.model) else ""
        if text not in read:
            read[text] = suspicions(text)
        found[authored.prompt_id, authored.model].append(read[text])
    return found


# -- The index: a column for everything that a list is made of -------------------------------------


def _prompt_columns(prompts: Sequence[Prompt]) -> dict[str, JsonValue]:
    tags = sorted({tag for prompt in prompts for tag in prompt.tags})
    code = {tag: number for number, tag in enumerate(tags)}
    return {
        "ids": [prompt.id for prompt in prompts],
        "heads": [_head(prompt) for prompt in prompts],
        "tags": list(tags),
        "tagged": [[code[tag] for tag in prompt.tags] for prompt in prompts],
    }


def _head(prompt: Prompt) -> str:
    """How the last turn of the user begins, on one line."""
    asked = [message.content for message in prompt.messages if message.role == "user"]
    text = asked[-1] if asked else prompt.messages[-1].content
    return " ".join(text[: 4 * _HEAD].split())[:_HEAD]


def _row_columns(
    prompts: Sequence[Prompt], rows: Mapping[int, Mapping[str, dict[str, JsonValue]]]
) -> dict[str, list[JsonValue]]:
    """The rows by prompt, and those of one prompt by pair of models; a column per key."""
    columns: dict[str, list[JsonValue]] = {key: [] for key in _COLUMNS}
    for place, prompt in enumerate(prompts):
        for number, found in rows.items():
            if prompt.id in found:
                for key, value in (found[prompt.id] | {"prompt": place, "pair": number}).items():
                    columns[key].append(value)
    return columns


_COLUMNS = ("prompt", "pair", "winner", "mark", "score", "apart", "long_a", "long_b")


def _rows(
    trial: Trial, results: Results, suspicious: _Suspicious
) -> dict[str, dict[str, JsonValue]]:
    """What the list shows of each prompt of a trial.

    `winner` is a, b, t(ie) or - where nobody judged; `score` is how much more a got, of 10;
    `apart` is how far single verdicts are apart, from 0 to 1; `long_a` counts characters.
    """
    marked = _marked(trial, results, suspicious)
    compared = {comparison.prompt_id: comparison for comparison in trial.comparisons}
    judged = _by_prompt(trial.judgments)
    rows: dict[str, dict[str, JsonValue]] = {}
    for prompt in results.prompts:
        comparison = compared.get(prompt.id)
        texts = [trial.texts.get(model, {}).get(prompt.id, ()) for model in (trial.a, trial.b)]
        marks = [name for name in MARKS if prompt.id in marked[name]]
        if not comparison and not marks and not all(texts):
            continue
        scores = comparison.scores if comparison else None
        preferences = [preference_of(trial.a, judgment) for judgment in judged[prompt.id]]
        rows[prompt.id] = {
            "winner": comparison.winner[0] if comparison else "-",
            "mark": sum(1 << MARKS.index(name) for name in marks),
            "score": round(scores.first - scores.second, 2) if scores else None,
            "apart": round(2 * pstdev(preferences), 3) if preferences else 0,
            "long_a": max((len(completion.text) for completion in texts[0]), default=0),
            "long_b": max((len(completion.text) for completion in texts[1]), default=0),
        }
    return rows


def _marked(trial: Trial, results: Results, suspicious: _Suspicious) -> dict[str, set[str]]:
    """The prompts that have each mark."""
    models = (trial.a, trial.b)
    winners: dict[str, set[str]] = defaultdict(set)
    for comparisons in trial.alone.values():
        for comparison in comparisons:
            winners[comparison.prompt_id].add(comparison.winner)
    failed = {failure.prompt_id for failure in trial.failures}
    failed |= {
        f.prompt_id for f in results.failures if f.stage == "completion" and f.participant in models
    }
    texts = [(id_, c) for m in models for id_, cs in trial.texts.get(m, {}).items() for c in cs]
    return {
        "flipped": {c.prompt_id for c in trial.comparisons if c.flipped},
        "disagree": {prompt_id for prompt_id, named in winners.items() if len(named) > 1},
        "failed": failed,
        "cut": {prompt_id for prompt_id, completion in texts if looks_cut(completion)},
        "suspicious": {
            id_ for (id_, model), found in suspicious.items() if model in models and any(found)
        },
        "regression": _regressions(trial),
        "people": {judgment.prompt_id for judgment in trial.labels},
    }


def _regressions(trial: Trial) -> set[str]:
    """Where a lost whichever of the two was shown first.

    A judge that reads each alone knows no order; of one order only, nobody knows what the other
    would say.
    """
    lost = {c.prompt_id for c in trial.comparisons if c.winner == "b" and not c.flipped}
    orders: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judgment in trial.judgments:
        if judgment.presented != "unknown":
            order = judgment.first if judgment.presented == "recorded" else "apart"
            orders[judgment.prompt_id][order].append(preference_of(trial.a, judgment))
    return {
        prompt_id
        for prompt_id in lost
        if ({trial.a, trial.b} <= orders[prompt_id].keys() or "apart" in orders[prompt_id])
        and all(sum(said) / len(said) < 0.5 - 1e-9 for said in orders[prompt_id].values())
    }


# -- The bodies: everything that is read of a prompt -----------------------------------------------


def _bodies(
    prompts: Sequence[Prompt],
    results: Results,
    trials: Sequence[Trial],
    suspicious: _Suspicious,
) -> list[dict[str, JsonValue]]:
    """A prompt with its completions by model, verdicts and failures by pair of models."""
    texts: Mapping[str, Mapping[str, Sequence[Completion]]] = trials[0].texts if trials else {}
    people = {judgment.judge for trial in trials for judgment in trial.labels}
    judged = [_by_prompt((*trial.judgments, *trial.labels)) for trial in trials]
    lost = [_by_prompt(trial.failures) for trial in trials]
    failed = _by_prompt([f for f in results.failures if f.stage == "completion"])
    models = [model.model for model in results.summary.models]
    return [
        {
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
                [_verdict(judgment, trial.a, people) for judgment in found[prompt.id]]
                for trial, found in zip(trials, judged, strict=True)
            ],
            "lost": [[_failure(failure) for failure in found[prompt.id]] for found in lost],
            "failed": [_failure(failure) for failure in failed[prompt.id]],
        }
        for prompt in prompts
    ]


def _completion(completion: Completion, kinds: Sequence[str]) -> JsonValue:
    told: dict[str, JsonValue] = {
        "text": completion.text,
        "thinking": completion.thinking,
        "finish": completion.finish,
        "tokens": completion.tokens,
        "cut": looks_cut(completion),
        "suspicious": list(kinds),
        # Where nothing was said, what was written is all that there is to look at.
        "raw": completion.raw if not completion.text.strip() else None,
    }
    return _without_nothing(told)


def _verdict(judgment: Judgment, a: str, people: set[str]) -> JsonValue:
    """A verdict by names: `a` is the probability that a is better, scores are those of a and b."""
    verdict = judgment.verdict if judgment.first == a else judgment.verdict.swapped()
    told: dict[str, JsonValue] = {
        "judge": judgment.judge,
        "person": judgment.judge in people,
        "first": judgment.first if judgment.presented == "recorded" else None,
        "presented": judgment.presented,
        "repeat": judgment.repeat,
        "sample": judgment.sample,
        "a": round(verdict.first, 4),
        "scores": list(verdict.scores) if verdict.scores else None,
        "weights": [w if isfinite(w) else None for w in verdict.weights or ()],
        "reason": verdict.reason,
        "mended": verdict.retry_reason,
        "odds": verdict.contradicts_scores,
        "kept": verdict.shown_characters,
    }
    return _without_nothing(told) | {"a": told["a"]}


def _failure(failure: Failure) -> JsonValue:
    told: dict[str, JsonValue] = {
        "who": failure.participant,
        "kind": failure.kind,
        "message": failure.message,
        "raw": failure.raw[:_RAW] if failure.raw else None,
        "status": failure.status,
        "first": failure.first,
        "repeat": failure.repeat,
    }
    return _without_nothing(told)


def _without_nothing(told: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in told.items() if value not in (None, "", False, 0, [])}


# -- Packing ---------------------------------------------------------------------------------------


def _chunks(bodies: Sequence[JsonValue]) -> tuple[list[JsonValue], list[str]]:
    """How many prompts each chunk holds, and the chunks."""
    sizes: list[JsonValue] = []
    chunks: list[str] = []
    waiting: list[str] = []
    for body in map(_json, bodies):
        full = len(waiting) == _CHUNK_PROMPTS
        if waiting and (full or sum(map(len, waiting)) + len(body) > _CHUNK_CHARACTERS):
            sizes.append(len(waiting))
            chunks.append(_squeezed(f"[{','.join(waiting)}]"))
            waiting = []
        waiting.append(body)
    if waiting:
        sizes.append(len(waiting))
        chunks.append(_squeezed(f"[{','.join(waiting)}]"))
    return sizes, chunks


def _pack(value: object) -> str:
    return _squeezed(_json(value))


def _json(value: object) -> str:
    """ASCII, so that also half a character comes through as it is."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _squeezed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")


def _by_prompt(records: Sequence[_Told]) -> dict[str, list[_Told]]:
    found: dict[str, list[_Told]] = defaultdict(list)
    for record in records:
        found[record.prompt_id].append(record)
    return found
