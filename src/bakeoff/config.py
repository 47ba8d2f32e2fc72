"""What was asked: one flat Config (flags, YAML keys and Python arguments are its fields), and Spec.

Knows how a run is described; does not open, load or check anything that the description names.
"""

import re
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import unquote

import yaml
from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bakeoff.errors import ConfigError, one_line
from bakeoff.records import MARGIN

Fields = TypeVar("Fields", bound=BaseModel)

_SEVERAL = "base_url"  # the option that may be given more than once
_LARGEST = 100_000  # bytes of a config file
_WIDEST = 1 << 63  # no integer of a config is larger: the store and servers take none
_shown = reprlib.Repr()  # for values of any size and depth
_shown.maxstring = _shown.maxother = _shown.maxlong = 200
_shown.maxlevel = 2

_NAME = re.compile(r"([^:/?=]+?)\s*=\s*(.*)", re.DOTALL)
_BACKEND = re.compile(r"([a-z][a-z0-9_-]*):(?!//)(.*)", re.DOTALL)

MOST = 256  # requests in flight at one server: more bring nothing from one process
FLIGHT = "Requests in flight per server, at most: it begins with 32, and goes on while that pays."
RPM = "Requests a minute per server, at most. [none]"
TPM = "Tokens a minute per server, at most. [none]"

EMBEDDED_DEFAULT: dict[str, Any] = {
    "model": ("embedded:smollm2", "embedded:gemma3-270m"),
    "judge": ("embedded:qwen2.5-coder-0.5b",),
    "prompts": "starter",
    "limit": 24,
    "max_tokens": 96,
}


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


class Config(BaseModel):
    """One comparison, as it was asked for: flags, YAML keys and Python arguments are its fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    model: tuple[str, ...] = Field(
        (), description="A model, as [name=][backend:]target[?option=value&...]; two or more."
    )
    judge: tuple[str, ...] = Field((), description="The judge, as a model is given. [gpt-4]")
    prompts: str = Field(
        "ultrachat",
        description="starter, ultrachat, hf:DATASET, or a file (jsonl, json, csv, txt).",
    )
    limit: int = Field(50, ge=1, description="How many prompts to draw.")
    seed: int = Field(42, description="Seed of the draw, the order of presentation, the sampling.")
    temperature: float = Field(0.7, ge=0, le=2, description="Sampling temperature of the models.")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus sampling of the models.")
    max_tokens: int = Field(1024, ge=1, description="New tokens per completion, at most.")
    system: str | None = Field(None, description="A system prompt for every model.")
    thinking: Literal["strip", "keep"] = Field(
        "strip", description="Whether the judge sees what a model thought (<think>)."
    )
    order: Literal["both", "random"] = Field(
        "both", description="Show each pair in both orders, or once in a random order."
    )
    margin: float = Field(
        MARGIN,
        ge=0,
        le=50,
        description="Points around 50 % within which two models are equivalent.",
    )
    repeats: int = Field(1, ge=1, description="How often a judge is asked about the same pair.")
    panel: Literal["mean", "majority"] = Field(
        "mean", description="How several judges make one preference for a prompt."
    )
    null_check: int = Field(
        0, ge=0, description="Prompts where the judge compares a model with itself, as a check."
    )
    max_concurrency: int = Field(MOST, ge=1, description=FLIGHT)
    rpm: float | None = Field(None, gt=0, description=RPM)
    tpm: float | None = Field(None, gt=0, description=TPM)
    max_cost: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="US dollars that this run may cost: more is not begun, and never spent. [none]",
    )
    yes: bool = Field(False, description="Do not ask whether what it costs is all right.")
    env_file: Path | None = Field(
        None, description="A .env file with keys; what is set already stays. [none]"
    )
    batch: bool = Field(
        False, description="Ask openai: and anthropic: in batches: half the price, within a day."
    )
    ray: str | None = Field(
        None, description="The Ray cluster to join: auto or an address. [a local one]"
    )
    out: Path = Field(Path("results"), description="Folder for results.json and report.html.")
    store: Path = Field(
        Path(".bakeoff/store.sqlite"), description="Where everything that was paid for is kept."
    )
    show_samples: int = Field(5, ge=0, description="How many sample comparisons to print.")
    # Not `json`: a pydantic model has a method of that name.
    print_json: Annotated[bool, Parameter(name="--json")] = Field(
        False, alias="json", description="Print the results document on stdout, and nothing else."
    )
    quiet: bool = Field(False, description="Print nothing but errors.")
    profile: bool = Field(False, description="Print where the time went, on stderr.")
    max_failures: float = Field(
        0.02, ge=0, le=1, description="Exit with 3 where a larger share of the work failed."
    )
    allow_self_judge: bool = Field(False, description="Let a contestant be the judge.")

    def settled(self) -> Self:
        """The config with every default chosen: without any model, the embedded comparison."""
        update: dict[str, Any] = {}
        if not self.model:
            update = {k: v for k, v in EMBEDDED_DEFAULT.items() if k not in self.model_fields_set}
        elif not self.judge:
            update["judge"] = ("gpt-4",)
        return self.model_copy(update=update) if update else self

    def sampling(self) -> Sampling:
        """How the models are to be sampled, before a model's own overrides."""
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            seed=self.seed,
            system=self.system,
        )


