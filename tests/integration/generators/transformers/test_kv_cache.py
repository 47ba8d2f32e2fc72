"""Caches with merged rows, and packed linear layers, against those of transformers and torch."""

import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, DynamicCache

from bakeoff.generators.transformers import checkpoint_loader, kv_cache
from bakeoff.generators.transformers.kv_cache import CachePart
from bakeoff.generators.transformers.packed_linear import PackedLinear, pack_linear_layers
from tests.tiny_models import make_tiny_model

_box = nn.Sequential(nn.Linear(2, 2))
pack_linear_layers(_box)
PACKS = pytest.mark.skipif(not isinstance(_box[0], PackedLinear), reason="no x86 CPU with oneDNN")


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(make_tiny_model(tmp_path))


def filled(rows: int, length: int) -> DynamicCache:
    cache = DynamicCache()
    for layer in range(2):
        shape = (rows, 2, length, 8)
        cache.update(torch.randn(shape), torch.randn(shape), layer)
    return cache


@pytest.mark.parametrize("room", [0, 2, 9])
def test_merged_rows_are_padded_on_the_left_and_grow(room: int) -> None:
    long, short = filled(3, 7), filled(2, 4)
    parts = [
        (layer.keys, other.keys) for layer, other in zip(long.layers, short.layers, strict=True)
    ]
    new = [torch.randn(5, 2, 1, 8) for _ in range(4)]
    merged = kv_cache.merge([CachePart(long, [2, 0], skip=1), CachePart(short, [1, 1, 0])], room)
    assert merged.get_seq_length() == 6
    assert all(layer.keys is None for layer in (*long.layers, *short.layers))
    for states in new:
        for layer in range(2):
            merged.update(states, states, layer)
    for layer, (keys, others) in zip(merged.layers, parts, strict=True):
        padded = nn.functional.pad(others[[1, 1, 0]], (0, 0, 2, 0))
        expected = torch.cat([torch.cat([keys[[2, 0], :, 1:], padded]), *new], dim=2)
        assert torch.equal(layer.keys, expected)
        assert torch.equal(layer.values[:, :, 6:], expected[:, :, 6:])


@PACKS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_compute_the_same_for_each_number_of_rows(dtype: torch.dtype) -> None:
    layer = nn.Linear(48, 80, dtype=dtype)
    packed = PackedLinear(layer)
    states = torch.randn(33, 48, dtype=dtype)
    with torch.inference_mode():
        product = packed(states)
        assert torch.allclose(
            product, layer(states), rtol=0.02, atol=1e-5 if dtype.itemsize == 4 else 0.02
        )
        for rows in (1, 2, 7, 32):
            assert torch.equal(packed(states[:rows]), product[:rows])
        assert torch.equal(packed(states.reshape(3, 11, 48)).reshape(33, 80), product)


@PACKS
def test_only_plain_linear_layers_with_full_or_half_weights_are_packed(model: Any) -> None:
    model.model.layers[0].mlp.up_proj.half()
    model.model.layers[0].mlp.down_proj = nn.modules.linear.NonDynamicallyQuantizableLinear(64, 32)
    pack_linear_layers(model)
    mlp = model.model.layers[0].mlp
    assert type(mlp.up_proj) is nn.Linear
    assert not isinstance(mlp.down_proj, PackedLinear)
    assert isinstance(mlp.gate_proj, PackedLinear)
    assert isinstance(model.lm_head, PackedLinear)
    assert model.get_memory_footprint() > 0


@PACKS
@pytest.mark.parametrize(("dora", "packed"), [(False, True), (True, False)])
def test_models_with_a_lora_are_packed_and_other_adapters_not(
    model: Any, dora: bool, packed: bool
) -> None:
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False, use_dora=dora
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 beside transformers 5.23
        adapted = peft.get_peft_model(model, config).eval()
    tokens = torch.arange(20)[None]
    with torch.inference_mode():
        expected = adapted(tokens).logits
        checkpoint_loader._pack(adapted)
        assert torch.allclose(adapted(tokens).logits, expected, atol=1e-4)
    assert any(isinstance(module, PackedLinear) for module in adapted.modules()) == packed


@PACKS
def test_custom_code_is_not_packed(model: Any) -> None:
    model.config.auto_map = {"AutoModelForCausalLM": "modeling_x.Y"}
    checkpoint_loader._pack(model)
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
