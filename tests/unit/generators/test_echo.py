"""The generator that needs no model."""

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import ConfigError
from bakeoff.plugins import Setting, open_generator
from bakeoff.records import Completion, Message, Prompt
from tests.workers import outcomes


def said(text: str, prompt: str = "one two three") -> Completion:
    worker = open_generator(Spec.parse(text), Setting(Sampling()))
    completion = outcomes(worker, [Prompt(messages=(Message(role="user", content=prompt),))])[0]
    assert isinstance(completion, Completion)
    return completion


def test_it_says_its_text_and_the_last_turn_every_time() -> None:
    assert said("echo:Yes,").text == "Yes, one two three"
    assert said("echo:Yes,") == said("echo:Yes,")
    assert said("echo:").text == "one two three"


def test_words_cut_it_at_a_limit_that_it_owns_up_to() -> None:
    cut, whole = said("echo:?words=2"), said("echo:?words=3")
    assert (cut.text, cut.finish, cut.tokens) == ("one two", "length", 2)
    assert (whole.text, whole.finish, whole.tokens) == ("one two three", "stop", 3)
    with pytest.raises(ConfigError, match="words"):
        said("echo:?words=-1")
