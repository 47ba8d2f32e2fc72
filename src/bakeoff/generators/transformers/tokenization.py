"""Prompts to tokens and tokens to text, for one model and its tokenizer. Draws nothing.

Knows what a model's special tokens mean: which of them end a completion, which are no part of it.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, ContextError
from bakeoff.generators.scoring import split_last_turn
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
    """A prompt as tokens. `room` is how many more fit; `opened` the tag that its text ends in.

    `since` is where the tokens of the turn begin that is to be weighed.
    """

    tokens: list[int]
    room: int
    opened: str = ""
    seed: int = 0
    since: int = 0


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
    """The prompt's tokens. BackendError where the template refuses it, ContextError if too long."""
    text = _templated(tokens.tokenizer, prompt, sampling.system) if tokens.chat else ""
    text = text or _plain(prompt, sampling.system)
    ids = tokens.tokenizer(text, add_special_tokens=not tokens.chat)["input_ids"]
    room = sampling.max_tokens
    if tokens.context is not None:
        room = min(room, tokens.context - len(ids))
    if room < 1:
        raise ContextError(f"the prompt has {len(ids)} tokens, of {tokens.context} that fit")
    _check_known(tokens, ids)
    opened = match.group() if (match := _OPENED.search(text)) else ""
    seed = int(content_key(sampling.seed_of(prompt.sample), prompt.conversation())[3:18], 16)
    return Row(ids, room, opened, seed)


def scored_row_of(tokens: Tokens, prompt: Prompt, sampling: Sampling) -> Row:
    """The tokens of all turns but the last, as a prompt, and of the last, which is to be weighed.

    They are made apart from each other, as when a model writes them. Errors as `row_of`'s.
    """
    context, text = split_last_turn(prompt)
    row = row_of(tokens, context, sampling)
    if text and not tokens.chat:
        text = f" {text}"  # after `Answer:`
    own = tokens.tokenizer(text, add_special_tokens=False)["input_ids"]
    whole = [*row.tokens, *own]
    _check_fits(tokens, whole)
    return replace(row, tokens=whole, since=len(row.tokens))


def closed_row_of(tokens: Tokens, prompt: Prompt, sampling: Sampling) -> Row:
    """The tokens of a whole conversation, in which nobody is to speak next. Errors as `row_of`'s.

    Without a chat template it is a pair of texts, the last turn and what stands before it, for a
    tokenizer that knows how to part texts; else the one after the other.
    """
    since = 0
    if tokens.chat:
        text = _templated(tokens.tokenizer, prompt, sampling.system, closed=True)
        ids = tokens.tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        context, last = split_last_turn(prompt)
        before = "\n\n".join(
            [*filter(None, [sampling.system]), *(m.content for m in context.messages)]
        )
        apart = tokens.tokenizer.sep_token is not None
        made = tokens.tokenizer(*([before, last] if apart else [f"{before}\n\n{last}"]))
        ids, kinds = made["input_ids"], made.get("token_type_ids", [])
        since = kinds.index(1) if 1 in kinds else 0
    _check_fits(tokens, ids)
    return Row(ids, sampling.max_tokens, since=since)


def _check_fits(tokens: Tokens, ids: list[int]) -> None:
    if tokens.context is not None and len(ids) > tokens.context:
        raise ContextError(
            f"prompt and completion have {len(ids)} tokens, of {tokens.context} that fit"
        )
    _check_known(tokens, ids)


def _check_known(tokens: Tokens, ids: list[int]) -> None:
    if max(ids, default=0) >= tokens.known:
        raise BackendError("the tokenizer is not this model's: it makes tokens that it lacks")


def _templated(tokenizer: Any, prompt: Prompt, system: str | None, *, closed: bool = False) -> str:
    from jinja2.exceptions import TemplateError

    turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
    goes_on = turns[-1]["role"] == "assistant" and not closed
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
                add_generation_prompt=not goes_on and not closed,
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
