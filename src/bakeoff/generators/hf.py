"""A transformers model in this process: where it is, what identifies it, and batches through it.

Knows when to fetch, load and free a model, and what to do when memory runs out; how one is loaded
and drawn from is in `hf_loading.py` and `hf_sampling.py`.
"""

import asyncio
import importlib.util
import logging
from collections.abc import Sequence
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators import checkpoint, hf_loading, hf_sampling, hf_tokens, hf_weighing
from bakeoff.generators.checkpoint import Parts
from bakeoff.generators.hf_loading import Dtype, Files, Loaded
from bakeoff.generators.hf_tokens import Row
from bakeoff.plugins import Setting
from bakeoff.records import Completion, Prompt, content_key
from bakeoff.work import Batched

log = logging.getLogger(__name__)


class Hf(Batched[Prompt, Completion]):
    """`hf:me/model` or `hf:./checkpoint`, with an adapter: `hf:BASE?adapter=./lora`, `hf:./lora`.

    Without a chat template, a prompt becomes `Question: ...`, `Answer:`. The sampling is the same
    for all models: the model's own generation settings count only for the tokens that end a text.
    A JSON schema in the sampling is ignored.
    """

    weighs = True

    class Options(BaseModel):
        """Options of the spec. `dtype` auto: bfloat16 on MPS and a CUDA with it, else float32."""

        model_config = ConfigDict(extra="forbid")

        revision: str | None = None
        dtype: Dtype = "auto"
        device: str | None = None
        device_map: str | None = None
        adapter: str | None = None
        gguf_file: str | None = None
        batch_size: int = Field(8, ge=1)
        trust_remote_code: bool = False
        pickled: bool = False

    def __init__(self, spec: Spec, setting: Setting) -> None:
        options = parse_fields(self.Options, spec.options, where=spec.name)
        super().__init__(options.batch_size)
        if options.device and options.device_map:
            raise ConfigError(f"{spec.name!r}: give device or device_map, not both")
        self.options = options
        self.spec = spec
        self.sampling = setting.sampling
        self._loaded: Loaded | None = None
        # First of all: without the extra there is no use in asking the hub for anything.
        self._check_extra(["torch", "transformers", "accelerate", "huggingface_hub"])

    @cached_property
    def identity(self) -> JsonValue:  # type: ignore[override] # looked up when it is first needed
        """What the files are (fingerprint or commit) and how their numbers are read."""
        return self._identity()

    @cached_property
    def weights(self) -> str | None:  # type: ignore[override] # as the identity
        """The model's files, however they are asked."""
        parts = self._parts
        adapter = parts.adapter.identity() if parts.adapter else None
        return content_key(parts.model.identity(self.options.gguf_file), adapter)

    async def prepare(self) -> None:
        """Check the extra, the files and the device, and fetch what is not here. ConfigError."""
        await asyncio.to_thread(self._check)

    def rank(self, item: Prompt) -> int:
        """Prompts of about the same length share a batch."""
        return sum(len(message.content) for message in item.messages)

    def batch(self, items: Sequence[Prompt]) -> Sequence[Completion | WorkError]:
        """A completion per prompt; the model is loaded first, if it is not there."""
        if self._loaded is None:
            self._loaded = self._load()
        outcomes: dict[int, Completion | WorkError] = {}
        rows: dict[int, Row] = {}
        for index, item in enumerate(items):
            try:
                rows[index] = self._row(self._loaded, item)
            except BackendError as error:
                outcomes[index] = error
        # A prompt that leaves less room than was asked for would cut its whole batch short.
        full = [index for index, row in rows.items() if row.room == self.sampling.max_tokens]
        tight = [[index] for index in rows if index not in full]
        for group in filter(None, [full, *tight]):
            done = self._complete(self._loaded, [rows[index] for index in group])
            outcomes.update(zip(group, done, strict=True))
        return [outcomes[index] for index in range(len(items))]

    def release(self) -> None:
        """Free the model and the device's cache."""
        self._loaded = None
        hf_sampling.free()

    def _load(self) -> Loaded:
        loaded = self._open()
        if self._identity() != self.identity:  # what comes would be stored as the old files' words
            raise ConfigError(f"{self.spec.name!r} changed while it was loaded: run again")
        return loaded

    def _open(self) -> Loaded:
        loaded = hf_loading.load(self._files, self.spec.name)
        if not loaded.tokens.chat:
            log.warning("%s has no chat template: asking it as Question/Answer", self.spec.name)
        return loaded

    def _row(self, loaded: Loaded, item: Prompt) -> Row:
        make = hf_tokens.weighed_row_of if self.sampling.weigh else hf_tokens.row_of
        return make(loaded.tokens, item, self.sampling)

    def _run(self, loaded: Loaded, rows: list[Row]) -> list[Completion | WorkError]:
        if self.sampling.weigh:
            return hf_weighing.weigh(loaded, rows)
        return hf_sampling.complete(loaded, rows, self.sampling)

    def _complete(self, loaded: Loaded, rows: list[Row]) -> list[Completion | WorkError]:
        """Complete the rows together, or in halves where memory does not suffice."""
        try:
            return self._run(loaded, rows)
        except RuntimeError as error:
            if not hf_sampling.out_of_memory(error):
                raise
        # Not inside the except clause: its traceback would keep the tensors of the failed try.
        hf_sampling.free()
        if len(rows) == 1:
            asked = len(rows[0].tokens) + self.sampling.max_tokens
            return [BackendError(f"out of memory at up to {asked} tokens, alone in its batch")]
        half = (len(rows) + 1) // 2
        log.warning("%s: out of memory, going on with batches of %d", self.spec.name, half)
        self._size = min(self._size, half)
        return self._complete(loaded, rows[:half]) + self._complete(loaded, rows[half:])

    def _identity(self) -> JsonValue:
        options, parts = self.options, self._parts
        return {
            "backend": self.spec.backend,
            "model": parts.model.identity(options.gguf_file),
            "adapter": parts.adapter.identity() if parts.adapter else None,
            "gguf_file": options.gguf_file,
            "dtype": options.dtype,
            "sampling": self.sampling.model_dump(),
        }

    @cached_property
    def _parts(self) -> Parts:
        options = self.options
        return checkpoint.parts_of(
            self.spec.target,
            adapter=options.adapter,
            revision=options.revision,
            gguf_file=options.gguf_file,
        )

    @cached_property
    def _files(self) -> Files:
        """Everything on this disk, downloaded where it was not."""
        options, (model, adapter) = self.options, self._parts
        wanted = checkpoint.model_files(model, gguf_file=options.gguf_file, pickled=options.pickled)
        wanted_too = checkpoint.adapter_files(adapter, pickled=options.pickled) if adapter else []
        own = adapter is not None and checkpoint.has_tokenizer(adapter)
        if not own and not options.gguf_file and not checkpoint.has_tokenizer(model):
            raise ConfigError(
                f"{str(model)!r} has no tokenizer: save it there too, with "
                "tokenizer.save_pretrained(), or copy the base model's"
            )
        model_at = model.fetch(wanted)
        adapter_at = adapter.fetch(wanted_too) if adapter else None
        return Files(
            model=model_at,
            tokenizer=adapter_at if own and adapter_at else model_at,
            adapter=adapter_at,
            pickled=any(name.endswith(".bin") for name in wanted),
            **options.model_dump(
                include={"gguf_file", "trust_remote_code", "dtype", "device", "device_map"}
            ),
        )

    def _check_extra(self, modules: list[str]) -> None:
        if any(importlib.util.find_spec(module) is None for module in modules):
            raise ConfigError(f"{self.spec.name!r} needs: pip install 'bakeoff[hf]'")

    def _check(self) -> None:
        self._check_extra(["gguf"] if self.options.gguf_file else [])
        self._check_extra(["peft"] if self._parts.adapter else [])
        hf_loading.choose_device(self.options.device)
        _ = self._files
