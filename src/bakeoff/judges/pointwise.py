"""A judge that scores each completion alone, from 0 to 10, and then compares the two scores.

It never sees the two together, so that no order exists; nor can it weigh them against each other,
so that close completions often tie.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from bakeoff.config import Sampling, Spec, split_options
from bakeoff.errors import WorkError
from bakeoff.judges.parsing.readers import SCORE_SCHEMA, Scored, read_score
from bakeoff.judges.prompted import Heard, Interview, taken
from bakeoff.judges.rendering import Shown, Template
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Pair, Prompt, Scores, Verdict
from bakeoff.runtime import Emit, ModelRequest, planned_requests


class Alone(NamedTuple):
    """A completion that is scored by itself."""

    prompt: Prompt
    text: str
    id: str = ""


class Scorer(Interview[Alone, Scored]):
    """`?template=scored`, or `?verdict=scored` and a template of one's own that shows `completion`.

    Equal scores are a tie.
    """

    order = "apart"

    class Options(BaseModel):
        """Options of the spec; all others go to the generator."""

        model_config = ConfigDict(extra="forbid")

        template: str = "scored"
        verdict: Literal["scored"] = "scored"

    def __init__(self, spec: Spec, context: RunContext) -> None:
        options, rest = split_options(self.Options, spec)
        self._template = Template(options.template, 1)
        sampling = Sampling(
            temperature=0,
            top_p=1,
            max_tokens=1024,
            seed=context.sampling.seed,
            schema_=SCORE_SCHEMA,
        )
        super().__init__(open_generator(rest, replace(context, sampling=sampling)))
        self.identity: JsonValue = {
            "judge": "scored",
            "generator": self.generator.identity,
            "template": self._template.text,
        }

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """A verdict per pair, as soon as both of its completions are scored."""
        both: dict[int, dict[int, Heard[Scored] | WorkError]] = {i: {} for i in range(len(items))}

        def take(index: int, heard: Heard[Scored] | WorkError) -> None:
            pair, place = divmod(index, 2)
            both[pair][place] = heard
            if len(both[pair]) == 2:
                emit(pair, _compared(both[pair][0], both[pair][1]))

        asked = [
            Alone(pair.prompt, text, pair.id and f"{pair.id}, {place}")
            for pair in items
            for place, text in (("first", pair.first), ("second", pair.second))
        ]
        await self.hear(asked, take)

    def requests(self, item: Pair) -> Sequence[ModelRequest]:
        """Each completion, shown alone."""
        alone = (Alone(item.prompt, text) for text in (item.first, item.second))
        shown = (self.show(one, None) for one in alone)
        return [request for one in shown for request in planned_requests(self.generator, one)]

    def show(self, item: Alone, kept: int | None) -> Prompt:
        """The rendered template."""
        text = self._template.render(Shown(item.prompt, (item.text,)), kept)
        return Prompt(messages=(Message(role="user", content=text),))

    def read(self, said: Completion, item: Alone) -> Scored:
        """The score in a reply."""
        del item
        return read_score(said)

    def longest(self, item: Alone) -> int:
        """The length of the completion."""
        return len(item.text)


def _compared(
    first: Heard[Scored] | WorkError, second: Heard[Scored] | WorkError
) -> Verdict | WorkError:
    if isinstance(first, WorkError):
        return first
    if isinstance(second, WorkError):
        return second
    scores = Scores(first.value.score, second.value.score)
    reasons = [f"{n}: {h.value.reason}" for n, h in (("A", first), ("B", second)) if h.value.reason]
    kept = [heard.kept for heard in (first, second) if heard.kept is not None]
    said = Verdict(
        first=0.5 if scores.first == scores.second else float(scores.first > scores.second),
        scores=scores,
        reason="\n".join(reasons),
        raw="\n\n".join(heard.said[-1].text for heard in (first, second)),
        mended=first.mended or second.mended,
        kept=min(kept) if kept else None,
    )
    return said.model_copy(update=taken((*first.said, *second.said)))
