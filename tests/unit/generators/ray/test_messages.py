"""Round trips of the messages between driver and replicas."""

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
from bakeoff.generators.ray.messages import (
    ReplicaError,
    decode_block,
    decode_reply,
    encode_block,
    encode_failure,
    encode_outcomes,
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


def test_numbered_prompts_survive_a_round_trip() -> None:
    turns = (Message(role="system", content="s"), Message(role="user", content="ü\0"[:1]))
    prompt = Prompt(messages=turns, tags=("t",), reference="r", criteria=(Criterion(name="c"),))
    assert decode_block(encode_block([(7, prompt), (3, prompt)])) == [(7, prompt), (3, prompt)]


def test_completions_survive_a_round_trip() -> None:
    completion = Completion(
        text="t", thinking="h", finish="stop", tokens=3, raw="rt", score=-1.5,
        top_logprobs={"a": -0.1},
        snapshot="m", usage=Usage(input_tokens=1, output_tokens=2, cached_tokens=1), cost=0.25,
    )  # fmt: skip
    assert decode_reply(encode_outcomes([(0, completion), (9, Completion(text=""))])) == [
        (0, completion),
        (9, Completion(text="")),
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_gives_the_same_failure_record_after_a_round_trip(error: WorkError) -> None:
    error.usage = {"usage": Usage(input_tokens=3, output_tokens=4), "cost": 0.5}
    ((_, arrived),) = decode_reply(encode_outcomes([(0, error)]))
    assert isinstance(arrived, WorkError)
    assert isinstance(error, type(arrived))
    failures = [Failure.of(error_, "completion", "p", "m") for error_ in (error, arrived)]
    assert failures[0] == failures[1]
    assert WorkError.kind == "failed"  # the classes themselves are unchanged
    assert BackendError.kind == "backend"


def test_decode_reply_raises_the_replicas_error() -> None:
    with pytest.raises(ConfigError, match=r"^a key is missing \(on node7\)$"):
        decode_reply(encode_failure(ConfigError("a key is missing"), "node7", ""))
    with pytest.raises(ReplicaError, match=r"(?s)on node7: Traceback.*line 3"):
        decode_reply(encode_failure(ValueError("x"), "node7", "Traceback\nline 3"))


def test_a_malformed_reply_raises() -> None:
    with pytest.raises((KeyError, ValueError)):
        decode_reply(json.dumps({"outcomes": [[0, {"completion": {"text": 1}}]]}))
