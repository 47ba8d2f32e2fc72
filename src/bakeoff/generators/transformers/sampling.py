"""Sampling of one token per row: temperature and top-p, with a random generator per row.

A row's token depends only on its seed and its logits, not on the other rows of the batch or on
torch's global generator.
"""

import math
from collections.abc import Sequence

import torch

from bakeoff.config import Sampling
from bakeoff.generators.transformers.tokenization import ModelTokenizer

_TOP_SIZES = (256, 4096)  # most likely tokens to try for the top-p set: a full sort is much slower


def row_generator(seed: int, device: torch.device) -> torch.Generator:
    """Return a random generator for one row."""
    return torch.Generator(device).manual_seed(seed)


def sample(
    scores: torch.Tensor, sampling: Sampling, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Return the sampled token of each row.

    `scores` are float32 logits of shape (rows, vocabulary). At temperature 0 the tokens are their
    argmax; otherwise one number per token of the vocabulary is drawn from the generator of each
    row.
    """
    if not sampling.temperature:
        return scores.argmax(-1)
    scores = scores / sampling.temperature
    uniform = torch.empty_like(scores)
    for row, generator in zip(uniform, generators, strict=True):
        row.uniform_(generator=generator)
    tokens = None
    if sampling.top_p < 1:
        scores, tokens = top_p_set(scores, sampling.top_p)
        uniform = uniform.gather(-1, tokens)
    # The argmax of p / Exp(1) is a sample from p, as in torch.multinomial (the Gumbel-max trick).
    exponential = uniform.clamp_min_(torch.finfo(uniform.dtype).tiny).log_().neg_()
    choice = (scores - exponential.log_()).argmax(-1)
    return choice if tokens is None else tokens.gather(-1, choice[:, None])[:, 0]


def top_p_set(scores: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the most likely tokens of each row that together reach `top_p`: scores and indices.

    Tokens as likely as the least likely one of the set belong to it. Rows with fewer tokens than
    others have further ones, with the score -inf. Holtzman et al. 2020, section 3.1.
    """
    probabilities = scores.softmax(-1)
    vocab_size = probabilities.shape[-1]
    for count in [*(size for size in _TOP_SIZES if size < vocab_size), vocab_size]:
        best, tokens = (
            probabilities.topk(count) if count < vocab_size else probabilities.sort(descending=True)
        )
        before = best.cumsum(-1) - best
        last = (before < top_p).sum(-1, keepdim=True) - 1
        least = best.gather(-1, last.clamp_min(0))
        # Otherwise, tokens beyond the best ones may belong to the set.
        if bool(((best.sum(-1) >= top_p) & (best[:, -1] < least[:, 0])).all()):
            break
    return scores.gather(-1, tokens).masked_fill(best < least, -math.inf), tokens


def top_logprobs(scores: torch.Tensor, count: int, tokenizer: ModelTokenizer) -> dict[str, float]:
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
