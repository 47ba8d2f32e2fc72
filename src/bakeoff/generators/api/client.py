"""A client of any OpenAI-compatible server. Knows addresses and keys, and sends nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ConfigError
from bakeoff.generators.api.address import is_here, with_password
from bakeoff.generators.api.transport import Heard, connections

if TYPE_CHECKING:
    from any_llm import AnyLLM


def client_of(
    name: str,
    base_url: str,
    key: str | None,
    transport: Mapping[str, Any],
    heard: Heard | None = None,
) -> "AnyLLM":
    """A client of any OpenAI-compatible server; with a password in its address, or with a key."""
    from any_llm import AnyLLM

    base_url, login = with_password(base_url)
    if login and key:
        raise ConfigError(f"{name!r} has a key and a password in its address: leave one out")
    transport = {**transport, **({"default_headers": login} if login else {})}
    return AnyLLM.create_openai_compatible(
        name,
        base_url,
        key,
        unified_exceptions=True,
        **(connections("openai", heard, proxies=not is_here(base_url)) | dict(transport)),
    )
