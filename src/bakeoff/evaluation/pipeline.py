"""The order of things: completions, then verdicts. The only file that knows it.

Judging a prompt starts as soon as its completions exist. Which prompts and pairs are wanted, and
what comes next where that depends on verdicts, is the schedule's to say.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from pydantic import JsonValue

from bakeoff.config import Config
from bakeoff.errors import StoppedError, WorkError
from bakeoff.evaluation.cache import fill
from bakeoff.evaluation.pair_progress import Two
from bakeoff.evaluation.request_plan import AGAIN, Agenda, Cast, Sitting, Text
from bakeoff.records import Completion, Judgment, Pair, Presented, Prompt, Verdict, content_key
from bakeoff.runtime import (
    ChildStopToken,
    Generator,
    Judge,
    current_stop_token,
    run_periodically,
    task_group,
    to_daemon_thread,
)
from bakeoff.runtime.capabilities import remote_done, tokens_in_progress
from bakeoff.runtime.progress import HEARTBEAT, ProgressCallback, ProgressCounter, Stage
from bakeoff.runtime.timing import timed
from bakeoff.storage import Store

_SOME = 1000  # keys that are made at a time: it takes a while, and the event loop goes on between


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


class Comparing:
    """One comparison under way: what is asked for, and what has come of it so far."""

    def __init__(
        self,
        config: Config,
        prompts: Sequence[Prompt],
        cast: Cast,
        store: Store,
        on_progress: ProgressCallback,
    ) -> None:
        self.config = config
        self.prompts = {prompt.id: prompt for prompt in prompts}
        self.contestants = tuple(cast.models)
        self.agenda = Agenda(config, prompts, cast)
        self.schedule = self.agenda.schedule
        self.models = dict(cast.models)
        self.judges = cast.judges
        self.store = store
        if cast.again:
            self.models[cast.again[0] + AGAIN] = cast.again[1]
        self.completions: dict[Text, Completion | WorkError] = {}
        self.verdicts: dict[Sitting, Verdict | WorkError] = {}
        self._on_progress = on_progress
        self._keys: dict[str, dict[Text, str]] = {}
        self._counts: dict[tuple[Stage, str], ProgressCounter] = {}
        self._called: deque[tuple[str, Iterator[Sitting]]] = deque()
        self._ushering = False
        self._group: asyncio.TaskGroup
        self._wave_token: ChildStopToken  # of the run: the wave that is under way

    @property
    def workers(self) -> list[Generator | Judge]:
        """Everyone who works here."""
        return [*self.models.values(), *self.judges.values()]

    async def look(self) -> None:
        """Take what the store has of all that may be wanted, and go on with the schedule as far as
        that goes. Pairs that lack a completion are still to be judged.
        """
        # of files, or of the hub
        await to_daemon_thread(lambda: [worker.identity for worker in self.workers])
        with self.schedule.at_most():
            for name in self.models:
                asks = await to_daemon_thread(partial(self.owed, name))
                found = await self.store.load([key for key, _ in asks], Completion)
                had = ((item, key) for key, item in asks if key in found)
                self.completions |= {_text_of(item, name): found[key] for item, key in had}
            for name in self.judges:
                await self._look_at(name)
        await to_daemon_thread(partial(self.schedule.catch_up, self._said))
        while not (self.schedule.over or self._lacks):
            await to_daemon_thread(partial(self.schedule.advance, self._said))

    async def _look_at(self, judge: str) -> None:
        ready = [one for one in self.agenda.sittings(judge) if self._ready(one)]
        keys: list[str] = []
        for start in range(0, len(ready), _SOME):
            some = self._verdict_asks(judge, ready[start : start + _SOME])
            keys += [key for key, _ in some]
            await asyncio.sleep(0)
        held = await self.store.load(keys, Verdict)
        had = ((one, key) for one, key in zip(ready, keys, strict=True) if key in held)
        self.verdicts |= {one: held[key] for one, key in had}

    @property
    def left(self) -> bool:
        """Whether anything is left to do."""
        return not self.schedule.over or self._lacks

    @property
    def _lacks(self) -> bool:
        """Whether anything that is wanted now is not there."""
        return any(map(self.owed, self.models)) or any(map(self._owes, self.judges))

    async def prepare(self) -> None:
        """Let everyone who has work left fetch and check for it."""
        with self.schedule.at_most():
            busy: list[Generator | Judge] = [
                m for name, m in self.models.items() if self.owed(name)
            ]
            busy += [judge for name, judge in self.judges.items() if self._owes(name)]
        for worker in busy:
            with timed("load"):
                await worker.prepare()

    async def run(self) -> None:
        """Complete every prompt that is wanted with every model, and judge every pair; and so on
        with what the schedule wants next, until it wants no more or the run is stopped.
        """
        self._start()
        run = current_stop_token()
        async with run_periodically(self._look, every=HEARTBEAT):
            while True:
                with run.child() as self._wave_token:
                    await self._wave()
                if run.reason is not None or not await to_daemon_thread(
                    partial(self.schedule.advance, self._said)
                ):
                    break
        self.schedule.settle(self._said)
        if run.reason is None:
            for count in self._counts.values():
                count.finish()

    async def _wave(self) -> None:
        """Do what is wanted now.

        Servers work side by side, and their pairs are judged while they work; a patient judge is
        called once, when all completions are there. Exclusive workers fill the accelerator: they
        take turns, models first, and are closed after their turn unless there is room for others.
        """
        async with task_group() as self._group:
            for name, judge in self.judges.items():
                if not (judge.traits.exclusive or judge.traits.batch_only):
                    ready = [one for one in self.due(name) if self._ready(one)]
                    self._group.create_task(self._sit(name, ready))
            async with task_group() as completing:
                for name, model in self.models.items():
                    if not model.traits.exclusive:
                        completing.create_task(self._complete(name))
                completing.create_task(self._take_turns())
            for name, judge in self.judges.items():
                if judge.traits.batch_only:
                    self._group.create_task(self._sit(name, self.due(name)))
            for name, judge in self.judges.items():
                if judge.traits.exclusive:
                    await self._sit(name, self.due(name))
                    await self._make_room(judge)

    @property
    def kept(self) -> dict[tuple[Stage, str], int]:
        """How many outcomes of each model and judge the store had."""
        return {key: count.stored for key, count in self._counts.items()}

    def _look(self) -> None:
        """Tell how far everyone is with what is not done yet."""
        for (stage, name), count in self._counts.items():
            worker = self.models[name] if stage == "completion" else self.judges[name]
            count.set_tokens_in_progress(tokens_in_progress(worker))
            if worker.traits.batch_only:
                count.set_remote_done(remote_done(worker))

    async def _take_turns(self) -> None:
        for name, model in self.models.items():
            if model.traits.exclusive:
                await self._complete(name)
                await self._make_room(model)

    async def _make_room(self, worker: Generator | Judge) -> None:
        """Close who has had its turn, unless its next one comes and others have room beside it."""
        if self.schedule.over or not worker.traits.keep_loaded:
            await worker.close()

    async def _complete(self, name: str) -> None:
        asks = self.owed(name)

        def take(index: int, outcome: Completion | WorkError) -> None:
            text = _text_of(asks[index][1], name)
            self.completions[text] = outcome
            for pair in self.agenda.pairs(text.prompt_id):
                others = (text._replace(model=model) for model in pair)
                if name in pair and all(other in self.completions for other in others):
                    self._call_judges(text.prompt_id, pair, text.sample)

        count = self._counts["completion", name]
        await fill(self.models[name], asks, self.store, Completion, take, count)

    def _call_judges(self, prompt_id: str, pair: Two, sample: int) -> None:
        for name, judge in self.judges.items():
            if not (judge.traits.exclusive or judge.traits.batch_only):
                self._called.append((name, self.agenda.of(name, prompt_id, pair, sample)))
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
            lacking = [text for text in sitting.texts if self._shown(text) is None]
            if lacking:
                failure = self.completions[lacking[0]]
                who = lacking[0].model
                error: WorkError = _NoCompletionError(f"{who!r} did not complete the prompt")
                if isinstance(failure, StoppedError):
                    error = failure
                count.add_new(error)
                self._hear(sitting, error)
            else:
                asked.append(sitting)

        def take(index: int, outcome: Verdict | WorkError) -> None:
            self._hear(asked[index], outcome)

        asks = self._verdict_asks(name, asked)
        await fill(self.judges[name], asks, self.store, Verdict, take, count)

    def _hear(self, sitting: Sitting, outcome: Verdict | WorkError) -> None:
        """Take in a verdict; where all pairs are sure now, begin nothing more."""
        self.verdicts[sitting] = outcome
        pair = (sitting.first, sitting.second)
        self.schedule.follow(pair, self._said)
        if self.schedule.over and self.schedule.staged and not self._lacks:
            self._wave_token.finish_early()

    def _said(self, pair: Two, prompt: Prompt) -> list[Judgment] | None:
        """What the judges said of a pair on a prompt; None where they have not said all."""
        judgments = []
        for judge in self.judges:
            for sitting in self.agenda.on(judge, prompt.id, pair):
                verdict = self.verdicts.get(sitting)
                if verdict is None or isinstance(verdict, StoppedError):
                    return None
                if isinstance(verdict, Verdict):
                    judgments.append(self.judgment(sitting, verdict))
        return judgments

    def judgment(self, sitting: Sitting, verdict: Verdict) -> Judgment:
        """A verdict with names on."""
        apart = self.judges[sitting.judge].traits.order == "apart"
        presented: Presented = "apart" if apart else "recorded"
        return Judgment(**sitting._asdict(), presented=presented, verdict=verdict)

    def owed(self, name: str) -> list[tuple[str, Prompt]]:
        """What a model has still to complete, by the key under which that is kept."""
        keys = self._keys.setdefault(name, {})  # to make 100,000 takes a second
        owed = []
        for prompt in self.agenda.wanted(name):
            for sample in range(self.config.samples):
                text = Text(prompt.id, name, sample)
                if text in self.completions:
                    continue
                if text not in keys:
                    asked = (self.models[name].identity, prompt.conversation(), sample)
                    keys[text] = content_key("completion", *asked)
                item = prompt.model_copy(update={"sample": sample}) if sample else prompt
                owed.append((keys[text], item))
        return owed

    def due(self, judge: str) -> list[Sitting]:
        """What a judge has still to say."""
        return [one for one in self.agenda.sittings(judge) if one not in self.verdicts]

    def _owes(self, judge: str) -> bool:
        """Whether a judge has anything still to say."""
        return any(one not in self.verdicts for one in self.agenda.sittings(judge))

    def _ready(self, sitting: Sitting) -> bool:
        """Whether both completions exist, or are known not to."""
        return all(text in self.completions for text in sitting.texts)

    def _verdict_asks(self, name: str, sittings: Iterable[Sitting]) -> list[tuple[str, Pair]]:
        identity = self.judges[name].identity
        asks = []
        for sitting in sittings:
            first, second = map(self._shown, sitting.texts)
            prompt = self.prompts[sitting.prompt_id]
            pair = Pair(prompt=prompt, first=first or "", second=second or "")
            key = verdict_key(identity, pair, sitting.repeat)
            asks.append((key, pair.model_copy(update={"id": key})))
        return asks

    def _shown(self, text: Text) -> str | None:
        """What a judge is shown of a completion; None where there is none."""
        completion = self.completions[text]
        if isinstance(completion, WorkError):
            return None
        keep = self.config.thinking == "keep"
        return completion.raw if keep and completion.raw else completion.text

    def _start(self) -> None:
        """Count, from what the store had on, to what may come to be wanted."""
        of_model = Counter(text.model for text in self.completions)
        of_judge = Counter(sitting.judge for sitting in self.verdicts)
        with self.schedule.at_most():
            for name in self.models:
                total = len(self.agenda.wanted(name)) * self.config.samples
                self._count("completion", name, total, of_model[name])
            for name in self.judges:
                total = sum(1 for _ in self.agenda.sittings(name))
                self._count("judgment", name, total, of_judge[name])

    def _count(self, stage: Stage, who: str, total: int, kept: int) -> None:
        count = self._counts[stage, who] = ProgressCounter(stage, who, total, self._on_progress)
        if kept:
            count.add_stored(kept)


def _text_of(item: Prompt, model: str) -> Text:
    return Text(item.id, model, item.sample)
