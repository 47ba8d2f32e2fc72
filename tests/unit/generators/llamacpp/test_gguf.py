"""What the head of a GGUF file says, of files made here and of the real ones that are fetched."""

import struct
from pathlib import Path
from typing import Any

import pytest

from bakeoff.generators.llamacpp.gguf import bytes_per_token, head
from bakeoff.generators.llamacpp.models import CATALOGUE

LLAMA = {
    "general.architecture": "llama",
    "general.tags": ["a", "b"],
    "llama.block_count": 30,
    "llama.rope.freq_base": 0.5,
    "llama.tied": True,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}


def write(path: Path, values: dict[str, Any], version: int = 3, more: bytes = b"") -> Path:
    """A file with these values, laid out by hand as the format's description has it."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def packed(value: Any) -> tuple[int, bytes]:
        if isinstance(value, list):
            kinds = [packed(one) for one in value]
            return 9, struct.pack("<IQ", kinds[0][0], len(value)) + b"".join(b for _, b in kinds)
        if isinstance(value, str):
            return 8, text(value)
        if isinstance(value, bool):
            return 7, struct.pack("<?", value)
        return (
            (6, struct.pack("<f", value))
            if isinstance(value, float)
            else (4, struct.pack("<I", value))
        )

    body = b"GGUF" + struct.pack("<IQQ", version, 1, len(values))
    for name, value in values.items():
        kind, data = packed(value)
        body += text(name) + struct.pack("<I", kind) + data
    path.write_bytes(body + more)
    return path


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_all_values_before_the_tokenizers_are_read(at: Path) -> None:
    values = LLAMA | {"tokenizer.ggml.tokens": ["<s>", "a"], "later": 1}
    assert head(write(at, values)) == LLAMA


def test_a_token_takes_the_keys_and_values_of_all_layers(at: Path) -> None:
    assert bytes_per_token(write(at, LLAMA)) == 2 * 30 * 3 * (64 + 64)
    lengths = {"llama.attention.key_length": 100, "llama.attention.value_length": 10}
    assert bytes_per_token(write(at, LLAMA | lengths)) == 2 * 30 * 3 * 110
    some = LLAMA | {"llama.attention.head_count_kv": [0, 3, 9]}
    assert bytes_per_token(write(at, some)) == 2 * 30 * 9 * 128
    del some["llama.attention.head_count_kv"]
    assert bytes_per_token(write(at, some)) == 2 * 30 * 9 * 128


@pytest.mark.parametrize("lacking", ["llama.block_count", "general.architecture"])
def test_what_the_file_does_not_say_is_not_known(at: Path, lacking: str) -> None:
    assert bytes_per_token(write(at, {k: v for k, v in LLAMA.items() if k != lacking})) is None


def test_a_file_that_is_none_or_is_cut_or_lies(at: Path) -> None:
    assert bytes_per_token(at) is None  # there is none
    at.write_bytes(b"GGML" + bytes(100))
    with pytest.raises(ValueError, match="no GGUF"):
        head(at)
    assert bytes_per_token(write(at, LLAMA, version=1)) is None
    whole = write(at, LLAMA).read_bytes()
    for length in range(0, len(whole), 7):
        at.write_bytes(whole[:length])
        assert bytes_per_token(at) is None
    for kind in (struct.pack("<IQ", 9, 1) * 1, struct.pack("<I", 77)):
        at.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"x" + kind + b"\xff" * 40)
        assert bytes_per_token(at) is None
    at.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1 << 60))  # a name of an exabyte
    assert bytes_per_token(at) is None


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "each"), [("smollm2", 23040), ("gemma3-270m", 18432), ("qwen2.5-coder-0.5b", 12288)]
)
def test_the_real_ones(name: str, each: int) -> None:
    from bakeoff.generators.llamacpp.fetch import fetched

    assert bytes_per_token(fetched(CATALOGUE[name])) == each
