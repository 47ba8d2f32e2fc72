"""The `embedded:` backend: llama.cpp's server in this process, on loopback, and its client.

The server listens on 127.0.0.1 at a random port and requires a random key. Without a key, every web
page that is open on this machine could use it.
"""

import asyncio
import importlib.util
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, JsonValue

from bakeoff.config import Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, one_line
from bakeoff.generators import scoring
from bakeoff.generators.api.address import is_listening
from bakeoff.generators.api.errors import ApiError
from bakeoff.generators.api.generator import Api
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.llamacpp.admission import PrefixQueue
from bakeoff.generators.llamacpp.memory import available_memory
from bakeoff.generators.llamacpp.models import CATALOGUE, sha256_file
from bakeoff.generators.llamacpp.text_scorer import TextScorer, UnsupportedError
from bakeoff.plugins import RunContext
from bakeoff.records import Completion, Prompt
from bakeoff.runtime import to_daemon_thread

if TYPE_CHECKING:
    from bakeoff.generators.api.client import ChatClient, HttpChatClient

log = logging.getLogger(__name__)
R = TypeVar("R")

_REQUIRED_MODULES = ("xllamacpp", "huggingface_hub", "filelock")
_SLOTS_PER_CORE = 8  # more slots do not increase the throughput
_MIN_SLOTS, _MAX_SLOTS = 4, 32  # fewer waste time, more waste memory
_SHARED_FRACTION = 1 / 3  # of the free memory, as two models and a judge may run at the same time
_EXCLUSIVE_FRACTION = 0.8  # of the free memory, for a model that runs alone


