"""What a text is worth to a loaded transformers model, a batch of texts at a time. Draws nothing.

A causal language model tells how likely it finds a text, a classifier with one number as its head
what it rewards it with.
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.transformers.checkpoint_loader import Loaded, quiet
from bakeoff.generators.transformers.tokenization import Row
from bakeoff.records import Completion

if TYPE_CHECKING:
    import torch


def score_rows(loaded: Loaded, rows: Sequence[Row]) -> list[Completion | WorkError]:
    """The mean log-probability of each row's tokens from `since` on, given those before.

    Of no tokens: the log-probability of ending at once.
    """
    import torch

    # The logits of what was asked are not needed, and of all tokens of a batch they are gigabytes.
    first = min(row.since for row in rows) - 1
    width = max(len(row.tokens) for row in rows)
    fewer = {"logits_to_keep": width - first} if _can_keep_fewer(loaded.model) else {}
    with quiet(), torch.inference_mode():
        asked = _padded(loaded, rows, pad=loaded.tokens.ends[0] if loaded.tokens.ends else 0)
        logits = loaded.model(**asked, **fewer).logits
        start = first if fewer else 0
        means = [
            _mean(loaded, row, logits[index, row.since - 1 - start :])
            for index, row in enumerate(rows)
        ]
    return [_worth(value) for value in means]


def reward(loaded: Loaded, rows: Sequence[Row]) -> list[Completion | WorkError]:
    """The reward of each row. ConfigError where the model gives several numbers.

    Models with a head of their own may call it `score`, beside logits that mean something else.
    """
    import torch

    pad = loaded.model.config.get_text_config().pad_token_id
    with quiet(), torch.inference_mode():
        asked = _padded(loaded, rows, pad=pad or 0)
        if any(row.since for row in rows):  # it tells the two texts of a pair apart
            kinds = torch.zeros_like(asked["input_ids"])
            for index, row in enumerate(rows):
                kinds[index, row.since : len(row.tokens)] = 1
            asked["token_type_ids"] = kinds
        made = loaded.model(**asked)
        found = getattr(made, "score", None)
        found = made.logits if found is None else found
    if found.numel() != len(rows):
        labels = found.numel() // len(rows)
        raise ConfigError(
            f"{loaded.model.name_or_path!r} is no reward model: it is a classifier with {labels} "
            "labels, and a reward is one number"
        )
    return [_worth(value) for value in found.float().flatten().tolist()]


def _padded(loaded: Loaded, rows: Sequence[Row], *, pad: int) -> dict[str, "torch.Tensor"]:
    """The rows as one tensor and its mask, padded on the right: no position moves."""
    import torch

    width = max(len(row.tokens) for row in rows)
    padded = [row.tokens + [pad] * (width - len(row.tokens)) for row in rows]
    mask = [[1] * len(row.tokens) + [0] * (width - len(row.tokens)) for row in rows]
    device = loaded.model.device
    return {
        "input_ids": torch.tensor(padded, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def _mean(loaded: Loaded, row: Row, logits: "torch.Tensor") -> float:
    import torch

    own = row.tokens[row.since :]
    logprobs = logits[: max(1, len(own))].float().log_softmax(-1)
    if own:
        return float(logprobs.gather(-1, torch.tensor(own, device=logits.device)[:, None]).mean())
    return float(logprobs[0, loaded.tokens.ends].logsumexp(0))


def _worth(value: float) -> Completion | WorkError:
    if abs(value) < float("inf"):
        return Completion(text="", score=value)
    return BackendError(f"the model computes {value}: try another dtype, like float32")


def _can_keep_fewer(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters
