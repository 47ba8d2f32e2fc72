"""Continuous batching: adds waiting prompts to a running batch, the longest that fit first.

The rows and tokens of a batch are limited by the memory of the device.
"""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.llamacpp.memory import available_memory
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel
from bakeoff.generators.transformers.tokenization import EncodedPrompt
from bakeoff.records import Completion, Prompt
from bakeoff.runtime.work_queue import WorkQueue

if TYPE_CHECKING:
    import torch

    from bakeoff.generators.transformers.decoding import DecodingLoop

log = logging.getLogger(__name__)

_REFILL_SHARE = 8  # refill when 1/8 as many can join as are running: each stop has a cost
_CACHE_FRACTION = 0.6  # of the memory that is free after loading; the rest is for activations
_MAX_ROWS = {"cpu": 64}  # more do not increase the throughput, and delay the first completion
_MAX_ROWS_ELSEWHERE = 256
# Messages of CUDA and MPS, of torch on a CPU, of the operating system (mapped files), and of C++.
_OOM_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


@dataclass(eq=False)
class RunningSequence:
    """One completion that is being generated."""

    prompt: EncodedPrompt
    on_finish: Callable[[Completion | WorkError], None]
    """Called with the outcome, at most once."""
    is_wanted: Callable[[], bool]
    """Returns whether the caller still waits for the completion."""
    output: list[int] = field(default_factory=list)
    """Tokens generated so far."""
    finished: bool = False
    """Whether it has ended, so that its row can be removed from the batch."""
    top_logprobs: dict[str, float] | None = None
    """Log-probabilities of the most likely first tokens, if requested."""
    random_generator: "torch.Generator | None" = None

    @property
    def tokens(self) -> list[int]:
        """Tokens of the prompt and of the completion so far."""
        return self.prompt.tokens + self.output

    @property
    def max_length(self) -> int:
        """Number of tokens of the prompt and the longest possible completion."""
        return len(self.prompt.tokens) + self.prompt.max_new_tokens

    def restarted(self) -> "RunningSequence":
        """Return the sequence without its output."""
        return RunningSequence(self.prompt, self.on_finish, self.is_wanted)

    def finish(self, outcome: Completion | WorkError) -> None:
        """Mark the sequence as finished, and call `on_finish`."""
        self.finished = True
        self.on_finish(outcome)


@dataclass
class BatchBudget:
    """Limits of one batch."""

    tokens: int
    """Tokens of all rows, with padding."""
    rows: int

    def fits(self, rows: int, width: int) -> bool:
        """Return whether `rows` rows of up to `width` tokens fit. A single row always does."""
        return rows <= 1 or (rows <= self.rows and rows * width <= self.tokens)

    def halve(self, rows: int, width: int) -> int:
        """Reduce `tokens` to half of a batch that ran out of memory; return half of its rows."""
        half = (rows + 1) // 2
        self.tokens = min(self.tokens, half * width)
        return half


