"""What travels between driver and replicas arrives as it was sent."""

import json

import pytest

from bakeoff.errors import (
    BackendError,
    ConfigError,
    ContextError,
    RefusedError,
    StoppedError,
    VerdictError,
    WorkError,
)
from bakeoff.generators.ray.rows import (
    ReplicaError,
    block_of,
    items_of,
    outcomes_of,
    refusal_of,
    reply_of,
)
from bakeoff.records import Completion, Criterion, Failure, Message, Prompt, Usage


class _OddError(BackendError):
    kind = "odd"


ERRORS = [
    WorkError("w", raw="r"),
    StoppedError("s"),
    BackendError("b", status=503, raw="<down>"),
    ContextError("c", status=400),
    VerdictError("v", raw="words"),
    RefusedError("r"),
    _OddError("o", status=418),
]


def test_prompts_arrive_with_their_numbers() -> None:
    turns = (Message(role="system", content="s"), Message(role="user", content="ü\0"[:1]))
    prompt = Prompt(messages=turns, tags=("t",), reference="r", criteria=(Criterion(name="c"),))
    assert items_of(block_of([(7, prompt), (3, prompt)])) == [(7, prompt), (3, prompt)]


def test_completions_arrive_as_they_are() -> None:
    said = Completion(
        text="t", thinking="h", finish="stop", tokens=3, raw="rt", weight=-1.5,
        top_logprobs={"a": -0.1},
        snapshot="m", usage=Usage(input_tokens=1, output_tokens=2, cached_tokens=1), cost=0.25,
    )  # fmt: skip
    assert outcomes_of(reply_of([(0, said), (9, Completion(text=""))])) == [
        (0, said),
        (9, Completion(text="")),
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_makes_the_same_failure(error: WorkError) -> None:
    error.took = {"usage": Usage(input_tokens=3, output_tokens=4), "cost": 0.5}
    ((_, arrived),) = outcomes_of(reply_of([(0, error)]))
    assert isinstance(arrived, WorkError)
    assert isinstance(error, type(arrived))
    failures = [Failure.of(one, "completion", "p", "m") for one in (error, arrived)]
    assert failures[0] == failures[1]
    assert WorkError.kind == "failed"  # nobody else's kind has changed
    assert BackendError.kind == "backend"


def test_what_keeps_a_replica_from_working_is_raised() -> None:
    with pytest.raises(ConfigError, match=r"^a key is missing \(on node7\)$"):
        outcomes_of(refusal_of(ConfigError("a key is missing"), "node7", ""))
    with pytest.raises(ReplicaError, match=r"(?s)on node7: Traceback.*line 3"):
        outcomes_of(refusal_of(ValueError("x"), "node7", "Traceback\nline 3"))


def test_a_reply_of_something_else_is_no_outcome() -> None:
    with pytest.raises((KeyError, ValueError)):
        outcomes_of(json.dumps({"outcomes": [[0, {"completion": {"text": 1}}]]}))
