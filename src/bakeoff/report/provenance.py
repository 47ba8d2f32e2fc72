"""How results came about: the command, and the hashes of what is in.

Knows configs and records; no page and no terminal.
"""

import shlex
from collections.abc import Mapping

from pydantic import JsonValue

from bakeoff.config import Config
from bakeoff.records import Results, content_key

# What says where things are kept, how they are shown, how fast and for how much they are asked,
# and nothing of what was asked.
SHOWING = (
    *("out", "store", "show_samples", "json", "quiet", "profile"),
    *("max_failures", "max_concurrency", "rpm", "tpm", "batch", "ray"),
    *("max_cost", "yes", "env_file"),
)


def command(config: Mapping[str, JsonValue]) -> str:
    """The command that asks the same: only what differs from the defaults stands in it."""
    if "files" in config:
        return _audit(config)
    words = ["bakeoff", "run"]
    for name, field in Config.model_fields.items():
        key = field.alias or name
        value = config.get(key)
        if key in SHOWING or value is None or value == field.get_default():
            continue
        flag = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            words += [flag] if one is True else _given(flag, str(one))
    return shlex.join(words)


def _given(flag: str, value: str) -> list[str]:
    # What begins like a flag would be taken for one.
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _audit(config: Mapping[str, JsonValue]) -> str:
    files, columns = config["files"], config.get("columns")
    words = ["bakeoff", "audit", *(map(str, files) if isinstance(files, list) else ())]
    if isinstance(columns, dict) and columns:
        words += ["--columns", ",".join(f"{ours}={theirs}" for ours, theirs in columns.items())]
    for name in ("margin", "panel"):
        default = Config.model_fields[name].get_default()
        if config.get(name) not in (None, default):
            words += [f"--{name}", str(config[name])]
    return shlex.join(words)


def origin_of(results: Results) -> dict[str, str]:
    """What to hold against another file: its parts, each as the hash of what stands in it."""
    return {
        "prompts": content_key([prompt.conversation() for prompt in results.prompts]),
        "completions": content_key(
            [[c.prompt_id, c.model, c.sample, c.completion.text] for c in results.completions]
        ),
        "verdicts": content_key(
            [[j.prompt_id, j.judge, j.first, j.repeat, j.verdict.first] for j in results.judgments]
        ),
    }
