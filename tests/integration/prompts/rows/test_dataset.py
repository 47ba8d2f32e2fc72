import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import datasets
import pytest

from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import DatasetPart, Row, read_dataset

ULTRACHAT = [
    {
        "prompt": f"question {n}",
        "prompt_id": f"{n:064d}",
        "messages": [
            {"content": f"question {n}", "role": "user"},
            {"content": "yes", "role": "assistant"},
            {"content": f"and {n}?", "role": "user"},
            {"content": "no", "role": "assistant"},
        ],
    }
    for n in range(20)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset folder with two configs, one of which has two splits; and a cache of its own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "chat"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: train_sft\n    path: data/train_sft-*\n"
        "  - split: test_sft\n    path: data/test_sft-*\n"
        "- config_name: plain\n  data_files:\n  - split: dev\n    path: data/plain-*\n---\n"
    )
    parquet(ULTRACHAT[:12], folder / "data/train_sft-00000-of-00001.parquet")
    parquet(ULTRACHAT[12:], folder / "data/test_sft-00000-of-00001.parquet")
    parquet([{"text": "one", "n": 1}], folder / "data/plain-0.parquet")
    return folder


def parquet(rows: list[dict[str, Any]], path: Path) -> None:
    datasets.Dataset.from_list(rows).to_parquet(path)


def read(target: Path | str, config: str | None = None, split: str | None = None) -> list[Row]:
    part = DatasetPart(config=config, split=split)
    return list(read_dataset(str(target), part, select=lambda names: names).rows)


def test_the_named_split_of_a_folder_is_read(folder: Path) -> None:
    rows = read(folder, split="test_sft")
    assert rows == [Row(f"row {n}", row) for n, row in enumerate(ULTRACHAT[12:], 1)]
    assert [row.values for row in read(folder, split="train_sft")] == ULTRACHAT[:12]


def test_only_the_selected_columns_are_read(folder: Path) -> None:
    columns: list[str] = []

    def pick(names: list[str]) -> list[str]:
        columns.extend(names)
        return ["prompt"]

    rows = read_dataset(str(folder), DatasetPart(split="test_sft"), select=pick).rows
    assert next(rows) == Row("row 1", {"prompt": "question 12"})
    assert columns == ["prompt", "prompt_id", "messages"]


def test_a_split_has_to_be_named_if_there_are_several(folder: Path) -> None:
    assert read(folder, config="plain") == [Row("row 1", {"text": "one", "n": 1})]
    with pytest.raises(
        ConfigError, match=r"no split 'test'; there are: train_sft, test_sft: choose"
    ):
        read(folder)
    with pytest.raises(ConfigError, match=r"no split 'nope'; there are: train_sft, test_sft"):
        read(folder, split="nope")


def test_the_test_split_is_the_default(tmp_path: Path, folder: Path) -> None:
    for split in ("train", "test"):
        parquet([{"text": split}], folder.parent / f"pair/{split}.parquet")
    assert read(folder.parent / "pair") == [Row("row 1", {"text": "test"})]


def test_an_unknown_config_is_an_error_with_the_existing_ones(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"'default', 'plain'\]: choose one with \?config=NAME"):
        read(folder, config="nope", split="test_sft")


def test_a_changed_dataset_is_read_again(folder: Path) -> None:
    assert len(read(folder, config="plain")) == 1
    parquet([{"text": "two", "n": 2}], folder / "data/plain-1.parquet")
    assert [row.values["text"] for row in read(folder, config="plain")] == ["one", "two"]


