"""Reads what somebody wrote, a YAML file or options, and says in one line what is wrong with it."""

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

_LARGEST = 100_000  # bytes of a config file
_WIDEST = 1 << 63  # no integer of a config is larger: the store and servers take none
_shown = reprlib.Repr()  # for values of any size and depth
_shown.maxstring = _shown.maxother = _shown.maxlong = 200
_shown.maxlevel = 2


def config_from(file: Path | None, given: dict[str, Any]) -> Config:
    """A Config from a YAML file and what was given beside it, which wins. ConfigError if unfit."""
    loaded = _loaded(file) if file else {}
    for key in ("model", "judge"):
        if isinstance(loaded.get(key), str):
            loaded[key] = [loaded[key]]
    one_name = {name: field.alias or name for name, field in Config.model_fields.items()}
    values = {one_name.get(str(key), str(key)): value for key, value in (loaded | given).items()}
    return parse_fields(Config, values, where=str(file) if file else "the flags")


def _loaded(file: Path) -> dict[str, Any]:
    """What a YAML file says; ConfigError where that is no config."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError("a config has at most 100 kB")
        loaded = yaml.safe_load(data.decode("utf-8")) or {}
        _check_plain(loaded)
    except Exception as error:  # PyYAML lets out whatever its constructors raise
        deep = "it is nested too deeply" if isinstance(error, RecursionError) else ""
        raise ConfigError(f"cannot read {str(file)!r}: {deep or one_line(error)}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{str(file)!r} has to hold keys and values, like `limit: 50`")
    return {str(key): value for key, value in loaded.items()}


def _check_plain(value: object) -> None:
    """ValueError where a part is no text or number that can be kept; each part is looked at once,
    however often an alias repeats it.
    """
    seen, waiting = set(), [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and re.search("[\0\ud800-\udfff]", one):
            raise ValueError(f"{_shown.repr(one)} is not text")
        if isinstance(one, int) and not -_WIDEST <= one < _WIDEST:
            raise ValueError("a number in it has too many digits")
        if isinstance(one, dict | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            waiting += [*one, *one.values()] if isinstance(one, dict) else one


def parse_fields(model: type[Fields], values: dict[str, Any], *, where: str) -> Fields:
    """Validate values from outside; ConfigError in one line, naming the field and the choices."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = " ".join(first_problem(error, model).split())
        raise ConfigError(f"{' '.join(where.split())}: {problem}") from None


def split_options(model: type[Fields], spec: Spec) -> tuple[Fields, Spec]:
    """The options of a spec that are this model's, validated, and the spec with the others."""
    own = {key: value for key, value in spec.options.items() if key in model.model_fields}
    rest = {key: value for key, value in spec.options.items() if key not in own}
    options = parse_fields(model, own, where=spec.name)
    return options, spec.model_copy(update={"options": rest})


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with the first field that is: its name, its value, what it may be."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])[:200] or "value"
    if first["type"] == "extra_forbidden":
        known = ", ".join(f.alias or n for n, f in model.model_fields.items()) or "none"
        return f"no option {field!r}; there are: {known}"
    return f"{field} = {_shown.repr(first['input'])}: {first['msg']}"
