"""GGUF files of real models, the backends that read them, and the error of a run."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.testing import run_worker
from tests.integration.generators.transformers.hf_generators import hf_generator
from tests.marks import long
from tests.unit.generators.llamacpp.gguf_files import METADATA, small_gguf, validation_error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return small_gguf(tmp_path / "small.gguf", METADATA)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "expected"),
    [("smollm2", 23040), ("gemma3-270m", 18432), ("qwen2.5-coder-0.5b", 12288)],
)
def test_kv_bytes_per_token_of_real_models(name: str, expected: int) -> None:
    from bakeoff.generators.llamacpp.fetch import fetch_model

    assert gguf.kv_bytes_per_token(fetch_model(CATALOGUE[name])) == expected


@pytest.mark.engine
@pytest.mark.parametrize("name", ["smollm2", *long(sorted({*CATALOGUE} - {"smollm2"}))])
def test_validate_accepts_real_models_and_refuses_them_cut(name: str, tmp_path: Path) -> None:
    from bakeoff.generators.llamacpp.fetch import fetch_model

    real = fetch_model(CATALOGUE[name])
    gguf.validate(real)
    cut, size, rng = tmp_path / "cut.gguf", real.stat().st_size, random.Random(name)
    with real.open("rb") as source:
        cut.write_bytes(source.read(40_000_000))  # the header, and some of the tensors
    validation_error(cut)
    for length in [40_000_000, *(rng.randrange(40_000_000) for _ in range(20))]:
        with cut.open("r+b") as file:
            file.truncate(min(length, cut.stat().st_size))
        assert length < size
        validation_error(cut)


def test_the_hf_backend_validates_a_gguf_file_before_loading(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = small_gguf(tmp_path / "small.gguf", METADATA).read_bytes()
    (tmp_path / "small.gguf").write_bytes(content[:-40])
    with pytest.raises(ConfigError, match=r"small\.gguf' is no whole GGUF file \(the tensor"):
        run_worker(hf_generator(f"{tmp_path}?gguf_file=small.gguf"), [])
    assert capfd.readouterr() == ("", "")


def test_a_run_with_a_cut_file_prints_one_line_and_exits_2(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    run = [sys.executable, "-m", "bakeoff", "run", "--model", f"a=embedded:{file}"]
    run += ["--model", "b=echo:hi", "--judge", "echo:x", "--prompts", "starter"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "GGUF" in line]
    assert len(lines) == 1, done.stderr
    assert "small.gguf' is no whole GGUF file (the tensor 'odd' ends at byte" in lines[0]
    assert "Traceback" not in done.stderr
    assert "llama" not in done.stderr
