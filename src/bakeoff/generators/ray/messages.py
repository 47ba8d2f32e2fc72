"""The messages between the driver and its replicas, as JSON: blocks of prompts, and outcomes.

Nothing is pickled: the two sides may run different Python versions, and a malformed message must
not execute code.
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
    """A block of numbered prompts."""
    return json.dumps([[number, prompt.model_dump(mode="json")] for number, prompt in items])


def decode_block(block: str) -> list[tuple[int, Prompt]]:
    """The numbered prompts of a block."""
    return [(number, Prompt.model_validate(prompt)) for number, prompt in json.loads(block)]


def encode_outcomes(outcomes: Iterable[tuple[int, Outcome]]) -> str:
    """The reply to a block: an outcome per prompt, by its number."""
    return json.dumps({"outcomes": [[number, _to_json(outcome)] for number, outcome in outcomes]})


def encode_failure(error: BaseException, node: str, trace: str) -> str:
    """The reply of a replica that cannot work: the error's message or traceback, and the node."""
    if isinstance(error, ConfigError):
        return json.dumps({"config": f"{error} (on {node})"})
    return json.dumps({"bug": f"on {node}: {trace}"})


def decode_reply(reply: str) -> Sequence[tuple[int, Outcome]]:
    """The outcomes of a block by prompt number.

    Raises the replica's ConfigError, or a ReplicaError for any other exception of it.
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
    took = {
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
        "took": took,
    }


def _from_json(fields: Mapping[str, Any]) -> Outcome:
    if "completion" in fields:
        return Completion.model_validate(fields["completion"])
    cls = _ERROR_CLASSES[fields["error"]]
    error = cls(fields["message"], raw=fields["raw"])
    if error.kind != fields["kind"]:  # of a plugin's subclass, which the driver does not have
        error.kind = fields["kind"]
    if isinstance(error, BackendError):
        error.status = fields["status"]
    if took := fields["took"]:
        error.usage = took | ({"usage": Usage(**took["usage"])} if took.get("usage") else {})
    return error
