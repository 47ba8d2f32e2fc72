"""The `scored` judge: scores each completion separately from 0 to 10 and compares the scores.

It has no position bias. As it never sees both completions, close ones often get equal scores.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Spec, split_options
from bakeoff.judges.parsing.verdicts import SCORE_SCHEMA, ParsedScore, parse_single_score
from bakeoff.judges.prompted import ParsedReply, PromptedJudge, judge_sampling, reply_totals
from bakeoff.judges.rendering import Template, TemplateInput
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Pair, Prompt, Scores, Verdict, content_key


class PointwiseItem(NamedTuple):
    """A completion that is scored separately."""

    prompt: Prompt
    text: str
    id: str = ""
    """As `Pair.id`, with the position of the completion."""
    is_second: bool = False
    """Whether it is the second completion of its pair."""


class PositionedScore(NamedTuple):
    """The score of a completion, and whether it is the second of its pair."""

    score: ParsedScore
    is_second: bool


class PointwiseJudge(PromptedJudge[PointwiseItem, PositionedScore]):
    """Scores each completion in a request of its own; equal scores are a tie.

    The requests about the completions of a pair follow each other, so that a judge that changes
    over time changes for both models. Which comes first is drawn by a hash of the prompt: where
    one request warms a prompt cache for the other, it is sent well before it.

    Options: `?template=scored`, or `?verdict=scored` with a custom template that shows
    `completion`.
    """

    order = "pointwise"

    class Options(BaseModel):
        """Options of the spec; all others are the generator's."""

        model_config = ConfigDict(extra="forbid")

        template: str = "scored"
        verdict: Literal["scored"] = "scored"

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options, generator_spec = split_options(self.Options, spec)
        self._template = Template(options.template, 1)
        sampling = judge_sampling(context.sampling.seed, schema=SCORE_SCHEMA)
        super().__init__(open_generator(generator_spec, replace(context, sampling=sampling)))
        self.identity: JsonValue = {
            "judge": "scored",
            "generator": self.generator.identity,
            "template": self._template.text,
        }

    def split(self, pair: Pair) -> Sequence[PointwiseItem]:
        """Return both completions, in an order that is drawn by a hash of the prompt."""
        items = [
            PointwiseItem(pair.prompt, text, pair.id and f"{pair.id}, {position}", is_second)
            for position, text, is_second in (
                ("first", pair.first, False),
                ("second", pair.second, True),
            )
        ]
        second_first = int(content_key("scored first", pair.prompt.conversation())[-1], 16) % 2
        return items[::-1] if second_first else items

    def render(self, item: PointwiseItem, max_chars: int | None) -> Prompt:
        """Return the rendered template."""
        text = self._template.render(TemplateInput(item.prompt, (item.text,)), max_chars)
        return Prompt(messages=(Message(role="user", content=text),))

    def parse(self, reply: Completion, item: PointwiseItem) -> PositionedScore:
        """Return the score in a reply."""
        return PositionedScore(parse_single_score(reply), item.is_second)

    def combine(self, replies: Sequence[ParsedReply[PositionedScore]]) -> Verdict:
        """Return the verdict for the higher score, with both explanations."""
        replies = sorted(replies, key=lambda reply: reply.value.is_second)
        first, second = replies
        scores = Scores(first.value.score.score, second.value.score.score)
        reasons = [
            (label, reply.value.score.reason) for label, reply in zip("AB", replies, strict=True)
        ]
        max_chars = [reply.max_chars for reply in replies if reply.max_chars is not None]
        totals = reply_totals((*first.replies, *second.replies))
        return Verdict(
            first=0.5 if scores.first == scores.second else float(scores.first > scores.second),
            scores=scores,
            reason="\n".join(f"{label}: {reason}" for label, reason in reasons if reason),
            raw="\n\n".join(reply.replies[-1].text for reply in replies),
            retry_reason=first.retry_reason or second.retry_reason,
            shown_characters=min(max_chars) if max_chars else None,
            snapshot=totals.snapshot,
            usage=totals.usage,
            cost=totals.cost,
        )

    def longest_text(self, item: PointwiseItem) -> int:
        """Return the length of the completion in characters."""
        return len(item.text)
