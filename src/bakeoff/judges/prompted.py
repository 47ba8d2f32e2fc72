"""Base class of judges that prompt a generator and parse its replies."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Generic, NamedTuple

from pydantic import JsonValue

from bakeoff.config import Sampling
from bakeoff.errors import ContextError, RefusedError, VerdictError, WorkError
from bakeoff.judges.prefix_cache import prefix_waves
from bakeoff.judges.rendering import next_max_chars
from bakeoff.judges.reply_retry import I, JudgeRequest, T, retry_request
from bakeoff.records import (
    Completion,
    Pair,
    Prompt,
    RetryReason,
    Usage,
    Verdict,
    content_key,
    total_or_none,
)
from bakeoff.runtime import Emit, GeneratorJudge, ModelRequest, planned_requests
from bakeoff.runtime.timing import timed

_CONTRADICTION = "its winner is not the one with the higher score"


class ReplyTotals(NamedTuple):
    """The model that replied, and what its replies used together."""

    snapshot: str | None
    usage: Usage | None
    """None if no reply reports it."""
    cost: float | None
    """US dollars; None if the cost of any reply is unknown."""


@dataclass(frozen=True)
class ParsedReply(Generic[T]):
    """The value parsed from a judge's reply, and how it came about."""

    value: T
    retry_reason: RetryReason | None
    """What was wrong with the first reply; None if there was no retry."""
    contradicts: bool
    """Whether the judge contradicted itself in its last readable reply."""
    max_chars: int | None
    """Characters shown of each completion; None: all."""
    replies: tuple[Completion, ...]


