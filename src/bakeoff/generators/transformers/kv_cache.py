"""What a transformers model keeps of the tokens it has read: rows of it left out, repeated, joined.

Only where all layers keep the keys and values of all tokens: of a sliding window or a state nothing
can be shifted. Draws nothing.
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def can_join(model: Any) -> bool:
    """Whether the model's cache is of the kind that this file knows."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    config = model.config.get_text_config(decoder=True)
    if getattr(config, "auto_map", None):  # code of its own may keep what it likes
        return False
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def empty(model: Any) -> Any:
    """A cache that holds nothing yet."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config.get_text_config(decoder=True))


def as_argument(cache: Any) -> dict[str, Any]:
    """How `generate` is told to go on from it."""
    from transformers import GenerationMixin

    known = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}


def select(cache: Any, rows: "torch.Tensor", skip: int = 0) -> None:
    """Keep these rows, in this order, and of each all tokens but the first `skip`."""
    for layer in cache.layers:
        layer.keys = layer.keys[:, :, skip:][rows]
        layer.values = layer.values[:, :, skip:][rows]


def joined(caches: Sequence[Any]) -> Any:
    """One cache with the rows of all, those of the shorter ones padded on the left."""
    import torch

    whole, *others = caches
    length = max(cache.get_seq_length() for cache in caches)
    for index, layer in enumerate(whole.layers):
        parts = [cache.layers[index] for cache in caches]
        layer.keys = torch.cat([_padded(part.keys, length) for part in parts])
        layer.values = torch.cat([_padded(part.values, length) for part in parts])
        for other in others:  # so that not everything is there twice
            other.layers[index].keys = other.layers[index].values = None
    return whole


def _padded(tensor: "torch.Tensor", length: int) -> "torch.Tensor":
    from torch.nn.functional import pad

    return pad(tensor, (0, 0, length - tensor.shape[2], 0))
