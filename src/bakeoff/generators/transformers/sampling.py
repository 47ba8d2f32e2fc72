"""Sampling of one token per row: temperature and top-p, with a random generator per row.

A row's token depends only on its seed and its logits, not on the other rows of the batch or on
torch's global generator.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakeoff.config import Sampling
from bakeoff.generators.transformers.tokenization import ModelTokenizer

if TYPE_CHECKING:
    import torch

_TOP_SIZES = (256, 4096)  # most likely tokens to try for the top-p set: a full sort is much slower


def row_generator(seed: int, device: "torch.device") -> "torch.Generator":
    """Return a random generator for one row."""
    import torch

    return torch.Generator(device).manual_seed(seed)


def sample_top_p(
    scores: "torch.Tensor", sampling: Sampling, generators: Sequence["torch.Generator"]
) -> "torch.Tensor":
    """Return scores whose argmax is the sampled token of each row (the Gumbel-max trick).

    `scores` are float32 logits of shape (rows, vocabulary). At temperature 0 they are returned
    unchanged; otherwise one number per token is drawn from the generator of each row.
    """
    import torch

    if not sampling.temperature:
        return scores
    scores = scores / sampling.temperature
    if sampling.top_p < 1:
        scores = top_p_filter(scores, sampling.top_p)
    uniform = torch.empty_like(scores)
    for row, generator in zip(uniform, generators, strict=True):
        row.uniform_(generator=generator)
    # The argmax of p / Exp(1) is a sample from p, as in torch.multinomial.
    exponential = uniform.clamp_min_(torch.finfo(uniform.dtype).tiny).log_().neg_()
    return scores - exponential.log_()


def top_p_filter(scores: "torch.Tensor", top_p: float) -> "torch.Tensor":
    """Return the scores, with -inf for all but the most likely tokens that together reach `top_p`.

    Tokens as likely as the least likely one of the set are kept. Holtzman et al. 2020, section 3.1.
    """
    probabilities = scores.softmax(-1)
    vocab_size = probabilities.shape[-1]
    for count in [*(size for size in _TOP_SIZES if size < vocab_size), vocab_size]:
        if count < vocab_size:
            best = probabilities.topk(count).values
        else:
            best = probabilities.sort(descending=True).values
        if bool((best.sum(-1) >= top_p).all()):
            break
    before = best.cumsum(-1) - best
    last = (before < top_p).sum(-1, keepdim=True) - 1
    return scores.masked_fill(probabilities < best.gather(-1, last.clamp_min(0)), -math.inf)


def top_logprobs(scores: "torch.Tensor", count: int, tokenizer: ModelTokenizer) -> dict[str, float]:
    """Return the log-probabilities of a row's `count` most likely tokens, by their text.

    The probabilities of tokens with the same text are added up.
    """
    best = scores.log_softmax(-1).topk(min(count, scores.shape[-1]))
    top: dict[str, float] = {}
    for logprob, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        text = str(tokenizer.tokenizer.decode([token]))
        probability = math.exp(logprob) + math.exp(top.get(text, -math.inf))
        top[text] = math.log(probability) if probability else logprob
    return top
