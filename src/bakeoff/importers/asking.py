"""Reads what a row is about: its prompt, a model's or judge's name, tags. Knows no format."""

import json

from pydantic import JsonValue, ValidationError

from bakeoff.errors import ConfigError
from bakeoff.importers.documents import kind_of
from bakeoff.records import Message, Prompt


def prompt_of(
    value: JsonValue, *, otherwise: str, name: str = "", tags: tuple[str, ...] = ()
) -> Prompt:
    """The prompt that a value is: a text, or a list of messages.

    Without one it is called by its name, `question NAME`; without that too, `otherwise`.
    """
    if isinstance(value, list):
        try:
            return Prompt.model_validate({"id": name, "messages": value, "tags": tags})
        except ValidationError:
            value = json.dumps(value, ensure_ascii=False)
    if value is None or (isinstance(value, str) and not value.strip()):
        value, name = (f"question {name}", name) if name else (otherwise, otherwise)
    content = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Prompt(id=name, messages=(Message(role="user", content=content),), tags=tags)


def label_of(value: JsonValue) -> str:
    """A name or number as a text; empty where the value is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value).strip()
    return ""


def name_of(value: JsonValue, what: str, where: str) -> str:
    """The name of a model; ConfigError where there is none, since nothing can be counted for it."""
    if name := label_of(value):
        return name
    found = "blank" if isinstance(value, str) else kind_of(value)
    raise ConfigError(f"{where}: {what!r} has to be the name of a model, and is {found}")


def tags_of(value: JsonValue) -> tuple[str, ...]:
    """Tags: a list of them, or a text with commas between."""
    parts = value if isinstance(value, list) else label_of(value).split(",")
    return tuple(dict.fromkeys(tag for part in parts if (tag := label_of(part))))
