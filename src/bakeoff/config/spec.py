"""How a model, a judge or a source of prompts is written, and how completions are drawn.

Knows no backend: the options of one are text here.
"""

import re
from collections.abc import Iterable
from typing import Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakeoff.errors import ConfigError
from bakeoff.records import content_key

_SEVERAL = "base_url"  # the option that may be given more than once

_NAME = re.compile(r"([^:/?=]+?)\s*=\s*(.*)", re.DOTALL)
_BACKEND = re.compile(r"([a-z][a-z0-9_-]*):(?!//)(.*)", re.DOTALL)


class Spec(BaseModel):
    """A model, judge or prompt source in one token: `[name=][backend:]target[?option=value&...]`.

    `options` are text; the backend that they are for validates them. A value may be
    percent-encoded; `+` stays `+`. `base_url` may stand there more than once: its text is all of
    them, with a space between two. `name` is what the results call it, by default the token
    without its options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    backend: str
    target: str
    options: dict[str, str] = {}

    @classmethod
    def parse(cls, text: str, *, default: str = "hf") -> Self:
        """Read one token; ConfigError where it cannot be one.

        Without a backend it is the `default` one (`hf` for models).
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
            if key in options and key != _SEVERAL:
                raise ConfigError(f"{text!r}: the option {key!r} stands there twice")
            options[key] = " ".join(filter(None, (options.get(key), unquote(value))))
        if not target and backend != "echo":
            raise ConfigError(
                f"{text!r} names no model: write [name=][backend:]target[?option=value]"
            )
        return cls(name=name or rest, backend=backend, target=target, options=options)


class Sampling(BaseModel):
    """How completions are drawn; part of what identifies one.

    `schema_` is a JSON schema that the completion has to fit, where the server can do that;
    `top` asks for the log-probabilities of that many first tokens. `weigh` asks for no new token at
    all, but for what the last turn is worth (`Completion.weight`); a worker that cannot tell says
    so with a ConfigError when it is opened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    seed: int = 42
    system: str | None = None
    schema_: dict[str, JsonValue] | None = None
    top: int | None = None
    weigh: bool = False

    def with_seed(self, seed: int) -> Self:
        """Return the same sampling with another seed."""
        return self.model_copy(update={"seed": seed})

    def seed_of(self, sample: int) -> int:
        """The seed of one of several completions of a prompt; the first one's is `seed`."""
        if not sample:
            return self.seed
        return int(content_key("sample", self.seed, sample)[3:10], 16)


def origins(tokens: Iterable[str]) -> dict[str, str]:
    """What stands behind each name of a model or judge: backend and target, without options."""
    specs = [Spec.parse(token, default="") for token in tokens]
    return {spec.name: f"{spec.backend}:{spec.target}" for spec in specs}
