"""The base class of all records, and keys computed from content."""

import hashlib
import json
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue


def content_key(*parts: JsonValue) -> str:
    """Return `s1:` and the hexadecimal SHA-256 of the parts as canonical JSON.

    The prefix names the algorithm and the JSON form.
    """
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return "s1:" + hashlib.sha256(text.encode()).hexdigest()


class Record(BaseModel):
    """Base class of all records: frozen; an unknown field is a validation error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def intern_fields_set(record: R) -> R:
    """Make a record and its `usage` share their `model_fields_set` with equal ones; return it.

    Pydantic keeps a set of the names of the given fields for each instance, which takes half of the
    memory of a verdict. Records are frozen, so instances with equal sets can share one object.
    """
    for instance in (record, getattr(record, "usage", None)):
        if isinstance(instance, Record):
            shared = _shared_set(frozenset(instance.model_fields_set))
            object.__setattr__(instance, "__pydantic_fields_set__", shared)
    return record


@cache
def _shared_set(names: frozenset[str]) -> set[str]:
    return set(names)
