"""Shows material to a judge: templates, the fence around what is judged, and cuts in the middle.

Knows texts and files; not what is asked of the judge, and not what it replied.
"""

import hashlib
import logging
import re
import secrets
import warnings
from collections import Counter
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import StrictUndefined
from jinja2 import Template as Compiled
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, TypeAdapter, ValidationError

from bakeoff.errors import ConfigError, VerdictError, one_line
from bakeoff.records import Criterion, Message, Prompt

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
OURS = {
    "pairwise": "json",
    "guide": "json",
    "reference": "json",
    "rubric": "rubric",
    "marks": "marks",
    "scores": "scores",
    "choice": "logprob",
    "scored": "scored",
    "repair": "",
}
FEWEST_KEPT = 100  # characters: a completion cut shorter than this says nothing any more

_LARGEST = 1 << 20  # bytes of a template, and characters that an operator in it may make

_KNOWN = {"prompt", "conversation", "first", "second", "completion", "fence", "criteria", "problem"}
_SAMPLE = Prompt(
    messages=(Message(role="user", content="?"),), reference="!", criteria=(Criterion(name="x"),)
)


class Shown(NamedTuple):
    """What a judge is shown: the prompt and one completion, or two by position."""

    prompt: Prompt
    completions: tuple[str, ...]
    criteria: Sequence[Criterion] = ()


class Template:
    """A template of ours by its name, or anybody's by its path; `text` is what identifies it.

    ConfigError where it cannot be read, or asks for something that there is not.
    """

    def __init__(self, name: str, completions: int) -> None:
        self.text = _text_of(name)
        self._compiled = _compiled(self.text)
        self._fences = Fences()
        self._wants_reference = bool(re.search(r"\bprompt\.reference\b", self.text))
        if "fence" not in self.text:
            log.warning(
                "the judge template %r has no {{ fence }} around the completions: one that speaks "
                "to the judge may be obeyed",
                name,
            )
        try:  # what only shows when it is rendered is said before anything is paid for
            self.render(Shown(_SAMPLE, ("one", "two")[:completions], _SAMPLE.criteria), None)
        except VerdictError as error:
            why = one_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            raise ConfigError(f"the judge template {name!r} cannot be used: {why}") from None

    def render(self, shown: Shown, kept: int | None) -> str:
        """The request's text, the completions cut to `kept` characters where that is given.

        VerdictError where it shows a reference and the prompt has none, or fails on this one.
        """
        if self._wants_reference and shown.prompt.reference is None:
            raise VerdictError("the prompt has no reference, and the judge's template shows one")
        texts = [cut_in_the_middle(text, kept) for text in shown.completions]
        names = ("first", "second") if len(texts) == 2 else ("completion",)
        asked = conversation(shown.prompt)
        fence = self._fences.around(asked, *texts)
        try:
            return self._compiled.render(
                dict(zip(names, texts, strict=True)),
                prompt=shown.prompt,
                conversation=asked,
                criteria=shown.criteria,
                fence=fence,
            ).strip()
        except Exception as error:  # whatever somebody's template does wrong is no bug of ours
            raise VerdictError(f"the judge's template fails: {one_line(error)}") from error


