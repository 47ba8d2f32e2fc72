"""Whether a GGUF file is whole: files made here, cut, turned and lied about, and the real ones."""

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.llamacpp.gguf_validation import _BLOCKS, check_whole
from bakeoff.generators.llamacpp.models import CATALOGUE
from tests.marks import long
from tests.unit.generators.llamacpp.gguf_files import small_gguf
from tests.unit.generators.llamacpp.test_gguf import LLAMA
from tests.unit.generators.transformers.models import opened
from tests.workers import outcomes

VALUES = LLAMA | {"tokenizer.ggml.tokens": ["<s>", "a", "", "ü"], "later": 1, "sizes": [1, 2, 3]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return small_gguf(tmp_path / "small.gguf", VALUES)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check_whole(path)
    said = str(caught.value)
    assert said.startswith(f"{str(path)!r} is no whole GGUF file (")
    assert "\n" not in said
    return said


def test_a_whole_file_passes_wherever_its_head_ends(tmp_path: Path) -> None:
    for length in range(40):  # the tensors begin at the next multiple of 32
        check_whole(small_gguf(tmp_path / "some.gguf", VALUES | {"x" * length: 1}))


def test_it_is_the_file_that_its_own_library_reads(file: Path) -> None:
    from gguf import GGUFReader

    read = GGUFReader(file)
    assert max(one.data_offset + one.n_bytes for one in read.tensors) == file.stat().st_size


def test_the_sizes_of_all_kinds_are_those_of_its_own_library() -> None:
    from gguf.constants import GGML_QUANT_SIZES

    known = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
    assert _BLOCKS.items() <= known.items()
    assert known.keys() - _BLOCKS.keys() <= {9}  # Q8_1 is never in a file


def test_wherever_it_is_cut_it_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert refusal(file).count("it is empty") == (length == 0)


def test_what_is_wrong_is_said(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(b"GGML" + whole[4:])
    assert "it begins with b'GGML'" in refusal(file)
    file.write_bytes(whole[:4] + whole[4:8][::-1] + whole[8:])  # for machines of another kind
    assert "of the version 50331648" in refusal(file)
    file.write_bytes(whole[:-1])
    assert f"the tensor 'odd' ends at byte {len(whole)}, the file at {len(whole) - 1}" in refusal(
        file
    )
    file.write_bytes(whole[:60])
    assert "its head goes beyond its end at byte 60" in refusal(file)
    file.unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*No such file"):
        check_whole(file)


HUGE = [1 << 25, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("size", HUGE)
def test_sizes_that_no_file_has_are_noticed_at_once(file: Path, size: int) -> None:
    whole = file.read_bytes()
    names = (b"token_embd.weight", b"later", b"tokenizer.ggml.tokens", b"general.architecture")
    told = [8, 16, *(whole.index(name) - 8 for name in names)]  # tensors, values, their names
    told += [whole.index(b"token_embd.weight") + 17 + 4]  # a dimension
    told += [whole.index(b"token_embd.weight") + 17 + 4 + 16 + 4]  # an offset
    told += [whole.index(b"tokenizer.ggml.tokens") + 21 + 4 + 4, whole.index(b"sizes") + 5 + 8]
    for at in told:
        file.write_bytes(whole[:at] + struct.pack("<Q", size) + whole[at + 8 :])
        refusal(file)


def test_a_list_of_lists_a_kind_that_is_none_and_an_odd_alignment(file: Path) -> None:
    whole = file.read_bytes()
    of_list = whole.index(b"tokenizer.ggml.tokens") + 21 + 4
    file.write_bytes(whole[:of_list] + struct.pack("<I", 9) + whole[of_list + 4 :])
    assert "a value of the kind 9" in refusal(file)
    of_value = whole.index(b"later") + 5
    file.write_bytes(whole[:of_value] + struct.pack("<I", 77) + whole[of_value + 4 :])
    assert "a value of the kind 77" in refusal(file)
    assert "its alignment is 33" in refusal(small_gguf(file, LLAMA | {"general.alignment": 33}))


def test_nothing_but_a_config_error_comes_of_changed_bytes(file: Path) -> None:
    whole, rng = file.read_bytes(), random.Random(7)
    refused = 0
    for _ in range(3000):
        changed = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            changed[rng.randrange(len(whole))] = rng.randrange(256)
        file.write_bytes(changed)
        try:
            check_whole(file)
        except ConfigError:
            refused += 1
    assert 300 < refused < 2900


@pytest.mark.engine
@pytest.mark.parametrize("name", ["smollm2", *long(sorted({*CATALOGUE} - {"smollm2"}))])
def test_real_models_are_whole_and_cut_anywhere_they_are_not(name: str, tmp_path: Path) -> None:
    from bakeoff.generators.llamacpp.fetch import fetched

    real = fetched(CATALOGUE[name])
    check_whole(real)
    cut, size, rng = tmp_path / "cut.gguf", real.stat().st_size, random.Random(name)
    with real.open("rb") as source:
        cut.write_bytes(source.read(40_000_000))  # the head, and some of what it speaks of
    refusal(cut)
    for length in [40_000_000, *(rng.randrange(40_000_000) for _ in range(20))]:
        with cut.open("r+b") as file:
            file.truncate(min(length, cut.stat().st_size))
        assert length < size
        refusal(cut)


def test_transformers_does_not_get_to_see_a_file_that_is_cut(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = small_gguf(tmp_path / "small.gguf", VALUES).read_bytes()
    (tmp_path / "small.gguf").write_bytes(whole[:-40])
    with pytest.raises(ConfigError, match=r"small\.gguf' is no whole GGUF file \(the tensor"):
        outcomes(opened(f"{tmp_path}?gguf_file=small.gguf"), [])
    assert capfd.readouterr() == ("", "")


def test_a_run_says_it_in_one_line_and_exits_2(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    run = [sys.executable, "-m", "bakeoff", "run", "--model", f"a=embedded:{file}"]
    run += ["--model", "b=echo:hi", "--judge", "echo:x", "--prompts", "starter"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if "GGUF" in line]
    assert len(said) == 1, done.stderr
    assert "small.gguf' is no whole GGUF file (the tensor 'odd' ends at byte" in said[0]
    assert "Traceback" not in done.stderr
    assert "llama" not in done.stderr
