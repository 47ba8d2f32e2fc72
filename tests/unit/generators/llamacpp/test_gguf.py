"""GGUF headers: validation, metadata and the KV cache estimate, on generated files."""

import random
import struct
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp import gguf
from tests.unit.generators.llamacpp.gguf_files import (
    LLAMA,
    METADATA,
    small_gguf,
    validation_error,
    write_header,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return small_gguf(tmp_path / "small.gguf", METADATA)


def test_read_metadata_returns_all_values_before_the_tokenizers(path: Path) -> None:
    metadata = LLAMA | {"tokenizer.ggml.tokens": ["<s>", "a"], "later": 1}
    assert gguf.read_metadata(write_header(path, metadata)) == LLAMA


def test_kv_bytes_per_token_counts_keys_and_values_of_all_layers(path: Path) -> None:
    assert gguf.kv_bytes_per_token(write_header(path, LLAMA)) == 2 * 30 * 3 * (64 + 64)
    lengths = {"llama.attention.key_length": 100, "llama.attention.value_length": 10}
    assert gguf.kv_bytes_per_token(write_header(path, LLAMA | lengths)) == 2 * 30 * 3 * 110
    per_layer = LLAMA | {"llama.attention.head_count_kv": [0, 3, 9]}
    assert gguf.kv_bytes_per_token(write_header(path, per_layer)) == 2 * 30 * 9 * 128
    del per_layer["llama.attention.head_count_kv"]
    assert gguf.kv_bytes_per_token(write_header(path, per_layer)) == 2 * 30 * 9 * 128


@pytest.mark.parametrize("missing", ["llama.block_count", "general.architecture"])
def test_kv_bytes_per_token_is_none_without_a_dimension(path: Path, missing: str) -> None:
    metadata = {key: value for key, value in LLAMA.items() if key != missing}
    assert gguf.kv_bytes_per_token(write_header(path, metadata)) is None


def test_kv_bytes_per_token_is_none_for_missing_cut_and_malformed_files(path: Path) -> None:
    assert gguf.kv_bytes_per_token(path) is None
    path.write_bytes(b"")
    assert gguf.kv_bytes_per_token(path) is None
    path.write_bytes(b"GGML" + bytes(100))
    with pytest.raises(ValueError, match="not with 'GGUF'"):
        gguf.read_metadata(path)
    assert gguf.kv_bytes_per_token(write_header(path, LLAMA, version=1)) is None
    content = write_header(path, LLAMA).read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert gguf.kv_bytes_per_token(path) is None
    for value_type in (struct.pack("<IQ", 9, 1) * 1, struct.pack("<I", 77)):
        data = b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"x" + value_type + b"\xff" * 40
        path.write_bytes(data)
        assert gguf.kv_bytes_per_token(path) is None
    path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1 << 60))  # a key of an exabyte
    assert gguf.kv_bytes_per_token(path) is None


def test_read_metadata_refuses_strings_and_arrays_over_the_limit(path: Path) -> None:
    limit = 1 << 20
    assert gguf.read_metadata(write_header(path, {"a": "x" * limit})) == {"a": "x" * limit}
    with pytest.raises(ValueError, match=f"speaks of {limit + 1} bytes in a text"):
        gguf.read_metadata(write_header(path, {"a": "x" * (limit + 1)}))
    array = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, limit + 1) + bytes(limit + 1)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array)
    with pytest.raises(ValueError, match=f"speaks of {limit + 1} values in a list"):
        gguf.read_metadata(path)
    gguf.validate(path)  # it skips what it does not decode


def test_validate_accepts_complete_files_at_every_alignment_of_the_header(tmp_path: Path) -> None:
    for length in range(40):  # the tensors begin at the next multiple of 32
        gguf.validate(small_gguf(tmp_path / "some.gguf", METADATA | {"x" * length: 1}))


def test_small_gguf_is_readable_by_the_gguf_package(file: Path) -> None:
    from gguf import GGUFReader

    tensors = GGUFReader(file).tensors
    assert max(tensor.data_offset + tensor.n_bytes for tensor in tensors) == file.stat().st_size


def test_block_sizes_equal_those_of_the_gguf_package() -> None:
    from gguf.constants import GGML_QUANT_SIZES

    known = {int(type_id): sizes for type_id, sizes in GGML_QUANT_SIZES.items()}
    assert gguf._BLOCKS.items() <= known.items()
    assert known.keys() - gguf._BLOCKS.keys() <= {9}  # Q8_1 is never in a file


def test_validate_refuses_a_file_cut_at_any_byte(file: Path) -> None:
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        assert validation_error(file).count("it is empty") == (length == 0)


def test_validate_reports_the_problem(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"GGML" + content[4:])
    assert "it begins with b'GGML'" in validation_error(file)
    file.write_bytes(content[:4] + content[4:8][::-1] + content[8:])  # big-endian
    assert "of the version 50331648" in validation_error(file)
    file.write_bytes(content[:-1])
    reason = f"the tensor 'odd' ends at byte {len(content)}, the file at {len(content) - 1}"
    assert reason in validation_error(file)
    file.write_bytes(content[:60])
    assert "its head goes beyond its end at byte 60" in validation_error(file)
    file.unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*No such file"):
        gguf.validate(file)


HUGE = [1 << 25, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("size", HUGE)
def test_validate_refuses_impossible_sizes(file: Path, size: int) -> None:
    content = file.read_bytes()
    keys = (b"token_embd.weight", b"later", b"tokenizer.ggml.tokens", b"general.architecture")
    positions = [8, 16, *(content.index(key) - 8 for key in keys)]  # counts, and lengths of keys
    positions += [content.index(b"token_embd.weight") + 17 + 4]  # a dimension
    positions += [content.index(b"token_embd.weight") + 17 + 4 + 16 + 4]  # an offset
    positions += [
        content.index(b"tokenizer.ggml.tokens") + 21 + 4 + 4,
        content.index(b"sizes") + 5 + 8,
    ]
    for position in positions:
        file.write_bytes(content[:position] + struct.pack("<Q", size) + content[position + 8 :])
        validation_error(file)


def test_validate_refuses_nested_arrays_unknown_types_and_odd_alignments(file: Path) -> None:
    content = file.read_bytes()
    item_type = content.index(b"tokenizer.ggml.tokens") + 21 + 4
    file.write_bytes(content[:item_type] + struct.pack("<I", 9) + content[item_type + 4 :])
    assert "a value of the kind 9" in validation_error(file)
    value_type = content.index(b"later") + 5
    file.write_bytes(content[:value_type] + struct.pack("<I", 77) + content[value_type + 4 :])
    assert "a value of the kind 77" in validation_error(file)
    small_gguf(file, LLAMA | {"general.alignment": 33})
    assert "its alignment is 33" in validation_error(file)


def test_changed_bytes_raise_nothing_but_config_errors(file: Path) -> None:
    content, rng = file.read_bytes(), random.Random(7)
    refused = 0
    for _ in range(3000):
        changed = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            changed[rng.randrange(len(content))] = rng.randrange(256)
        file.write_bytes(changed)
        try:
            gguf.validate(file)
        except ConfigError:
            refused += 1
    assert 300 < refused < 2900
