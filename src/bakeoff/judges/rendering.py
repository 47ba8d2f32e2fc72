"""Rendering of judge prompts: templates, delimiters around the judged text, and shortening."""

import hashlib
import logging
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml
from pydantic import TypeAdapter, ValidationError

from bakeoff.errors import ConfigError, VerdictError, one_line
from bakeoff.records import Criterion, Message, Prompt

if TYPE_CHECKING:  # jinja2 is imported for the first request, or a template of the user
    from jinja2 import Template as Compiled

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent / "templates"
# Name -> the kind of verdict that it requests.
BUILTIN_TEMPLATES = {
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
MIN_CHARS = 100  # of a shortened completion: with less it cannot be judged

_MAX_SIZE = 1 << 20  # bytes of a template

_SAMPLE_PROMPT = Prompt(
    messages=(Message(role="user", content="?"),), reference="!", criteria=(Criterion(name="x"),)
)


class TemplateInput(NamedTuple):
    """The values of a template."""

    prompt: Prompt
    completions: tuple[str, ...]
    """One completion, or two by position."""
    criteria: Sequence[Criterion] = ()


class Template:
    """A judge template for one or two completions: a built-in name or the path of a file.

    Raises ConfigError if it cannot be read, has a syntax error or an unknown variable.
    """

    def __init__(self, name: str, completions: int) -> None:
        self.text = _template_text(name)
        """The source, which is part of the judge's identity."""
        self._delimiters = Delimiters()
        self._wants_reference = bool(re.search(r"\bprompt\.reference\b", self.text))
        if "fence" not in self.text:
            log.warning(
                "the judge template %r has no {{ fence }} around the completions: one that speaks "
                "to the judge may be obeyed",
                name,
            )
        if name not in BUILTIN_TEMPLATES:
            self._check(name, ("one", "two")[:completions])

    def _check(self, name: str, completions: tuple[str, ...]) -> None:
        """Compile and render the template, so that its errors are found before any request."""
        try:
            self.render(TemplateInput(_SAMPLE_PROMPT, completions, _SAMPLE_PROMPT.criteria), None)
        except VerdictError as error:
            cause = one_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            raise ConfigError(f"the judge template {name!r} cannot be used: {cause}") from None

    @cached_property
    def _compiled(self) -> "Compiled":
        return _compile(self.text)

    def render(self, values: TemplateInput, max_chars: int | None) -> str:
        """Return the text of a request, with completions shortened to `max_chars` characters.

        Raises VerdictError if the template shows a reference and the prompt has none, or if
        rendering fails.
        """
        if self._wants_reference and values.prompt.reference is None:
            raise VerdictError("the prompt has no reference, and the judge's template shows one")
        texts = [truncate_middle(text, max_chars) for text in values.completions]
        names = ("first", "second") if len(texts) == 2 else ("completion",)
        conversation = conversation_text(values.prompt)
        delimiter = self._delimiters.next_for(conversation, *texts)
        template = self._compiled
        try:
            return template.render(
                dict(zip(names, texts, strict=True)),
                prompt=values.prompt,
                conversation=conversation,
                criteria=values.criteria,
                fence=delimiter,
            ).strip()
        except Exception as error:  # a template is user code: any error is the template's
            raise VerdictError(f"the judge's template fails: {one_line(error)}") from error


class Delimiters:
    """Generates random delimiter lines that no completion can predict.

    All requests on a prompt share a delimiter, so that providers and engines can cache their common
    prefix. A repeat of the same texts in the same order gets another one: otherwise a judge that is
    influenced by the delimiter would seem consistent.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        self._uses: Counter[int] = Counter()

    def next_for(self, prompt: str, *texts: str) -> str:
        """Return the delimiter line around `texts`; its random part occurs in none of them.

        It is the same for all texts on a prompt, and another one for each repeat of equal texts.
        """
        texts_hash = hash((prompt, *texts))
        self._uses[texts_hash] += 1
        key = f"{self._uses[texts_hash]} {prompt}".encode(errors="surrogatepass")
        word = _random_word(hashlib.blake2b(key, digest_size=8, key=self._secret).digest())
        while any(word in text for text in (prompt, *texts)):
            word = _random_word(secrets.token_bytes(8))
        return f"{'=' * 8} {word}"


def _random_word(data: bytes) -> str:
    """Return 8 letters: 38 bits in about 4 tokens, where 16 hexadecimal digits would be 14."""
    number = int.from_bytes(data)
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(8))


def conversation_text(prompt: Prompt) -> str:
    """Return the turns of a prompt as one text; several turns are labeled with their role."""
    if len(prompt.messages) == 1:
        return prompt.messages[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt.messages)


def truncate_middle(text: str, max_chars: int | None) -> str:
    """Return the first and last `max_chars` / 2 characters of a longer text, with a note between.

    With None, or if the text is short enough, it is returned unchanged.
    """
    if max_chars is None or len(text) <= max_chars:
        return text
    head = (max_chars + 1) // 2
    left_out = len(text) - max_chars
    return f"{text[:head]}\n[... {left_out:,} characters left out ...]\n{text[head + left_out :]}"


def next_max_chars(max_chars: int | None, longest: int) -> int | None:
    """Return the next shorter length to try; None if texts cannot be shortened further.

    The steps do not depend on the text, so that both orders of a pair are shortened alike.
    """
    length = MIN_CHARS
    below = longest if max_chars is None else max_chars
    if below <= MIN_CHARS:
        return None
    while 2 * length < below:
        length *= 2
    return length


def load_criteria(path: str) -> tuple[Criterion, ...]:
    """Return the criteria of a YAML or JSON file: a list of names, or of objects (`Criterion`).

    Raises ConfigError if it cannot be read or has no criteria.
    """
    try:
        values = yaml.safe_load(_read(path))
        criteria = TypeAdapter(tuple[Criterion, ...]).validate_python(values or ())
        [criterion.model_dump_json() for criterion in criteria]  # an unpaired surrogate raises
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        location = ".".join(map(str, problem["loc"])) or "the list"
        raise ConfigError(f"no criteria in {path!r} ({location!r}: {problem['msg']})") from None
    except Exception as error:  # PyYAML constructors raise arbitrary exceptions
        raise ConfigError(f"no criteria in {path!r} ({one_line(error)})") from None
    if not criteria:
        raise ConfigError(f"no criteria in {path!r}: write a list of name, description, weight")
    return criteria


@cache
def builtin_template(name: str) -> "Compiled":
    """Return a compiled built-in template."""
    return _compile(_template_text(name))


def _compile(text: str) -> "Compiled":
    from bakeoff.judges.template_sandbox import compile_template  # late: imports jinja2

    return compile_template(text)


def _template_text(name: str) -> str:
    path = _FOLDER / f"{name}.j2" if name in BUILTIN_TEMPLATES else Path(name)
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        known = ", ".join(name for name, kind in BUILTIN_TEMPLATES.items() if kind)
        raise ConfigError(
            f"no judge template {name!r} ({one_line(error)}): give a file, or one of: {known}"
        ) from None


def _read(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        data = file.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        raise ValueError("it is larger than 1 MB")
    return data.decode("utf-8").replace("\r\n", "\n")
