"""The GPU benchmark on a CPU: small random checkpoints, and a stub of vLLM."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import gpu
from harness.random_checkpoint import (
    LETTERS,
    QWEN2_5_1_5B,
    QWEN3_1_7B,
    REPLIES,
    Architecture,
    make_checkpoint,
    make_tokenizer,
)

ROOT = Path(__file__).parents[2]
STUB = ROOT / "tests" / "vllm_stub"
TINY = make_tokenizer(QWEN2_5_1_5B.shrunk().vocabulary)


def run_script(folder: Path, *arguments: str) -> tuple[list[dict[str, Any]], str, int]:
    """Run the script with the stub as vLLM; returns its JSON lines, stderr and exit code."""
    (folder / "stubs").mkdir()
    path = os.pathsep.join(filter(None, [str(STUB), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "STUB_RECORDS": str(folder / "stubs")}
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *arguments],
        cwd=folder,
        env=env | {"BAKEOFF_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr, done.returncode


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure for an hour")
def test_without_cuda_the_benchmark_is_skipped_on_one_line(tmp_path: Path) -> None:
    lines, stderr, code = run_script(tmp_path)
    assert (lines, stderr.splitlines(), code) == ([], [gpu.NO_CUDA], 0)


@pytest.mark.long
def test_every_part_prints_its_line(tmp_path: Path) -> None:
    lines, stderr, code = run_script(tmp_path, "--tiny", "--prompts=5", "--max-tokens=3")
    by_part = {line["benchmark"].removeprefix("gpu-tiny:"): line for line in lines}
    assert list(by_part) == [
        *("hf", "vllm", "judge by letter", "judge by json", "judge by decision", "comparison")
    ]
    assert code == 0
    assert [line for line in stderr.splitlines() if "skipped" in line] == [
        "replicas is skipped: there is one GPU: --replicas=2 starts as many anyway"
    ]
    assert all(line["figure"] > 0 and line["ratio"] > 0 for line in lines)
    assert {line["device"] for line in lines} == {"cpu"}
    assert by_part["hf"]["model"] == "Qwen2.5-1.5B, shrunk"
    assert by_part["judge by letter"]["unreadable"] == 0
    # 10 shown pairs; the first fifth warms the server up, and each side gets two of the others.
    assert by_part["judge by letter"]["requests"] == by_part["judge by json"]["unreadable"] == 4
    assert by_part["judge by decision"]["path"] == "/v1/systemone"
    comparison = by_part["comparison"]
    assert comparison["unit"] == "s for 10 completions and 10 verdicts"
    assert comparison["failures"] == 0
    assert sum(comparison["seconds"].values()) <= comparison["figure"]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("python=/nowhere/python", "decision is skipped: 'decisions': there is no Python at"),
        (f"python={sys.executable}&args=--die", "decision is skipped: vLLM did not start: "),
    ],
)
def test_a_missing_or_failing_vllm_is_one_line(
    server: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_START_ERROR", "ValueError: it burns")
    skipped = [f"--skip={part}" for part in gpu.PARTS if part != "decision"]
    lines, stderr, code = run_script(tmp_path, "--tiny", "--vllm", server, *skipped)
    assert (lines, code) == ([], 0)
    (line,) = stderr.splitlines()
    assert line.startswith(reason)


def test_prompts_and_pairs_are_the_same_in_every_run() -> None:
    prompts = gpu.make_prompts(512)
    assert prompts == gpu.make_prompts(512)
    sizes = sorted(len(prompt.messages[0].content) for prompt in prompts)
    assert sizes[0] < 150 < sizes[256] < 500 < 1500 < sizes[-1]
    pairs = gpu.make_pairs(prompts[:3])
    assert [pair.swapped() for pair in pairs[::2]] == pairs[1::2]


@given(st.text())
def test_tokens_decode_to_their_text(text: str) -> None:
    assert TINY.decode(TINY.encode(text)) == unicodedata.normalize("NFC", text)


@given(st.lists(st.integers(TINY.vocab_size - 2500, TINY.vocab_size - 1), max_size=20))
def test_texts_of_a_random_model_have_as_many_tokens_for_the_judge(tokens: list[int]) -> None:
    assert TINY.encode(TINY.decode(tokens)) == tokens


def test_the_vocabulary_is_full_and_english_is_not_spelled() -> None:
    tokenizer = make_tokenizer(QWEN2_5_1_5B.vocabulary)
    assert len(tokenizer) == QWEN2_5_1_5B.vocabulary
    for text in (*LETTERS, *REPLIES):
        assert len(tokenizer.encode(text)) == len(TINY.encode(text)) == 1
    text = "".join(prompt.messages[0].content for prompt in gpu.make_prompts(20))
    assert len(tokenizer.encode(text)) < 1.5 * len(text.split())


@pytest.mark.parametrize("architecture", [QWEN2_5_1_5B, QWEN3_1_7B])
def test_checkpoints_have_the_architecture_and_can_prefer_the_letters(
    architecture: Architecture, tmp_path: Path
) -> None:
    small = architecture.shrunk()
    for letters in (False, True):
        folder = make_checkpoint(
            tmp_path / str(letters), small, 5, dtype="float32", letters=letters
        )
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert type(model).__name__ == f"{architecture.kind}ForCausalLM"
        tokenizer = AutoTokenizer.from_pretrained(folder)
        preferred = {tokenizer.encode(letter)[0] for letter in LETTERS}
        for prompt in ("Is it?", "a much longer question " * 50):
            tokens = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
            )
            top = model(**tokens).logits[0, -1].topk(len(LETTERS)).indices.tolist()
            assert (set(top) == preferred) is letters


def test_seeds_give_other_weights(tmp_path: Path) -> None:
    first, other, again = (
        make_checkpoint(tmp_path / str(n), QWEN2_5_1_5B.shrunk(), seed, dtype="float32")
        for n, seed in enumerate((1, 2, 1))
    )
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, other, again)]
    assert weights[0] == weights[2] != weights[1]
