"""The base class of all records, and keys computed from content."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

_CANONICAL_JSON = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def content_key(*parts: JsonValue) -> str:
    """Return `s1:` and the hexadecimal SHA-256 of the parts as canonical JSON.

    The prefix names the algorithm and the JSON form.
    """
    return "s1:" + hashlib.sha256(_canonical(parts)).hexdigest()


def list_key(items: Iterable[JsonValue]) -> str:
    """Return `content_key` of the list of the items, which are serialized one by one."""
    sha256, separator = hashlib.sha256(b"[["), b""
    for item in items:
        sha256.update(separator + _canonical(item))
        separator = b","
    sha256.update(b"]]")
    return "s1:" + sha256.hexdigest()


def _canonical(value: object) -> bytes:
    return _CANONICAL_JSON.encode(value).encode()


class Record(BaseModel):
    """Base class of all records: frozen; an unknown field is a validation error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def intern_fields_set(record: R) -> R:
    """Make a record, its `usage` and its `messages` share the `model_fields_set` of equal ones.

    Returns the record. Pydantic keeps a set of the names of the given fields for each instance,
    which takes half of the memory of a verdict, and more of a judgment. Records are frozen, so
    instances with equal sets can share one object.
    """
    nested = (getattr(record, "usage", None), *getattr(record, "messages", ()))
    for instance in (record, *nested):
        if isinstance(instance, Record):
            shared = _shared_set(frozenset(instance.model_fields_set))
            object.__setattr__(instance, "__pydantic_fields_set__", shared)
    return record


@cache
def _shared_set(names: frozenset[str]) -> set[str]:
    return set(names)
