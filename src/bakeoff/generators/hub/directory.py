"""A model's files in a local directory, and a fingerprint that distinguishes checkpoints."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue

from bakeoff.errors import ConfigError

_CONFIG_FILE = re.compile(
    r"[^/]+\.(json|jinja|txt|model|tiktoken|bpe|py)|additional_chat_templates/.+"
)
_WEIGHT_FILE = re.compile(r"[^/]+\.(safetensors|bin)")
_TRAINING_FILE = re.compile(  # output of training, which no completion depends on
    r"(trainer_state|\w+_results|requirements)\.(json|txt)"
    r"|(training_args|optimizer\w*|scheduler)\.(bin|safetensors)"
)
_WHOLE_BYTES = 1 << 20  # a file up to this size is hashed completely, a larger one by blocks
_BLOCK_COUNT, _BLOCK_BYTES = 64, 1 << 16


class Directory:
    """A model's files in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the files that a model may be loaded from, relative to the directory."""
        paths = [*self.path.glob("*"), *self.path.glob("additional_chat_templates/*.jinja")]
        return frozenset(f.relative_to(self.path).as_posix() for f in paths if f.is_file())

    def identity(self, gguf_file: str | None = None) -> JsonValue:
        """Return a fingerprint of the files' names, sizes and contents, as JSON.

        Of a file of more than 1 MB, 64 blocks of 64 kB are hashed, evenly spaced from its first
        byte to its last. That distinguishes checkpoints, as training changes all weights; a changed
        weight between the blocks is not detected. Raises ConfigError if a file cannot be read.
        """
        weights = {gguf_file} if gguf_file else set(filter(_is_weight_file, self.names))
        digest = hashlib.sha256()
        try:
            for name in sorted({*config_files(self.names), *(weights & self.names)}):
                for block in _sampled_blocks(self.path / name):
                    digest.update(block)
                digest.update(json.dumps([name, (self.path / name).stat().st_size]).encode())
        except OSError as error:
            raise ConfigError(f"cannot read {str(self.path)!r}: {error}") from None
        return {"files": f"f1:{digest.hexdigest()}"}

    def fetch(self, names: Iterable[str]) -> Path:
        """Return the directory; nothing is downloaded."""
        del names
        return self.path


def config_files(names: Iterable[str]) -> list[str]:
    """Return the names of files that a model needs beside its weights: configs, tokenizer, code."""
    return sorted(n for n in names if _CONFIG_FILE.fullmatch(n) and not _TRAINING_FILE.fullmatch(n))


def _is_weight_file(name: str) -> bool:
    return bool(_WEIGHT_FILE.fullmatch(name)) and not _TRAINING_FILE.fullmatch(name)


def _sampled_blocks(path: Path) -> Iterator[bytes]:
    """Yield the parts of a file that its fingerprint covers."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_BYTES:
            yield file.read()
            return
        for block in range(_BLOCK_COUNT):
            file.seek((size - _BLOCK_BYTES) * block // (_BLOCK_COUNT - 1))
            yield file.read(_BLOCK_BYTES)
