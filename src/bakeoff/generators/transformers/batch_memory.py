"""How many tokens of how many prompts a device holds at once, and what to do when it did not.

Knows devices and the size of a model's cache; draws and weighs nothing.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError
from bakeoff.generators.llamacpp.memory import available
from bakeoff.generators.transformers.checkpoint_loader import Loaded
from bakeoff.generators.transformers.tokenization import Row

if TYPE_CHECKING:
    import torch

_SHARE = 0.6  # of what is free when the model is loaded: the rest is for what a layer makes
_ROWS = {"cpu": 64}  # more gain nothing there, and the first completion comes later
_MOST = 256  # on anything else
# CUDA and MPS; torch on a CPU; the operating system, through a file that is mapped; C++.
_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


@dataclass
class Budget:
    """What goes at once: so many rows, and so many tokens, with the padding between them."""

    tokens: int
    rows: int

    def fits(self, rows: int, width: int) -> bool:
        """Whether so many rows of up to so many tokens fit; one always does."""
        return rows <= 1 or (rows <= self.rows and rows * width <= self.tokens)

    def halve(self, rows: int, width: int) -> int:
        """So many were too many: the next time it is half of them. Says how many."""
        half = (rows + 1) // 2
        self.tokens = min(self.tokens, half * width)
        return half


def budget_of(loaded: Loaded, most: int | None, *, score_only: bool) -> Budget:
    """What the device's free memory holds of the model's cache, and of logits where it weighs.

    `most` is the number of rows that was asked for; None: as many as are of use.
    """
    device = loaded.model.device
    each = _bytes_per_token(loaded.model, score_only=score_only)
    tokens = int(_SHARE * _free_bytes(device)) // max(1, each)
    return Budget(max(1, tokens), most or _ROWS.get(device.type, _MOST))


def leaves_room(loaded: Loaded) -> bool:
    """Whether two more models of this size fit into what a budget leaves of the device's memory."""
    size: int = loaded.model.get_memory_footprint()
    return size <= (1 - _SHARE) / 3 * _free_bytes(loaded.model.device)


def groups(rows: Sequence[Row], budget: Budget) -> list[list[int]]:
    """The rows' indices, the longest first, in groups that fit."""
    found: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index].tokens)):
        widest = len(rows[found[-1][0]].tokens) if found else 0
        if found and budget.fits(len(found[-1]) + 1, widest):
            found[-1].append(index)
        else:
            found.append([index])
    return found


def out_of_memory(error: BaseException | None) -> bool:
    """Whether the device's memory did not suffice; only CUDA has an error class for it."""
    import torch

    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    words = str(error).lower() if isinstance(error, RuntimeError) else ""
    return known or any(word in words for word in _WORDS)


def too_large(width: int) -> BackendError:
    """What is said of a row that does not fit even alone."""
    return BackendError(f"out of memory at up to {width} tokens, alone in its batch")


def free() -> None:
    """Give the memory of what is no longer used back to the device."""
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
    return available()


def _bytes_per_token(model: Any, *, score_only: bool) -> int:
    """Of the keys and values of all layers; where a model keeps them otherwise, it is a guess."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    number: int = model.dtype.itemsize
    size: int = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept: int = (getattr(config, "num_key_value_heads", None) or heads) * size
    layers: int = config.num_hidden_layers
    vocabulary: int = config.vocab_size
    each = 2 * layers * kept * number
    # Of every token that is weighed there are logits, once as they come and once in 32 bits.
    return each + (vocabulary * (number + 8) if score_only else 0)
