"""Anthropic's Messages API: requests and replies.

https://docs.claude.com/en/api/messages
"""

from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError

from bakeoff.generators.api.errors import ApiError
from bakeoff.generators.api.replies import ChatReply, make_usage, unreadable
from bakeoff.records import Finish, PrefixedPrompt, Usage

VERSION = "2023-06-01"  # value of the header `anthropic-version`

_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
_SAME_FIELDS = ("model", "max_tokens", "temperature", "top_p")


class _ContentBlock(BaseModel):
    type: str
    text: str | None = None
    thinking: str | None = None


class _MessageUsage(BaseModel):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _MessageReply(BaseModel):
    content: list[_ContentBlock]
    model: str | None = None
    stop_reason: str | None = None
    usage: _MessageUsage | None = None


def message_request(request: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a Messages request for one in OpenAI's format.

    System messages become the parameter `system`, a JSON schema becomes `output_config`. The seed,
    which Anthropic does not have, is left out. Raises ApiError with status 400 for
    log-probabilities.
    """
    if "logprobs" in request:
        raise ApiError("Anthropic's API has no logprobs", status=400, param="logprobs")
    body: dict[str, Any] = {key: request[key] for key in _SAME_FIELDS if key in request}
    messages = request["messages"]
    system = "\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    body["messages"] = [turn for turn in messages if turn["role"] != "system"]
    if system:
        body["system"] = system
    if schema := request.get("response_format"):
        schema = {"type": "json_schema", "schema": schema["json_schema"]["schema"]}
        body["output_config"] = {"format": schema}
    return body


def parse_message(body: bytes) -> ChatReply:
    """Return the text and thinking of a message. Raises UnreadableError for any other body."""
    try:
        message = _MessageReply.model_validate_json(body)
    except ValidationError as error:
        raise unreadable(error, body) from None
    return ChatReply(
        text="".join(block.text or "" for block in message.content if block.type == "text"),
        finish=_FINISH.get(message.stop_reason or "end_turn", "stop"),
        thinking="".join(block.thinking or "" for block in message.content) or None,
        snapshot=message.model or None,
        usage=_parse_usage(message.usage) if message.usage else None,
    )


def _parse_usage(usage: _MessageUsage) -> Usage:
    """Return the usage; Anthropic does not count the tokens of the cache as `input_tokens`."""
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return make_usage(usage.input_tokens + read + written, usage.output_tokens, read, written)


def with_cache_mark(prompt: PrefixedPrompt) -> JsonValue:
    """Return the first turn with `cache_control` after the lines that other prompts share.

    Anthropic caches the text before it, if that is long enough.
    """
    first = prompt.messages[0]
    end = first.content.rfind("\n", 0, prompt.shared) + 1  # not within a word
    head, rest = first.content[:end], first.content[end:]
    if not (head.strip() and rest.strip()):  # Anthropic rejects a block without text
        return {"role": first.role, "content": first.content}
    block: JsonValue = {"type": "text", "text": head, "cache_control": {"type": "ephemeral"}}
    return {"role": first.role, "content": [block, {"type": "text", "text": rest}]}
