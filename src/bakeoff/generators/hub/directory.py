"""A model's files in a directory, and the fingerprint that tells checkpoints apart.

Knows names and bytes of files, not what is in them.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue

from bakeoff.errors import ConfigError

_SMALL = re.compile(r"[^/]+\.(json|jinja|txt|model|tiktoken|bpe|py)|additional_chat_templates/.+")
_WEIGHTS = re.compile(r"[^/]+\.(safetensors|bin)")
_LEFTOVERS = re.compile(  # of training: they change no completion
    r"(trainer_state|\w+_results|requirements)\.(json|txt)"
    r"|(training_args|optimizer\w*|scheduler)\.(bin|safetensors)"
)
_WHOLE = 1 << 20  # a file up to this size is hashed whole, of a larger one
_BLOCKS, _BLOCK = 64, 1 << 16  # this many blocks of this size


class Directory:
    """A model's files in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def names(self) -> frozenset[str]:
        """The files that a model could be read from."""
        found = [*self.path.glob("*"), *self.path.glob("additional_chat_templates/*.jinja")]
        return frozenset(f.relative_to(self.path).as_posix() for f in found if f.is_file())

    def identity(self, gguf_file: str | None = None) -> JsonValue:
        """A fingerprint of the files' names, sizes and content; where they lie does not matter.

        Of a file of more than 1 MB, 64 blocks of 64 kB are read, evenly spaced from its first byte
        to its last: training moves all weights, so this tells checkpoints apart at once. One
        single number that was changed by hand between the blocks goes unseen.
        """
        found = {n for n in self.names if _WEIGHTS.fullmatch(n) and not _LEFTOVERS.fullmatch(n)}
        weights = {gguf_file} if gguf_file else found
        seen = hashlib.sha256()
        try:
            for name in sorted({*small_files(self.names), *(weights & self.names)}):
                for part in _parts(self.path / name):
                    seen.update(part)
                seen.update(json.dumps([name, (self.path / name).stat().st_size]).encode())
        except OSError as error:
            raise ConfigError(f"cannot read {str(self.path)!r}: {error}") from None
        return {"files": f"f1:{seen.hexdigest()}"}

    def fetch(self, names: Iterable[str]) -> Path:
        """The directory itself: everything is there."""
        del names
        return self.path


def small_files(names: Iterable[str]) -> list[str]:
    """Of these files, those that a model is read from beside its weights: config, tokenizer."""
    return sorted(n for n in names if _SMALL.fullmatch(n) and not _LEFTOVERS.fullmatch(n))


def _parts(path: Path) -> Iterator[bytes]:
    """The bytes of a file that its fingerprint is made of."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            yield file.read()
            return
        for block in range(_BLOCKS):
            file.seek((size - _BLOCK) * block // (_BLOCKS - 1))
            yield file.read(_BLOCK)
