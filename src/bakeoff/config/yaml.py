"""Reads and validates YAML files and options; errors name the first invalid value in one line."""

import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bakeoff.config.config import Config
from bakeoff.config.spec import Spec
from bakeoff.errors import ConfigError, one_line

Fields = TypeVar("Fields", bound=BaseModel)

_MAX_FILE_SIZE = 100_000  # bytes
_INT_LIMIT = 1 << 63  # SQLite and servers take no larger integers
_repr = reprlib.Repr()  # of bounded length for values of any size and depth
_repr.maxstring = _repr.maxother = _repr.maxlong = 200
_repr.maxlevel = 2


def load_config(file: Path | None, overrides: dict[str, Any]) -> Config:
    """Return a Config from a YAML file and `overrides`, which take precedence.

    Raises ConfigError if the file cannot be read or a value is invalid.
    """
    loaded = _load_yaml(file) if file else {}
    for key in ("model", "judge"):
        if isinstance(loaded.get(key), str):
            loaded[key] = [loaded[key]]
    aliases = {name: field.alias or name for name, field in Config.model_fields.items()}
    values = {aliases.get(str(key), str(key)): value for key, value in (loaded | overrides).items()}
    return parse_fields(Config, values, where=str(file) if file else "the flags")


def _load_yaml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE_SIZE + 1)
        if len(data) > _MAX_FILE_SIZE:
            raise ValueError("a config has at most 100 kB")
        loaded = yaml.safe_load(data.decode("utf-8")) or {}
        _check_values(loaded)
    except Exception as error:  # PyYAML's constructors raise any error
        deep = "it is nested too deeply" if isinstance(error, RecursionError) else ""
        raise ConfigError(f"cannot read {str(file)!r}: {deep or one_line(error)}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{str(file)!r} has to hold keys and values, like `limit: 50`")
    return {str(key): value for key, value in loaded.items()}


def _check_values(value: object) -> None:
    """Raise ValueError for a string or integer that the store cannot hold.

    YAML aliases may repeat a collection any number of times; each is visited once.
    """
    seen, pending = set(), [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str) and re.search("[\0\ud800-\udfff]", item):
            raise ValueError(f"{_repr.repr(item)} is not text")
        if isinstance(item, int) and not -_INT_LIMIT <= item < _INT_LIMIT:
            raise ValueError("a number in it has too many digits")
        if isinstance(item, dict | list | tuple | set) and id(item) not in seen:
            seen.add(id(item))
            pending += [*item, *item.values()] if isinstance(item, dict) else item


def parse_fields(model: type[Fields], values: dict[str, Any], *, where: str) -> Fields:
    """Return `model` with these values. Raises ConfigError naming `where` and the invalid field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = " ".join(first_problem(error, model).split())
        raise ConfigError(f"{' '.join(where.split())}: {problem}") from None


def split_options(model: type[Fields], spec: Spec) -> tuple[Fields, Spec]:
    """Return the options of a spec that are fields of `model`, and the spec without them.

    Raises ConfigError if an option is invalid.
    """
    own = {key: value for key, value in spec.options.items() if key in model.model_fields}
    rest = {key: value for key, value in spec.options.items() if key not in own}
    options = parse_fields(model, own, where=spec.name)
    return options, spec.with_options(rest)


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return a message about the first invalid field: its name, its value and the problem."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])[:200] or "value"
    if first["type"] == "extra_forbidden":
        known = ", ".join(f.alias or n for n, f in model.model_fields.items()) or "none"
        return f"no option {field!r}; there are: {known}"
    return f"{field} = {_repr.repr(first['input'])}: {first['msg']}"