def origins(tokens: Iterable[str]) -> dict[str, str]:
    """What stands behind each name of a model or judge: backend and target, without options."""
    specs = [Spec.parse(token, default="") for token in tokens]
    return {spec.name: f"{spec.backend}:{spec.target}" for spec in specs}


def config_from(file: Path | None, given: dict[str, Any]) -> Config:
    """A Config from a YAML file and what was given beside it, which wins. ConfigError if unfit."""
    loaded = _loaded(file) if file else {}
    for key in ("model", "judge"):
        if isinstance(loaded.get(key), str):
            loaded[key] = [loaded[key]]
    one_name = {name: field.alias or name for name, field in Config.model_fields.items()}
    values = {one_name.get(str(key), str(key)): value for key, value in (loaded | given).items()}
    return parse_fields(Config, values, where=str(file) if file else "the flags")


def _loaded(file: Path) -> dict[str, Any]:
    """What a YAML file says; ConfigError where that is no config."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError("a config has at most 100 kB")
        loaded = yaml.safe_load(data.decode("utf-8")) or {}
        _check_plain(loaded)
    except Exception as error:  # PyYAML lets out whatever its constructors raise
        deep = "it is nested too deeply" if isinstance(error, RecursionError) else ""
        raise ConfigError(f"cannot read {str(file)!r}: {deep or one_line(error)}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{str(file)!r} has to hold keys and values, like `limit: 50`")
    return {str(key): value for key, value in loaded.items()}


def _check_plain(value: object) -> None:
    """ValueError where a part is no text or number that can be kept; each part is looked at once,
    however often an alias repeats it.
    """
    seen, waiting = set(), [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and re.search("[\0\ud800-\udfff]", one):
            raise ValueError(f"{_shown.repr(one)} is not text")
        if isinstance(one, int) and not -_WIDEST <= one < _WIDEST:
            raise ValueError("a number in it has too many digits")
        if isinstance(one, dict | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            waiting += [*one, *one.values()] if isinstance(one, dict) else one


def parse_fields(model: type[Fields], values: dict[str, Any], *, where: str) -> Fields:
    """Validate values from outside; ConfigError in one line, naming the field and the choices."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = " ".join(first_problem(error, model).split())
        raise ConfigError(f"{' '.join(where.split())}: {problem}") from None


def split_options(model: type[Fields], spec: Spec) -> tuple[Fields, Spec]:
    """The options of a spec that are this model's, validated, and the spec with the others."""
    own = {key: value for key, value in spec.options.items() if key in model.model_fields}
    rest = {key: value for key, value in spec.options.items() if key not in own}
    options = parse_fields(model, own, where=spec.name)
    return options, spec.model_copy(update={"options": rest})


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with the first field that is: its name, its value, what it may be."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])[:200] or "value"
    if first["type"] == "extra_forbidden":
        known = ", ".join(f.alias or n for n, f in model.model_fields.items()) or "none"
        return f"no option {field!r}; there are: {known}"
    return f"{field} = {_shown.repr(first['input'])}: {first['msg']}"
