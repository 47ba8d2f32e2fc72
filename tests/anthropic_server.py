"""The loopback server, speaking Anthropic's Messages format."""

from typing import Any

from tests.openai_server import OpenAIServer

SNAPSHOT = "claude-x-20260101"


def message(text: str | None, **more: Any) -> dict[str, Any]:
    """A message with one block of text, or with none."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": SNAPSHOT,
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 7},
        **more,
    }


class AnthropicServer(OpenAIServer):
    """`with AnthropicServer(brain) as server:` then `anthropic:NAME?base_url={server.address}`."""

    says = staticmethod(message)

    @property
    def address(self) -> str:
        """What the official client takes for a base URL: it adds /v1/messages itself."""
        return self.url.removesuffix("/v1")
