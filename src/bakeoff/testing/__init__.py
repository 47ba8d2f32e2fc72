"""Helpers for the tests of plugins: loopback servers with prepared replies, and `run_worker`.

Needs only the base installation. docs/plugins.md shows its use.
"""

from bakeoff.testing.anthropic_server import SNAPSHOT, AnthropicServer, anthropic_message
from bakeoff.testing.openai_server import (
    OpenAIServer,
    Reply,
    Responder,
    chat_completion,
    prefer_good,
    refused_url,
    shown_completions,
    verdict_json,
)
from bakeoff.testing.workers import run_worker, text_pair, user_prompt

__all__ = [
    "SNAPSHOT",
    "AnthropicServer",
    "OpenAIServer",
    "Reply",
    "Responder",
    "anthropic_message",
    "chat_completion",
    "prefer_good",
    "refused_url",
    "run_worker",
    "shown_completions",
    "text_pair",
    "user_prompt",
    "verdict_json",
]
