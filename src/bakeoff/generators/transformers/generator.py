"""A transformers model in this process: where it is, what identifies it, and when it works.

Knows when to fetch, load and free a model; how one is loaded is in `hf_loading.py`, what goes at
once in `hf_desk.py` and `hf_memory.py`, how it is drawn from in `hf_sampling.py`.
"""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.hub import checkpoint
from bakeoff.generators.hub.checkpoint import Parts
from bakeoff.generators.llamacpp.gguf_validation import check_whole
from bakeoff.generators.transformers import batch_memory, checkpoint_loader, logprobs, tokenization
from bakeoff.generators.transformers.batch_memory import Budget
from bakeoff.generators.transformers.batch_scheduler import Desk
from bakeoff.generators.transformers.checkpoint_loader import Dtype, Files, Loaded
from bakeoff.generators.transformers.generation_loop import Scribe
from bakeoff.generators.transformers.tokenization import Row
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, content_key
from bakeoff.runtime import Batched, ModelRequest, WorkQueue, to_daemon_thread
from bakeoff.runtime.timing import timed

log = logging.getLogger(__name__)

_TAKEN = 256  # items that are taken at once; how many of them are weighed together memory says


class Hf(Batched[Prompt, Completion]):
    """`hf:me/model` or `hf:./checkpoint`, with an adapter: `hf:BASE?adapter=./lora`, `hf:./lora`.

    Without a chat template, a prompt becomes `Question: ...`, `Answer:`. The sampling is the same
    for all models: the model's own generation settings count only for the tokens that end a text.
    A JSON schema in the sampling is ignored.
    """

    traits = replace(Batched.traits, can_score=True)
    remote_done = 0

    class Options(BaseModel):
        """Options of the spec.

        `dtype` auto: bfloat16 on MPS and a CUDA with it, float16 on any other CUDA, else float32.
        `batch_size` is the most prompts at once; without it, as many as memory holds and help.
        """

        model_config = ConfigDict(extra="forbid")

        revision: str | None = None
        dtype: Dtype = "auto"
        device: str | None = None
        device_map: str | None = None
        adapter: str | None = None
        gguf_file: str | None = None
        batch_size: int | None = Field(None, ge=1)
        trust_remote_code: bool = False
        pickled: bool = False

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options = parse_fields(self.Options, spec.options, where=spec.name)
        super().__init__(options.batch_size or _TAKEN)
        if options.device and options.device_map:
            raise ConfigError(f"{spec.name!r}: give device or device_map, not both")
        self.options = options
        self.spec = spec
        self.sampling = context.sampling
        self._loaded: Loaded | None = None
        self._budget: Budget | None = None
        self._scribe: Scribe | None = None
        # First of all: without the extra there is no use in asking the hub for anything.
        self._check_extra(["torch", "transformers", "accelerate", "huggingface_hub"])

    @cached_property
    def identity(self) -> JsonValue:  # type: ignore[override] # looked up when it is first needed
        """What the files are (fingerprint or commit) and how their numbers are read."""
        return self._identity()

    @cached_property
    def weights(self) -> str | None:
        """The model's files, however they are asked."""
        parts = self._parts
        adapter = parts.adapter.identity() if parts.adapter else None
        return content_key(parts.model.identity(self.options.gguf_file), adapter)

    async def prepare(self) -> None:
        """Check the extra, the files and the device, and fetch what is not here. ConfigError."""
        await to_daemon_thread(self._check)

    def requests(self, item: Prompt) -> Sequence[ModelRequest]:
        """One request."""
        return [ModelRequest(item, self.sampling)]

    def sort_key(self, item: Prompt) -> int:
        """Prompts of about the same length share a batch."""
        return sum(len(message.content) for message in item.messages)

    @property
    def tokens_in_progress(self) -> int:
        """The tokens of the completions under way."""
        return self._scribe.written if self._scribe else 0

    def process_queue(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Complete what waits, each as soon as there is room for it; the model is loaded first."""
        loaded, budget = self._ready()
        if self.sampling.weigh:
            super().process_queue(queue)
            return
        self._scribe = self._scribe or Scribe(loaded, self.sampling)
        Desk(self._scribe, budget, partial(self._row, loaded), self.spec.name).work(queue)

    def process_batch(self, items: Sequence[Prompt]) -> Sequence[Completion | WorkError]:
        """What each of the texts is worth."""
        loaded, budget = self._ready()
        outcomes: dict[int, Completion | WorkError] = {}
        rows: dict[int, Row] = {}
        for index, item in enumerate(items):
            try:
                rows[index] = self._row(loaded, item)
            except BackendError as error:
                outcomes[index] = error
        indices = list(rows)
        for group in batch_memory.groups(list(rows.values()), budget):
            own = [indices[position] for position in group]
            done = self._weigh(loaded, [rows[index] for index in own], budget)
            outcomes.update(zip(own, done, strict=True))
        return [outcomes[index] for index in range(len(items))]

    def release(self) -> None:
        """Free the model and the device's cache."""
        self._loaded = self._scribe = self._budget = None
        self.traits = replace(self.traits, keep_loaded=False)
        batch_memory.free()

    def _ready(self) -> tuple[Loaded, Budget]:
        if self._loaded is None or self._budget is None:
            with timed("load"):
                self._loaded = self._load()
            most, weigh = self.options.batch_size, self.sampling.weigh
            self._budget = batch_memory.budget_of(self._loaded, most, weigh=weigh)
            fits = batch_memory.leaves_room(self._loaded)
            self.traits = replace(self.traits, keep_loaded=fits)
        return self._loaded, self._budget

    def _load(self) -> Loaded:
        try:
            loaded = self._open()
        except ConfigError as error:
            if not batch_memory.out_of_memory(error.__cause__):
                raise
            raise ConfigError(
                f"{self.spec.name!r} does not fit into the memory that is free: make room, or take "
                "dtype=bfloat16, device_map=auto or a smaller model"
            ) from None
        if self._identity() != self.identity:  # what comes would be stored as the old files' words
            raise ConfigError(f"{self.spec.name!r} changed while it was loaded: run again")
        return loaded

    def _open(self) -> Loaded:
        loaded = checkpoint_loader.load(self._files, self.spec.name)
        if not loaded.tokens.chat:
            log.warning("%s has no chat template: asking it as Question/Answer", self.spec.name)
        return loaded

    def _row(self, loaded: Loaded, item: Prompt) -> Row:
        make = tokenization.weighed_row_of if self.sampling.weigh else tokenization.row_of
        return make(loaded.tokens, item, self.sampling)

    def _together(self, loaded: Loaded, rows: list[Row]) -> list[Completion | WorkError]:
        return logprobs.weigh(loaded, rows)

    def _weigh(
        self, loaded: Loaded, rows: list[Row], budget: Budget
    ) -> list[Completion | WorkError]:
        """Weigh the rows together, or in halves where memory does not suffice."""
        try:
            return self._together(loaded, rows)
        except (RuntimeError, MemoryError) as error:
            if not batch_memory.out_of_memory(error):
                raise
        # Not inside the except clause: its traceback would keep the tensors of the failed try.
        batch_memory.free()
        width = max(len(row.tokens) for row in rows)
        if len(rows) == 1:
            return [batch_memory.too_large(width)]
        half = budget.halve(len(rows), width)
        log.warning("%s: out of memory, going on with batches of %d", self.spec.name, half)
        return [
            outcome
            for part in (rows[:half], rows[half:])
            for outcome in self._weigh(loaded, part, budget)
        ]

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
        checkpoint_loader.choose_device(self.options.device)
        files = self._files
        if files.gguf_file:
            check_whole(files.model / files.gguf_file)
