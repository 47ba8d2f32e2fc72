"""`Spec`, the notation of models, judges and prompt sets, and `Sampling`."""

import re
from collections.abc import Iterable
from typing import Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.errors import ConfigError
from bakeoff.records import content_key

_REPEATABLE = "base_url"  # the option that may be given more than once

_NAME = re.compile(r"([^:/?=]+?)\s*=\s*(.*)", re.DOTALL)
_BACKEND = re.compile(r"([a-z][a-z0-9_-]*):(?!//)(.*)", re.DOTALL)


class Spec(BaseModel):
    """A model, judge or prompt set, written as `[name=][backend:]target[?option=value&...]`.

    Option values may be percent-encoded; `+` stays `+`. Each backend validates its own options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name in the results; by default `[backend:]target` as written."""
    backend: str
    target: str
    options: dict[str, str] = {}
    """Values as text; several `base_url` are joined by spaces."""

    @classmethod
    def parse(cls, text: str, *, default: str = "hf") -> Self:
        """Parse a spec; `default` is the backend if the text names none.

        Raises ConfigError if the text is malformed.
        """
        text = text.strip()
        if re.search("[\0\ud800-\udfff]", unquote(text)):
            raise ConfigError(f"{text!r} is not text: write it in UTF-8, without zeros")
        name, rest = match.groups() if (match := _NAME.fullmatch(text)) else (None, text)
        rest, _, query = rest.partition("?")
        backend, target = match.groups() if (match := _BACKEND.fullmatch(rest)) else (default, rest)
        options: dict[str, str] = {}
        for item in filter(None, query.split("&")):
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise ConfigError(f"{text!r}: write the option {item!r} as option=value")
            if key in options and key != _REPEATABLE:
                raise ConfigError(f"{text!r}: the option {key!r} stands there twice")
            options[key] = " ".join(filter(None, (options.get(key), unquote(value))))
        if not target and backend != "echo":
            raise ConfigError(
                f"{text!r} names no model: write [name=][backend:]target[?option=value]"
            )
        return cls(name=name or rest, backend=backend, target=target, options=options)

    def with_backend(self, backend: str) -> "Spec":
        """Return the spec with another backend."""
        return Spec(name=self.name, backend=backend, target=self.target, options=self.options)

    def with_options(self, options: dict[str, str]) -> "Spec":
        """Return the spec with other options."""
        return Spec(name=self.name, backend=self.backend, target=self.target, options=options)


class Sampling(BaseModel):
    """Sampling options of a generator; part of the store key of its completions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    seed: int = 42
    system: str | None = None
    schema_: dict[str, JsonValue] | None = None
    """JSON schema that the completion has to match, for servers with structured output."""
    top_logprobs: int | None = None
    """Number of first tokens whose log-probabilities are requested."""
    score_only: bool = False
    """Score the last message instead of generating (`Completion.score`); see
    `Traits.can_score`."""

    def seed_of(self, sample: int) -> int:
        """Return the seed for the completion with index `sample`; that of index 0 is `seed`."""
        if not sample:
            return self.seed
        return int(content_key("sample", self.seed, sample)[3:10], 16)

    def with_seed(self, seed: int) -> "Sampling":
        """Return the sampling options with another seed."""
        return Sampling(**{**dict(self), "seed": seed})


def origins(texts: Iterable[str]) -> dict[str, str]:
    """Return `backend:target` of each spec by its name; `:target` for a spec without a backend.

    Raises ConfigError if a spec is malformed.
    """
    specs = [Spec.parse(text, default="") for text in texts]
    return {spec.name: f"{spec.backend}:{spec.target}" for spec in specs}
