"""What a provider's batches have to be able to do, and the words in which they are spoken of.

Knows no provider, and not who sends what when.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from bakeoff.generators.batch.journal import Batch

# Whose errors are about the connection. Where results break off, some come as they are.
_CLIENTS = ("openai", "anthropic", "httpx", "httpx2", "aiohttp")
_ENVELOPE = 200  # bytes around a request's own, more than either provider needs


class Reply(NamedTuple):
    """What the server would have said to a request: the HTTP status, and the body as JSON."""

    status: int
    body: bytes


class State(NamedTuple):
    """How far a batch is: how many of its requests are through, and whether it has ended.

    `refused` says why the provider took none of it; `crowded` that it would take fewer at a time,
    or later. `gone` means that it knows no such batch.
    """

    through: int = 0
    ended: bool = False
    refused: str | None = None
    crowded: bool = False
    gone: bool = False


class Carrier(Protocol):
    """A provider's batches. Every method may raise AnyLLMError.

    `most` requests go into one batch, and `largest` bytes.
    """

    most: int
    largest: int

    async def send(self, batch: Batch, bodies: Mapping[str, bytes]) -> str:
        """Send requests, each by its id; what the provider calls the batch. Tries once."""
        ...

    async def find(self, batch: Batch) -> str | None:
        """What the provider calls a batch that may have been sent; None where it has none."""
        ...

    async def look(self, reference: str) -> State:
        """How far a batch is."""
        ...

    def replies(self, reference: str) -> AsyncIterator[tuple[str, Reply]]:
        """What came of each request of a batch that has ended, by id, in any order."""
        ...


def unanswered(code: str, words: str) -> Reply:
    """The reply to a request that its batch ended without; `code` is `batch_` and why.

    It is 504 as of a gateway behind which nobody replied, and in the words of both providers.
    """
    error = {"type": code, "code": code, "message": words}
    return Reply(504, json.dumps({"type": "error", "error": error}).encode())


def parts(bodies: Mapping[str, bytes], most: int, largest: int) -> Iterator[dict[str, bytes]]:
    """The requests in their order, so many and so many bytes at most in each part."""
    part: dict[str, bytes] = {}
    size = 0
    for id_, body in bodies.items():
        needs = len(body) + len(id_) + _ENVELOPE
        if part and (len(part) == most or size + needs > largest):
            yield part
            part, size = {}, 0
        part[id_] = body
        size += needs
    if part:
        yield part


@contextmanager
def unified(provider: str) -> Iterator[None]:
    """Raises as AnyLLMError what an official client raises, the connection, and what is misread."""
    from any_llm.utils.exception_handler import convert_exception

    try:
        yield
    except Exception as error:
        theirs = type(error).__module__.partition(".")[0] in _CLIENTS
        if theirs or isinstance(error, ValidationError | json.JSONDecodeError):
            raise convert_exception(error, provider) from error
        raise
