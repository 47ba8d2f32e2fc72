"""Prompts from datasets: on disk, and from a hub that cannot be reached."""

import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from bakeoff.errors import ConfigError
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.testing import refused_url
from tests.unit.prompts.test_sampling import CHAT, last_turns, turns


@pytest.mark.parametrize("name", ["starter", "ultrachat"])
def test_a_folder_does_not_hide_a_prompt_set_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    if name == "starter":
        assert len(sample_prompts(name, 3, 1).prompts) == 3
    else:
        with pytest.raises(ConfigError, match="cannot reach the hub"):
            sample_prompts(name, 3, 1)


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A dataset folder with a messages column like UltraChat's, and another split."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "chat"
    rows = [
        {"id": "same", "messages": CHAT, "prompt": "p1", "tags": ["x"], "reference": "r"},
        {"id": "same", "messages": CHAT[1:2], "prompt": "p2", "tags": ["x"], "reference": None},
    ]
    datasets.Dataset.from_list(rows).to_parquet(folder / "test.parquet")
    datasets.Dataset.from_list([{"words": "w", "n": 1}]).to_parquet(folder / "train.parquet")
    return f"hf:{folder}"


def test_a_dataset_gives_first_turns_with_new_ids(chat: str) -> None:
    sample = sample_prompts(chat, 2, 1)
    assert sorted(turns(sample)) == [["be brief", "one"], ["one"]]
    assert {p.tags for p in sample.prompts} == {("x",)}
    assert {p.reference for p in sample.prompts} == {"r", None}
    assert len({p.id for p in sample.prompts}) == 2
    assert all(p.id.startswith("s1:") for p in sample.prompts)


def test_a_dataset_accepts_turns_column_and_split(chat: str) -> None:
    assert sorted(turns(sample_prompts(f"{chat}?turns=all", 2, 1)))[0] == [
        "be brief",
        "one",
        "1",
        "two",
    ]
    assert sorted(last_turns(sample_prompts(f"{chat}?column=prompt", 2, 1))) == ["p1", "p2"]
    assert last_turns(sample_prompts(f"{chat}?split=train&column=words", 1, 1)) == ["w"]
    with pytest.raises(ConfigError, match=r"no column of messages.*; there are: words, n: choose"):
        sample_prompts(f"{chat}?split=train", 2, 1)
    with pytest.raises(ConfigError, match="no column 'nope'; there are: id, messages"):
        sample_prompts(f"{chat}?column=nope", 2, 1)
    with pytest.raises(ConfigError, match=r"row 1: 'n' has to be a text or a list of messages"):
        sample_prompts(f"{chat}?split=train&column=n", 2, 1)


def test_an_unreachable_hub_is_an_error_with_two_alternatives(tmp_path: Path) -> None:
    # Measures the time slept between retries, not the computing time.
    code = """
import atexit, time
slept, sleep = [], time.sleep
time.sleep = lambda seconds: (slept.append(seconds), sleep(seconds))
atexit.register(lambda: print(sum(slept)))
from bakeoff.prompts.sampling import sample_prompts as draw
draw('ultrachat', 5, 42)
"""
    with refused_url() as url:
        env = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": url.removesuffix("/v1")}
        env.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert float(done.stdout) < 5
    message = done.stderr.splitlines()[-1]
    assert message.startswith(
        "bakeoff.errors.ConfigError: cannot reach the hub for the dataset 'Hugg"
    )
    assert "--prompts starter" in message
    assert "--prompts FILE" in message
