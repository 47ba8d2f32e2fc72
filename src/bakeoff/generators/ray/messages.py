"""The messages between the driver and its replicas, as JSON: blocks of prompts, and outcomes.

They are not pickled, as both sides may run different versions of Python, and a message must not be
able to execute code.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff import errors
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.records import Completion, Prompt, Usage

Outcome = Completion | WorkError

_ERROR_CLASSES = {
    cls.__name__: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, WorkError)
}


class ReplicaError(Exception):
    """An unexpected exception in a replica; its message has the traceback."""


def encode_block(items: Iterable[tuple[int, Prompt]]) -> str:
    """Return a block of numbered prompts, as JSON."""
    return json.dumps([[number, prompt.model_dump(mode="json")] for number, prompt in items])


def decode_block(block: str) -> list[tuple[int, Prompt]]:
    """Return the numbered prompts of a block."""
    return [(number, Prompt.model_validate(prompt)) for number, prompt in json.loads(block)]


def encode_outcomes(outcomes: Iterable[tuple[int, Outcome]]) -> str:
    """Return the reply to a block, as JSON: numbered outcomes."""
    return json.dumps({"outcomes": [[number, _to_json(outcome)] for number, outcome in outcomes]})


def encode_failure(error: BaseException, node: str, trace: str) -> str:
    """Return the reply of a replica that raised `error`, as JSON.

    It has the message of a ConfigError, the traceback `trace` of any other error, and the node.
    """
    if isinstance(error, ConfigError):
        return json.dumps({"config": f"{error} (on {node})"})
    return json.dumps({"bug": f"on {node}: {trace}"})


def decode_reply(reply: str) -> Sequence[tuple[int, Outcome]]:
    """Return the numbered outcomes of a block.

    Raises the replica's ConfigError, or ReplicaError for any other exception of the replica.
    """
    fields: dict[str, Any] = json.loads(reply)
    if "config" in fields:
        raise ConfigError(fields["config"])
    if "bug" in fields:
        raise ReplicaError(fields["bug"])
    return [(number, _from_json(outcome)) for number, outcome in fields["outcomes"]]


def _to_json(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Completion):
        return {"completion": outcome.model_dump(mode="json", exclude_defaults=True)}
    usage = {
        name: value.model_dump() if isinstance(value, Usage) else value
        for name, value in outcome.usage.items()
    }
    return {
        "error": next(
            cls.__name__ for cls in type(outcome).__mro__ if cls.__name__ in _ERROR_CLASSES
        ),
        "kind": outcome.kind,
        "message": outcome.message,
        "raw": outcome.raw,
        "status": getattr(outcome, "status", None),
        "usage": usage,
    }


def _from_json(fields: Mapping[str, Any]) -> Outcome:
    if "completion" in fields:
        return Completion.model_validate(fields["completion"])
    cls = _ERROR_CLASSES[fields["error"]]
    error = cls(fields["message"], raw=fields["raw"])
    if error.kind != fields["kind"]:  # a subclass of a plugin, which is no class of `errors`
        error.kind = fields["kind"]
    if isinstance(error, BackendError):
        error.status = fields["status"]
    if usage := fields["usage"]:
        error.usage = usage | ({"usage": Usage(**usage["usage"])} if usage.get("usage") else {})
    return error
