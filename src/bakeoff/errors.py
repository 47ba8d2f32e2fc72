"""Every error that bakeoff raises on purpose, and what each one does to a run.

    BakeoffError
    ├── ConfigError    you can fix it: a flag, a file, a missing extra, a key  -> exit 2, one line
    ├── StoreError     the store is from another schema, damaged, or full      -> exit 2, one line
    ├── BudgetError    the run would cost more than --max-cost                 -> exit 2, one line
    ├── InterruptError somebody stopped the run                                -> exit 130, one line
    └── WorkError      one item failed: kept as a Failure record, asked again next time
        ├── StoppedError           the run was stopped before it was asked
        ├── BackendError(status)   the model did not answer
        │   └── ContextError       what was asked is longer than the model's context
        └── VerdictError(raw)      the judge answered, but not with a verdict that can be read
            └── RefusedError       it declined to judge

A WorkError is an item's outcome and never stops a run. Any other exception is a bug (or a
ConfigError) and stops it loudly, with everything that was already emitted safe in the store.
All of them survive pickling, because a worker may live in another process. None says what nobody
may read: credentials in a URL.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

MASK = "***"
# A password may hold a slash that somebody forgot to encode.
_USER = re.compile(r"(\w://)(?:[^\s/?#'\"<>@]+|[^\s/:'\"<>@]*:[^\s'\"<>@]*)@", re.I)
_ENCODED_USER = re.compile(r"(\w%3a(?:%2f){2})(?:(?!%2f|%3f)[^\s&'\"<>@])+?(%40|@)", re.I)
_QUERY = re.compile(
    r"((?:[?&;]|%3f|%26)(?:[\w-]*(?:api[-_]?key|access[-_]?token|secret|password|signature)|key|token|sig)(?:=|%3d))"
    r"(?:(?!%26|%23)[^\s&#'\"<>])+",
    re.I,
)
_SHORT = 8  # characters: a key has more, and what has less may be a word


class BakeoffError(Exception):
    """The root: catch this to catch everything that bakeoff raises on purpose."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))

    def hide(self, keys: Iterable[str | None]) -> None:
        """Say none of some keys: somebody may have sent back what was sent there."""
        self.args = tuple(without(str(said), keys) for said in self.args)


class ConfigError(BakeoffError):
    """Something that the person running this can fix; the message is one line and says how."""


class StoreError(BakeoffError):
    """The store cannot be read or written: another schema, damaged, locked, or a full disk."""


class BudgetError(BakeoffError):
    """A run is estimated to cost more than it may, or nobody knows what it would cost."""


class InterruptError(BakeoffError):
    """Somebody stopped the run; what was done is kept."""

    def __init__(self, message: str = "interrupted; what was done is kept: go on with it") -> None:
        super().__init__(message)


class WorkError(BakeoffError):
    """One item failed. `raw` is what the other side sent, where it sent anything.

    `took` are the `usage` and `cost` of requests that were answered, though of no use.
    """

    kind = "failed"
    took: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str, *, raw: str | None = None) -> None:
        super().__init__(message)
        self.message = str(self)
        self.raw = raw

    def hide(self, keys: Iterable[str | None]) -> None:
        """Nor in what the other side sent."""
        super().hide(keys)
        self.message = str(self)
        self.raw = self.raw and without(self.raw, keys)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (type(self), self.__dict__))


class StoppedError(WorkError):
    """The run was stopped before the item was asked: by a budget, a revoked key, a user."""

    kind = "stopped"


class BackendError(WorkError):
    """The model did not answer. `status` is the HTTP status, where there was one."""

    kind = "backend"

    def __init__(self, message: str, *, status: int | None = None, raw: str | None = None) -> None:
        super().__init__(message, raw=raw)
        self.status = status


class ContextError(BackendError):
    """What was asked is longer than the model's context: shorter, it may be answered."""

    kind = "context"


class VerdictError(WorkError):
    """The judge answered, but not with a verdict that can be read; `raw` holds its words."""

    kind = "verdict"


class RefusedError(VerdictError):
    """The judge declined; asking again in other words would not be fair to the other pairs."""

    kind = "refused"


def masked(text: str) -> str:
    """A text whose URLs have neither user nor password, nor a key among their options."""
    if "@" in text or "%40" in text:
        text = _ENCODED_USER.sub(rf"\1{MASK}\2", _USER.sub(rf"\1{MASK}@", text))
    return _QUERY.sub(rf"\1{MASK}", text)


def without(text: str, keys: Iterable[str | None]) -> str:
    """A text in which none of some keys stands."""
    for key in keys:
        if key and len(key) >= _SHORT:
            text = text.replace(key, MASK)
    return text


def one_line(error: Exception) -> str:
    """What an error says, on one line of at most 300 characters, without credentials of a URL."""
    return masked(" ".join(str(error).split()))[:300]


def _rebuilt(cls: type[WorkError], state: dict[str, object]) -> WorkError:
    error = cls(str(state["message"]))
    error.__dict__.update(state)
    return error
