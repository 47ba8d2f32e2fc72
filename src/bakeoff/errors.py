"""The exceptions that bakeoff raises on purpose, and their effect on a run.

    BakeoffError
    ├── ConfigError    the user can fix it: a flag, file, extra or API key    -> exit 2, one line
    ├── StoreError     the store has another schema, is damaged, or is full   -> exit 2, one line
    ├── BudgetError    the run would cost more than --max-cost                -> exit 2, one line
    ├── InterruptError the user stopped the run                               -> exit 130, one line
    └── WorkError      one item failed: stored as a Failure, retried by the next run
        ├── StoppedError           the run was stopped before the item was sent
        ├── BackendError(status)   the model did not answer
        │   └── ContextError       the request is longer than the model's context
        └── VerdictError(raw)      the judge answered, but without a verdict that can be parsed
            └── RefusedError       the judge declined to judge

A WorkError is the outcome of one item and never stops a run. Any other exception is a bug (or a
ConfigError) and stops the run; items emitted before it are already in the store. All classes can be
pickled, because a worker may run in another process. Messages never contain credentials of a URL.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bakeoff.redact import masked, redact


class BakeoffError(Exception):
    """Base class of every exception that bakeoff raises on purpose."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))

    def redact(self, secrets: Iterable[str | None]) -> None:
        """Remove `secrets` from the message: a server may echo credentials."""
        self.args = tuple(redact(str(arg), secrets) for arg in self.args)


class ConfigError(BakeoffError):
    """The user can fix this; the message is one line and says how."""


class StoreError(BakeoffError):
    """The store cannot be read or written: another schema, damaged, locked, or a full disk."""


class BudgetError(BakeoffError):
    """The estimated cost of a run exceeds the limit, or is unknown."""


class InterruptError(BakeoffError):
    """The user stopped the run; its outcomes so far are in the store."""

    def __init__(self, message: str = "interrupted; what was done is kept: go on with it") -> None:
        super().__init__(message)


class WorkError(BakeoffError):
    """One item failed. `raw` is the reply of the server or judge; None without one."""

    kind = "failed"
    """`Failure.kind`."""
    usage: Mapping[str, Any] = MappingProxyType({})
    """Fields `usage` and `cost` of `Failure`, for replies that could not be used; may be empty."""

    def __init__(self, message: str, *, raw: str | None = None) -> None:
        super().__init__(message)
        self.message = str(self)
        self.raw = raw

    def redact(self, secrets: Iterable[str | None]) -> None:
        """Remove `secrets` from the message and from `raw`."""
        super().redact(secrets)
        self.message = str(self)
        self.raw = self.raw and redact(self.raw, secrets)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.__dict__))


class StoppedError(WorkError):
    """The run stopped before the item was sent: spend limit, revoked key, or the user."""

    kind = "stopped"


class BackendError(WorkError):
    """The model did not answer. `status` is the HTTP status; None without a response."""

    kind = "backend"

    def __init__(self, message: str, *, status: int | None = None, raw: str | None = None) -> None:
        super().__init__(message, raw=raw)
        self.status = status


class ContextError(BackendError):
    """The request is longer than the model's context; a shorter one may succeed."""

    kind = "context"


class VerdictError(WorkError):
    """The judge answered without a verdict that can be parsed; `raw` is its reply."""

    kind = "verdict"


class RefusedError(VerdictError):
    """The judge declined. The request is not rephrased: all pairs get the same prompt."""

    kind = "refused"


def one_line(error: Exception) -> str:
    """Return the message of `error` on one line, at most 300 characters, URL credentials masked."""
    return masked(" ".join(str(error).split()))[:300]


def _restore(cls: type[WorkError], state: dict[str, object]) -> WorkError:
    error = cls(str(state["message"]))
    error.__dict__.update(state)
    return error
