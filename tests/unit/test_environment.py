"""The description of the environment of a run."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from bakeoff.environment import describe, load_env_file
from bakeoff.errors import ConfigError


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


def test_an_env_file_sets_variables_that_the_environment_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"SET": "before"})
    file = tmp_path / "keys.env"
    file.write_text('# mine\nexport QUOTED="sk-1"\nPLAIN=$QUOTED\nEMPTY\nSET=after\n')
    load_env_file(file)
    assert os.environ == {"QUOTED": "sk-1", "PLAIN": "$QUOTED", "SET": "before"}
    load_env_file(None)
    assert len(os.environ) == 3


def test_an_unreadable_env_file_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "bytes.env").write_bytes(b"KEY=\xff")
    for name, words in (("none.env", "No such file or directory"), ("bytes.env", "not UTF-8")):
        with pytest.raises(ConfigError, match=rf"cannot read the keys in .*{name}' \({words}\)"):
            load_env_file(tmp_path / name)
