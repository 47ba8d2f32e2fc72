"""Which files vLLM is to serve, what identifies them, and how its command line names them.

Knows checkpoints, adapters and chat templates; starts nothing.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, JsonValue

from bakeoff.errors import ConfigError
from bakeoff.generators.hub import checkpoint
from bakeoff.generators.hub.checkpoint import ADAPTER, Parts
from bakeoff.generators.hub.directory import small_files
from bakeoff.records import content_key

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of adapters, as vLLM takes them


class Choices(BaseModel):
    """Options of the spec that say which files; `adapter`, `revision` and `pickled` as for `hf:`.

    `tokenizer` is a directory or a hub id, `chat_template` a file.
    """

    revision: str | None = None
    adapter: str | None = None
    tokenizer: str | None = None
    chat_template: str | None = None
    pickled: bool = False


class Files(NamedTuple):
    """Where everything lies on this disk."""

    model: Path
    adapter: Path | None
    tokenizer: Path | None


class Model:
    """A target of a spec. The hub is asked when something is looked up, and not before."""

    def __init__(self, target: str, choices: Choices) -> None:
        self.target = target
        self._choices = choices

    @property
    def weights(self) -> str:
        """The model's files, however they are asked: those of `hf:` have the same name."""
        model, adapter = self._parts
        return content_key(model.identity(), adapter.identity() if adapter else None)

    def identity(self) -> dict[str, JsonValue]:
        """The files' fingerprints or commits, looked at again each time, and the chat template."""
        model, adapter = self._parts
        named = self._choices.tokenizer
        return {
            "model": model.identity(),
            "adapter": adapter.identity() if adapter else None,
            "tokenizer": checkpoint.place(named).identity() if named else None,
            "chat_template": self._template(),
        }

    @cached_property
    def files(self) -> Files:
        """Everything on this disk, downloaded where it was not. ConfigError where one lacks."""
        choices, (model, adapter) = self._choices, self._parts
        wanted = checkpoint.model_files(model, pickled=choices.pickled)
        tokenizer = checkpoint.place(choices.tokenizer) if choices.tokenizer else None
        if tokenizer is None and adapter and checkpoint.has_tokenizer(adapter):
            tokenizer = adapter  # with the chat template that it was trained with
        if not checkpoint.has_tokenizer(tokenizer or model):
            raise ConfigError(
                f"{str(tokenizer or model)!r} has no tokenizer: save it there too, with "
                "tokenizer.save_pretrained(), or say where it is with ?tokenizer="
            )
        adapted = adapter.fetch(checkpoint.adapter_files(adapter)) if adapter else None
        named = tokenizer.fetch(small_files(tokenizer.names)) if tokenizer else None
        return Files(model.fetch(wanted), adapted, named)

    def line(self) -> list[str]:
        """The command line that names the files, the model's path first.

        The server knows the model, with its adapter where it has one, by the target's name.
        """
        model, adapter, tokenizer = self.files
        line = [str(model.absolute()), "--served-model-name"]
        line.append(self.target if adapter is None else f"{self.target} without its adapter")
        if tokenizer is not None:
            line += ["--tokenizer", str(tokenizer.absolute())]
        if adapter is not None:
            named = json.dumps({"name": self.target, "path": str(adapter.absolute())})
            line += ["--enable-lora", "--max-lora-rank", str(_rank(adapter))]
            line += ["--lora-modules", named]
        if self._choices.chat_template is not None:
            line += ["--chat-template", str(Path(self._choices.chat_template).absolute())]
        return line

    @cached_property
    def _parts(self) -> Parts:
        choices = self._choices
        return checkpoint.parts_of(
            self.target, adapter=choices.adapter, revision=choices.revision, gguf_file=None
        )

    def _template(self) -> str | None:
        if self._choices.chat_template is None:
            return None
        try:
            return Path(self._choices.chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the chat template: {error}") from None


def _rank(adapter: Path) -> int:
    """The smallest rank that vLLM takes and the adapter fits into."""
    try:
        said: dict[str, Any] = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
        own = max(int(said["r"]), *map(int, (said.get("rank_pattern") or {"": 0}).values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{str(adapter)!r} is no LoRA adapter that says its rank: {error}"
        ) from None
    rank = next((rank for rank in _RANKS if rank >= own), None)
    if rank is None:
        raise ConfigError(f"{str(adapter)!r} is of rank {own}, and vLLM takes at most {_RANKS[-1]}")
    return rank
