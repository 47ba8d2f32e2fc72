"""The loopback server with Anthropic's Messages API."""

from typing import Any

from bakeoff.testing.openai_server import OpenAIServer

SNAPSHOT = "claude-x-20260101"


def anthropic_message(text: str | None, **fields: Any) -> dict[str, Any]:
    """Return a message of the model SNAPSHOT with one block of text, or without one if it is None.

    Its usage is 11 tokens in and 7 out. `fields` replace top-level fields.
    """
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": SNAPSHOT,
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 7},
        **fields,
    }


class AnthropicServer(OpenAIServer):
    """Context manager: a server at `address`, for `anthropic:NAME?base_url={server.address}`."""

    wrap_text = staticmethod(anthropic_message)

    @property
    def address(self) -> str:
        """The base URL of the official client, which adds /v1/messages itself."""
        return self.url.removesuffix("/v1")
