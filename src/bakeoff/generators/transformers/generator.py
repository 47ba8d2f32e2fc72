"""The `hf:` backend: a transformers model in this process.

This module downloads and frees the model. `checkpoint_loader.py` loads it, `scheduler.py` decides
which prompts share a batch, `decoding.py` generates, and `scoring.py` scores.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.config import Spec, parse_fields
from bakeoff.environment import check_extra
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.hub import checkpoint
from bakeoff.generators.hub.checkpoint import ModelSource
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.transformers import checkpoint_loader, scheduler, scoring, tokenization
from bakeoff.generators.transformers.checkpoint_loader import (
    CheckpointFiles,
    Dtype,
    LoadedModel,
    Quantization,
)
from bakeoff.generators.transformers.scheduler import BatchBudget, BatchScheduler
from bakeoff.generators.transformers.tokenization import EncodedPrompt
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt, content_key
from bakeoff.runtime import Batched, ModelRequest, WorkQueue, to_daemon_thread
from bakeoff.runtime.timing import timed

if TYPE_CHECKING:
    from bakeoff.generators.transformers.decoding import DecodingLoop

log = logging.getLogger(__name__)

_SCORING_ITEMS = 256  # taken from the queue at a time; the free memory limits a batch


class TransformersGenerator(Batched[Prompt, Completion]):
    """`hf:me/model` or `hf:./checkpoint`, with an adapter: `hf:BASE?adapter=./lora`, `hf:./lora`.

    Without a chat template, a prompt becomes `Question: ...`, `Answer:`. The sampling is the same
    for all models: only the end tokens are taken from a model's generation settings. A JSON schema
    in the sampling is ignored.
    """

    traits = replace(Batched.traits, can_score=True)
    remote_done = 0

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        revision: str | None = None
        dtype: Dtype = "auto"
        """auto: bfloat16 on MPS and CUDA devices with it, float16 on other CUDA, else float32."""
        quantization: Quantization | None = None
        """Load the weights of the linear layers in 8 or 4 bits, by torchao or bitsandbytes."""
        device: str | None = None
        device_map: str | None = None
        adapter: str | None = None
        gguf_file: str | None = None
        batch_size: int | None = Field(None, ge=1)
        """Prompts in a batch, at most; None: as many as memory allows, up to 64 or 256."""
        trust_remote_code: bool = False
        pickled: bool = False

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options = parse_fields(self.Options, spec.options, where=spec.name)
        super().__init__(options.batch_size or _SCORING_ITEMS)
        if options.device and options.device_map:
            raise ConfigError(f"{spec.name!r}: give device or device_map, not both")
        if options.quantization and options.gguf_file:
            raise ConfigError(f"{spec.name!r}: a GGUF file is quantized: omit quantization")
        self.options = options
        self.spec = spec
        self.sampling = context.sampling
        self._loaded: LoadedModel | None = None
        self._budget: BatchBudget | None = None
        self._loop: DecodingLoop | None = None
        # Before the first request to the hub.
        check_extra("hf", repr(spec.name))

    @cached_property
    def identity(self) -> JsonValue:  # type: ignore[override] # computed on first use
        """Fingerprints or commits of the files, and the options that change a completion."""
        return self._identity()

    @cached_property
    def weights(self) -> str | None:
        """Key of the model's files, the same as that of the `vllm:` backend."""
        source = self._source
        adapter = source.adapter.identity() if source.adapter else None
        return content_key(source.model.identity(self.options.gguf_file), adapter)

    async def prepare(self) -> None:
        """Check the extra, the files and the device, and download missing files.

        Raises ConfigError if one is missing.
        """
        await to_daemon_thread(self._check)

    def requests(self, item: Prompt) -> Sequence[ModelRequest]:
        """Return one request: the prompt."""
        return [ModelRequest(item, self.sampling)]

    def sort_key(self, item: Prompt) -> int:
        """Return the number of characters: prompts of similar length share a batch."""
        return sum(len(message.content) for message in item.messages)

    @property
    def tokens_in_progress(self) -> int:
        """Number of tokens generated for unfinished completions."""
        return self._loop.tokens_in_progress if self._loop else 0

    def process_queue(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Load the model, and complete the queued prompts in continuous batches."""
        loaded, budget = self._ready()
        if self.sampling.score_only:
            super().process_queue(queue)
            return
        from bakeoff.generators.transformers.decoding import DecodingLoop  # imports torch

        self._loop = self._loop or DecodingLoop(loaded, self.sampling)
        encode = partial(self._encode, loaded)
        BatchScheduler(self._loop, budget, encode, self.spec.name).work(queue)

    def process_batch(self, items: Sequence[Prompt]) -> Sequence[Completion | WorkError]:
        """Score the last turn of each prompt."""
        loaded, budget = self._ready()
        encoded = [self._encode_or_error(loaded, item) for item in items]
        rows = [row for row in encoded if isinstance(row, EncodedPrompt)]
        score = partial(self._score, loaded)
        scored = iter(scoring.score_in_batches(score, rows, budget, self.spec.name))
        return [next(scored) if isinstance(row, EncodedPrompt) else row for row in encoded]

    def release(self) -> None:
        """Free the model and the device's memory."""
        self._loaded = self._loop = self._budget = None
        self.traits = replace(self.traits, keep_loaded=False)
        scheduler.free_device_memory()

    def _ready(self) -> tuple[LoadedModel, BatchBudget]:
        if self._loaded is None or self._budget is None:
            with timed("load"):
                self._loaded = self._load()
            max_rows, scoring = self.options.batch_size, self.sampling.score_only
            self._budget = scheduler.batch_budget(self._loaded, max_rows, scoring=scoring)
            fits = scheduler.leaves_room(self._loaded)
            self.traits = replace(self.traits, keep_loaded=fits)
        return self._loaded, self._budget

    def _load(self) -> LoadedModel:
        try:
            loaded = self._load_files()
        except ConfigError as error:
            if not scheduler.is_out_of_memory(error.__cause__):
                raise
            raise ConfigError(
                f"{self.spec.name!r} does not fit into the memory that is free: make room, or take "
                "dtype=bfloat16, device_map=auto or a smaller model"
            ) from None
        # Completions of changed files would be stored under the old identity.
        if self._identity() != self.identity:
            raise ConfigError(f"{self.spec.name!r} changed while it was loaded: run again")
        return loaded

    def _load_files(self) -> LoadedModel:
        loaded = checkpoint_loader.load_language_model(self._files, self.spec.name)
        if not loaded.tokenizer.has_chat_template:
            log.warning("%s has no chat template: asking it as Question/Answer", self.spec.name)
        return loaded

    def _encode(self, loaded: LoadedModel, item: Prompt) -> EncodedPrompt:
        if self.sampling.score_only:
            return tokenization.encode_for_scoring(loaded.tokenizer, item, self.sampling)
        return tokenization.encode_prompt(loaded.tokenizer, item, self.sampling)

    def _encode_or_error(self, loaded: LoadedModel, item: Prompt) -> EncodedPrompt | BackendError:
        try:
            return self._encode(loaded, item)
        except BackendError as error:
            return error

    def _score(
        self, loaded: LoadedModel, rows: list[EncodedPrompt]
    ) -> list[Completion | WorkError]:
        return scoring.mean_logprobs(loaded, rows)

    def _identity(self) -> JsonValue:
        options, source = self.options, self._source
        return {
            "backend": self.spec.backend,
            "model": source.model.identity(options.gguf_file),
            "adapter": source.adapter.identity() if source.adapter else None,
            "gguf_file": options.gguf_file,
            "dtype": options.dtype,
            **({"quantization": list(self._quantization)} if self._quantization else {}),
            "sampling": self.sampling.model_dump(),
        }

    @cached_property
    def _quantization(self) -> tuple[Quantization, str] | None:
        """The option, and the package that implements it, which changes the weights."""
        bits = self.options.quantization
        return (bits, checkpoint_loader.choose_quantizer(bits, self.spec.name)) if bits else None

    @cached_property
    def _source(self) -> ModelSource:
        options = self.options
        return checkpoint.locate_model(
            self.spec.target,
            adapter=options.adapter,
            revision=options.revision,
            gguf_file=options.gguf_file,
        )

    @cached_property
    def _files(self) -> CheckpointFiles:
        """Directories of the files; missing files are downloaded."""
        options, (model, adapter) = self.options, self._source
        pickled = options.pickled
        model_files = checkpoint.model_files(model, gguf_file=options.gguf_file, pickled=pickled)
        adapter_files = checkpoint.adapter_files(adapter, pickled=pickled) if adapter else []
        adapter_has_tokenizer = adapter is not None and checkpoint.has_tokenizer(adapter)
        if (
            not adapter_has_tokenizer
            and not options.gguf_file
            and not checkpoint.has_tokenizer(model)
        ):
            raise ConfigError(
                f"{str(model)!r} has no tokenizer: save it there too, with "
                "tokenizer.save_pretrained(), or copy the base model's"
            )
        model_dir = model.fetch(model_files)
        adapter_dir = adapter.fetch(adapter_files) if adapter else None
        return CheckpointFiles(
            model=model_dir,
            tokenizer=adapter_dir if adapter_has_tokenizer and adapter_dir else model_dir,
            adapter=adapter_dir,
            pickled=any(name.endswith(".bin") for name in model_files),
            **options.model_dump(
                include={"gguf_file", "trust_remote_code", "dtype", "device", "device_map"}
            ),
            quantization=self._quantization,
        )

    def _check(self) -> None:
        if self.options.gguf_file:
            check_extra("hf", repr(self.spec.name), "gguf")
        if self._source.adapter:
            check_extra("hf", repr(self.spec.name), "peft")
        checkpoint_loader.choose_device(self.options.device)
        files = self._files
        if files.gguf_file:
            gguf.validate(files.model / files.gguf_file)
        elif files.quantization:
            config = json.loads((files.model / "config.json").read_text(encoding="utf-8"))
            if config.get("quantization_config"):
                raise ConfigError(f"{self.spec.name!r} is quantized already: omit quantization")
