"""Small models in this process: starts llama.cpp's own server on loopback and is its client.

Knows how to start and stop that server; the requests are `api.py`'s, as for any other server. The
server listens on 127.0.0.1 at a random port and asks for a random key, since it would otherwise
answer every page in a browser on this machine.
"""

import asyncio
import importlib.util
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from bakeoff.config import Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators import weighing
from bakeoff.generators.api import Api, client_of
from bakeoff.generators.catalogue import CATALOGUE, sha256_of
from bakeoff.plugins import Setting
from bakeoff.records import Prompt

if TYPE_CHECKING:
    from any_llm import AnyLLM

_NEEDED = ("xllamacpp", "huggingface_hub", "filelock")


class Embedded(Api):
    """`embedded:smollm2` (see `catalogue.py`), or any other GGUF file: `embedded:path/to.gguf`."""

    class Options(Api.Options):
        """Options of the spec. `context` is tokens per slot, prompt and completion together."""

        base_url: None = None  # it has a server of its own,
        api_key_env: None = None  # with a key of its own
        slots: int = Field(8, ge=1)
        context: int = Field(4096, ge=128)
        threads: int | None = Field(None, ge=1)
        template: str | None = None
        stop: str | None = None

    options: Options

    def __init__(self, spec: Spec, setting: Setting) -> None:
        super().__init__(spec, setting)
        self._entry = CATALOGUE.get(spec.target)
        self._server: Any = None
        if self._entry is None and not Path(spec.target).is_file():
            known = ", ".join(CATALOGUE)
            raise ConfigError(
                f"no GGUF file {spec.target!r}, and no embedded model of that name; "
                f"there are: {known}"
            )
        self.stop: list[JsonValue] = []
        if self.options.stop:
            self.stop = [self.options.stop]
        elif self._entry:
            self.stop = list(self._entry.stop)
        self.weights = "sha256:" + (
            self._entry.sha256 if self._entry else sha256_of(Path(spec.target))
        )
        if self._entry:
            weigh = self.sampling.weigh
            judge = self._entry.as_judge(weigh=weigh) if setting.judging else None
            self.caveat = judge or self._entry.caveat
        self.identity = {
            "backend": "embedded",
            "weights": self.weights,
            "template": self._template(),
            "stop": self.stop,
            "context": self.options.context,
            "sampling": self.sampling.model_dump(),
        }

    @staticmethod
    def reads(target: str) -> str:
        """How a verdict of this model is read best: the JSON of the small ones is noise."""
        return "logprob" if target in CATALOGUE else "json"

    async def prepare(self) -> None:
        """Fetch the model if it is not there. ConfigError without the extra, the file, the net."""
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(f"{self.spec.name!r} needs: pip install 'bakeoff[embedded]'")
        await asyncio.to_thread(self._path)

    async def connect(self) -> "AnyLLM":
        """Start the server, and a client of it."""
        key = secrets.token_urlsafe(32)
        self._server = await asyncio.to_thread(self._serve, key)
        address = f"{self._server.listening_address}/v1"
        return client_of(self.spec.name, address, key, self.transport())

    async def close(self) -> None:
        """Stop the server and free the model."""
        await super().close()
        self._server = None  # its destructor stops it

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """As for any server; with llama.cpp's own extra samplers switched off."""
        asked = super().request(prompt)
        asked["extra_body"] = {"top_k": 0, "min_p": 0.0, "cache_prompt": True}
        if self.stop:
            asked["stop"] = self.stop
        return asked

    async def weigh(self, prompt: Prompt) -> float:
        """The mean log-probability of the last turn's tokens, when a grammar forces them."""
        context, text = weighing.parted(prompt)
        asked = self.request(context)
        asked.pop("stop", None)  # it may stand in the text
        pieces = await self._pieces(text)
        if len(pieces) >= self.options.context:  # it would write as far as it goes first
            raise ContextError(f"{len(pieces)} tokens to weigh, of {self.options.context} that fit")
        asked["extra_body"]["grammar"] = weighing.grammar(text, pieces)
        asked |= {"logprobs": True, "temperature": 0, "max_tokens": len(text.encode()) + 1}
        return weighing.of_forced(text, await self._reply(asked))

    async def _pieces(self, text: str) -> list[weighing.Piece]:
        """The tokens that the model makes of a text."""
        from openai import AsyncOpenAI, OpenAIError

        client: AsyncOpenAI = self._llm.client  # type: ignore[union-attr] # `one` opened it
        body = {"content": text, "add_special": False, "parse_special": False, "with_pieces": True}
        address = f"{self._server.listening_address}/tokenize"
        try:
            reply = await client.post(address, cast_to=object, body=body)
        except OpenAIError as error:
            raise BackendError(f"llama.cpp cannot read the text: {one_line(error)}") from None
        return weighing.pieces_of(reply)

    def _path(self) -> Path:
        if self._entry is None:
            return Path(self.spec.target)
        from bakeoff.generators.fetch import fetched

        return fetched(self._entry)

    def _serve(self, key: str) -> Any:
        import xllamacpp

        options = self.options
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path())
        params.model_alias = {self.spec.target}
        params.n_parallel = options.slots
        params.n_ctx = options.context * options.slots
        params.cpuparams.n_threads = options.threads or physical_cores()
        params.port = 0
        params.api_keys = [key]
        params.ui = False
        params.verbosity = -1
        if template := self._template():
            params.chat_template = template
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigError(
                f"llama.cpp cannot load {params.model.path!r} ({error}): is it a whole GGUF file, "
                "and is there enough memory?"
            ) from None

    def _template(self) -> str | None:
        """The chat template that stands in for the model's own: a file's text, or ours."""
        if self.options.template is None:
            return self._entry.template if self._entry else None
        try:
            return Path(self.options.template).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read the chat template: {error}") from None


def physical_cores() -> int:
    """Cores without hyper-threads, of those that this process may use; at least 1."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    siblings = Path("/sys/devices/system/cpu")
    if usable is None or not siblings.is_dir():
        return max(1, (os.cpu_count() or 2) // 2)
    groups = set()
    for cpu in usable:
        file = siblings / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        groups.add(file.read_text() if file.exists() else str(cpu))
    return max(1, len(groups))
