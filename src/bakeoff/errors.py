"""Every error that bakeoff raises on purpose, and what each one does to a run.

    BakeoffError
    ├── ConfigError    you can fix it: a flag, a file, a missing extra, a key  -> exit 2, one line
    ├── StoreError     the store is from another schema, damaged, or full      -> exit 2, one line
    └── WorkError      one item failed: kept as a Failure record, asked again next time
        ├── BackendError(status)   the model did not answer
        │   └── ContextError       what was asked is longer than the model's context
        └── VerdictError(raw)      the judge answered, but not with a verdict that can be read
            └── RefusedError       it declined to judge

A WorkError is an item's outcome and never stops a run. Any other exception is a bug (or a
ConfigError) and stops it loudly, with everything that was already emitted safe in the store.
All of them survive pickling, because a worker may live in another process.
"""


class BakeoffError(Exception):
    """The root: catch this to catch everything that bakeoff raises on purpose."""


class ConfigError(BakeoffError):
    """Something that the person running this can fix; the message is one line and says how."""


class StoreError(BakeoffError):
    """The store cannot be read or written: another schema, damaged, locked, or a full disk."""


class WorkError(BakeoffError):
    """One item failed. `raw` is what the other side sent, where it sent anything."""

    kind = "failed"

    def __init__(self, message: str, *, raw: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.raw = raw

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (type(self), self.__dict__))


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


def one_line(error: Exception) -> str:
    """What an error says, on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


def _rebuilt(cls: type[WorkError], state: dict[str, object]) -> WorkError:
    error = cls(str(state["message"]))
    error.__dict__.update(state)
    return error
