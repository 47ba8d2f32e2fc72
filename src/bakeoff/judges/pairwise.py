"""The `prompted` judge: shows both completions to a generator and parses which one is better."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Spec, split_options
from bakeoff.errors import ConfigError
from bakeoff.judges.parsing.rubric import RUBRIC_SCHEMA, parse_rubric
from bakeoff.judges.parsing.verdict_marks import parse_choice, parse_marks
from bakeoff.judges.parsing.verdicts import (
    VERDICT_SCHEMA,
    follow_scores,
    parse_json_verdict,
    parse_score_pair,
)
from bakeoff.judges.prompted import ParsedReply, PromptedJudge, judge_sampling, reply_totals
from bakeoff.judges.rendering import BUILTIN_TEMPLATES, Template, TemplateInput, load_criteria
from bakeoff.plugins import (
    GENERATORS,
    Backend,
    DefaultVerdict,
    RunContext,
    load_backend,
    open_generator,
)
from bakeoff.records import Completion, Criterion, Message, Pair, Prompt, Verdict
from bakeoff.runtime import Generator

VerdictKind = Literal["json", "marks", "scores", "rubric", "logprob"]

# Criteria of a rubric if neither the judge nor the prompt has any.
DEFAULT_CRITERIA = (
    Criterion(name="correct", description="what it says is true, its steps are right", weight=3),
    Criterion(name="to the point", description="it does what was asked, all of it", weight=2),
    Criterion(name="clear", description="the person who asked can follow and use it"),
    Criterion(name="no padding", description="nothing in it could be left out"),
)


class VerdictFormat(NamedTuple):
    """How one kind of verdict is requested and parsed."""

    template: str
    """The default template."""
    parse: Callable[[Completion, Sequence[Criterion]], Verdict]
    """The parser; the criteria are those that a rubric showed."""
    schema: dict[str, JsonValue] | None = None
    """The JSON schema of the reply; None if it is not JSON."""
    max_tokens: int = 1024
    top_logprobs: int | None = None
    """Number of log-probabilities of the first token to request."""
    prefill: str | None = None
    """The beginning of the judge's own turn, which it continues."""


VERDICT_FORMATS: dict[VerdictKind, VerdictFormat] = {
    "json": VerdictFormat(
        "pairwise", lambda reply, _: parse_json_verdict(reply), schema=VERDICT_SCHEMA
    ),
    "marks": VerdictFormat("marks", lambda reply, _: parse_marks(reply)),
    "scores": VerdictFormat("scores", lambda reply, _: parse_score_pair(reply)),
    "rubric": VerdictFormat("rubric", parse_rubric, schema=RUBRIC_SCHEMA),
    "logprob": VerdictFormat(
        "choice",
        lambda reply, _: parse_choice(reply),
        max_tokens=1,
        top_logprobs=20,
        prefill="The better answer is Answer",
    ),
}


class PairwiseJudge(PromptedJudge[Pair, Verdict]):
    """Compares two completions in one request.

    Options: `?verdict=` is the kind of verdict, `?template=` the template, `?criteria=` a file with
    the criteria of a rubric.
    """

    class Options(BaseModel):
        """Options of the spec; all others are the generator's."""

        model_config = ConfigDict(extra="forbid")

        template: str | None = None
        verdict: VerdictKind | None = None
        criteria: str | None = None

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options, generator_spec = split_options(self.Options, spec)
        kind = _verdict_kind(options, spec)
        self._format = VERDICT_FORMATS[kind]
        self.retries = kind != "logprob"
        self._template = Template(options.template or self._format.template, 2)
        self._criteria = load_criteria(options.criteria) if options.criteria else ()
        sampling = judge_sampling(
            context.sampling.seed,
            schema=self._format.schema,
            max_tokens=self._format.max_tokens,
            top_logprobs=self._format.top_logprobs,
        )
        super().__init__(open_generator(generator_spec, replace(context, sampling=sampling)))
        self.identity: JsonValue = {
            "judge": "prompted",
            "generator": self.generator.identity,
            "template": self._template.text,
            "prefill": self._format.prefill,
            "verdict": kind,
            "criteria": [criterion.model_dump() for criterion in self._criteria],
        }

    def split(self, pair: Pair) -> Sequence[Pair]:
        """Return the pair itself: one request shows both completions."""
        return (pair,)

    def render(self, item: Pair, max_chars: int | None) -> Prompt:
        """Return the rendered template and the prefill of the judge's turn."""
        values = TemplateInput(item.prompt, (item.first, item.second), self._criteria_of(item))
        messages = [Message(role="user", content=self._template.render(values, max_chars))]
        if self._format.prefill:
            messages.append(Message(role="assistant", content=self._format.prefill))
        return Prompt(id=item.id, messages=tuple(messages))

    def parse(self, reply: Completion, item: Pair) -> Verdict:
        """Return the verdict in a reply."""
        return self._format.parse(reply, self._criteria_of(item))

    def combine(self, replies: Sequence[ParsedReply[Verdict]]) -> Verdict:
        """Return the parsed verdict with the usage of its requests."""
        (reply,) = replies
        totals = reply_totals(reply.replies)
        return Verdict(
            first=reply.value.first,
            scores=reply.value.scores,
            reason=reply.value.reason,
            raw=reply.value.raw,
            retry_reason=reply.retry_reason,
            contradictory=reply.contradicts,
            shown_characters=reply.max_chars,
            snapshot=totals.snapshot,
            usage=totals.usage,
            cost=totals.cost,
        )

    def longest_text(self, item: Pair) -> int:
        """Return the length of the longer completion in characters."""
        return max(len(item.first), len(item.second))

    def is_contradictory(self, value: Verdict) -> bool:
        """Return whether the winner has the lower score."""
        return value.winner_has_lower_score

    def resolve_contradiction(self, value: Verdict) -> Verdict:
        """Return the verdict that the scores imply."""
        return follow_scores(value)

    def _criteria_of(self, item: Pair) -> Sequence[Criterion]:
        return item.prompt.criteria or self._criteria or DEFAULT_CRITERIA


def _verdict_kind(options: PairwiseJudge.Options, spec: Spec) -> VerdictKind:
    """Return the kind of `?verdict=` or of the template, else the default of the backend.

    Raises ConfigError if the options contradict each other.
    """
    template_kind = BUILTIN_TEMPLATES.get(options.template or "")
    if options.verdict and template_kind and template_kind != options.verdict:
        raise ConfigError(
            f"{spec.name!r}: the template {options.template!r} asks for verdict={template_kind}, "
            f"not verdict={options.verdict}"
        )
    if options.criteria and "rubric" not in (options.verdict, template_kind):
        raise ConfigError(f"{spec.name!r}: criteria are a rubric's: write ?template=rubric too")
    requested = options.verdict or template_kind
    known: VerdictKind | None = next((kind for kind in VERDICT_FORMATS if kind == requested), None)
    if known or options.template:
        return known or "json"
    backend: Backend[Generator] = load_backend(GENERATORS, spec.backend)
    return backend.default_verdict(spec.target) if isinstance(backend, DefaultVerdict) else "json"
