"""The files that a vLLM server loads: their identity, and their command-line arguments."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, JsonValue

from bakeoff.errors import ConfigError
from bakeoff.generators.hub import checkpoint
from bakeoff.generators.hub.checkpoint import ADAPTER_CONFIG, ModelSource
from bakeoff.generators.hub.directory import config_files
from bakeoff.records import content_key

_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # values of --max-lora-rank


class ServedFileOptions(BaseModel):
    """Options of the spec that select files."""

    revision: str | None = None
    adapter: str | None = None
    tokenizer: str | None = None
    """A directory or a hub id."""
    chat_template: str | None = None
    """Path of a file."""
    pickled: bool = False


class ServedFiles(NamedTuple):
    """Local directories of the files."""

    model: Path
    adapter: Path | None
    tokenizer: Path | None


class ServedModel:
    """The model of a spec's target. The hub is queried on first use of a member.

    All members raise ConfigError if the files cannot be found, downloaded or read.
    """

    def __init__(self, target: str, options: ServedFileOptions) -> None:
        self.target = target
        self._options = options

    @property
    def weights(self) -> str:
        """Key of the model's files; the same as that of the `hf:` backend."""
        model, adapter = self._source
        return content_key(model.identity(), adapter.identity() if adapter else None)

    def identity(self) -> dict[str, JsonValue]:
        """Return the fingerprints or commits of the files at present, and the chat template."""
        model, adapter = self._source
        tokenizer = self._options.tokenizer
        return {
            "model": model.identity(),
            "adapter": adapter.identity() if adapter else None,
            "tokenizer": checkpoint.locate(tokenizer).identity() if tokenizer else None,
            "chat_template": self._template(),
        }

    @cached_property
    def files(self) -> ServedFiles:
        """Directories of the files; missing files are downloaded."""
        options, (model, adapter) = self._options, self._source
        model_files = checkpoint.model_files(model, pickled=options.pickled)
        tokenizer = checkpoint.locate(options.tokenizer) if options.tokenizer else None
        if tokenizer is None and adapter and checkpoint.has_tokenizer(adapter):
            tokenizer = adapter  # with the chat template that it was trained with
        if not checkpoint.has_tokenizer(tokenizer or model):
            raise ConfigError(
                f"{str(tokenizer or model)!r} has no tokenizer: save it there too, with "
                "tokenizer.save_pretrained(), or say where it is with ?tokenizer="
            )
        adapter_dir = adapter.fetch(checkpoint.adapter_files(adapter)) if adapter else None
        tokenizer_dir = tokenizer.fetch(config_files(tokenizer.names)) if tokenizer else None
        return ServedFiles(model.fetch(model_files), adapter_dir, tokenizer_dir)

    def command_arguments(self) -> list[str]:
        """Return the command-line arguments for the files, the model's path first.

        The served name of the model, or of its adapter if there is one, is the target.
        """
        model, adapter, tokenizer = self.files
        arguments = [str(model.absolute()), "--served-model-name"]
        arguments.append(self.target if adapter is None else f"{self.target} without its adapter")
        if tokenizer is not None:
            arguments += ["--tokenizer", str(tokenizer.absolute())]
        if adapter is not None:
            lora_module = json.dumps({"name": self.target, "path": str(adapter.absolute())})
            arguments += ["--enable-lora", "--max-lora-rank", str(_max_lora_rank(adapter))]
            arguments += ["--lora-modules", lora_module]
        if self._options.chat_template is not None:
            arguments += ["--chat-template", str(Path(self._options.chat_template).absolute())]
        return arguments

    @cached_property
    def _source(self) -> ModelSource:
        options = self._options
        return checkpoint.locate_model(
            self.target, adapter=options.adapter, revision=options.revision, gguf_file=None
        )

    def _template(self) -> str | None:
        if self._options.chat_template is None:
            return None
        try:
            return Path(self._options.chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the chat template: {error}") from None


def _max_lora_rank(adapter: Path) -> int:
    """Return the smallest value of --max-lora-rank that is at least the adapter's rank.

    Raises ConfigError if the adapter's config has no rank, or one that vLLM does not support.
    """
    try:
        config: dict[str, Any] = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        patterns = (config.get("rank_pattern") or {"": 0}).values()
        rank = max(int(config["r"]), *map(int, patterns))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{str(adapter)!r} is no LoRA adapter that says its rank: {error}"
        ) from None
    if rank > _LORA_RANKS[-1]:
        raise ConfigError(
            f"{str(adapter)!r} is of rank {rank}, and vLLM takes at most {_LORA_RANKS[-1]}"
        )
    return next(allowed for allowed in _LORA_RANKS if allowed >= rank)
