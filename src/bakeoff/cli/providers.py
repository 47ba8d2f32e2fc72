"""The hosted providers, with the key that each needs."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from any_llm import AnyLLM


class Provider(NamedTuple):
    """One provider that completes prompts."""

    name: str
    key: str
    """Environment variables of the key as any-llm writes them: `A`, `A/B`, `A and B` or `None`."""
    about: str
    """URL of its documentation."""
    address: str
    """URL of its API; empty if its client has it built in."""
    optional: bool
    """Whether it works without a key."""


# The providers that need no other package.
_OWN = (
    Provider(
        "anthropic",
        "ANTHROPIC_API_KEY",
        "https://docs.anthropic.com/en/home",
        address="",
        optional=False,
    ),
    Provider(
        "openai",
        "OPENAI_API_KEY",
        "https://platform.openai.com/docs/api-reference",
        address="https://api.openai.com/v1",
        optional=False,
    ),
)
# any-llm cannot import these classes without the package `google-genai`.
_NOT_IMPORTABLE = {
    "gemini": Provider(
        "gemini",
        "GEMINI_API_KEY/GOOGLE_API_KEY",
        "https://ai.google.dev/gemini-api/docs",
        address="",
        optional=False,
    ),
    "vertexai": Provider(
        "vertexai", "", "https://cloud.google.com/vertex-ai/docs", address="", optional=False
    ),
}


def providers() -> list[Provider]:
    """The providers that complete prompts, sorted by name.

    Those of any-llm are included if it is installed; importing it takes a second. `key` is empty
    for a provider whose class cannot be imported, unless it is listed above.
    """
    try:
        from any_llm import AnyLLM
    except ImportError:
        return [*_OWN]
    supported = []
    for name in sorted(AnyLLM.get_supported_providers()):
        try:
            provider_class = AnyLLM.get_provider_class(name)
        except ImportError:
            unknown = Provider(name, "", "", address="", optional=False)
            supported.append(_NOT_IMPORTABLE.get(name, unknown))
        else:
            if provider_class.SUPPORTS_COMPLETION:
                supported.append(_provider(name, provider_class))
    return supported


def _provider(name: str, provider_class: "type[AnyLLM]") -> Provider:
    from any_llm.providers.registry import get_registry_config

    config = get_registry_config(name)
    return Provider(
        name,
        provider_class.ENV_API_KEY_NAME,
        provider_class.PROVIDER_DOCUMENTATION_URL,
        provider_class.API_BASE or "",
        optional=config is not None and config.api_key_optional,
    )
