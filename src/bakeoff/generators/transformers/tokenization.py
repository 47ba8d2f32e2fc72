"""Encodes prompts and decodes completions, with the special tokens of the model."""

import re
from dataclasses import dataclass, replace
from typing import Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, ContextError
from bakeoff.generators.scoring import split_last_turn
from bakeoff.records import Prompt, content_key

STOP_STRING = "\nQuestion:"  # with which a model without a chat template continues its answer

_THINKING_TAG = re.compile(r"</?(think|thinking|reasoning|answer)>")
_OPEN_THINKING_TAG = re.compile(r"<(?:think|thinking|reasoning)>\s*\Z")
_PROBE = "the-words-of-a-turn"


@dataclass(frozen=True)
class ModelTokenizer:
    """A transformers tokenizer with its model's limits and special tokens."""

    tokenizer: Any
    end_tokens: list[int]
    """Tokens that end a completion."""
    hidden_tokens: frozenset[int]
    """Special tokens that are left out of a completion's text."""
    vocab_size: int
    """The model's; the tokenizer may have tokens beyond it."""
    context_length: int | None
    """Tokens of prompt and completion together; None: unknown."""

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer has a chat template, which renders the prompts."""
        return bool(self.tokenizer.chat_template)

    def decode(self, tokens: list[int]) -> str:
        """Return the text of a completion, including thinking tags that are special tokens."""
        visible = [token for token in tokens if token not in self.hidden_tokens]
        return str(
            self.tokenizer.decode(
                visible, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as tokens."""

    tokens: list[int]
    max_new_tokens: int
    """Tokens of the completion, at most."""
    thinking_tag: str = ""
    """Opening tag of the thinking, if the chat template writes it at the end of the prompt."""
    seed: int = 0
    scored_from: int = 0
    """Index of the first token to be scored; for a pair of texts, of the second text."""


