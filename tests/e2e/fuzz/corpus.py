"""Synthetic valid inputs of every kind: the seeds of the fuzz targets."""

import csv
import gzip
import io
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from tests.builders import sample_results
from tests.unit.importers.sample_files import alpaca, arena, comparator, compared, panda, script
from tests.unit.judges.judge_replies import CASES

PROMPTS: list[dict[str, Any]] = [
    {"id": "one", "prompt": "What is \u00e9?", "tags": ["a", "b"], "reference": "a letter"},
    {"id": "two", "instruction": "Sum up.", "criteria": [{"name": "short", "weight": 2.5}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello \U0001f600"},
        ]
    },
]
COMPLETIONS: list[dict[str, Any]] = [
    {"prompt_id": "one", "completion": "It is a letter.", "finish": "stop", "tokens": 5},
    {"prompt": "Hello", "completion": "<think>hm</think>\nHi.", "finish": "length", "tokens": None},
    {"messages": [{"role": "user", "content": "q"}], "completion": "r"},
]
TABLE: list[dict[str, Any]] = [
    {"prompt": "q", "model_a": "x", "model_b": "y", "winner": "a", "judge": "j", "score_a": 7},
    {"prompt": "r", "model_a": "x", "model_b": "y", "winner": "tie", "tags": "s,t", "first": "b"},
]
SCORES: list[dict[str, Any]] = [
    {"prompt_id": "1", "model": "x", "score": 7, "judge": "j", "completion": "c"},
    {"prompt_id": "1", "model": "y", "score": "3.5", "judge": "j", "cluster": 2},
]
LABELED_PAIRS: list[dict[str, Any]] = [
    {"prompt": "q", "better": "one", "worse": "two", "tags": ["a"], "id": "x"},
    {"input": "r", "output_1": "one", "output_2": "two", "label": 2},
]
CONFIG = """# a comparison
model: [tuned=hf:me/model?temperature=0.2, base=openai:gpt-4]
judge: openai:gpt-4
prompts: starter
limit: 24
seed: 42
temperature: 0.7
system: "Be \\u00e9 brief."
thinking: strip
margin: 2.5
batch: false
out: results/here
json: true
"""
SETTINGS: dict[str, Any] = {
    "model": ["tuned=hf:me/model?temperature=0.2", "base=openai:gpt-4"],
    "judge": "openai:gpt-4",
    "limit": 24,
    "temperature": 0.7,
    "thinking": "strip",
    "rpm": 60,
    "store": "here/store.sqlite",
    "quiet": True,
    "panel": "mean",
    "null_check": 2,
}
LINKED = "base: &b {limit: 3, seed: 4}\nmodel: &m [a, b]\njudge: *m\n<<: *b\n"
CRITERIA = "- {name: short, description: says no more than it has to, weight: 2}\n- right\n"
SPECS = (
    "tuned=vllm:me/grpo-1.5b?dtype=bfloat16&seed=7",
    "api:llama3?base_url=http://localhost:8000/v1&base_url=http://other:1/v1",
    "gpt-4",
    "./checkpoint?system=Be%20brief.&temperature=0",
    "echo:",
)
GGUF: dict[str, Any] = {
    "general.architecture": "llama",
    "general.tags": ["a", "b"],
    "llama.block_count": 30,
    "llama.rope.freq_base": 0.5,
    "llama.tied": True,
    "llama.embedding_length": 576,
    "llama.attention.head_count": [9, 9],
    "llama.attention.head_count_kv": 3,
    "tokenizer.ggml.tokens": ["<s>", "a"],
}
TEMPLATE = """{% for one in criteria %}{{ one.name | upper }}: {{ one.weight * 2 }}
{% endfor %}{{ conversation }} {{ prompt.messages[0].content[:9] }}
{{ fence }}
{% if first is defined %}{{ first }}{% else %}{{ completion }}{% endif %}
{{ fence }} {{ second | default("none") | replace("a", "b") }} {{ range(3) | list | length }}
"""
VOTE = {
    "voter": "Anna",
    "prompt_id": "one",
    "first": "a",
    "second": "b",
    "sample": 0,
    "shown": "s1:00",
    "choice": "first",
    "drawn": "random",
    "at": "2026-01-01T00:00:00+00:00",
}
PROGRESS = {
    "schema": "bakeoff-progress/1",
    "started": "2026-01-01T00:00:00+00:00",
    "updated": "2026-01-01T00:01:00Z",
    "rows": [{"stage": "judgment", "participant": "j", "done": 3, "total": 9, "cost": 0.25}],
    "results": "results.json",
}
REPLIES = tuple(case.text for case in CASES)


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def indented_json(value: object) -> bytes:
    """A value as indented JSON, without ASCII escapes."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def table(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV."""
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def gguf_header(values: Mapping[str, Any]) -> bytes:
    """The header of a GGUF file with these metadata values."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def packed(value: Any) -> tuple[int, bytes]:
        if isinstance(value, list):
            inside = [packed(item) for item in value]
            kind = inside[0][0] if inside else 4
            return 9, struct.pack("<IQ", kind, len(value)) + b"".join(b for _, b in inside)
        if isinstance(value, str):
            return 8, text(value)
        if isinstance(value, bool):
            return 7, struct.pack("<?", value)
        if isinstance(value, float):
            return 6, struct.pack("<f", value)
        return 4, struct.pack("<I", value)

    body = b"GGUF" + struct.pack("<IQQ", 3, 1, len(values))
    for name, value in values.items():
        kind, data = packed(value)
        body += text(name) + struct.pack("<I", kind) + data
    return body


def evaluations() -> dict[str, list[bytes]]:
    """Files of every format that `audit` reads, by file suffix."""
    documents = {
        "script": script([compared(), compared("r", "tie", model1_score=7, model2_score=3.5)]),
        "alpaca": [alpaca(1.5, top_logprobs={"m": -0.7, "M": -0.7}), alpaca("nan")],
        "arena": [arena("A>B", "[[B>>A]]"), arena("A=B", uid="u", category="c")],
        "comparator": comparator(
            {"score": 1.5, "tags": ["t"]},
            {"individual_rater_scores": [{"rater_id": "r", "score": -1, "is_flipped": True}]},
        ),
        "panda": [panda(1, "2", 0), panda("x", None, 2)],
        "table": TABLE,
        "alone": SCORES,
    }
    json_files = [indented_json(value) for value in documents.values()] + [
        sample_results("Why?").to_json().encode()
    ]
    rows = [value for value in documents.values() if isinstance(value, list)]
    return {
        ".json": json_files,
        ".jsonl": [lines(value) for value in rows],
        ".csv": [table(TABLE), table(SCORES), table([panda(1, 2)])],
        ".json.gz": [gzip.compress(document, mtime=0) for document in json_files[:3]],
    }
