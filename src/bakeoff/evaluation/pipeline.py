"""Run the completions and verdicts of one comparison; judge a prompt once both models did it."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial

from bakeoff.config import Config
from bakeoff.errors import StoppedError, WorkError
from bakeoff.evaluation.cache import run_cached, verdict_key
from bakeoff.evaluation.request_plan import (
    RESAMPLED_SUFFIX,
    CompletionKey,
    JudgmentKey,
    Participants,
    RequestPlan,
)
from bakeoff.evaluation.sequential import ModelPair
from bakeoff.records import Completion, Judgment, Pair, Presentation, Prompt, Verdict, content_key
from bakeoff.records.usage import Stage
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
from bakeoff.runtime.progress import HEARTBEAT, ProgressCallback, ProgressCounter
from bakeoff.runtime.timing import timed
from bakeoff.storage import Store

_KEYS_PER_STEP = 1000  # keys hashed before the event loop runs again


class _NoCompletionError(WorkError):
    """A pair cannot be judged because a model did not complete the prompt."""

    kind = "no completion"


class Pipeline:
    """A comparison in progress: its participants, its requests, and their outcomes so far."""

    def __init__(
        self,
        config: Config,
        prompts: Sequence[Prompt],
        participants: Participants,
        store: Store,
        on_progress: ProgressCallback,
    ) -> None:
        self.config = config
        self.prompts = {prompt.id: prompt for prompt in prompts}
        self.contestants = tuple(participants.models)
        self.plan = RequestPlan(config, prompts, participants)
        self.schedule = self.plan.schedule
        self.models = dict(participants.models)
        self.judges = participants.judges
        self.store = store
        if participants.resampled:
            name, model = participants.resampled
            self.models[name + RESAMPLED_SUFFIX] = model
        self.completions: dict[CompletionKey, Completion | WorkError] = {}
        self.verdicts: dict[JudgmentKey, Verdict | WorkError] = {}
        self._on_progress = on_progress
        self._store_keys: dict[str, dict[CompletionKey, str]] = {}
        self._judge_key = cache(lambda name: content_key(self.judges[name].identity))
        self._counts: dict[tuple[Stage, str], ProgressCounter] = {}
        self._ready_to_judge: deque[tuple[str, Iterator[JudgmentKey]]] = deque()
        self._dispatching = False
        self._group: asyncio.TaskGroup
        self._stage_token: ChildStopToken

    @property
    def workers(self) -> list[Generator | Judge]:
        """All models and judges."""
        return [*self.models.values(), *self.judges.values()]

    async def resume(self) -> None:
        """Load the stored outcomes of all possible requests, and advance the schedule over them.

        Verdicts are loaded only for pairs with both completions.
        """
        # In a thread: an identity may need files or the hub.
        await to_daemon_thread(lambda: [worker.identity for worker in self.workers])
        with self.schedule.with_all_stages():
            for name in self.models:
                requests = await to_daemon_thread(partial(self.pending_completions, name))
                stored = await self.store.load([key for key, _ in requests], Completion)
                self.completions |= {
                    _completion_key(prompt, name): stored[key]
                    for key, prompt in requests
                    if key in stored
                }
            for name in self.judges:
                await self._load_judgments(name)
        await to_daemon_thread(partial(self.schedule.update_all, self._judgments_of))
        while not (self.schedule.finished or self._has_pending):
            await to_daemon_thread(partial(self.schedule.advance, self._judgments_of))

    async def _load_judgments(self, judge: str) -> None:
        judgment_keys = [key for key in self.plan.judgment_keys(judge) if self._is_complete(key)]
        store_keys: list[str] = []
        for start in range(0, len(judgment_keys), _KEYS_PER_STEP):
            step = judgment_keys[start : start + _KEYS_PER_STEP]
            store_keys += [key for key, _ in self._pairs_shown(judge, step)]
            await asyncio.sleep(0)
        stored = await self.store.load(store_keys, Verdict)
        self.verdicts |= {
            judgment_key: stored[key]
            for judgment_key, key in zip(judgment_keys, store_keys, strict=True)
            if key in stored
        }

    @property
    def has_work(self) -> bool:
        """Whether `run` has anything to do."""
        return not self.schedule.finished or self._has_pending

    @property
    def _has_pending(self) -> bool:
        return any(map(self.pending_completions, self.models)) or any(
            map(self._has_pending_judgments, self.judges)
        )

    async def prepare(self) -> None:
        """Prepare each model and judge that may get a request."""
        with self.schedule.with_all_stages():
            busy: list[Generator | Judge] = [
                model for name, model in self.models.items() if self.pending_completions(name)
            ]
            busy += [
                judge for name, judge in self.judges.items() if self._has_pending_judgments(name)
            ]
        for worker in busy:
            with timed("load"):
                await worker.prepare()

    async def run(self) -> None:
        """Complete and judge everything, stage by stage, until the schedule ends or a stop."""
        self._start_counts()
        token = current_stop_token()
        async with run_periodically(self._report_progress, every=HEARTBEAT):
            while True:
                with token.child() as self._stage_token:
                    await self._run_stage()
                if token.reason is not None or not await to_daemon_thread(
                    partial(self.schedule.advance, self._judgments_of)
                ):
                    break
        self.schedule.truncate(self._judgments_of)
        if token.reason is None:
            for count in self._counts.values():
                count.finish()

    async def _run_stage(self) -> None:
        """Request all pending completions and verdicts of the current stage.

        Servers complete and judge concurrently; a batch-only judge is called once, after all
        completions. Exclusive workers run one after another, models first.
        """
        async with task_group() as self._group:
            for name, judge in self.judges.items():
                if not (judge.traits.exclusive or judge.traits.batch_only):
                    keys = [key for key in self.pending_judgments(name) if self._is_complete(key)]
                    self._group.create_task(self._judge(name, keys))
            async with task_group() as completing:
                for name, model in self.models.items():
                    if not model.traits.exclusive:
                        completing.create_task(self._complete(name))
                completing.create_task(self._complete_exclusive())
            for name, judge in self.judges.items():
                if judge.traits.batch_only:
                    self._group.create_task(self._judge(name, self.pending_judgments(name)))
            for name, judge in self.judges.items():
                if judge.traits.exclusive:
                    await self._judge(name, self.pending_judgments(name))
                    await self._release(judge)

    @property
    def stored_counts(self) -> dict[tuple[Stage, str], int]:
        """Number of outcomes of each model and judge that came from the store."""
        return {key: count.stored for key, count in self._counts.items()}

    def _report_progress(self) -> None:
        for (stage, name), count in self._counts.items():
            worker = self.models[name] if stage == "completion" else self.judges[name]
            count.set_tokens_in_progress(tokens_in_progress(worker))
            if worker.traits.batch_only:
                count.set_remote_done(remote_done(worker))

    async def _complete_exclusive(self) -> None:
        for name, model in self.models.items():
            if model.traits.exclusive:
                await self._complete(name)
                await self._release(model)

    async def _release(self, worker: Generator | Judge) -> None:
        """Close an exclusive worker, unless a later stage needs it and it may stay loaded."""
        if self.schedule.finished or not worker.traits.keep_loaded:
            await worker.close()

    async def _complete(self, name: str) -> None:
        requests = self.pending_completions(name)

        def take(index: int, outcome: Completion | WorkError) -> None:
            key = _completion_key(requests[index][1], name)
            self.completions[key] = outcome
            for pair in self.plan.pairs_on(key.prompt_id):
                both = (key._replace(model=model) for model in pair)
                if name in pair and all(completion in self.completions for completion in both):
                    self._queue_judgments(key.prompt_id, pair, key.sample)

        count = self._counts["completion", name]
        await run_cached(self.models[name], requests, self.store, Completion, take, count)

    def _queue_judgments(self, prompt_id: str, pair: ModelPair, sample: int) -> None:
        for name, judge in self.judges.items():
            if not (judge.traits.exclusive or judge.traits.batch_only):
                keys = self.plan.keys_of_sample(name, prompt_id, pair, sample)
                self._ready_to_judge.append((name, keys))
        if not self._dispatching:
            self._dispatching = True
            self._group.create_task(self._dispatch())

    async def _dispatch(self) -> None:
        """Start the queued judgments one by one, so that replies are handled in between."""
        while self._ready_to_judge:
            self._group.create_task(self._judge(*self._ready_to_judge.popleft()))
            await asyncio.sleep(0)
        self._dispatching = False

    async def _judge(self, name: str, keys: Iterable[JudgmentKey]) -> None:
        """Request verdicts of one judge; a pair that lacks a completion fails without a request."""
        judged: list[JudgmentKey] = []
        count = self._counts["judgment", name]
        for key in keys:
            missing = [text for text in key.completions if self._text_shown(text) is None]
            if missing:
                failure = self.completions[missing[0]]
                model = missing[0].model
                error: WorkError = _NoCompletionError(f"{model!r} did not complete the prompt")
                if isinstance(failure, StoppedError):
                    error = failure
                count.add_new(error)
                self._record(key, error)
            else:
                judged.append(key)

        def take(index: int, outcome: Verdict | WorkError) -> None:
            self._record(judged[index], outcome)

        requests = self.judge_requests(name, judged)
        await run_cached(self.judges[name], requests, self.store, Verdict, take, count)

    def _record(self, key: JudgmentKey, outcome: Verdict | WorkError) -> None:
        """Record an outcome; end the stage early once every pair is decided."""
        self.verdicts[key] = outcome
        self.schedule.update((key.first, key.second), self._judgments_of)
        if self.schedule.finished and self.schedule.staged and not self._has_pending:
            self._stage_token.finish_early()

    def _judgments_of(self, pair: ModelPair, prompt: Prompt) -> list[Judgment] | None:
        """Return all judgments of a pair on a prompt, or None while an outcome is missing."""
        judgments = []
        for judge in self.judges:
            for key in self.plan.keys_of_pair(judge, prompt.id, pair):
                verdict = self.verdicts.get(key)
                if verdict is None or isinstance(verdict, StoppedError):
                    return None
                if isinstance(verdict, Verdict):
                    judgments.append(self.judgment(key, verdict))
        return judgments

    def judgment(self, key: JudgmentKey, verdict: Verdict) -> Judgment:
        """Return a verdict with the names of its judge, prompt and models."""
        order = self.judges[key.judge].traits.order
        presented: Presentation = "pointwise" if order == "pointwise" else "recorded"
        return Judgment(**key._asdict(), presented=presented, verdict=verdict)

    def pending_completions(self, name: str) -> list[tuple[str, Prompt]]:
        """Return the store key and prompt of each completion that a model has still to generate."""
        store_keys = self._store_keys.setdefault(name, {})  # 100,000 take a second to compute
        pending = []
        for prompt in self.plan.prompts_of(name):
            for sample in range(self.config.samples):
                key = CompletionKey(prompt.id, name, sample)
                if key in self.completions:
                    continue
                if key not in store_keys:
                    content = (self.models[name].identity, prompt.conversation(), sample)
                    store_keys[key] = content_key("completion", *content)
                item = prompt.with_sample(sample) if sample else prompt
                pending.append((store_keys[key], item))
        return pending

    def pending_judgments(self, judge: str) -> list[JudgmentKey]:
        """Return the keys of the judgments that a judge has still to make."""
        return [key for key in self.plan.judgment_keys(judge) if key not in self.verdicts]

    def _has_pending_judgments(self, judge: str) -> bool:
        return any(key not in self.verdicts for key in self.plan.judgment_keys(judge))

    def _is_complete(self, key: JudgmentKey) -> bool:
        """Return whether both completions exist or have failed."""
        return all(completion in self.completions for completion in key.completions)

    def judge_requests(self, name: str, keys: Iterable[JudgmentKey]) -> list[tuple[str, Pair]]:
        """Return the store key of each verdict, and the pair that the judge sees, with this id."""
        return [(key, pair.with_id(key)) for key, pair in self._pairs_shown(name, keys)]

    def _pairs_shown(self, name: str, keys: Iterable[JudgmentKey]) -> Iterator[tuple[str, Pair]]:
        judge_key = self._judge_key(name)
        for key in keys:
            first, second = map(self._text_shown, key.completions)
            pair = Pair(prompt=self.prompts[key.prompt_id], first=first or "", second=second or "")
            yield verdict_key(judge_key, pair, key.repeat), pair

    def _text_shown(self, key: CompletionKey) -> str | None:
        """Return the text that a judge sees, with or without thinking; None if it failed."""
        completion = self.completions[key]
        if isinstance(completion, WorkError):
            return None
        return (self.config.thinking == "keep" and completion.raw) or completion.text

    def _start_counts(self) -> None:
        """Start the progress counts: stored outcomes, out of all possible ones."""
        stored_by_model = Counter(key.model for key in self.completions)
        stored_by_judge = Counter(key.judge for key in self.verdicts)
        with self.schedule.with_all_stages():
            for name in self.models:
                total = len(self.plan.prompts_of(name)) * self.config.samples
                self._start_count("completion", name, total, stored_by_model[name])
            for name in self.judges:
                total = sum(1 for _ in self.plan.judgment_keys(name))
                self._start_count("judgment", name, total, stored_by_judge[name])

    def _start_count(self, stage: Stage, participant: str, total: int, stored: int) -> None:
        count = self._counts[stage, participant] = ProgressCounter(
            stage, participant, total, self._on_progress
        )
        if stored:
            count.add_stored(stored)


def _completion_key(prompt: Prompt, model: str) -> CompletionKey:
    return CompletionKey(prompt.id, model, prompt.sample)
