"""Untrusted model folders: files that can run code are refused unless the spec allows them."""

import ast
import json
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.generators.hub import checkpoint
from bakeoff.generators.hub.directory import Directory
from bakeoff.generators.transformers.generator import TransformersGenerator
from bakeoff.generators.transformers.reward import RewardModel
from bakeoff.generators.vllm.generator import VllmGenerator
from tests.builders import write_file
from tests.conftest import ROOT
from tests.e2e.fuzz.test_findings import DEEP

PICKLED = ("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl", "weights.npy")


def folder_of(path: Path, *names: str, **texts: str) -> Directory:
    path.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", *names):
        write_file(path / name, "{}")
    for name, text in texts.items():
        write_file(path / f"{name.replace('_index', '.safetensors.index')}.json", text)
    return Directory(path)


def refusal(directory: Directory, *, pickled: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        checkpoint.model_files(directory, pickled=pickled)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", PICKLED)
def test_pickled_weights_are_refused(tmp_path: Path, name: str) -> None:
    directory = folder_of(tmp_path / "m", name)
    assert "weights" in refusal(directory)
    if name == "pytorch_model.bin":  # the only one that an option allows
        assert "?pickled=true" in refusal(directory)
        assert name in checkpoint.model_files(directory, pickled=True)
    else:
        assert "no weights" in refusal(directory, pickled=True)


def test_pickles_beside_safetensors_are_not_read(tmp_path: Path) -> None:
    directory = folder_of(tmp_path / "m", "model.safetensors", *PICKLED)
    for pickled in (False, True):
        assert not {*PICKLED} & {*checkpoint.model_files(directory, pickled=pickled)}


@pytest.mark.parametrize("shard", [*PICKLED, "model.safetensors.bin", "evil.py"])
def test_safetensors_index_with_other_files_is_refused(tmp_path: Path, shard: str) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": shard}})
    directory = folder_of(tmp_path / "m", "model-1.safetensors", shard, model_index=index)
    assert repr(shard) in refusal(directory)
    assert repr(shard) in refusal(directory, pickled=True)


@pytest.mark.parametrize(
    "shard", ["../other/model.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..", ""]
)
def test_index_with_paths_outside_the_folder_is_refused(tmp_path: Path, shard: str) -> None:
    folder_of(tmp_path / "other", "model.safetensors")
    index = json.dumps({"weight_map": {"a": shard}})
    assert repr(shard) in refusal(folder_of(tmp_path / "m", model_index=index))


@pytest.mark.parametrize(
    "index", ["", "[]", "{}", '{"weight_map": 1}', '{"weight_map": {"a": 1}}', DEEP, "\ud800"]
)
def test_invalid_index_is_refused(tmp_path: Path, index: str) -> None:
    assert refusal(folder_of(tmp_path / "m", model_index=index.encode(errors="replace").decode()))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", DEEP, '{"base_model_name_or_path": 1}', '{"base_model_name_or_path": ["x"]}'],
    ids=lambda text: text[:30],
)
def test_adapter_without_a_base_is_refused(tmp_path: Path, text: str) -> None:
    directory = folder_of(tmp_path / "m", adapter_config=text)
    with pytest.raises(ConfigError, match=r"cannot read adapter_config\.json") as caught:
        checkpoint.locate_base(directory, None)
    assert "\n" not in str(caught.value)


def test_remote_code_and_pickles_are_off_by_default() -> None:
    for backend in (TransformersGenerator, RewardModel, VllmGenerator):
        for option in ("trust_remote_code", "pickled"):
            assert backend.Options.model_fields[option].default is False


def test_checkpoints_are_loaded_with_the_trust_of_the_spec() -> None:
    """Each `from_pretrained` call takes `trust_remote_code` from the spec."""
    text = (ROOT / "src/bakeoff/generators/transformers/checkpoint_loader.py").read_text(
        encoding="utf-8"
    )
    calls = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("from_pretrained")
        if not ast.unparse(node.func).startswith("PeftModel")  # an adapter contains no code
    ]
    assert len(calls) == 2
    for call in calls:
        assert call["trust_remote_code"] == "files.trust_remote_code"
        assert call["local_files_only"] == "True"
