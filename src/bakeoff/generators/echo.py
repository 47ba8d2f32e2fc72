"""A generator without a model: repeats the last turn. For tests, documentation and dry runs."""

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.config import Spec, parse_fields
from bakeoff.generators.thinking import make_completion
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Finish, Prompt
from bakeoff.runtime import PerItem, Traits


class Echo(PerItem[Prompt, Completion]):
    """`echo:TEXT` completes with TEXT, a space, and the last turn; `?words=N` truncates it."""

    traits = Traits(free=True)

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        words: int | None = Field(None, ge=0)  # maximum words of a completion

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(context.max_concurrency)
        self._max_words = parse_fields(self.Options, spec.options, where=spec.name).words
        self._prefix = spec.target
        self.identity = {"backend": "echo", "says": self._prefix, "words": self._max_words}

    async def process(self, item: Prompt) -> Completion:
        """Return the completion of a prompt; equal prompts get equal completions."""
        words = f"{self._prefix} {item.messages[-1].content}".split()
        output = words[: self._max_words]
        finish: Finish = "length" if len(output) < len(words) else "stop"
        return make_completion(" ".join(output), finish=finish, tokens=len(output))
