"""A generator without a model: repeats the last turn. For tests, documentation and dry runs."""

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.config import Spec, parse_fields
from bakeoff.generators.thinking import make_completion
from bakeoff.plugins import Setting
from bakeoff.records import Completion, Finish, Prompt, Usage
from bakeoff.runtime import PerItem


class Echo(PerItem[Prompt, Completion]):
    """`echo:TEXT` completes with TEXT, a space, and the last turn; `?words=N` truncates."""

    class Options(BaseModel):
        """Options of the spec."""

        model_config = ConfigDict(extra="forbid")

        words: int | None = Field(None, ge=0)  # maximum words of a completion

    def __init__(self, spec: Spec, setting: Setting) -> None:
        super().__init__(setting.lanes)
        self._max_words = parse_fields(self.Options, spec.options, where=spec.name).words
        self._prefix = spec.target
        self.identity = {"backend": "echo", "says": self._prefix, "words": self._max_words}

    def due(self, usage: Usage) -> float | None:
        """Return 0: no request is sent."""
        del usage
        return 0.0

    async def one(self, item: Prompt) -> Completion:
        """Return the completion of a prompt; equal prompts get equal completions."""
        words = f"{self._prefix} {item.messages[-1].content}".split()
        kept = words[: self._max_words]
        finish: Finish = "length" if len(kept) < len(words) else "stop"
        return make_completion(" ".join(kept), finish=finish, tokens=len(kept))
