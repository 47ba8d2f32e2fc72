"""Scores of texts by a loaded model: mean log-probabilities, or rewards."""

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.transformers import scheduler
from bakeoff.generators.transformers.checkpoint_loader import LoadedModel, quiet_transformers
from bakeoff.generators.transformers.scheduler import BatchBudget
from bakeoff.generators.transformers.tokenization import EncodedPrompt
from bakeoff.records import Completion

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Outcomes = list[Completion | WorkError]
Score = Callable[[list[EncodedPrompt]], Outcomes]


def score_in_batches(
    score: Score, rows: Sequence[EncodedPrompt], budget: BatchBudget, name: str
) -> Outcomes:
    """Return the outcomes of the rows, scored in batches that fit the budget, the longest first.

    If memory runs out, the batches get smaller. `name` is the model's, for the log.
    """
    outcomes: dict[int, Completion | WorkError] = {}
    waiting = sorted(range(len(rows)), key=lambda index: -len(rows[index].tokens))
    while waiting:
        width = len(rows[waiting[0]].tokens)
        size = next(n for n in range(len(waiting), 0, -1) if budget.fits(n, width))
        batch = waiting[:size]
        try:
            scored = score([rows[index] for index in batch])
        except (RuntimeError, MemoryError) as error:
            if not scheduler.is_out_of_memory(error):
                raise
            scored = None
        if scored is None:
            # Outside the except clause: its traceback would keep the tensors of the failed batch.
            scheduler.free_device_memory()
            if size > 1:
                half = budget.halve(size, width)
                log.warning("%s: out of memory, going on with batches of %d", name, half)
                continue
            scored = [scheduler.row_too_large(width)]
        outcomes.update(zip(batch, scored, strict=True))
        waiting = waiting[size:]
    return [outcomes[index] for index in range(len(rows))]


def mean_logprobs(loaded: LoadedModel, rows: Sequence[EncodedPrompt]) -> Outcomes:
    """Return the mean log-probability of each row's tokens from `scored_from` on.

    For a row without such tokens it is the log-probability of an end token. The outcome is a
    BackendError if the model computes NaN or infinity.
    """
    import torch

    # Without the logits of the context, which are not used: those of a batch take gigabytes.
    first = min(row.scored_from for row in rows) - 1
    width = max(len(row.tokens) for row in rows)
    keep = {"logits_to_keep": width - first} if _supports_logits_to_keep(loaded.model) else {}
    end_tokens = loaded.tokenizer.end_tokens
    with quiet_transformers(), torch.inference_mode():
        inputs = _padded(loaded, rows, pad=end_tokens[0] if end_tokens else 0)
        logits = loaded.model(**inputs, **keep).logits
        start = first if keep else 0
        means = [
            _mean_logprob(loaded, row, logits[index, row.scored_from - 1 - start :])
            for index, row in enumerate(rows)
        ]
    return [_to_outcome(value) for value in means]


def rewards(loaded: LoadedModel, rows: Sequence[EncodedPrompt]) -> Outcomes:
    """Return the reward of each row. Raises ConfigError if the model returns several per row.

    A model with custom code may return the reward as `score`, beside logits with another meaning.
    """
    import torch

    pad = loaded.model.config.get_text_config().pad_token_id
    with quiet_transformers(), torch.inference_mode():
        inputs = _padded(loaded, rows, pad=pad or 0)
        if any(row.scored_from for row in rows):  # an encoder's pair of texts
            token_types = torch.zeros_like(inputs["input_ids"])
            for index, row in enumerate(rows):
                token_types[index, row.scored_from : len(row.tokens)] = 1
            inputs["token_type_ids"] = token_types
        output = loaded.model(**inputs)
        scores = getattr(output, "score", None)
        scores = output.logits if scores is None else scores
    if scores.numel() != len(rows):
        labels = scores.numel() // len(rows)
        raise ConfigError(
            f"{loaded.model.name_or_path!r} is no reward model: it is a classifier with {labels} "
            "labels, and a reward is one number"
        )
    return [_to_outcome(value) for value in scores.float().flatten().tolist()]


def _padded(
    loaded: LoadedModel, rows: Sequence[EncodedPrompt], *, pad: int
) -> dict[str, "torch.Tensor"]:
    """Return the rows as one tensor and its mask, padded on the right to keep the positions."""
    import torch

    width = max(len(row.tokens) for row in rows)
    padded = [row.tokens + [pad] * (width - len(row.tokens)) for row in rows]
    mask = [[1] * len(row.tokens) + [0] * (width - len(row.tokens)) for row in rows]
    device = loaded.model.device
    return {
        "input_ids": torch.tensor(padded, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def _mean_logprob(loaded: LoadedModel, row: EncodedPrompt, logits: "torch.Tensor") -> float:
    import torch

    scored = row.tokens[row.scored_from :]
    logprobs = logits[: max(1, len(scored))].float().log_softmax(-1)
    if scored:
        indices = torch.tensor(scored, device=logits.device)[:, None]
        return float(logprobs.gather(-1, indices).mean())
    return float(logprobs[0, loaded.tokenizer.end_tokens].logsumexp(0))


def _to_outcome(value: float) -> Completion | WorkError:
    if abs(value) < float("inf"):
        return Completion(text="", score=value)
    return BackendError(f"the model computes {value}: try another dtype, like float32")


def _supports_logits_to_keep(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters
