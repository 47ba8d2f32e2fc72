import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from bakeoff.errors import ConfigError
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.testing import refused_url
from tests.unit.prompts.test_sampling import CHAT, asked, turns


@pytest.mark.parametrize("name", ["starter", "ultrachat"])
def test_a_folder_does_not_hide_a_set_of_that_name(
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
    """A dataset folder with a messages column like UltraChat's, and two more splits."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "chat"
    rows = [
        {"id": "same", "messages": CHAT, "prompt": "p1", "tags": ["x"], "reference": "r"},
        {"id": "same", "messages": CHAT[1:2], "prompt": "p2", "tags": ["x"], "reference": None},
    ]
    datasets.Dataset.from_list(rows).to_parquet(folder / "test.parquet")
    datasets.Dataset.from_list([{"words": "w", "n": 1}]).to_parquet(folder / "train.parquet")
    return f"hf:{folder}"


def test_a_dataset_gives_first_turns_and_its_ids_are_not_taken_over(chat: str) -> None:
    drawn = sample_prompts(chat, 2, 1)
    assert sorted(turns(drawn)) == [["be brief", "one"], ["one"]]
    assert {p.tags for p in drawn.prompts} == {("x",)}
    assert {p.reference for p in drawn.prompts} == {"r", None}
    assert len({p.id for p in drawn.prompts}) == 2
    assert all(p.id.startswith("s1:") for p in drawn.prompts)


def test_a_dataset_takes_turns_column_and_split(chat: str) -> None:
    assert sorted(turns(sample_prompts(f"{chat}?turns=all", 2, 1)))[0] == [
        "be brief",
        "one",
        "1",
        "two",
    ]
    assert sorted(asked(sample_prompts(f"{chat}?column=prompt", 2, 1))) == ["p1", "p2"]
    assert asked(sample_prompts(f"{chat}?split=train&column=words", 1, 1)) == ["w"]
    with pytest.raises(ConfigError, match=r"no column of messages.*; there are: words, n: choose"):
        sample_prompts(f"{chat}?split=train", 2, 1)
    with pytest.raises(ConfigError, match="no column 'nope'; there are: id, messages"):
        sample_prompts(f"{chat}?column=nope", 2, 1)
    with pytest.raises(ConfigError, match=r"row 1: 'n' has to be a text or a list of messages"):
        sample_prompts(f"{chat}?split=train&column=n", 2, 1)


def test_a_dead_network_is_said_at_once_with_the_two_ways_on(tmp_path: Path) -> None:
    # How long the process sleeps between its tries, not how long it computes.
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
        ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert float(ran.stdout) < 5
    said = ran.stderr.splitlines()[-1]
    assert said.startswith("bakeoff.errors.ConfigError: cannot reach the hub for the dataset 'Hugg")
    assert "--prompts starter" in said
    assert "--prompts FILE" in said
