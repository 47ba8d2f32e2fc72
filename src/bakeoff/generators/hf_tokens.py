"""Prompts to tokens and tokens to text, for one model and its tokenizer. Draws nothing.

Knows what a model's special tokens mean: which of them end a completion, which are no part of it.
"""

import re
from dataclasses import dataclass
from typing import Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError
from bakeoff.records import Prompt, content_key

STOP = "\nQuestion:"  # where a model without a chat template would go on with a question of its own

_TAG = re.compile(r"</?(think|thinking|reasoning|answer)>")
_OPENED = re.compile(r"<(?:think|thinking|reasoning)>\s*\Z")
_PROBE = "the-words-of-a-turn"


@dataclass(frozen=True)
class Tokens:
    """A tokenizer, and what its tokens mean to its model.

    A completion is over at one of `ends`; `unseen` tokens are no part of its text. The model knows
    the tokens below `known`, and holds `context` of them, prompt and completion together.
    """

    tokenizer: Any
    ends: list[int]
    unseen: frozenset[int]
    known: int
    context: int | None

    @property
    def chat(self) -> bool:
        """Whether there is a chat template."""
        return bool(self.tokenizer.chat_template)

    def text(self, tokens: list[int]) -> str:
        """The text of a completion's tokens, with the tags around thinking even if special."""
        seen = [token for token in tokens if token not in self.unseen]
        return str(
            self.tokenizer.decode(
                seen, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


@dataclass(frozen=True)
class Row:
    """A prompt as tokens. `room` is how many more fit; `opened` the tag that its text ends in."""

    tokens: list[int]
    room: int
    opened: str
    seed: int


def tokens_of(tokenizer: Any, model: Any) -> Tokens:
    """What the tokenizer's tokens mean to the model."""
    config = model.config.get_text_config()
    added = {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    return Tokens(
        tokenizer=tokenizer,
        ends=[end for end in _ends(model, tokenizer) if end < config.vocab_size],
        unseen=frozenset(i for i, content in added.items() if not _TAG.fullmatch(content)),
        known=config.vocab_size,
        context=getattr(config, "max_position_embeddings", None),
    )


def row_of(tokens: Tokens, prompt: Prompt, sampling: Sampling) -> Row:
    """The prompt's tokens. BackendError where the template refuses it, or it is too long."""
    text = _templated(tokens.tokenizer, prompt, sampling.system) if tokens.chat else ""
    text = text or _plain(prompt, sampling.system)
    ids = tokens.tokenizer(text, add_special_tokens=not tokens.chat)["input_ids"]
    room = sampling.max_tokens
    if tokens.context is not None:
        room = min(room, tokens.context - len(ids))
    if room < 1:
        raise BackendError(f"the prompt has {len(ids)} tokens, of {tokens.context} that fit")
    if max(ids, default=0) >= tokens.known:
        raise BackendError("the tokenizer is not this model's: it makes tokens that it lacks")
    opened = match.group() if (match := _OPENED.search(text)) else ""
    seed = int(content_key(sampling.seed, prompt.conversation())[3:18], 16)
    return Row(ids, room, opened, seed)


def _templated(tokenizer: Any, prompt: Prompt, system: str | None) -> str:
    from jinja2.exceptions import TemplateError

    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    goes_on = turns[-1]["role"] == "assistant"
    variants = [turns]
    if system is not None:
        # Some templates know no system turn; then it stands before the first turn's own words.
        folded = {**turns[0], "content": f"{system}\n\n{turns[0]['content']}"}
        variants = [[{"role": "system", "content": system}, *turns], [folded, *turns[1:]]]
    for variant in variants:
        try:
            text = tokenizer.apply_chat_template(
                variant,
                tokenize=False,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
            )
        except (TemplateError, ValueError, TypeError) as error:
            refused = " ".join(str(error).split())[:300]
        else:
            return str(text)
    raise BackendError(f"the chat template refuses the prompt: {refused}")


def _plain(prompt: Prompt, system: str | None) -> str:
    """The prompt for a model that was never taught to chat: questions, answers, a last one open."""
    labels = {"user": "Question: ", "assistant": "Answer: ", "system": ""}
    parts = [] if system is None else [system]
    parts += [labels[message.role] + message.content for message in prompt.messages]
    if prompt.messages[-1].role != "assistant":
        parts.append("Answer:")
    return "\n\n".join(parts)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """All tokens that end a completion: the model's, the tokenizer's, and the chat template's.

    A base model that was trained on chats often still has the end-of-sequence token of its base,
    while its template closes a turn with another one, and would talk on past its own turn.
    """
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = model.config.get_text_config().eos_token_id
    ends = list(ends) if isinstance(ends, list | tuple) else [ends]
    ends += [tokenizer.eos_token_id, _end_of_turn(tokenizer)]
    return list(dict.fromkeys(int(end) for end in ends if end is not None))


def _end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the chat template writes after an assistant's turn, if any."""
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _PROBE}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except Exception:
        return None  # a template with needs of its own; there are two other ways to the end
    _, found, rest = text.rpartition(_PROBE)
    after = tokenizer(rest, add_special_tokens=False)["input_ids"] if found else []
    added = tokenizer.added_tokens_decoder
    return after[0] if after and after[0] in added and added[after[0]].special else None
