"""Locates a model and its adapter, and lists the files that each is loaded from.

Reads configs and weight indexes, but no weights.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.generators.hub.directory import Directory, config_files
from bakeoff.generators.hub.download import HubRepo, describe_error

ADAPTER_CONFIG = "adapter_config.json"

_TOKENIZER_FILE = re.compile(r"(tokenizer|tekken|vocab)\.json|[^/]+\.(model|tiktoken)|vocab\.txt")

Location = Directory | HubRepo


class ModelSource(NamedTuple):
    """The location of a model, and of the adapter to apply to it."""

    model: Location
    adapter: Location | None


def locate(target: str, revision: str | None = None) -> Location:
    """Return the location of a target: an existing directory, or else a hub id. Needs no network.

    Raises ConfigError for a file, and for a path that does not exist.
    """
    path = Path(target).expanduser()
    if path.is_dir():
        return Directory(path)
    if path.is_file():
        raise ConfigError(
            f"{target!r} is a file: give its directory, with ?gguf_file={path.name} if it is GGUF"
        )
    if target.startswith(("/", ".", "~")) or target.count("/") > 1 or "\\" in target:
        raise ConfigError(f"no directory {target!r}: check the path")
    return HubRepo(target, revision)


def locate_model(
    target: str, *, adapter: str | None, revision: str | None, gguf_file: str | None
) -> ModelSource:
    """Return the locations of a target's model and adapter.

    If the target is an adapter, the model is its base model. Raises ConfigError if the options
    contradict each other or a location does not exist.
    """
    location = locate(target, revision)
    source = ModelSource(location, locate(adapter) if adapter else None)
    if gguf_file is None and is_adapter(location):
        if adapter:
            raise ConfigError(f"{target!r} is an adapter: it cannot take another one")
        base_revision = None if isinstance(location, HubRepo) else revision
        source = ModelSource(locate_base(location, base_revision), location)
    if revision and not isinstance(location, HubRepo) and not isinstance(source.model, HubRepo):
        raise ConfigError(f"{target!r} is a directory: it has no revision")
    return source


def model_files(
    location: Location, *, gguf_file: str | None = None, pickled: bool = False
) -> list[str]:
    """Return the names of the files of a model. Raises ConfigError if one is missing.

    Raises ConfigError also for pickled weights, unless `pickled`.
    """
    if gguf_file:
        if gguf_file not in location.names:
            others = ", ".join(sorted(n for n in location.names if n.endswith(".gguf"))) or "none"
            raise ConfigError(f"{str(location)!r} has no {gguf_file!r}; its GGUF files: {others}")
        return [*config_files(location.names), gguf_file]
    if "config.json" not in location.names:
        raise ConfigError(
            f"{str(location)!r} has no config.json: give the directory that save_pretrained() wrote"
        )
    return [
        *config_files(location.names),
        *_weight_files(location, ("model", "pytorch_model"), pickled),
    ]


def adapter_files(location: Location, *, pickled: bool = False) -> list[str]:
    """Return the names of the files of an adapter. Raises ConfigError like `model_files`."""
    if ADAPTER_CONFIG not in location.names:
        raise ConfigError(f"{str(location)!r} has no {ADAPTER_CONFIG}: it is no adapter")
    return [
        *config_files(location.names),
        *_weight_files(location, ("adapter_model", "adapter_model"), pickled),
    ]


def is_adapter(location: Location) -> bool:
    """Return whether the files are those of an adapter, without a full model beside it."""
    full = {"model.safetensors", "model.safetensors.index.json"}
    full |= {"pytorch_model.bin", "pytorch_model.bin.index.json"}
    return ADAPTER_CONFIG in location.names and not full & location.names


def locate_base(location: Location, revision: str | None) -> Location:
    """Return the base model of an adapter, at `revision`, or else at the one in its config.

    Raises ConfigError if the config is unreadable, or its base model does not exist.
    """
    try:
        folder = location.fetch([ADAPTER_CONFIG])
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        base, own_revision = config["base_model_name_or_path"], config.get("revision")
        if not isinstance(base, str | None) or not isinstance(own_revision, str | None):
            raise TypeError("its base is no name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"cannot read {ADAPTER_CONFIG} in {str(location)!r}: {describe_error(error)}"
        ) from None
    if not base:
        raise ConfigError(
            f"{str(location)!r} names no base model: write hf:BASE?adapter={location}"
        )
    try:
        return locate(base, revision or own_revision)
    except ConfigError as error:
        adapter = str(location)
        hint = f"it is the base of the adapter {adapter!r}; if it moved, hf:BASE?adapter={adapter}"
        raise ConfigError(f"{error} ({hint})") from None


def has_tokenizer(location: Location) -> bool:
    """Return whether a tokenizer is among the files."""
    return any(_TOKENIZER_FILE.fullmatch(name) for name in location.names)


def _weight_files(location: Location, stems: tuple[str, str], pickled: bool) -> list[str]:
    """Return one file, or an index and its shards; safetensors if there are any, else pickles."""
    safe, pickle = f"{stems[0]}.safetensors", f"{stems[1]}.bin"
    for name in (safe, pickle):
        index = f"{name}.index.json"
        if not {name, index} & location.names:
            continue
        if name == pickle and not pickled:
            raise ConfigError(
                f"{str(location)!r} has only pickled weights ({pickle}), which could run code: "
                "save it as safetensors, or write ?pickled=true if you trust it"
            )
        if name in location.names:
            return [name]
        shards = _shards(location, index)
        if other := next((n for n in shards if not n.endswith(Path(name).suffix)), None):
            raise ConfigError(
                f"{index} in {str(location)!r} names {other!r}, which is no {Path(name).suffix} "
                "file: it may be pickled, and could run code"
            )
        return [index, *shards]
    raise ConfigError(f"{str(location)!r} has no weights: neither {safe} nor shards of it")


def _shards(location: Location, index: str) -> list[str]:
    try:
        text = (location.fetch([index]) / index).read_text(encoding="utf-8")
        shards = sorted({str(name) for name in json.loads(text)["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"cannot read {index} in {str(location)!r}: {describe_error(error)}"
        ) from None
    missing = [name for name in shards if name not in location.names]
    if missing:
        raise ConfigError(f"{str(location)!r} lacks {missing[0]!r}: it was not copied as a whole")
    return shards
