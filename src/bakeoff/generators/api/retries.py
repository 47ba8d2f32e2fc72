"""Retries of requests across the interchangeable servers of one model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BackendError
from bakeoff.generators.api.cost_tracker import CostTracker
from bakeoff.generators.api.errors import ApiError, ConnectError, RequestFailure, classify_failure
from bakeoff.runtime import (
    Permit,
    RateLimits,
    RequestQueue,
    Server,
    ServerUnavailableError,
    sleep_or_stop,
)

if TYPE_CHECKING:  # aiohttp is imported when the first client is opened
    from bakeoff.generators.api.client import ChatClient
    from bakeoff.generators.api.replies import ChatReply

log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0  # seconds before a retry; doubles with each
_MAX_RETRY_AFTER = 60.0  # seconds; longer values of a server are reduced to this
_TIMEOUTS = (None, 408, 504)  # statuses of transient failures that fewer requests may prevent
_BAD_GATEWAY = (502, 503)  # statuses of a proxy whose server is down
_BAD_GATEWAY_REQUESTS = 4  # requests with these statuses, and no success: the server is down
_MAX_REFUSALS = 4  # of one request while others succeed; further ones count as failures


class ServerPool:
    """The interchangeable servers of one model, and the retries of requests to them.

    - Refusals because of a rate limit or overload (429, 529, or 503 with a delay) are retried
      without limit, unless other requests succeed meanwhile.
    - Transient failures (timeouts, 5xx, lost connections) are retried `retries` times.
    - An unreachable server is avoided while another one is reachable. A server that has answered
      before is waited for. A proxy that answers 502 or 503 to several requests, and to none with
      success, counts as an unreachable server.

    A request fails if no server has accepted one for ten minutes.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        rate_limits: RateLimits,
        retries: int,
        costs: CostTracker,
        *,
        managed: bool,
    ) -> None:
        self.servers = tuple(servers)
        self.clients: Sequence[ChatClient] = ()
        """The clients of `servers`, in the same order; empty until they are open."""
        self.reached = False
        """Whether any server has answered a request."""
        self._name = name
        self._rate_limits = rate_limits
        self._retries = retries
        self._costs = costs
        self._managed = managed  # this process starts the server, and restarts it after an exit
        self._queue = RequestQueue(servers)
        self._succeeded = 0  # number of requests
        self._bad_gateway: set[_RequestState] = set()  # requests with 502 or 503 since a success
        self._last_error: ApiError | None = None

    async def send(self, request: dict[str, Any]) -> "ChatReply":
        """Return the reply to a request (see `ChatClient.complete`).

        Raises ApiError after the last retry, UnreadableError if the reply is no chat completion,
        BackendError if no server accepts requests, and StoppedError if the run is stopped before
        the request is sent.
        """
        number, state = self._rate_limits.next_number(), _RequestState(self._succeeded)
        reservation = self._costs.reservation(request)
        while True:
            async with reservation:
                permit = await self._acquire(number)
            try:
                reply = await self.clients[permit.index].complete(request)
            except ApiError as error:
                self._last_error, failure = error, self._classify(state, error)
                billed = error.status is None and not isinstance(error, ConnectError)
                reservation.fail(billed=billed)
                _report_failure(permit, failure, error.status)
                delay = self._delay(state, failure)
                if delay is None:
                    self._bad_gateway.discard(state)
                    raise
                await sleep_or_stop(delay)
                if state.refused > 1:  # let another request test whether the server accepts any
                    number = self._rate_limits.next_number()
            except BaseException:
                reservation.fail(billed=True)
                permit.failed()
                raise
            else:
                usage = reply.usage
                reservation.settle(usage)
                permit.completed(usage.input_tokens + usage.output_tokens if usage else None)
                self.reached, self._succeeded = True, self._succeeded + 1
                self._bad_gateway.clear()
                return reply

    def _classify(self, state: "_RequestState", error: ApiError) -> RequestFailure:
        """Return the class of a failure, which may depend on other requests.

        A request that is refused while others succeed, as it is too large for a limit, must not
        slow them down: further refusals are transient. If several requests fail because a proxy has
        no server, the server is unreachable.
        """
        failure = classify_failure(error)
        if failure.kind == "transient" and error.status in _BAD_GATEWAY and self.reached:
            self._bad_gateway.add(state)
            exhausted = state.attempts >= self._retries
            down = len(self._bad_gateway) >= _BAD_GATEWAY_REQUESTS
            return RequestFailure("unreachable") if exhausted and down else failure
        if failure.kind not in ("rate_limited", "overloaded"):
            return failure
        state.refused += 1
        state.refused_alone += self._succeeded > state.succeeded
        state.succeeded = self._succeeded
        if state.refused_alone <= _MAX_REFUSALS:
            return failure
        return RequestFailure("transient", failure.retry_after)

    def _delay(self, state: "_RequestState", failure: RequestFailure) -> float | None:
        """Return the seconds to wait before the request is queued again; None if it has failed."""
        if failure.kind in ("rate_limited", "overloaded"):
            return 0.0
        if failure.kind == "unreachable" and (
            self._has_alternative() or (self.reached and not self._managed)
        ):
            return 0.0  # the queue waits for the server, and raises if it stays unreachable
        state.attempts += 1
        if failure.kind == "permanent" or state.attempts > self._retries:
            return None
        return _backoff(state.attempts, failure.retry_after) if failure.kind == "transient" else 0.0

    async def _acquire(self, number: int) -> Permit:
        try:
            return await self._queue.acquire(number)
        except ServerUnavailableError as error:
            log.warning("%s takes no requests (%s): what is missing fails", self._name, error)
            if self._last_error is not None:
                raise self._last_error from None
            raise BackendError(f"the server takes no requests ({error})", status=429) from None

    def _has_alternative(self) -> bool:
        """Return whether any server is reachable."""
        return any(not server.unreachable for server in self.servers)


@dataclass(eq=False)
class _RequestState:
    """Failures of one request so far."""

    succeeded: int
    """Requests of the pool that had succeeded at the last refusal."""
    refused: int = 0
    """Number of refusals."""
    refused_alone: int = 0
    """Refusals before which another request had succeeded since the previous one."""
    attempts: int = 0
    """Failures that count against `retries`."""


def _backoff(attempts: int, retry_after: float | None) -> float:
    """Return the seconds to wait after `attempts` failures, from 1."""
    if retry_after is not None:
        return min(_MAX_RETRY_AFTER, retry_after)
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempts - 1))


def _report_failure(permit: Permit, failure: RequestFailure, status: int | None) -> None:
    if failure.kind == "rate_limited":
        permit.rate_limited(failure.retry_after)
    elif failure.kind == "overloaded":
        permit.overloaded(failure.retry_after)
    elif failure.kind == "unreachable":
        permit.connection_lost()
    else:
        permit.failed(timed_out=failure.kind == "transient" and status in _TIMEOUTS)
