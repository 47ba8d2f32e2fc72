"""A model's folder that somebody else made: what could run code is refused unless asked for."""

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
from tests.conftest import ROOT
from tests.e2e.fuzz.test_findings import DEEP, put

PICKLED = ("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl", "weights.npy")


def folder_of(path: Path, *names: str, **texts: str) -> Directory:
    path.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json", *names):
        put(path / name, "{}")
    for name, text in texts.items():
        put(path / f"{name.replace('_index', '.safetensors.index')}.json", text)
    return Directory(path)


def refusal(at: Directory, *, pickled: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        checkpoint.model_files(at, pickled=pickled)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", PICKLED)
def test_pickled_weights_are_refused(tmp_path: Path, name: str) -> None:
    at = folder_of(tmp_path / "m", name)
    assert "weights" in refusal(at)
    if name == "pytorch_model.bin":  # the one that can be asked for
        assert "?pickled=true" in refusal(at)
        assert name in checkpoint.model_files(at, pickled=True)
    else:
        assert "no weights" in refusal(at, pickled=True)


def test_beside_safe_weights_no_pickle_is_read(tmp_path: Path) -> None:
    at = folder_of(tmp_path / "m", "model.safetensors", *PICKLED)
    for pickled in (False, True):
        assert not {*PICKLED} & {*checkpoint.model_files(at, pickled=pickled)}


@pytest.mark.parametrize("shard", [*PICKLED, "model.safetensors.bin", "evil.py"])
def test_an_index_of_safe_weights_names_no_other(tmp_path: Path, shard: str) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": shard}})
    at = folder_of(tmp_path / "m", "model-1.safetensors", shard, model_index=index)
    assert repr(shard) in refusal(at)
    assert repr(shard) in refusal(at, pickled=True)


@pytest.mark.parametrize(
    "shard", ["../other/model.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..", ""]
)
def test_an_index_leads_nowhere_else(tmp_path: Path, shard: str) -> None:
    folder_of(tmp_path / "other", "model.safetensors")
    index = json.dumps({"weight_map": {"a": shard}})
    assert repr(shard) in refusal(folder_of(tmp_path / "m", model_index=index))


@pytest.mark.parametrize(
    "index", ["", "[]", "{}", '{"weight_map": 1}', '{"weight_map": {"a": 1}}', DEEP, "\ud800"]
)
def test_an_index_that_is_none(tmp_path: Path, index: str) -> None:
    assert refusal(folder_of(tmp_path / "m", model_index=index.encode(errors="replace").decode()))


@pytest.mark.parametrize(
    "said",
    ["", "[]", "1", DEEP, '{"base_model_name_or_path": 1}', '{"base_model_name_or_path": ["x"]}'],
    ids=lambda said: said[:30],
)
def test_an_adapter_that_says_nothing_of_its_base(tmp_path: Path, said: str) -> None:
    at = folder_of(tmp_path / "m", adapter_config=said)
    with pytest.raises(ConfigError, match=r"cannot read adapter_config\.json") as caught:
        checkpoint.locate_base(at, None)
    assert "\n" not in str(caught.value)


def test_nothing_is_trusted_without_a_word() -> None:
    for backend in (TransformersGenerator, RewardModel, VllmGenerator):
        for option in ("trust_remote_code", "pickled"):
            assert backend.Options.model_fields[option].default is False


def test_every_checkpoint_is_loaded_with_what_the_spec_says() -> None:
    """Wherever transformers opens files, the spec says whether their code may run."""
    text = (ROOT / "src/bakeoff/generators/transformers/checkpoint_loader.py").read_text(
        encoding="utf-8"
    )
    calls = [
        {word.arg: ast.unparse(word.value) for word in node.keywords}
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("from_pretrained")
        if not ast.unparse(node.func).startswith("PeftModel")  # an adapter has no code
    ]
    assert len(calls) == 2
    for call in calls:
        assert call["trust_remote_code"] == "files.trust_remote_code"
        assert call["local_files_only"] == "True"