class BatchScheduler:
    """Generates completions for the prompts of a queue.

    `encode` tokenizes a prompt and may raise BackendError, which is its outcome then.
    """

    def __init__(
        self,
        loop: "DecodingLoop",
        budget: BatchBudget,
        encode: Callable[[Prompt], EncodedPrompt],
        name: str,
    ) -> None:
        self._loop = loop
        self._budget = budget
        self._encode = encode
        self._name = name  # of the model, for the log
        self._waiting: list[RunningSequence] = []
        self._full = False  # whether some waiting sequences did not fit into memory

    def work(self, queue: WorkQueue[Prompt, Completion]) -> None:
        """Run until the queue is empty. If memory runs out, continue with half of the batch."""
        while (new := self._next_batch(queue)) or self._loop.running:
            try:
                self._loop.generate(new, partial(self._should_stop, queue))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                continue
            # Outside the except clause: its traceback would keep the tensors of the failed batch.
            self._recover()

    def _next_batch(self, queue: WorkQueue[Prompt, Completion]) -> list[RunningSequence]:
        """Return the waiting sequences that join the running ones, the longest first."""
        for work_item in queue.take(max(0, self._budget.rows - len(self._waiting))):
            on_finish = partial(queue.put_outcome, work_item)
            try:
                prompt = self._encode(work_item.item)
                sequence = RunningSequence(prompt, on_finish, work_item.is_wanted)
            except BackendError as error:
                on_finish(error)
            else:
                self._waiting.append(sequence)
        self._waiting = [sequence for sequence in self._waiting if sequence.is_wanted()]
        self._waiting.sort(key=lambda sequence: -len(sequence.prompt.tokens))
        batch = self._loop.running
        new: list[RunningSequence] = []
        if self._loop.can_join or not batch:
            while self._waiting and self._fits(batch, new, self._waiting[0]):
                new.append(self._waiting.pop(0))
        self._full = bool(self._waiting)
        return new

    def _fits(
        self,
        running: list[RunningSequence],
        new: list[RunningSequence],
        sequence: RunningSequence,
    ) -> bool:
        batch = [*running, *new, sequence]
        # Without `can_join` no sequence leaves the batch early: all need the same length limit.
        limit = sequence.prompt.max_new_tokens
        uniform = self._loop.can_join or not new or new[0].prompt.max_new_tokens == limit
        width = max(member.max_length for member in batch)
        return uniform and self._budget.fits(len(batch), width)

    def _should_stop(self, queue: WorkQueue[Prompt, Completion], running: int, ended: int) -> bool:
        """Return whether to interrupt the loop: enough can join, or half have finished."""
        free_rows = ended if self._full else self._budget.rows - running
        joining = min(len(self._waiting) + len(queue), free_rows)
        return max(1, running // _REFILL_SHARE) <= joining or ended >= running

    def _recover(self) -> None:
        """Queue all running sequences again and halve the budget; one that ran alone fails."""
        free_device_memory()
        unfinished = self._loop.reset()
        width = max((sequence.max_length for sequence in unfinished), default=0)
        if len(unfinished) == 1:
            unfinished[0].finish(row_too_large(width))
        else:
            half = self._budget.halve(len(unfinished), width)
            log.warning("%s: out of memory, going on with batches of %d", self._name, half)
            self._waiting += unfinished


def batch_budget(loaded: LoadedModel, max_rows: int | None, *, scoring: bool) -> BatchBudget:
    """Return the budget for the free memory of the model's device.

    The memory is used by the KV cache and, when scoring, the logits. `max_rows` limits the rows;
    None: the largest number that increases the throughput of the device.
    """
    device = loaded.model.device
    per_token = _bytes_per_token(loaded.model, scoring=scoring)
    tokens = int(_CACHE_FRACTION * _free_bytes(device)) // max(1, per_token)
    rows = max_rows or _MAX_ROWS.get(device.type, _MAX_ROWS_ELSEWHERE)
    return BatchBudget(max(1, tokens), rows)


def leaves_room(loaded: LoadedModel) -> bool:
    """Return whether two more models of this size fit into the memory beside the budget's."""
    size: int = loaded.model.get_memory_footprint()
    return size <= (1 - _CACHE_FRACTION) / 3 * _free_bytes(loaded.model.device)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error means that the device is out of memory.

    Only CUDA has a class for it; the errors of other devices are recognized by their messages.
    """
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(text in message for text in _OOM_TEXTS)


def row_too_large(width: int) -> BackendError:
    """Return the error of a row that does not fit into memory alone."""
    return BackendError(f"out of memory at up to {width} tokens, alone in its batch")


def free_device_memory() -> None:
    """Collect garbage, and release torch's cached memory to the device."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _free_bytes(device: "torch.device") -> int:
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return available_memory()


def _bytes_per_token(model: Any, *, scoring: bool) -> int:
    """Return the bytes of keys and values over all layers, an estimate for other kinds of cache.

    When scoring, also those of the logits.
    """
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    item_bytes: int = model.dtype.itemsize
    head_size: int = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_size: int = (getattr(config, "num_key_value_heads", None) or heads) * head_size
    layers: int = config.num_hidden_layers
    vocab_size: int = config.vocab_size
    # Logits in the model's type, in float32, and their log-softmax.
    logits = vocab_size * (item_bytes + 8) if scoring else 0
    return 2 * layers * kv_size * item_bytes + logits
