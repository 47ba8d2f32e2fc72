"""Small models in this process: starts llama.cpp's own server on loopback and is its client.

Knows how to start and stop that server, and how much it is asked at once; the requests are
`api.py`'s, as for any other server. The server listens on 127.0.0.1 at a random port and asks for a
random key, since it would otherwise answer every page in a browser on this machine.
"""

import asyncio
import importlib.util
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue

from bakeoff.config import Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators import scoring
from bakeoff.generators.api.address import listens
from bakeoff.generators.api.client import client_of
from bakeoff.generators.api.generator import Api
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.llamacpp.gguf_validation import check_whole
from bakeoff.generators.llamacpp.memory import available
from bakeoff.generators.llamacpp.models import CATALOGUE, sha256_of
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import to_daemon_thread

if TYPE_CHECKING:
    from any_llm import AnyLLM

_NEEDED = ("xllamacpp", "huggingface_hub", "filelock")
_PER_CORE = 4  # slots: with more of them each is slower by as much
_FEW, _MANY = 4, 32  # slots: fewer waste time, more waste memory
_SHARE = 1 / 3  # of the free memory, so that two contestants and a judge fit beside each other
_TURN = 0.8  # of the free memory, when none of them is beside it


class Embedded(Api):
    """`embedded:smollm2` (see `catalogue.py`), or any other GGUF file: `embedded:path/to.gguf`."""

    class Options(Api.Options):
        """Options of the spec. `context` is tokens per slot, prompt and completion together.

        `slots` is how many completions are written at once: without it by cores and memory.
        """

        base_url: None = None  # it has a server of its own,
        api_key_env: None = None  # with a key of its own
        timeout: float = Field(86_400.0, gt=0)  # it is slow, and not lost
        slots: int | None = Field(None, ge=1)
        context: int = Field(4096, ge=128)
        threads: int | None = Field(None, ge=1)
        template: str | None = None
        stop: str | None = None

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        self._entry = CATALOGUE.get(spec.target)
        self._server: Any = None
        self._address = ""  # of that server
        self._places = asyncio.Semaphore(1)  # as many as there are slots, when it is connected
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
            judge = self._entry.as_judge(weigh=weigh) if context.for_judge else None
            self.traits = replace(self.traits, caveat=judge or self._entry.caveat)
        self.identity = {
            "backend": "embedded",
            "weights": self.weights,
            "template": self._template(),
            "stop": self.stop,
            "context": self.options.context,
            "sampling": self.sampling.model_dump(),
        }

    @staticmethod
    def default_verdict(target: str) -> Literal["json", "logprob"]:
        """How a verdict of this model is read best: the JSON of the small ones is noise."""
        return "logprob" if target in CATALOGUE else "json"

    async def prepare(self) -> None:
        """Fetch the model if it is not there. ConfigError without the extra, the net, a whole file,
        or memory for it.
        """
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(f"{self.spec.name!r} needs: pip install 'bakeoff[embedded]'")
        path = await to_daemon_thread(self._path)
        await to_daemon_thread(lambda: check_whole(path))
        free, needed = available(), self._size(path, self.options.slots or 1)
        if needed > free:
            raise ConfigError(
                f"{self.spec.name!r} takes about {needed / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are free: make room, take a smaller model, or fewer tokens "
                "with ?context="
            )
        fills = self._size(path, self.options.slots or _FEW) > _SHARE * free
        self.traits = replace(self.traits, exclusive=fills)

    async def process(self, prompt: Prompt) -> Completion:
        """As any server's. What waits for a slot waits here, in the order in which it came.

        ConfigError where our own server has ended: nothing else would ever come of it.
        """
        await self.opened()
        async with self._places:
            try:
                return await super().process(prompt)
            except (BackendError, ConfigError) as error:
                if getattr(error, "status", None) or await listens(self._address):
                    raise
                raise ConfigError(
                    f"{self.spec.name!r}: llama.cpp's server in this process has ended ({error}): "
                    "run the same command again, what was done is kept"
                ) from None

    async def connect(self) -> "AnyLLM":
        """Start the server, and a client of it."""
        key = secrets.token_urlsafe(32)
        slots = self._slots(await to_daemon_thread(self._path))
        self._places = asyncio.Semaphore(slots + max(1, slots // 4))  # no slot waits for us
        self._server = await asyncio.to_thread(self._serve, key, slots)
        self._address = self._server.listening_address
        return client_of(self.spec.name, f"{self._address}/v1", key, self.transport())

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
        context, text = scoring.parted(prompt)
        asked = self.request(context)
        asked.pop("stop", None)  # it may stand in the text
        pieces = await self._pieces(text)
        if len(pieces) >= self.options.context:  # it would write as far as it goes first
            raise ContextError(f"{len(pieces)} tokens to weigh, of {self.options.context} that fit")
        asked["extra_body"]["grammar"] = scoring.grammar(text, pieces)
        asked |= {"logprobs": True, "temperature": 0, "max_tokens": len(text.encode()) + 1}
        return scoring.of_forced(text, await self._reply(asked))

    async def _pieces(self, text: str) -> list[scoring.Piece]:
        """The tokens that the model makes of a text."""
        from openai import AsyncOpenAI, OpenAIError

        client: AsyncOpenAI = self._llm.client  # type: ignore[union-attr] # `one` opened it
        body = {"content": text, "add_special": False, "parse_special": False, "with_pieces": True}
        try:
            reply = await client.post(f"{self._address}/tokenize", cast_to=object, body=body)
        except OpenAIError as error:
            raise BackendError(f"llama.cpp cannot read the text: {one_line(error)}") from None
        return scoring.pieces_of(reply)

    def _path(self) -> Path:
        if self._entry is None:
            return Path(self.spec.target)
        from bakeoff.generators.llamacpp.fetch import fetched

        return fetched(self._entry)

    def _size(self, path: Path, slots: int) -> int:
        """The bytes that it takes, about."""
        each = gguf.bytes_per_token(path) or 0
        return path.stat().st_size + slots * self.options.context * each

    def _slots(self, path: Path) -> int:
        """How many completions are written at once."""
        if self.options.slots is not None:
            return self.options.slots
        most = max(_FEW, min(_MANY, _PER_CORE * (self.options.threads or physical_cores())))
        room = (_TURN if self.traits.exclusive else _SHARE) * available()
        return next((n for n in range(most, 1, -1) if self._size(path, n) <= room), 1)

    def _serve(self, key: str, slots: int) -> Any:
        import xllamacpp

        options = self.options
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path())
        params.model_alias = {self.spec.target}
        params.n_parallel = slots
        params.n_ctx = options.context * slots
        params.cache_ram_mib = 0  # 8 GB of prompts that do not come again
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
                f"llama.cpp cannot load {params.model.path!r} ({error}): is it a model that it "
                "knows, and is there enough memory?"
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
