"""What travels between the driver and its replicas, as JSON: a block of prompts, and what came of
each.

Knows records and errors; neither Ray nor a model. Nothing is pickled: both sides may be of another
Python, and a row that cannot be read is an error here and no code there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff import errors
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.records import Completion, Prompt, Usage

Outcome = Completion | WorkError

_KINDS = {
    cls.__name__: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, WorkError)
}


class ReplicaError(Exception):
    """What a replica raised that is no error of ours: a bug, with its traceback."""


def block_of(items: Iterable[tuple[int, Prompt]]) -> str:
    """Prompts by their number, as they are sent."""
    return json.dumps([[number, prompt.model_dump(mode="json")] for number, prompt in items])


def items_of(block: str) -> list[tuple[int, Prompt]]:
    """The prompts of a block."""
    return [(number, Prompt.model_validate(prompt)) for number, prompt in json.loads(block)]


def reply_of(outcomes: Iterable[tuple[int, Outcome]]) -> str:
    """What came of prompts, by their number, as it is sent back."""
    return json.dumps({"outcomes": [[number, _told(one)] for number, one in outcomes]})


def refusal_of(error: BaseException, where: str, trace: str) -> str:
    """What kept a replica from working, as it is sent back: its text, and `where` that was."""
    if isinstance(error, ConfigError):
        return json.dumps({"config": f"{error} (on {where})"})
    return json.dumps({"bug": f"on {where}: {trace}"})


def outcomes_of(reply: str) -> Sequence[tuple[int, Outcome]]:
    """What came of a block's prompts; raises what kept a replica from working."""
    said: dict[str, Any] = json.loads(reply)
    if "config" in said:
        raise ConfigError(said["config"])
    if "bug" in said:
        raise ReplicaError(said["bug"])
    return [(number, _heard(one)) for number, one in said["outcomes"]]


def _told(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Completion):
        return {"completion": outcome.model_dump(mode="json", exclude_defaults=True)}
    usage = {
        name: value.model_dump() if isinstance(value, Usage) else value
        for name, value in outcome.usage.items()
    }
    return {
        "error": next(cls.__name__ for cls in type(outcome).__mro__ if cls.__name__ in _KINDS),
        "kind": outcome.kind,
        "message": outcome.message,
        "raw": outcome.raw,
        "status": getattr(outcome, "status", None),
        "usage": usage,
    }


def _heard(told: Mapping[str, Any]) -> Outcome:
    if "completion" in told:
        return Completion.model_validate(told["completion"])
    cls = _KINDS[told["error"]]
    error = cls(told["message"], raw=told["raw"])
    if error.kind != told["kind"]:  # one of a plugin's own, which is known there alone
        error.kind = told["kind"]
    if isinstance(error, BackendError):
        error.status = told["status"]
    if usage := told["usage"]:
        error.usage = usage | ({"usage": Usage(**usage["usage"])} if usage.get("usage") else {})
    return error
