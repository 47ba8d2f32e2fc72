import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.testing import OpenAIServer, verdict_json
from tests.hub_server import Address, loopback_hub, python_with_hub
from tests.marks import long
from tests.tiny_models import make_tiny_model

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train_sft
    path: data/train_sft-*
  - split: test_sft
    path: data/test_sft-*
---
# UltraChat, in small
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def ultrachat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ultrachat")
    (folder / "data").mkdir()
    (folder / "README.md").write_text(CARD)
    for split, rows in (("train_sft", 2), ("test_sft", 3)):
        turns = [
            [{"role": "user", "content": f"{split} {i}"}, {"role": "assistant", "content": "Yes."}]
            for i in range(rows)
        ]
        table = pa.table({"prompt": [turn[0]["content"] for turn in turns], "messages": turns})
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture
def hub(model: Path, ultrachat: Path) -> Iterator[Address]:
    repos = {
        "me/tiny": model,
        "me/closed": model,
        "datasets/HuggingFaceH4/ultrachat_200k": ultrachat,
    }
    with loopback_hub(repos, gated=["me/closed"]) as address:
        yield address


def run_in_process(code: str, hub: str, home: Path, **env: str) -> object:
    done = python_with_hub(code, hub, home, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_transformers_loads_a_model_from_the_loopback_hub(hub: Address, tmp_path: Path) -> None:
    code = """
import json
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained("me/tiny")
tokenizer = AutoTokenizer.from_pretrained("me/tiny")
print(json.dumps([model.config.model_type, model.num_parameters(), tokenizer.eos_token]))
"""
    kind, parameters, end = run_in_process(code, hub, tmp_path)  # type: ignore[misc]
    assert (kind, end) == ("llama", "<|end|>")
    assert parameters > 30_000
    assert any(request.startswith("GET /lfs/me/tiny/resolve/") for request in hub.requests)


@pytest.mark.parametrize("streaming", [False, *long([True])])
def test_datasets_loads_a_split_from_the_loopback_hub(
    hub: Address, tmp_path: Path, streaming: bool
) -> None:
    # Delete the stream before Python exits: a thread of pyarrow that outlives it aborts
    # (apache/arrow#45214). bakeoff does not stream.
    code = f"""
import gc, json
from datasets import load_dataset
rows = load_dataset("HuggingFaceH4/ultrachat_200k", split="test_sft", streaming={streaming})
print(json.dumps([(row["prompt"], [turn["role"] for turn in row["messages"]]) for row in rows]))
del rows
gc.collect()
"""
    roles = ["user", "assistant"]
    assert run_in_process(code, hub, tmp_path) == [[f"test_sft {i}", roles] for i in range(3)]
    assert "GET /lfs/datasets/HuggingFaceH4/ultrachat_200k/resolve/" in "\n".join(hub.requests)


def test_cached_files_need_no_hub(hub: Address, model: Path, tmp_path: Path) -> None:
    code = """
import json
from huggingface_hub import snapshot_download
from pathlib import Path
folder = Path(snapshot_download("me/tiny"))
print(json.dumps({p.name: len(p.read_bytes()) for p in folder.iterdir()}))
"""
    files = {file.name: file.stat().st_size for file in model.iterdir()}
    assert run_in_process(code, hub, tmp_path) == files
    before = list(hub.requests)
    assert run_in_process(code, hub, tmp_path, HF_HUB_OFFLINE="1") == files
    assert hub.requests == before


def test_hub_errors_are_reported(hub: Address, tmp_path: Path) -> None:
    code = """
import json
from huggingface_hub import HfApi, hf_hub_download
def error(what, *args, **kwargs):
    try:
        what(*args, **kwargs)
    except Exception as error:
        return type(error).__name__
info = HfApi().model_info
print(json.dumps([
    error(info, "me/none"),
    error(info, "me/tiny", revision="v9"),
    error(hf_hub_download, "me/tiny", "none.json"),
    error(hf_hub_download, "me/closed", "config.json"),
    error(HfApi().dataset_info, "me/tiny"),
    error(info, "me/closed"),
    HfApi().file_exists("me/tiny", "config.json"),
    [file.path for file in HfApi().get_paths_info("me/tiny", ["config.json", "none.json"])],
]))
"""
    assert run_in_process(code, hub, tmp_path) == [
        "RepositoryNotFoundError",
        "RevisionNotFoundError",
        "RemoteEntryNotFoundError",
        "GatedRepoError",
        "RepositoryNotFoundError",
        None,
        True,
        ["config.json"],
    ]


def test_part_of_a_large_file_is_read(hub: Address, model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    url = f"{hub}/me/tiny/resolve/main/model.safetensors"
    with httpx.Client(timeout=300) as client:
        head = client.head(url)
        rest = client.get(url, headers={"Range": "bytes=1000-"}, follow_redirects=True)
        part = client.get(url, headers={"Range": "bytes=10-19"}, follow_redirects=True)
    assert head.status_code == 302
    assert head.headers["X-Linked-Etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert head.headers["X-Linked-Size"] == str(len(content))
    assert (rest.status_code, rest.content) == (206, content[1000:])
    assert part.content == content[10:20]
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    assert rest.headers["X-Repo-Commit"] == head.headers["X-Repo-Commit"]


def test_a_changed_file_is_a_new_commit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    with loopback_hub({"me/text": tmp_path}) as hub, httpx.Client(timeout=300) as client:
        first = client.get(f"{hub}/api/models/me/text").json()
        (tmp_path / "a.txt").write_text("two")
        second = client.get(f"{hub}/api/models/me/text/revision/main").json()
        old = client.get(f"{hub}/me/text/resolve/{first['sha']}/a.txt")
        new = client.get(f"{hub}/me/text/resolve/{second['sha']}/a.txt")
    assert first["sha"] != second["sha"]
    assert (old.status_code, old.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    assert new.text == "two"


@pytest.mark.long
def test_the_revision_of_a_dataset_is_in_the_results(hub: Address, tmp_path: Path) -> None:
    code = """
import json, sys
from bakeoff import Config, run
judge = f"judge=api:judge?base_url={sys.argv[1]}"
config = Config(model=("a=echo:a", "b=echo:b"), judge=(judge,), prompts=sys.argv[2], limit=3)
print(json.dumps(run(config).environment["prompts"]))
"""
    with OpenAIServer(lambda _: verdict_json(5, 5, "tie")) as server:
        sources = ["ultrachat"]
        for source in sources:
            done = python_with_hub(code, hub, tmp_path, server.url, source, OPENAI_API_KEY="k")
            assert done.returncode == 0, done.stderr
            result = json.loads(done.stdout)
            assert result["source"] == source
            assert re.fullmatch("[0-9a-f]{40}", result["revision"])
            if source == "ultrachat":  # the revision can be requested again
                sources.append(f"ultrachat?revision={result['revision']}")
    assert len(sources) == 2
