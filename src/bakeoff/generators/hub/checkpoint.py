"""Which files a model or an adapter is read from, and what is wrong where one is missing.

Knows names and indexes of files; reads no weights.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import ConfigError
from bakeoff.generators.hub.directory import Directory, small_files
from bakeoff.generators.hub.download import Repo, one_line

ADAPTER = "adapter_config.json"

_TOKENIZER = re.compile(r"(tokenizer|tekken|vocab)\.json|[^/]+\.(model|tiktoken)|vocab\.txt")

Place = Directory | Repo


class Parts(NamedTuple):
    """Where a model is, and the adapter that is put on it."""

    model: Place
    adapter: Place | None


def place(target: str, revision: str | None = None) -> Place:
    """Where a target is: an existing directory, or else a hub id. Asks nobody."""
    path = Path(target).expanduser()
    if path.is_dir():
        return Directory(path)
    if path.is_file():
        raise ConfigError(
            f"{target!r} is a file: give its directory, with ?gguf_file={path.name} if it is GGUF"
        )
    if target.startswith(("/", ".", "~")) or target.count("/") > 1 or "\\" in target:
        raise ConfigError(f"no directory {target!r}: check the path")
    return Repo(target, revision)


def parts_of(
    target: str, *, adapter: str | None, revision: str | None, gguf_file: str | None
) -> Parts:
    """What a target is made of; a target that is an adapter brings the name of its base."""
    named = place(target, revision)
    parts = Parts(named, place(adapter) if adapter else None)
    if gguf_file is None and is_adapter(named):
        if adapter:
            raise ConfigError(f"{target!r} is an adapter: it cannot take another one")
        parts = Parts(base_of(named, None if isinstance(named, Repo) else revision), named)
    if revision and not isinstance(named, Repo) and not isinstance(parts.model, Repo):
        raise ConfigError(f"{target!r} is a directory: it has no revision")
    return parts


def model_files(at: Place, *, gguf_file: str | None = None, pickled: bool = False) -> list[str]:
    """The files that a model is read from. ConfigError where one is missing or refused."""
    if gguf_file:
        if gguf_file not in at.names:
            there = ", ".join(sorted(n for n in at.names if n.endswith(".gguf"))) or "none"
            raise ConfigError(f"{str(at)!r} has no {gguf_file!r}; its GGUF files: {there}")
        return [*small_files(at.names), gguf_file]
    if "config.json" not in at.names:
        raise ConfigError(
            f"{str(at)!r} has no config.json: give the directory that save_pretrained() wrote"
        )
    return [*small_files(at.names), *_weights(at, ("model", "pytorch_model"), pickled)]


def adapter_files(at: Place, *, pickled: bool = False) -> list[str]:
    """The files that an adapter is read from. ConfigError where one is missing or refused."""
    if ADAPTER not in at.names:
        raise ConfigError(f"{str(at)!r} has no {ADAPTER}: it is no adapter")
    return [*small_files(at.names), *_weights(at, ("adapter_model", "adapter_model"), pickled)]


def is_adapter(at: Place) -> bool:
    """Whether there is an adapter, and no full model beside it."""
    full = {"model.safetensors", "model.safetensors.index.json"}
    full |= {"pytorch_model.bin", "pytorch_model.bin.index.json"}
    return ADAPTER in at.names and not full & at.names


def base_of(at: Place, revision: str | None) -> Place:
    """Where the base model of an adapter is; `revision` wins over the adapter's own."""
    try:
        said = json.loads((at.fetch([ADAPTER]) / ADAPTER).read_text(encoding="utf-8"))
        base, said_revision = said["base_model_name_or_path"], said.get("revision")
        if not isinstance(base, str | None) or not isinstance(said_revision, str | None):
            raise TypeError("its base is no name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"cannot read {ADAPTER} in {str(at)!r}: {one_line(error)}") from None
    if not base:
        raise ConfigError(f"{str(at)!r} names no base model: write hf:BASE?adapter={at}")
    try:
        return place(base, revision or said_revision)
    except ConfigError as error:
        hint = f"it is the base of the adapter {str(at)!r}; if it moved, hf:BASE?adapter={at}"
        raise ConfigError(f"{error} ({hint})") from None


def has_tokenizer(at: Place) -> bool:
    """Whether there is a tokenizer among the files."""
    return any(_TOKENIZER.fullmatch(name) for name in at.names)


def _weights(at: Place, stems: tuple[str, str], pickled: bool) -> list[str]:
    """The weight files, safetensors before pickles: one file, or the shards that an index names."""
    safe, pickle = f"{stems[0]}.safetensors", f"{stems[1]}.bin"
    for name in (safe, pickle):
        index = f"{name}.index.json"
        if not {name, index} & at.names:
            continue
        if name == pickle and not pickled:
            raise ConfigError(
                f"{str(at)!r} has only pickled weights ({pickle}), which could run code: save it "
                "as safetensors, or write ?pickled=true if you trust it"
            )
        if name in at.names:
            return [name]
        shards = _shards(at, index)
        if other := next((n for n in shards if not n.endswith(Path(name).suffix)), None):
            raise ConfigError(
                f"{index} in {str(at)!r} names {other!r}, which is no {Path(name).suffix} file: "
                "it may be pickled, and could run code"
            )
        return [index, *shards]
    raise ConfigError(f"{str(at)!r} has no weights: neither {safe} nor shards of it")


def _shards(at: Place, index: str) -> list[str]:
    try:
        text = (at.fetch([index]) / index).read_text(encoding="utf-8")
        shards = sorted({str(name) for name in json.loads(text)["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"cannot read {index} in {str(at)!r}: {one_line(error)}") from None
    missing = [name for name in shards if name not in at.names]
    if missing:
        raise ConfigError(f"{str(at)!r} lacks {missing[0]!r}: it was not copied as a whole")
    return shards