def wrap_tokenizer(tokenizer: Any, model: Any) -> ModelTokenizer:
    """Return a tokenizer of transformers with the special tokens and the limits of its model."""
    config = model.config.get_text_config()
    special = {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    hidden = (i for i, content in special.items() if not _THINKING_TAG.fullmatch(content))
    return ModelTokenizer(
        tokenizer=tokenizer,
        end_tokens=[end for end in _end_tokens(model, tokenizer) if end < config.vocab_size],
        hidden_tokens=frozenset(hidden),
        vocab_size=config.vocab_size,
        context_length=getattr(config, "max_position_embeddings", None),
    )


def encode_prompt(tokenizer: ModelTokenizer, prompt: Prompt, sampling: Sampling) -> EncodedPrompt:
    """Encode a prompt for generation.

    Raises BackendError if the chat template refuses it or the tokenizer is not the model's, and
    ContextError if it is too long.
    """
    has_template = tokenizer.has_chat_template
    text = _render_template(tokenizer.tokenizer, prompt, sampling.system) if has_template else ""
    text = text or _render_plain(prompt, sampling.system)
    tokens = tokenizer.tokenizer(text, add_special_tokens=not has_template)["input_ids"]
    max_new_tokens = sampling.max_tokens
    context_length = tokenizer.context_length
    if context_length is not None:
        max_new_tokens = min(max_new_tokens, context_length - len(tokens))
    if max_new_tokens < 1:
        raise ContextError(f"the prompt has {len(tokens)} tokens, of {context_length} that fit")
    _check_vocabulary(tokenizer, tokens)
    tag = match.group() if (match := _OPEN_THINKING_TAG.search(text)) else ""
    seed = int(content_key(sampling.seed_of(prompt.sample), prompt.conversation())[3:18], 16)
    return EncodedPrompt(tokens, max_new_tokens, tag, seed)


def encode_for_scoring(
    tokenizer: ModelTokenizer, prompt: Prompt, sampling: Sampling
) -> EncodedPrompt:
    """Encode a prompt whose last turn is to be scored; `scored_from` is where that turn begins.

    The last turn is tokenized separately, as if the model had generated it. Raises the errors of
    `encode_prompt`.
    """
    context, text = split_last_turn(prompt)
    encoded = encode_prompt(tokenizer, context, sampling)
    if text and not tokenizer.has_chat_template:
        text = f" {text}"  # after `Answer:`
    scored = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
    tokens = [*encoded.tokens, *scored]
    _check_length(tokenizer, tokens)
    return replace(encoded, tokens=tokens, scored_from=len(encoded.tokens))


def encode_conversation(
    tokenizer: ModelTokenizer, prompt: Prompt, sampling: Sampling
) -> EncodedPrompt:
    """Encode a finished conversation, for a reward model. Raises the errors of `encode_prompt`.

    Without a chat template, a tokenizer with a separator token encodes a pair of texts: all turns
    but the last, and the last. Any other encodes both as one text.
    """
    scored_from = 0
    if tokenizer.has_chat_template:
        text = _render_template(tokenizer.tokenizer, prompt, sampling.system, closed=True)
        tokens = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        context, last = split_last_turn(prompt)
        before = "\n\n".join(
            [*filter(None, [sampling.system]), *(m.content for m in context.messages)]
        )
        is_pair = tokenizer.tokenizer.sep_token is not None
        encoding = tokenizer.tokenizer(*([before, last] if is_pair else [f"{before}\n\n{last}"]))
        tokens, token_types = encoding["input_ids"], encoding.get("token_type_ids", [])
        scored_from = token_types.index(1) if 1 in token_types else 0
    _check_length(tokenizer, tokens)
    return EncodedPrompt(tokens, sampling.max_tokens, scored_from=scored_from)


def _check_length(tokenizer: ModelTokenizer, tokens: list[int]) -> None:
    context_length = tokenizer.context_length
    if context_length is not None and len(tokens) > context_length:
        raise ContextError(
            f"prompt and completion have {len(tokens)} tokens, of {context_length} that fit"
        )
    _check_vocabulary(tokenizer, tokens)


def _check_vocabulary(tokenizer: ModelTokenizer, tokens: list[int]) -> None:
    if max(tokens, default=0) >= tokenizer.vocab_size:
        raise BackendError("the tokenizer is not this model's: it makes tokens that it lacks")


def _render_template(
    tokenizer: Any, prompt: Prompt, system: str | None, *, closed: bool = False
) -> str:
    """Render the chat template, with the beginning of the assistant's turn unless `closed`."""
    from jinja2.exceptions import TemplateError

    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    continues = turns[-1]["role"] == "assistant" and not closed
    variants = [turns]
    if system is not None:
        # The second variant, for templates without system turns, prepends it to the first turn.
        merged = {**turns[0], "content": f"{system}\n\n{turns[0]['content']}"}
        variants = [[{"role": "system", "content": system}, *turns], [merged, *turns[1:]]]
    for variant in variants:
        try:
            text = tokenizer.apply_chat_template(
                variant,
                tokenize=False,
                add_generation_prompt=not continues and not closed,
                continue_final_message=continues,
            )
        except (TemplateError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
        else:
            return str(text)
    raise BackendError(f"the chat template refuses the prompt: {reason}")


def _render_plain(prompt: Prompt, system: str | None) -> str:
    """Return the prompt for a base model: `Question:` and `Answer:` paragraphs, the last open."""
    labels = {"user": "Question: ", "assistant": "Answer: ", "system": ""}
    parts = [] if system is None else [system]
    parts += [labels[message.role] + message.content for message in prompt.messages]
    if prompt.messages[-1].role != "assistant":
        parts.append("Answer:")
    return "\n\n".join(parts)


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return all tokens that end a completion: the model's, the tokenizer's, the chat template's.

    A fine-tuned model often keeps the end-of-sequence token of its base, while its chat template
    ends a turn with another token. Without the latter, the model would generate further turns.
    """
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = model.config.get_text_config().eos_token_id
    ends = list(ends) if isinstance(ends, list | tuple) else [ends]
    ends += [tokenizer.eos_token_id, _end_of_turn_token(tokenizer)]
    return list(dict.fromkeys(int(end) for end in ends if end is not None))


def _end_of_turn_token(tokenizer: Any) -> int | None:
    """Return the special token that the chat template writes after an assistant's turn, if any."""
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _PROBE}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except Exception:
        return None  # the template needs other turns; the two other end tokens remain
    _, probe, rest = text.rpartition(_PROBE)
    after = tokenizer(rest, add_special_tokens=False)["input_ids"] if probe else []
    added = tokenizer.added_tokens_decoder
    return after[0] if after and after[0] in added and added[after[0]].special else None
