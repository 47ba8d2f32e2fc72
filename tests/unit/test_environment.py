"""The description of the environment of a run."""

import json
from importlib.metadata import version

import pytest

from bakeoff.environment import describe


def test_describe_lists_installed_versions_and_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marker")
    description = describe()
    packages = description["packages"]
    assert isinstance(packages, dict)
    assert packages["bakeoff"] == version("bakeoff")
    assert packages["numpy"] == version("numpy")
    assert "sk-marker" not in json.dumps(description)
