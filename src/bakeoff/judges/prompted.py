"""A judge made of a generator, a template and a reader: hosted and local judges are this class.

Knows how a pair is shown and how a reply is read back; sees positions only, never a model's name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Sampling, Spec, parse_fields
from bakeoff.errors import ConfigError, VerdictError, WorkError
from bakeoff.judges.readers import SCHEMA, Reader, read_choice, read_json
from bakeoff.plugins import GENERATORS, Setting, find, open_generator
from bakeoff.records import Completion, Message, Pair, Prompt, Verdict, content_key
from bakeoff.work import Emit

TEMPLATES = Path(__file__).parent / "templates"
Kind = Literal["json", "logprob"]
_KNOWN = {"prompt", "first", "second", "fence", "problem"}


class Reading(NamedTuple):
    """How one kind of verdict is asked for and read.

    `prefill` is how the judge's own turn begins; `mendable` says whether asking again can help.
    """

    template: str
    read: Reader
    sampling: Sampling
    prefill: str | None = None
    mendable: bool = False


READINGS: dict[Kind, Reading] = {
    "json": Reading(
        template="pairwise",
        read=read_json,
        sampling=Sampling(temperature=0, top_p=1, max_tokens=1024, schema_=SCHEMA),
        mendable=True,
    ),
    "logprob": Reading(
        template="choice",
        read=read_choice,
        sampling=Sampling(temperature=0, top_p=1, max_tokens=1, top=20),
        prefill="The better answer is Answer",
    ),
}


class Prompted:
    """Asks a generator to compare: `?verdict=` says how it is read, `?template=` in what words."""

    class Options(BaseModel):
        """Options of the spec; all others go to the generator."""

        model_config = ConfigDict(extra="forbid")

        template: str | None = None
        verdict: Kind | None = None

    def __init__(self, spec: Spec, setting: Setting) -> None:
        own = {
            key: value for key, value in spec.options.items() if key in self.Options.model_fields
        }
        rest = {key: value for key, value in spec.options.items() if key not in own}
        options = parse_fields(self.Options, own, where=spec.name)
        kind = options.verdict or _usual_kind(spec)
        self._reading = READINGS[kind]
        text = _text_of(options.template or self._reading.template)
        self._template = _compiled(text)
        self._repair = _compiled(_text_of("repair"))
        sampling = self._reading.sampling.model_copy(update={"seed": setting.sampling.seed})
        self._generator = open_generator(
            spec.model_copy(update={"options": rest}), Setting(sampling, setting.lanes)
        )
        self.weights = self._generator.weights
        self.caveat = self._generator.caveat
        self.exclusive = self._generator.exclusive
        self.identity: JsonValue = {
            "judge": "prompted",
            "generator": self._generator.identity,
            "template": text,
            "prefill": self._reading.prefill,
            "verdict": kind,
        }

    async def prepare(self) -> None:
        """As the generator's."""
        await self._generator.prepare()

    async def close(self) -> None:
        """As the generator's."""
        await self._generator.close()

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """A verdict per pair. A reply that cannot be read is answered with one repair request."""
        prompts = [self.ask(pair) for pair in items]
        broken: list[tuple[int, Prompt]] = []

        def take(index: int, outcome: Completion | WorkError) -> None:
            verdict = self._verdict(outcome)
            unread = isinstance(verdict, VerdictError) and self._reading.mendable
            if unread and isinstance(outcome, Completion) and outcome.finish != "refused":
                broken.append((index, self._mend(prompts[index], outcome, str(verdict))))
            else:
                emit(index, verdict)

        def take_again(position: int, outcome: Completion | WorkError) -> None:
            emit(broken[position][0], self._verdict(outcome))

        await self._generator(prompts, take)
        if broken:
            await self._generator([prompt for _, prompt in broken], take_again)

    def ask(self, pair: Pair) -> Prompt:
        """What the generator is sent: the rendered template, and how its own turn begins."""
        # A line that no completion can know: it is made from both of them.
        fence = "=" * 8 + " " + content_key(pair.model_dump(mode="json"))[3:19]
        text = self._template.render(
            prompt=pair.prompt, first=pair.first, second=pair.second, fence=fence
        )
        turns = [Message(role="user", content=text.strip())]
        if self._reading.prefill:
            turns.append(Message(role="assistant", content=self._reading.prefill))
        return Prompt(messages=tuple(turns))

    def _verdict(self, outcome: Completion | WorkError) -> Verdict | WorkError:
        if isinstance(outcome, WorkError):
            return outcome
        if outcome.finish == "refused":
            return VerdictError("the judge refused", raw=outcome.text)
        try:
            return self._reading.read(outcome)
        except VerdictError as error:
            return error

    def _mend(self, prompt: Prompt, said: Completion, problem: str) -> Prompt:
        again = Message(role="user", content=self._repair.render(problem=problem).strip())
        reply = Message(role="assistant", content=said.text or "(nothing)")
        return Prompt(messages=(*prompt.messages, reply, again))


def _usual_kind(spec: Spec) -> Kind:
    """JSON, unless the backend says that this model's verdicts are read better another way."""
    reads = getattr(find(GENERATORS, spec.backend), "reads", None)
    return reads(spec.target) if reads else "json"


def _text_of(template: str) -> str:
    """A template of ours by its name, or anybody's by its path."""
    path = TEMPLATES / f"{template}.j2"
    try:
        return (path if path.is_file() else Path(template)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(file.stem for file in TEMPLATES.glob("*.j2")))
        raise ConfigError(
            f"no judge template {template!r} ({error}): give a file, or one of: {known}"
        ) from None


def _compiled(text: str) -> Template:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    try:
        unknown = find_undeclared_variables(environment.parse(text)) - _KNOWN
        template = environment.from_string(text)
    except TemplateError as error:
        raise ConfigError(f"the judge template cannot be read: {error}") from None
    if unknown:
        raise ConfigError(
            f"the judge template asks for {sorted(unknown)!r}; there are: {sorted(_KNOWN)!r}"
        )
    return template
