"""The rows and tokens that fit into a device's memory, and recovery if they did not."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError
from bakeoff.generators.llamacpp.memory import available_memory
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel
from bakeoff.generators.transformers.tokenization import EncodedPrompt

if TYPE_CHECKING:
    import torch

_CACHE_FRACTION = 0.6  # of the memory that is free after loading; the rest is for activations
_MAX_ROWS = {"cpu": 64}  # more do not increase the throughput, and delay the first completion
_MAX_ROWS_ELSEWHERE = 256
# Messages of CUDA and MPS, of torch on a CPU, of the operating system (mapped files), and of C++.
_OOM_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


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


def group_rows(rows: Sequence[EncodedPrompt], budget: BatchBudget) -> list[list[int]]:
    """Return the indices of the rows in groups that fit the budget, the longest rows first."""
    groups: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index].tokens)):
        width = len(rows[groups[-1][0]].tokens) if groups else 0
        if groups and budget.fits(len(groups[-1]) + 1, width):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


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
