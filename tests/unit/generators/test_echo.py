"""The generator without a model."""

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion
from bakeoff.testing import run_worker
from tests.builders import make_prompt


def echo(text: str, prompt: str = "one two three") -> Completion:
    worker = open_generator(Spec.parse(text), RunContext(Sampling()))
    completion = run_worker(worker, [make_prompt(prompt)])[0]
    assert isinstance(completion, Completion)
    return completion


def test_echo_repeats_its_text_and_the_last_turn() -> None:
    assert echo("echo:Yes,").text == "Yes, one two three"
    assert echo("echo:Yes,") == echo("echo:Yes,")
    assert echo("echo:").text == "one two three"


def test_echo_with_words_finishes_with_length() -> None:
    cut, complete = echo("echo:?words=2"), echo("echo:?words=3")
    assert (cut.text, cut.finish, cut.tokens) == ("one two", "length", 2)
    assert (complete.text, complete.finish, complete.tokens) == ("one two three", "stop", 3)
    with pytest.raises(ConfigError, match="words"):
        echo("echo:?words=-1")
