"""The order of things: completions, then verdicts. The only file that knows it.

Judging a prompt starts as soon as its completions exist.
"""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.config import Config
from bakeoff.errors import StoppedError, WorkError
from bakeoff.filling import fill
from bakeoff.progress import BEAT, Count, Stage, Watch
from bakeoff.records import Completion, Pair, Prompt, Verdict, content_key
from bakeoff.stopwatch import timed
from bakeoff.store import Store
from bakeoff.work import Generator, Judge, aside, meanwhile, tasks

_SOME = 1000  # keys that are made at a time: it takes a while, and the event loop goes on between


class Sitting(NamedTuple):
    """One verdict that is wanted: which judge, which prompt, which models in which order."""

    judge: str
    prompt_id: str
    first: str
    second: str
    repeat: int


class _NoCompletionError(WorkError):
    """There is nothing to judge: a model did not complete the prompt."""

    kind = "no completion"


def verdict_key(identity: JsonValue, pair: Pair, repeat: int) -> str:
    """Where the verdict of a judge on a pair is kept: by what the judge sees, and nothing else."""
    prompt = pair.prompt
    seen: list[JsonValue] = [prompt.conversation(), prompt.reference, pair.first, pair.second]
    if prompt.criteria:
        seen.append([criterion.model_dump() for criterion in prompt.criteria])
    return content_key("verdict", identity, seen, repeat)


class Cast(NamedTuple):
    """Everyone who takes part, by name.

    `again` is a model that is drawn a second time, to be compared with itself on some prompts.
    """

    models: dict[str, Generator]
    judges: dict[str, Judge]
    again: tuple[str, Generator] | None = None


AGAIN = ", drawn again"  # after a model's name