class PromptedJudge(GeneratorJudge, ABC, Generic[I, T]):
    """Prompts a generator for verdicts on pairs.

    `__call__` splits each pair into items, sends one request per item (`render`), parses the
    replies (`parse`) and combines those of a pair into its verdict (`combine`). A reply that cannot
    be parsed or contradicts itself is retried once (see `reply_retry`); completions that do not fit
    into the context are shortened.
    """

    retries = True
    """Whether an unusable reply is retried."""

    @abstractmethod
    def split(self, pair: Pair) -> Sequence[I]:
        """Return the items of a pair, one per request: the pair itself, or each completion."""

    @abstractmethod
    def render(self, item: I, max_chars: int | None) -> Prompt:
        """Return the request, with completions shortened to `max_chars` characters.

        The last turn may be the assistant's: the judge continues it. Raises VerdictError if the
        item cannot be shown.
        """

    @abstractmethod
    def parse(self, reply: Completion, item: I) -> T:
        """Return the value of a reply. Raises VerdictError if it cannot be parsed."""

    @abstractmethod
    def combine(self, replies: Sequence[ParsedReply[T]]) -> Verdict:
        """Return the verdict on a pair from the replies about its items."""

    @abstractmethod
    def longest_text(self, item: I) -> int:
        """Return the length of the longest completion in characters."""

    def is_contradictory(self, value: T) -> bool:
        """Return whether a parsed value contradicts itself."""
        del value
        return False

    def resolve_contradiction(self, value: T) -> T:
        """Return the value to use if the retry is contradictory, too."""
        return value

    def requests(self, item: Pair) -> Sequence[ModelRequest]:
        """Return the requests about the pair's items."""
        prompts = (self.render(part, None) for part in self.split(item))
        return [
            request for prompt in prompts for request in planned_requests(self.generator, prompt)
        ]

    async def __call__(self, items: Sequence[Pair], emit: Emit[Verdict]) -> None:
        """Emit one outcome per pair once its items are done: the verdict, or the first error."""
        splits = [self.split(pair) for pair in items]
        pair_indexes = [index for index, parts in enumerate(splits) for _ in parts]
        outcomes: list[dict[int, ParsedReply[T] | WorkError]] = [{} for _ in items]

        def take(position: int, outcome: ParsedReply[T] | WorkError) -> None:
            index = pair_indexes[position]
            outcomes[index][position] = outcome
            if len(outcomes[index]) == len(splits[index]):
                emit(index, self._combine([outcomes[index][n] for n in sorted(outcomes[index])]))

        await self.ask([item for parts in splits for item in parts], take)

    def _combine(self, outcomes: Sequence[ParsedReply[T] | WorkError]) -> Verdict | WorkError:
        replies = []
        for outcome in outcomes:
            if isinstance(outcome, WorkError):
                return outcome
            replies.append(outcome)
        return self.combine(replies)

    async def ask(self, items: Sequence[I], emit: Emit[ParsedReply[T]]) -> None:
        """Emit the parsed reply about each item, or the error after retries and shortening."""
        requests: list[JudgeRequest[I, T]] = []
        for index, item in enumerate(items):
            try:
                requests.append(JudgeRequest(index, item, self.render(item, None)))
            except VerdictError as error:
                emit(index, error)
        for wave in self._waves(requests):
            while wave:
                wave = await self._send(wave, emit)

    def _waves(
        self, requests: Sequence[JudgeRequest[I, T]]
    ) -> Iterator[Sequence[JudgeRequest[I, T]]]:
        """Split requests into at most two waves so that shared prefixes are cached.

        Batch-only generators get everything at once.
        """
        if self.generator.traits.batch_only:
            yield requests
            return
        for wave in prefix_waves([request.prompt for request in requests]):
            yield [replace(requests[index], prompt=prompt) for index, prompt in wave]

    async def _send(
        self, requests: Sequence[JudgeRequest[I, T]], emit: Emit[ParsedReply[T]]
    ) -> list[JudgeRequest[I, T]]:
        """Send requests, emit what is finished, and return the requests that follow."""
        following: list[JudgeRequest[I, T]] = []

        def take(position: int, outcome: Completion | WorkError) -> None:
            request = requests[position]
            result = self._process(request, outcome)
            if isinstance(result, JudgeRequest):
                following.append(result)
            else:
                emit(request.index, result)

        await self.generator([self._prompt_with_id(request) for request in requests], take)
        return following

    def _prompt_with_id(self, request: JudgeRequest[I, T]) -> Prompt:
        """Return the prompt with an id by which a resumed run finds it in a provider's batch.

        The id cannot derive from the text, which has a random delimiter.
        """
        if not (self.generator.traits.batch_only and request.item.id):
            return request.prompt
        replies: list[JsonValue] = [reply.text for reply in request.replies]
        prompt_id = content_key(request.item.id, request.max_chars, replies)
        return Prompt(id=prompt_id, messages=request.prompt.messages)

    def _process(
        self, request: JudgeRequest[I, T], outcome: Completion | WorkError
    ) -> JudgeRequest[I, T] | ParsedReply[T] | WorkError:
        """Return the next request about an item after an outcome, or the final result."""
        if isinstance(outcome, ContextError) and not request.replies:
            max_chars = next_max_chars(request.max_chars, self.longest_text(request.item))
            if max_chars is None:
                return outcome
            prompt = self.render(request.item, max_chars)
            return replace(request, prompt=prompt, max_chars=max_chars)
        if isinstance(outcome, WorkError):
            return self._failed(request, outcome)
        request = replace(request, replies=(*request.replies, outcome))
        if outcome.finish == "refused":
            return self._failed(request, RefusedError("the judge refused", raw=outcome.text))
        may_retry = self.retries and not request.retry_reason
        try:
            with timed("parse"):
                value = self.parse(outcome, request.item)
        except VerdictError as error:
            if may_retry:
                return retry_request(request, "unreadable", str(error))
            return self._failed(request, error)
        if not self.is_contradictory(value):
            return _parsed(request, value)
        if may_retry:
            request = replace(request, contradiction=value)
            return retry_request(request, "contradiction", _CONTRADICTION)
        return _parsed(request, self.resolve_contradiction(value), contradicts=True)

    def _failed(self, request: JudgeRequest[I, T], error: WorkError) -> ParsedReply[T] | WorkError:
        """Return the resolved value of a contradictory first reply, else the error with usage."""
        if request.contradiction is not None:
            value = self.resolve_contradiction(request.contradiction)
            return _parsed(request, value, contradicts=True)
        if request.replies:
            totals = reply_totals(request.replies)
            error.usage = {"usage": totals.usage, "cost": totals.cost}
        return error


def judge_sampling(
    seed: int,
    *,
    schema: dict[str, JsonValue] | None = None,
    max_tokens: int = 1024,
    top_logprobs: int | None = None,
) -> Sampling:
    """Return the sampling of a judge: greedy, with a JSON schema if the verdict is JSON."""
    return Sampling(
        temperature=0,
        top_p=1,
        max_tokens=max_tokens,
        seed=seed,
        schema_=schema,
        top_logprobs=top_logprobs,
    )


def reply_totals(replies: Sequence[Completion]) -> ReplyTotals:
    """Return the totals of one or more replies."""
    usages = [reply.usage for reply in replies if reply.usage]
    return ReplyTotals(
        snapshot=replies[-1].snapshot,
        usage=reduce(add, usages) if usages else None,
        cost=total_or_none(reply.cost for reply in replies),
    )


def _parsed(request: JudgeRequest[I, T], value: T, *, contradicts: bool = False) -> ParsedReply[T]:
    return ParsedReply(value, request.retry_reason, contradicts, request.max_chars, request.replies)
