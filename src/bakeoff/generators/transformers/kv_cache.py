"""Operations on a transformers `DynamicCache`: select, repeat and concatenate rows.

They require that every layer keeps the keys and values of all tokens: a sliding window or a
recurrent state cannot be shifted.
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def can_join(model: Any) -> bool:
    """Return whether the rows of the model's cache can be selected and concatenated."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    config = model.config.get_text_config(decoder=True)
    if getattr(config, "auto_map", None):  # custom code may use a cache of its own
        return False
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def new_cache(model: Any) -> Any:
    """Return an empty cache for the model."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config.get_text_config(decoder=True))


def cache_argument(cache: Any) -> dict[str, Any]:
    """Return the keyword argument of `generate` for the cache; its name depends on the version."""
    from transformers import GenerationMixin

    parameters = inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    return {"cache" if "cache" in parameters else "past_key_values": cache}


def select_rows(cache: Any, rows: "torch.Tensor", skip: int = 0) -> None:
    """Keep these rows in this order, without the first `skip` tokens of each; changes `cache`."""
    for layer in cache.layers:
        layer.keys = layer.keys[:, :, skip:][rows]
        layer.values = layer.values[:, :, skip:][rows]


def concatenate(caches: Sequence[Any]) -> Any:
    """Return the first cache with the rows of all, shorter ones padded on the left.

    The other caches are emptied.
    """
    import torch

    target, *others = caches
    length = max(cache.get_seq_length() for cache in caches)
    for index, layer in enumerate(target.layers):
        layers = [cache.layers[index] for cache in caches]
        layer.keys = torch.cat([_pad_left(part.keys, length) for part in layers])
        layer.values = torch.cat([_pad_left(part.values, length) for part in layers])
        for other in others:  # after each layer, so that memory does not hold all layers twice
            other.layers[index].keys = other.layers[index].values = None
    return target


def _pad_left(tensor: "torch.Tensor", length: int) -> "torch.Tensor":
    from torch.nn.functional import pad

    return pad(tensor, (0, 0, length - tensor.shape[2], 0))