class Comparing:
    """One comparison under way: what is asked for, and what has come of it so far."""

    def __init__(
        self, config: Config, prompts: Sequence[Prompt], cast: Cast, store: Store, watch: Watch
    ) -> None:
        self.config = config
        self.prompts = {prompt.id: prompt for prompt in prompts}
        self.contestants = tuple(cast.models)
        self.models = dict(cast.models)
        self.judges = cast.judges
        self.store = store
        self.null_pair: tuple[str, str] | None = None
        if cast.again:
            name, model = cast.again
            self.null_pair = (name, name + AGAIN)
            self.models[name + AGAIN] = model
        self._null_prompts = set(list(self.prompts)[: config.null_check])
        self.completions: dict[tuple[str, str], Completion | WorkError] = {}
        self.verdicts: dict[Sitting, Verdict | WorkError] = {}
        self._watch = watch
        self._asks: dict[str, list[tuple[str, Prompt]]] = {}
        self._counts: dict[tuple[Stage, str], Count] = {}
        self._called: deque[tuple[str, Iterator[Sitting]]] = deque()
        self._ushering = False
        self._group: asyncio.TaskGroup

    @property
    def workers(self) -> list[Generator | Judge]:
        """Everyone who works here."""
        return [*self.models.values(), *self.judges.values()]

    async def look(self) -> None:
        """Take what the store has. Pairs that lack a completion are still to be judged."""
        await aside(lambda: [worker.identity for worker in self.workers])  # of files, or of the hub
        for name in self.models:
            asks = await aside(partial(self.owed, name))
            found = await self.store.load([key for key, _ in asks], Completion)
            self.completions |= {(p.id, name): found[key] for key, p in asks if key in found}
        for name in self.judges:
            ready = [one for one in self.sittings(name) if self._ready(one)]
            keys: list[str] = []
            for start in range(0, len(ready), _SOME):
                some = self._verdict_asks(name, ready[start : start + _SOME])
                keys += [key for key, _ in some]
                await asyncio.sleep(0)
            held = await self.store.load(keys, Verdict)
            had = ((one, key) for one, key in zip(ready, keys, strict=True) if key in held)
            self.verdicts |= {one: held[key] for one, key in had}

    @property
    def left(self) -> bool:
        """Whether anything is left to do."""
        return any(map(self.owed, self.models)) or any(map(self._owes, self.judges))

    async def prepare(self) -> None:
        """Let everyone who has work left fetch and check for it."""
        for name, model in self.models.items():
            if self.owed(name):
                with timed("load"):
                    await model.prepare()
        for name, judge in self.judges.items():
            if self._owes(name):
                with timed("load"):
                    await judge.prepare()

    async def run(self) -> None:
        """Complete every prompt with every model, and judge every pair.

        Servers work side by side, and their pairs are judged while they work; a patient judge is
        called once, when all completions are there. Exclusive workers fill the accelerator: they
        take turns, models first, and are closed after their turn.
        """
        self._start()
        async with meanwhile(self._look, every=BEAT), tasks() as self._group:
            for name, judge in self.judges.items():
                if not (judge.exclusive or judge.patient):
                    ready = [one for one in self.due(name) if self._ready(one)]
                    self._group.create_task(self._sit(name, ready))
            async with tasks() as completing:
                for name, model in self.models.items():
                    if not model.exclusive:
                        completing.create_task(self._complete(name))
                completing.create_task(self._take_turns())
            for name, judge in self.judges.items():
                if judge.patient:
                    self._group.create_task(self._sit(name, self.due(name)))
            for name, judge in self.judges.items():
                if judge.exclusive:
                    await self._sit(name, self.due(name))
                    await judge.close()

    @property
    def kept(self) -> dict[tuple[Stage, str], int]:
        """How many outcomes of each model and judge the store had."""
        return {key: count.from_store for key, count in self._counts.items()}

    def _look(self) -> None:
        """Tell how far everyone is with what is not done yet."""
        for (stage, name), count in self._counts.items():
            worker = self.models[name] if stage == "completion" else self.judges[name]
            count.writing(worker.writing)
            if worker.patient:
                count.through(worker.through)

    async def _take_turns(self) -> None:
        for name, model in self.models.items():
            if model.exclusive:
                await self._complete(name)
                await model.close()

    async def _complete(self, name: str) -> None:
        asks = self.owed(name)

        def take(index: int, outcome: Completion | WorkError) -> None:
            prompt = asks[index][1]
            self.completions[prompt.id, name] = outcome
            for a, b in self._pairs(prompt.id):
                if name in (a, b) and all((prompt.id, m) in self.completions for m in (a, b)):
                    self._call_judges(prompt.id, a, b)

        count = self._counts["completion", name]
        await fill(self.models[name], asks, self.store, Completion, take, count)

    def _call_judges(self, prompt_id: str, a: str, b: str) -> None:
        for name, judge in self.judges.items():
            if not (judge.exclusive or judge.patient):
                self._called.append((name, self._orders(name, prompt_id, a, b)))
        if not self._ushering:
            self._ushering = True
            self._group.create_task(self._usher())

    async def _usher(self) -> None:
        """Let in who was called, one at a time: replies are taken in, and sent for, in between."""
        while self._called:
            self._group.create_task(self._sit(*self._called.popleft()))
            await asyncio.sleep(0)
        self._ushering = False

    async def _sit(self, name: str, sittings: Iterable[Sitting]) -> None:
        """Ask one judge for verdicts; a pair that lacks a completion fails without being asked."""
        asked: list[Sitting] = []
        count = self._counts["judgment", name]
        for sitting in sittings:
            lacking = [m for m in sitting[2:4] if self._text(sitting.prompt_id, m) is None]
            if lacking:
                failure = self.completions[sitting.prompt_id, lacking[0]]
                error: WorkError = _NoCompletionError(f"{lacking[0]!r} did not complete the prompt")
                if isinstance(failure, StoppedError):
                    error = failure
                self.verdicts[sitting] = error
                count.new(error)
            else:
                asked.append(sitting)

        def take(index: int, outcome: Verdict | WorkError) -> None:
            self.verdicts[asked[index]] = outcome

        asks = self._verdict_asks(name, asked)
        await fill(self.judges[name], asks, self.store, Verdict, take, count)

    def sittings(self, judge: str) -> Iterator[Sitting]:
        """Every verdict that is wanted of one judge, in the order of the results."""
        for prompt_id in self.prompts:
            for a, b in self._pairs(prompt_id):
                yield from self._orders(judge, prompt_id, a, b)

    def _pairs(self, prompt_id: str) -> list[tuple[str, str]]:
        """Which models are compared on a prompt: each two, and one with itself where wanted."""
        pairs = list(itertools.combinations(self.contestants, 2))
        if self.null_pair and prompt_id in self._null_prompts:
            pairs.append(self.null_pair)
        return pairs

    def _prompts_for(self, model: str) -> list[Prompt]:
        whole = model in self.contestants
        return [p for p in self.prompts.values() if whole or p.id in self._null_prompts]

    def _orders(self, judge: str, prompt_id: str, a: str, b: str) -> Iterator[Sitting]:
        orders = [(a, b), (b, a)]
        if self.judges[judge].order == "apart":
            orders = orders[:1]
        elif self.config.order == "random":
            drawn = content_key("order", self.config.seed, prompt_id, a, b)
            orders = [orders[int(drawn[-1], 16) % 2]]
        for repeat in range(self.config.repeats):
            for first, second in orders:
                yield Sitting(judge, prompt_id, first, second, repeat)

    def owed(self, name: str) -> list[tuple[str, Prompt]]:
        """What a model has still to complete, by the key under which that is kept."""
        if name not in self._asks:  # to make 100,000 keys takes a second, and they are wanted often
            identity = self.models[name].identity
            self._asks[name] = [
                (content_key("completion", identity, prompt.conversation(), 0), prompt)
                for prompt in self._prompts_for(name)
            ]
        return [ask for ask in self._asks[name] if (ask[1].id, name) not in self.completions]

    def due(self, judge: str) -> list[Sitting]:
        """What a judge has still to say."""
        return [one for one in self.sittings(judge) if one not in self.verdicts]

    def _owes(self, judge: str) -> bool:
        """Whether a judge has anything still to say."""
        return any(one not in self.verdicts for one in self.sittings(judge))

    def _ready(self, sitting: Sitting) -> bool:
        """Whether both completions exist, or are known not to."""
        return all((sitting.prompt_id, model) in self.completions for model in sitting[2:4])

    def _verdict_asks(self, name: str, sittings: Iterable[Sitting]) -> list[tuple[str, Pair]]:
        identity = self.judges[name].identity
        asks = []
        for sitting in sittings:
            prompt = self.prompts[sitting.prompt_id]
            first, second = (self._text(prompt.id, model) for model in sitting[2:4])
            pair = Pair(prompt=prompt, first=first or "", second=second or "")
            key = verdict_key(identity, pair, sitting.repeat)
            asks.append((key, pair.model_copy(update={"id": key})))
        return asks

    def _text(self, prompt_id: str, model: str) -> str | None:
        """What a judge is shown of a completion; None where there is none."""
        completion = self.completions[prompt_id, model]
        if isinstance(completion, WorkError):
            return None
        keep = self.config.thinking == "keep"
        return completion.raw if keep and completion.raw else completion.text

    def _start(self) -> None:
        """Count, from what the store had on."""
        of_model = Counter(model for _, model in self.completions)
        of_judge = Counter(sitting.judge for sitting in self.verdicts)
        for name in self.models:
            total = len(self._prompts_for(name))
            self._count("completion", name, total, of_model[name])
        for name in self.judges:
            total = sum(1 for _ in self.sittings(name))
            self._count("judgment", name, total, of_judge[name])

    def _count(self, stage: Stage, who: str, total: int, kept: int) -> None:
        count = self._counts[stage, who] = Count(stage, who, total, self._watch)
        if kept:
            count.kept(kept)
