"""How one token is drawn: by temperature and top_p, from a random generator of each row's own.

So a draw depends on nothing but the row's seed and what the model gave, whoever shares the batch,
and no global state is touched. Knows no model.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakeoff.config import Sampling
from bakeoff.generators.transformers.tokenization import Tokens

if TYPE_CHECKING:
    import torch

_LIKELY = (256, 4096)  # tokens to look for a nucleus among: to sort them all takes much longer


def dice(seed: int, device: "torch.device") -> "torch.Generator":
    """A row's own random generator."""
    import torch

    return torch.Generator(device).manual_seed(seed)


def draw(
    scores: "torch.Tensor", sampling: Sampling, rolls: Sequence["torch.Generator"]
) -> "torch.Tensor":
    """Scores of which the largest of each row is the token that its generator draws.

    `scores` are logits in 32 bits, a row each; as many numbers are drawn as there are tokens.
    """
    import torch

    if not sampling.temperature:
        return scores
    scores = scores / sampling.temperature
    if sampling.top_p < 1:
        scores = nucleus(scores, sampling.top_p)
    luck = torch.empty_like(scores)
    for row, own in zip(luck, rolls, strict=True):
        row.uniform_(generator=own)
    # The token with the largest p / Exp(1) is a draw from p: torch.multinomial does the same.
    waits = luck.clamp_min_(torch.finfo(luck.dtype).tiny).log_().neg_()
    return scores - waits.log_()


def nucleus(scores: "torch.Tensor", top_p: float) -> "torch.Tensor":
    """The scores without the tail: -inf but for the fewest likeliest tokens that hold `top_p`.

    Tokens that are as likely as the last of these stay too. Holtzman et al. 2020, section 3.1.
    """
    likely = scores.softmax(-1)
    size = likely.shape[-1]
    for most in [*(some for some in _LIKELY if some < size), size]:
        best = likely.topk(most).values if most < size else likely.sort(descending=True).values
        if bool((best.sum(-1) >= top_p).all()):
            break
    before = best.cumsum(-1) - best
    last = (before < top_p).sum(-1, keepdim=True) - 1
    return scores.masked_fill(likely < best.gather(-1, last.clamp_min(0)), -math.inf)


def likeliest(scores: "torch.Tensor", most: int, tokens: Tokens) -> dict[str, float]:
    """The likeliest tokens of one row as text, with their log-probabilities.

    Tokens that read alike are one.
    """
    best = scores.log_softmax(-1).topk(min(most, scores.shape[-1]))
    top: dict[str, float] = {}
    for logprob, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        text = str(tokens.tokenizer.decode([token]))
        both = math.exp(logprob) + math.exp(top.get(text, -math.inf))
        top[text] = math.log(both) if both else logprob
    return top
