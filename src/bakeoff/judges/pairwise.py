"""A judge made of a generator, a template and a reader: hosted and local judges are this class.

Knows how a pair is shown and how a reply is read back; sees positions only, never a model's name.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Sampling, Spec, split_options
from bakeoff.errors import ConfigError, WorkError
from bakeoff.judges.parsing.marks import read_choice, read_marks, settled
from bakeoff.judges.parsing.readers import SCHEMA, read_json, read_scores
from bakeoff.judges.parsing.rubric import RUBRIC_SCHEMA, read_rubric
from bakeoff.judges.prompted import Heard, Interview
from bakeoff.judges.rendering import OURS, Shown, Template, criteria_in
from bakeoff.plugins import GENERATORS, Backend, DefaultVerdict, RunContext, find, open_generator
from bakeoff.records import Completion, Criterion, Message, Pair, Prompt, Verdict
from bakeoff.runtime import Emit, Generator, ModelRequest, planned_requests

Kind = Literal["json", "marks", "scores", "rubric", "logprob"]

# What a rubric asks for where neither the run nor the prompt says.
CRITERIA = (
    Criterion(name="correct", description="what it says is true, its steps are right", weight=3),
    Criterion(name="to the point", description="it does what was asked, all of it", weight=2),
    Criterion(name="clear", description="the person who asked can follow and use it"),
    Criterion(name="no padding", description="nothing in it could be left out"),
)
_WRITTEN = Sampling(temperature=0, top_p=1, max_tokens=1024)


class Reading(NamedTuple):
    """How one kind of verdict is asked for: in what words, how sampled, how the turn begins.

    `read` finds the verdict in a reply; a rubric's criteria are those that were shown.
    """

    template: str
    read: Callable[[Completion, Sequence[Criterion]], Verdict]
    sampling: Sampling = _WRITTEN
    prefill: str | None = None


READINGS: dict[Kind, Reading] = {
    "json": Reading(
        template="pairwise",
        read=lambda said, _: read_json(said),
        sampling=_WRITTEN.model_copy(update={"schema_": SCHEMA}),
    ),
    "marks": Reading(template="marks", read=lambda said, _: read_marks(said)),
    "scores": Reading(template="scores", read=lambda said, _: read_scores(said)),
    "rubric": Reading(
        template="rubric",
        read=read_rubric,
        sampling=_WRITTEN.model_copy(update={"schema_": RUBRIC_SCHEMA}),
    ),
    "logprob": Reading(
        template="choice",
        read=lambda said, _: read_choice(said),
        sampling=Sampling(temperature=0, top_p=1, max_tokens=1, top=20),
        prefill="The better answer is Answer",
    ),
}


class Prompted(Interview[Pair, Verdict]):
    """Asks a generator to compare: `?verdict=` says how it is read, `?template=` in what words,
    `?criteria=` what a rubric asks for.
    """

    class Options(BaseModel):
        """Options of the spec; all others go to the generator."""

        model_config = ConfigDict(extra="forbid")

        template: str | None = None
        verdict: Kind | None = None
        criteria: str | None = None

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options, rest = split_options(self.Options, spec)
        kind = _kind_of(options, spec)
        self._reading = READINGS[kind]
        self.mendable = kind != "logprob"
        self._template = Template(options.template or self._reading.template, 2)
        self._criteria = criteria_in(options.criteria) if options.criteria else ()
        sampling = self._reading.sampling.model_copy(update={"seed": context.sampling.seed})
        super().__init__(open_generator(rest, replace(context, sampling=sampling)))
        self.identity: JsonValue = {
            "judge": "prompted",
            "generator": self.generator.identity,
            "template": self._template.text,
            "prefill": self._reading.prefill,
            "verdict": kind,
            "criteria": [criterion.model_dump() for criterion in self._criteria],
        }

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """A verdict per pair."""

        def take(index: int, heard: Heard[Verdict] | WorkError) -> None:
            if isinstance(heard, WorkError):
                emit(index, heard)
            else:
                emit(index, heard.value.model_copy(update=heard.accounts))

        await self.hear(items, take)

    def requests(self, item: Pair) -> Sequence[ModelRequest]:
        """The pair, shown."""
        return planned_requests(self.generator, self.show(item, None))

    def show(self, item: Pair, kept: int | None) -> Prompt:
        """The rendered template, and how the judge's own turn begins."""
        shown = Shown(item.prompt, (item.first, item.second), self._asked_for(item))
        turns = [Message(role="user", content=self._template.render(shown, kept))]
        if self._reading.prefill:
            turns.append(Message(role="assistant", content=self._reading.prefill))
        return Prompt(messages=tuple(turns))

    def read(self, said: Completion, item: Pair) -> Verdict:
        """The verdict in a reply."""
        return self._reading.read(said, self._asked_for(item))

    def longest(self, item: Pair) -> int:
        """The length of the longer completion."""
        return max(len(item.first), len(item.second))

    def doubtful(self, value: Verdict) -> bool:
        """Whether winner and scores do not fit."""
        return value.at_odds

    def settled(self, value: Verdict) -> Verdict:
        """The verdict that the scores stand for."""
        return settled(value)

    def _asked_for(self, item: Pair) -> Sequence[Criterion]:
        return item.prompt.criteria or self._criteria or CRITERIA


def _kind_of(options: Prompted.Options, spec: Spec) -> Kind:
    """What is asked for, what the template asks for, or what the backend says is read best."""
    of_template = OURS.get(options.template or "")
    if options.verdict and of_template and of_template != options.verdict:
        raise ConfigError(
            f"{spec.name!r}: the template {options.template!r} asks for verdict={of_template}, not "
            f"verdict={options.verdict}"
        )
    if options.criteria and "rubric" not in (options.verdict, of_template):
        raise ConfigError(f"{spec.name!r}: criteria are a rubric's: write ?template=rubric too")
    told = options.verdict or of_template
    known: Kind | None = next((kind for kind in READINGS if kind == told), None)
    if known or options.template:
        return known or "json"
    backend: Backend[Generator] = find(GENERATORS, spec.backend)
    return backend.default_verdict(spec.target) if isinstance(backend, DefaultVerdict) else "json"