class Fences:
    """Lines that no completion can know: they come of a secret that is new for each run.

    The fence of a prompt is the same for all that is judged on it, so that requests begin with the
    same text: providers and engines keep that, and read it once. Where the same texts are shown in
    the same order again, as repeats are, it is another one: a judge that is swayed by a fence must
    not seem steady.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        self._shown: Counter[int] = Counter()

    def around(self, prompt: str, *texts: str) -> str:
        """The fence for some texts on a prompt."""
        again = hash((prompt, *texts))
        self._shown[again] += 1
        key = f"{self._shown[again]} {prompt}".encode(errors="surrogatepass")
        mark = hashlib.blake2b(key, digest_size=8, key=self._secret).hexdigest()
        while any(mark in text for text in (prompt, *texts)):  # as far as it is known, it is none
            mark = secrets.token_hex(8)
        return f"{'=' * 8} {mark}"


def conversation(prompt: Prompt) -> str:
    """The turns of a prompt as one text: a single one as it is, several with who speaks."""
    if len(prompt.messages) == 1:
        return prompt.messages[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt.messages)


def repair(problem: str) -> str:
    """The words that ask a judge for its verdict once more."""
    return _compiled(_text_of("repair")).render(problem=problem).strip()


def cut_in_the_middle(text: str, kept: int | None) -> str:
    """At most `kept` characters of a text, its beginning and its end, and a mark between them."""
    if kept is None or len(text) <= kept:
        return text
    head = (kept + 1) // 2
    left_out = len(text) - kept
    return f"{text[:head]}\n[... {left_out:,} characters left out ...]\n{text[head + left_out :]}"


def shorter(kept: int | None, longest: int) -> int | None:
    """The next smaller length to try; None where there is nothing left to cut.

    The lengths are the same for all texts, so that both completions of a pair are cut alike.
    """
    length = FEWEST_KEPT
    below = longest if kept is None else kept
    if below <= FEWEST_KEPT:
        return None
    while 2 * length < below:
        length *= 2
    return length


def criteria_in(path: str) -> tuple[Criterion, ...]:
    """The criteria of a YAML or JSON file: a list of {name, description, weight}, or of names."""
    try:
        found = yaml.safe_load(_read(path))
        criteria = TypeAdapter(tuple[Criterion, ...]).validate_python(found or ())
        [one.model_dump_json() for one in criteria]  # half a character is in no request
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the list"
        raise ConfigError(f"no criteria in {path!r} ({where!r}: {wrong['msg']})") from None
    except Exception as error:  # PyYAML lets out whatever its constructors raise
        raise ConfigError(f"no criteria in {path!r} ({one_line(error)})") from None
    if not criteria:
        raise ConfigError(f"no criteria in {path!r}: write a list of name, description, weight")
    return criteria


def _text_of(template: str) -> str:
    path = TEMPLATES / f"{template}.j2" if template in OURS else Path(template)
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        known = ", ".join(name for name in OURS if OURS[name])
        raise ConfigError(
            f"no judge template {template!r} ({one_line(error)}): give a file, or one of: {known}"
        ) from None


def _read(path: str | Path) -> str:
    """A file of somebody's who has a say in what the judge is asked."""
    with Path(path).open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("it is larger than 1 MB")
    return data.decode("utf-8").replace("\r\n", "\n")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Makes text of what it is given, and can do nothing else.

    Jinja's own sandbox has no way from a text to a class, and no long `range`. A record shows its
    fields and none of its methods: pydantic has one that unpickles.
    """

    intercepted_binops = frozenset({"*", "**"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have an attribute."""
        if isinstance(obj, BaseModel):
            return attr in type(obj).model_fields
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """What an operator gives; ValueError where that could be without an end."""
        if operator == "**":
            raise ValueError("a template has no operator '**'")
        sides = (left, right) if isinstance(left, Sized) else (right, left)
        if isinstance(sides[0], Sized) and len(sides[0]) * sides[1] > _LARGEST:
            raise ValueError("a text or list that it makes is too long")
        return super().call_binop(context, operator, left, right)


def _compiled(text: str) -> Compiled:
    environment = _Sandbox(undefined=StrictUndefined)
    try:
        unknown = find_undeclared_variables(environment.parse(text)) - _KNOWN
        with warnings.catch_warnings():  # of Python's compiler, about code that nobody wrote
            warnings.simplefilter("ignore", SyntaxWarning)
            template = environment.from_string(text)
    except Exception as error:  # of a template nested too deeply Python's compiler says so
        why = one_line(error) or type(error).__name__
        raise ConfigError(f"the judge template cannot be read: {why}") from None
    if unknown:
        raise ConfigError(
            f"the judge template asks for {sorted(unknown)!r}; there are: {sorted(_KNOWN)!r}"
        )
    return template
