"""A generator that needs no model: says the last turn back. For tests, docs and dry runs."""

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.config import Spec, parse_fields
from bakeoff.generators.thinking import completion_of
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import PerItem, Traits


class Echo(PerItem[Prompt, Completion]):
    """`echo:TEXT` completes with TEXT, a space, and the last turn; `?words=N` keeps N words."""

    traits = Traits(free=True)

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        words: int | None = Field(None, ge=0)

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(context.max_concurrency)
        self._words = parse_fields(self.Options, spec.options, where=spec.name).words
        self._says = spec.target
        self.identity = {"backend": "echo", "says": self._says, "words": self._words}

    async def process(self, item: Prompt) -> Completion:
        """The same text for the same prompt, always."""
        words = f"{self._says} {item.messages[-1].content}".split()
        kept = words[: self._words]
        cut = len(kept) < len(words)
        return completion_of(" ".join(kept), finish="length" if cut else "stop", tokens=len(kept))