def test_folders_of_the_same_name_are_cached_separately(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / folder.name
    shutil.copytree(folder, other)
    parquet([{"text": "other", "n": 3}], other / "data/plain-0.parquet")
    assert [row.values["n"] for row in read(folder, config="plain")] == [1]
    assert [row.values["n"] for row in read(other, config="plain")] == [3]


def test_a_dataset_written_by_save_to_disk_is_read(folder: Path, tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_list([{"text": "x"}])
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": dataset, "dev": dataset}).save_to_disk(tmp_path / "both")
    assert read(tmp_path / "one") == [Row("row 1", {"text": "x"})]
    assert read(tmp_path / "both", split="dev") == [Row("row 1", {"text": "x"})]
    with pytest.raises(ConfigError, match=r"no split 'test'; there are: train, dev"):
        read(tmp_path / "both")


def test_a_folder_has_no_revisions(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder, which has no revisions"):
        read_dataset(str(folder), DatasetPart(revision="v1"), select=lambda names: names)


def test_a_folder_without_a_valid_dataset_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (folder / "data/test_sft-00000-of-00001.parquet").write_bytes(b"PAR1 not at all")
    for target, split in (("bare", None), ("chat", "test_sft")):
        with pytest.raises(ConfigError, match="cannot load the dataset") as error:
            read(tmp_path / target, split=split)
        assert "\n" not in str(error.value)
    for target in ("./none", str(tmp_path / "none")):
        with pytest.raises(ConfigError, match="there is no folder"):
            read(target)


def test_progress_bars_are_off_during_reading_and_restored(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert read(folder, split="test_sft")
    assert capfd.readouterr() == ("", "")
    assert not datasets.utils.are_progress_bars_disabled()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'bakeoff\[data\]'"):
        read("someone/chat")


COMMIT = "1" * 40


class Hub(BaseHTTPRequestHandler):
    """The endpoints of the hub that `datasets` uses, for the datasets in a folder."""

    protocol_version = "HTTP/1.1"
    root: Path
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        kind, *parts = urlsplit(self.path).path.strip("/").removeprefix("api/").split("/")
        base = self.root.joinpath(*parts[:2])
        path = base.joinpath(*parts[4:])
        if kind != "datasets" or not base.is_dir():
            self.reply(404, b"{}", X_Error_Code="RepoNotFound")
        elif parts[2:3] == ["resolve"]:
            data = path.read_bytes() if path.is_file() else None
            tag = f'"{hashlib.sha1(data or b"").hexdigest()}"'
            code = {} if data is not None else {"X_Error_Code": "EntryNotFound"}
            self.reply(404 if code else 200, data or b"", ETag=tag, X_Repo_Commit=COMMIT, **code)
        elif parts[2:3] == ["tree"]:
            self.reply(200, json.dumps([self.entry(p, base) for p in path.rglob("*")]).encode())
        else:
            self.reply(200, json.dumps({"id": "/".join(parts[:2]), "sha": COMMIT}).encode())

    do_HEAD = do_GET  # noqa: N815 - the server looks for this name

    def entry(self, path: Path, base: Path) -> dict[str, object]:
        kind = "file" if path.is_file() else "directory"
        name = path.relative_to(base).as_posix()
        return {"type": kind, "path": name, "oid": "2" * 40, "size": path.stat().st_size}

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `requests` lists the requests."""


@pytest.fixture
def hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub with the folder as the dataset `tmp/chat`, and its requests."""
    root = folder.parent / "hub"
    (root / "tmp").mkdir(parents=True)
    (root / "tmp/chat").symlink_to(folder)
    requests: list[str] = []
    handler = type("Handler", (Hub,), {"root": root, "requests": requests})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


READ_SPLITS = """
import sys
from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import DatasetPart, read_dataset
for split in sys.argv[2:]:
    split, _, revision = split.partition("@")
    part = DatasetPart(split=split, revision=revision or None)
    try:
        dataset = read_dataset(sys.argv[1], part, select=lambda names: ["prompt"])
        print([values["prompt"] for _, values in dataset.rows], end=" @ ")
        print(dataset.revision)
    except ConfigError as error:
        print(error)
"""


def read_in_process(home: Path, endpoint: str, *args: str, **more: str) -> list[str]:
    """The splits that another process reads from a hub: the library reads its address once."""
    env = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, **more}
    ran = subprocess.run(
        [sys.executable, "-c", READ_SPLITS, *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


CLOSED = "http://127.0.0.1:9"  # the port of `discard`, where nothing listens


def test_only_one_split_is_downloaded_and_its_cached_rows_need_no_network(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, requests = hub
    drawn = f"{[row['prompt'] for row in ULTRACHAT[12:]]} @ {COMMIT}"
    assert read_in_process(tmp_path, endpoint, "tmp/chat", "test_sft") == [drawn]
    fetched = {line.rpartition("/")[2] for line in requests if line.startswith("GET /datasets/")}
    assert fetched == {"README.md", "test_sft-00000-of-00001.parquet"}
    kept, other = read_in_process(tmp_path, CLOSED, "tmp/chat", "test_sft", "train_sft")
    assert kept == drawn
    assert other.startswith("cannot reach the hub for the dataset 'tmp/chat'")
    assert read_in_process(tmp_path, CLOSED, "tmp/chat", "test_sft", HF_HUB_OFFLINE="1") == [drawn]
    same, other = (f"test_sft@{commit}" for commit in (COMMIT, "3" * 40))
    kept, other = read_in_process(tmp_path, CLOSED, "tmp/chat", same, other)
    assert kept == drawn
    assert other.startswith("cannot reach the hub for the dataset 'tmp/chat'")


def test_a_dataset_that_is_not_on_the_hub_is_an_error(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    (message,) = read_in_process(tmp_path, hub[0], "tmp/none", "test")
    assert message.startswith(
        "cannot load the dataset 'tmp/none': Dataset 'tmp/none' doesn't exist"
    )