class LlamaCppGenerator(Api):
    """`embedded:smollm2` (a name of `models.CATALOGUE`) or any GGUF file: `embedded:model.gguf`."""

    class Options(Api.Options):
        """Options of the spec."""

        base_url: None = None  # not an option: this class starts the server,
        api_key_env: None = None  # and makes its key
        timeout: float = Field(86_400.0, gt=0)  # seconds; long, as a CPU is slow
        slots: int | None = Field(None, ge=1)
        """Completions generated at once; None: as many as cores and free memory allow."""
        context: int = Field(4096, ge=128)
        """Tokens per slot, of prompt and completion together."""
        threads: int | None = Field(None, ge=1)
        """None: the number of physical cores."""
        template: str | None = None
        """File with a chat template that replaces the model's own."""
        stop: str | None = None
        """String that ends a completion."""

    options: Options

    def __init__(self, spec: Spec, context: RunContext) -> None:
        super().__init__(spec, context)
        self._catalogue_model = CATALOGUE.get(spec.target)
        self._server: Any = None
        self._address = ""  # of the server
        self._client: HttpChatClient  # set by `connect`
        self._queue = PrefixQueue(1)  # `connect` replaces it, by the number of slots
        self._reads_only = self.sampling.score_only or self.sampling.max_tokens == 1
        self._scorer: TextScorer | None = None
        self._scorer_thread: ThreadPoolExecutor | None = None  # llama.cpp has threads per caller
        if self._catalogue_model is None and not Path(spec.target).is_file():
            known = ", ".join(CATALOGUE)
            raise ConfigError(
                f"no GGUF file {spec.target!r}, and no embedded model of that name; "
                f"there are: {known}"
            )
        self.stop: list[JsonValue] = []
        if self.options.stop:
            self.stop = [self.options.stop]
        elif self._catalogue_model:
            self.stop = list(self._catalogue_model.stop)
        if self._catalogue_model:
            sha256 = self._catalogue_model.sha256
            caveat = self._catalogue_model.caveat
            if context.for_judge:
                caveat = self._catalogue_model.judge_caveat(likelihood=self.sampling.score_only)
            self.traits = replace(self.traits, caveat=caveat)
        else:
            sha256 = sha256_file(Path(spec.target))
        self.weights = f"sha256:{sha256}"
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
        """Return the best kind of verdict: the catalogue's models are too small for JSON."""
        return "logprob" if target in CATALOGUE else "json"

    async def prepare(self) -> None:
        """Download the model if it is missing, and validate it.

        Raises ConfigError if the extra is not installed, the file cannot be downloaded or is
        incomplete, or the free memory is too small.
        """
        if any(importlib.util.find_spec(name) is None for name in _REQUIRED_MODULES):
            raise ConfigError(f"{self.spec.name!r} needs: pip install 'bakeoff[embedded]'")
        path = await to_daemon_thread(self._path)
        await to_daemon_thread(lambda: gguf.validate(path))
        free, needed = available_memory(), self._memory_bytes(path, self.options.slots or 1)
        if needed > free:
            raise ConfigError(
                f"{self.spec.name!r} takes about {needed / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are free: make room, take a smaller model, or fewer tokens "
                "with ?context="
            )
        slots = self.options.slots or _MIN_SLOTS
        fills = self._memory_bytes(path, slots) > _SHARED_FRACTION * free
        self.traits = replace(self.traits, exclusive=fills)

    async def process(self, prompt: Prompt) -> Completion:
        """Return the completion of a prompt, once a slot is free.

        Raises BackendError, or ConfigError if the server has exited.
        """
        await self.open()
        # Reading is the work of a request for one token: what it shares with the last is not read.
        text = "\0".join(turn.content for turn in prompt.messages) if self._reads_only else ""
        async with self._queue.admit(text):
            try:
                return await super().process(prompt)
            except (BackendError, ConfigError) as error:
                if getattr(error, "status", None) or await is_listening(self._address):
                    raise
                raise ConfigError(
                    f"{self.spec.name!r}: llama.cpp's server in this process has ended ({error}): "
                    "run the same command again, what was done is kept"
                ) from None

    async def connect(self) -> "ChatClient":
        """Start the server and return a client of it."""
        key = secrets.token_urlsafe(32)
        path = await to_daemon_thread(self._path)
        slots = self._slots(path)
        # A quarter more requests than slots, so that a free slot need not wait for a request.
        self._queue = PrefixQueue(slots + max(1, slots // 4))
        self._server = await asyncio.to_thread(self._start_server, key, slots)
        self._address = self._server.listening_address
        if self.sampling.score_only:
            await self._open_scorer(path)
        from bakeoff.generators.api.client import openai_client

        url = f"{self._address}/v1"
        self._client = openai_client(self.spec.name, url, key, self.options.timeout)
        return self._client

    async def close(self) -> None:
        """Stop the server and free the model."""
        await super().close()
        if self._scorer_thread is not None:
            if self._scorer is not None:
                await self._on_scorer_thread(self._scorer.close)
            self._scorer_thread.shutdown()
        self._scorer = self._scorer_thread = None
        self._server = None  # its destructor stops it

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """Return the parameters of a request, with llama.cpp's additional samplers disabled."""
        body = super().request(prompt)
        body |= {"top_k": 0, "min_p": 0.0, "cache_prompt": True}
        if self.stop:
            body["stop"] = self.stop
        return body

    async def score(self, prompt: Prompt) -> float:
        """Return the mean log-probability of the last turn's tokens.

        `TextScorer` reads them; else a grammar forces the server to generate them: an empty text is
        scored by its end token, and a tokenization that does not concatenate to the text by the
        model's own. Raises ContextError if the text does not fit into the context.
        """
        context, text = scoring.split_last_turn(prompt)
        body = self.request(context)
        tokens = scoring.parse_tokens(await self._post("tokenize", _tokenize_body(text)))
        if len(tokens) >= self.options.context:  # do not generate up to the limit in vain
            raise ContextError(f"{len(tokens)} tokens to weigh, of {self.options.context} that fit")
        spelled = b"".join(token.text for token in tokens) == text.encode()
        if self._scorer is not None and tokens and spelled:
            return await self._read(body["messages"], tokens)
        body.pop("stop", None)  # the text may contain it
        body["grammar"] = scoring.forcing_grammar(text, tokens)
        body |= {"logprobs": True, "temperature": 0, "max_tokens": len(text.encode()) + 1}
        return scoring.score_of_forced(text, await self._send(body))

    async def _read(self, messages: list[dict[str, str]], text: list[scoring.TextToken]) -> float:
        """Return the mean log-probability of the tokens after a conversation."""
        rendered = json.loads(await self._post("apply-template", {"messages": messages}))["prompt"]
        body = {"content": rendered, "add_special": True, "parse_special": True}
        context = [int(token) for token in json.loads(await self._post("tokenize", body))["tokens"]]
        if len(context) + len(text) > self.options.context:
            raise ContextError("the prompt and the text to weigh do not fit into the context")
        scorer, ids = self._scorer, [token.id for token in text]
        assert scorer is not None  # noqa: S101 - for mypy: `score` has checked it
        try:
            return scoring.mean_logprob(
                await self._on_scorer_thread(lambda: scorer.logprobs(context, ids))
            )
        except RuntimeError as error:
            raise BackendError(f"llama.cpp cannot read the text: {error}") from None

    async def _open_scorer(self, path: Path) -> None:
        threads = self.options.threads or physical_cores()
        self._scorer_thread = ThreadPoolExecutor(1, thread_name_prefix="llama.cpp")
        try:
            self._scorer = await self._on_scorer_thread(
                lambda: TextScorer(path, self.options.context, threads)
            )
        except UnsupportedError as error:
            log.info("%s: texts are generated to be weighed, not read: %s", self.spec.name, error)

    async def _on_scorer_thread(self, function: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._scorer_thread, function)

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        """Return the body of the server's reply."""
        try:
            return (
                await self._client.http.post(f"{self._address}/{path}", json.dumps(body).encode())
            ).body
        except ApiError as error:
            raise BackendError(f"llama.cpp cannot read the text: {one_line(error)}") from None

    def _path(self) -> Path:
        if self._catalogue_model is None:
            return Path(self.spec.target)
        from bakeoff.generators.llamacpp.fetch import fetch_model  # imports rich

        return fetch_model(self._catalogue_model)

    def _memory_bytes(self, path: Path, slots: int) -> int:
        """Return an estimate of the bytes of the weights and the KV cache."""
        per_token = gguf.kv_bytes_per_token(path) or 0
        contexts = slots + self.sampling.score_only  # `TextScorer` has one of its own
        return path.stat().st_size + contexts * self.options.context * per_token

    def _slots(self, path: Path) -> int:
        """Return the number of slots: as many as cores and memory allow, at least 1.

        Generation needs many, as a step costs little more for each. Reading has a batch of tokens
        per prompt: one slot reads as fast as many, and keeps what its prompts share.
        """
        if self.options.slots is not None:
            return self.options.slots
        if self._reads_only:
            return 1
        by_cores = _SLOTS_PER_CORE * (self.options.threads or physical_cores())
        upper = max(_MIN_SLOTS, min(_MAX_SLOTS, by_cores))
        fraction = _EXCLUSIVE_FRACTION if self.traits.exclusive else _SHARED_FRACTION
        memory = fraction * available_memory()
        return next((n for n in range(upper, 1, -1) if self._memory_bytes(path, n) <= memory), 1)

    def _start_server(self, key: str, slots: int) -> Any:
        with _passive_openmp():
            import xllamacpp

        options = self.options
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path())
        params.model_alias = {self.spec.target}
        params.n_parallel = slots
        # One batch has tokens of all slots, of prompts and completions, without a copy per slot.
        params.kv_unified = True
        params.kv_unified_per_slot = options.context
        params.n_ctx = options.context * slots
        params.cache_ram_mib = 0  # by default 8 GB of prompts, but prompts do not repeat
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
        """Return the chat template that replaces the model's own: the option's or catalogue's."""
        if self.options.template is None:
            return self._catalogue_model.template if self._catalogue_model else None
        try:
            return Path(self.options.template).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read the chat template: {error}") from None


def _tokenize_body(text: str) -> dict[str, Any]:
    return {"content": text, "add_special": False, "parse_special": False, "with_pieces": True}


@contextmanager
def _passive_openmp() -> Iterator[None]:
    """Let llama.cpp's threads sleep where they wait for each other, if OpenMP is loaded inside.

    By default they spin, and take the CPU from what they wait for if anything else runs: with half
    of two cores taken, llama.cpp generated 60 tokens/s, and 140 with this.
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "passive"
    try:
        yield
    finally:
        del os.environ[name]


def physical_cores() -> int:
    """Return the number of physical cores that this process may use; at least 1."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    siblings = Path("/sys/devices/system/cpu")
    if usable is None or not siblings.is_dir():
        return max(1, (os.cpu_count() or 2) // 2)
    groups = set()
    for cpu in usable:
        file = siblings / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        groups.add(file.read_text() if file.exists() else str(cpu))
    return max(1, len(groups))
