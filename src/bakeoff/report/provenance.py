"""How results were made: the command, hashes of their parts, and the fingerprint of saved files."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from pydantic import JsonValue

from bakeoff.config import Config
from bakeoff.records import Evidence, Results, list_key

# Fields of a config that set where results are kept, how they are shown, and the speed and price of
# a run: two runs that differ only in these make the same comparison.
OPERATIONAL_FIELDS = (
    *("out", "store", "show_samples", "json", "quiet", "profile"),
    *("max_failures", "max_concurrency", "rpm", "tpm", "batch", "ray"),
    *("max_cost", "yes", "env_file"),
)

_ROWS = ("prompts", "completions", "judgments", "failures")  # fields of evidence
_BLOCK_SIZE = 1_000  # rows

_LINE = "\n<!-- inputs {}, fingerprint {} -->\n"
_LINE_LENGTH = len(_LINE.format("0" * 64, "0" * 64))


def command_line(config: Mapping[str, JsonValue]) -> str:
    """The shell command that repeats the comparison, with the options that are not defaults."""
    if "files" in config:
        return _audit_command(config)
    words = ["bakeoff", "run"]
    for name, field in Config.model_fields.items():
        key = field.alias or name
        value = config.get(key)
        if key in OPERATIONAL_FIELDS or value is None or value == field.get_default():
            continue
        flag = f"--{name.replace('_', '-')}"
        for item in value if isinstance(value, list) else [value]:
            words += [flag] if item is True else _option(flag, str(item))
    return shlex.join(words)


def _option(flag: str, value: str) -> list[str]:
    # A separate value that begins with `-` would be parsed as a flag.
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _audit_command(config: Mapping[str, JsonValue]) -> str:
    files, columns = config["files"], config.get("columns")
    words = ["bakeoff", "audit", *(map(str, files) if isinstance(files, list) else ())]
    if isinstance(columns, dict) and columns:
        words += ["--columns", ",".join(f"{ours}={theirs}" for ours, theirs in columns.items())]
    for name in ("margin", "panel"):
        default = Config.model_fields[name].get_default()
        if config.get(name) not in (None, default):
            words += [f"--{name}", str(config[name])]
    return shlex.join(words)


def content_hashes(results: Results) -> dict[str, str]:
    """The hash of the prompts, of the completions and of the verdicts, by the name of the part.

    Two files have an equal hash if their part has equal content.
    """
    return {
        "prompts": list_key(prompt.conversation() for prompt in results.prompts),
        "completions": list_key(
            [c.prompt_id, c.model, c.sample, c.completion.text] for c in results.completions
        ),
        "verdicts": list_key(
            [j.prompt_id, j.judge, j.first, j.repeat, j.verdict.first] for j in results.judgments
        ),
    }


def input_digest(evidence: Evidence, context: Sequence[Mapping[str, JsonValue]]) -> str:
    """The SHA-256 of everything that saved results are computed from.

    `context` are the config and the environment, whose package versions identify the code.
    """
    return digest(chain(_serialized_parts(evidence), [json.dumps(list(context))]))


def _serialized_parts(evidence: Evidence) -> Iterator[str]:
    """Yield the evidence as JSON in parts of bounded size, instead of all of it at once."""
    yield evidence.model_dump_json(exclude={*_ROWS, "null_check"})
    for name in _ROWS:
        rows = getattr(evidence, name)
        for start in range(0, len(rows), _BLOCK_SIZE):
            block = evidence.model_copy(update={name: rows[start : start + _BLOCK_SIZE]})
            yield block.model_dump_json(include={name})
    if evidence.null_check:
        yield from _serialized_parts(evidence.null_check)


def digest(parts: Iterable[str | bytes]) -> str:
    """The SHA-256 of a sequence of parts; their lengths are hashed too, so their bounds count."""
    sha256 = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="backslashreplace") if isinstance(part, str) else part
        sha256.update(f"{len(content)}:".encode())
        sha256.update(content)
    return sha256.hexdigest()


def fingerprint(inputs: str, document: str, page: bytes) -> bytes:
    """The last line of a saved `report.html`, by which `is_current` detects changes.

    It holds the digest `inputs`, and a digest over it, the SHA-256 `document` of `results.json` and
    the page before this line.
    """
    return _LINE.format(inputs, digest((inputs, document, page))).encode()


def is_current(inputs: str, document: Path, page: Path) -> bool:
    """Whether both files were saved from these inputs and are unchanged since.

    False if one of them is missing or cannot be read.
    """
    try:
        content = page.read_bytes()
        body, line = content[:-_LINE_LENGTH], content[-_LINE_LENGTH:]
        with document.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return line == fingerprint(inputs, sha256, body)
    except OSError:
        return False
