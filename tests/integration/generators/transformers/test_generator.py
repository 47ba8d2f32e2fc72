import asyncio
import importlib.util
import json
import logging
import os
import re
import shutil
import sys
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.generators.transformers import checkpoint_loader
from bakeoff.generators.transformers.checkpoint_loader import quiet_transformers
from bakeoff.generators.transformers.tokenization import (
    ModelTokenizer,
    encode_prompt,
    wrap_tokenizer,
)
from bakeoff.records import Completion, Prompt
from bakeoff.testing import refused_url, run_worker
from tests.builders import make_dialogue
from tests.hub_server import loopback_hub, python_with_hub
from tests.integration.generators.transformers.hf_generators import completions as completions_of
from tests.integration.generators.transformers.hf_generators import edit_json, hf_generator, steps
from tests.tiny_models import CHAT_TEMPLATE, CONTEXT, make_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture(scope="session")
def lora(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tiny, tmp_path_factory.mktemp("lora"))


@pytest.fixture(scope="session")
def tokens(tiny: Path) -> ModelTokenizer:
    return wrap_tokenizer(
        AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    )


def make_adapter(base: Path, folder: Path, **options: Any) -> Path:
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 beside transformers 5.23
        torch.manual_seed(1)
        model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder, **options)
    return folder


PROMPTS = [
    make_dialogue(text) for text in ("hi", "a longer one " * 9, "Why?", "why not? " * 4, "x")
]


def completions(
    target: Path | str, prompts: list[Prompt] = PROMPTS, **sampling: Any
) -> list[Completion]:
    return completions_of(target, prompts, **sampling)


def prepare_error(target: Path | str) -> str:
    """The message of the ConfigError of `prepare`, which has one line."""

    async def run() -> None:
        generator = hf_generator(target)
        await generator.prepare()

    with pytest.raises(ConfigError) as caught:
        asyncio.run(run())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load_error(target: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        completions(target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_weights(folder: Path, **changes: Any) -> None:
    """Change a weight by its name, with `_` for `.`; None takes it out."""
    weights = load_file(folder / "model.safetensors")
    for name in list(weights):
        change = changes.get(name.replace(".", "_"), lambda weight: weight)
        before = weights.pop(name)
        if change is not None:
            weights[name] = change(before)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# ---------------------------------------------------------------------------------- sampling


def test_greedy_completions_equal_those_of_transformers(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for ours, prompt in zip(completions(tiny), PROMPTS, strict=True):
        ids = tokenizer.apply_chat_template(
            prompt.conversation(), add_generation_prompt=True, return_tensors="pt"
        )
        generated = model.generate(**ids, max_new_tokens=24, do_sample=False)
        new = generated[0, ids["input_ids"].shape[1] :]
        token_ids = [i for i in new.tolist() if i not in tokenizer.all_special_ids]
        assert ours.tokens == len(new) - (new[-1].item() == tokenizer.eos_token_id)
        assert (ours.raw or ours.text) == tokenizer.decode(token_ids).replace("<|start|>", "")


def test_a_prompt_has_the_same_completion_in_a_batch_and_alone(tiny: Path) -> None:
    together = completions(f"{tiny}?batch_size=5")
    assert together == completions(f"{tiny}?batch_size=1")
    assert len({completion.text for completion in together}) > 2


def test_a_sample_depends_on_the_seed_and_the_prompt_only(tiny: Path) -> None:
    drawn = completions(f"{tiny}?batch_size=5", temperature=1.0, seed=7)
    assert drawn == completions(f"{tiny}?batch_size=5", temperature=1.0, seed=7)
    assert drawn == completions(f"{tiny}?batch_size=2", PROMPTS, temperature=1.0, seed=7)
    assert drawn[::-1] == completions(tiny, PROMPTS[::-1], temperature=1.0, seed=7)
    other = completions(tiny, temperature=1.0, seed=8)
    assert sum(first.text != second.text for first, second in zip(drawn, other, strict=True)) > 2


def test_sampling_does_not_change_torchs_global_generator(tiny: Path) -> None:
    before = torch.get_rng_state()
    completions(tiny, temperature=1.0)
    assert torch.equal(before, torch.get_rng_state())


def test_the_models_generation_settings_are_not_used(tiny: Path, copy: Path) -> None:
    edit_json(
        copy / "generation_config.json",
        **{"repetition_penalty": 9.0, "suppress_tokens": list(range(0, 200, 2)), "top_k": 1},
        **{"min_new_tokens": 20, "do_sample": True, "temperature": 3.0, "num_beams": 3},
    )
    assert completions(copy) == completions(tiny)
    assert completions(copy, temperature=1.0) == completions(tiny, temperature=1.0)


def test_finish_is_length_at_max_tokens_and_stop_at_an_end_token(tiny: Path) -> None:
    done = completions(
        tiny,
        [make_dialogue(f"{i}?") for i in range(24)],
        temperature=1.3,
        top_p=1.0,
        max_tokens=100,
    )
    assert {completion.finish for completion in done} == {"length", "stop"}
    for completion in done:
        assert completion.tokens is not None
        assert (completion.finish == "length") == (completion.tokens == 100)
        assert "<|end|>" not in (completion.raw or completion.text)


def test_top_logprobs_are_those_of_the_first_token_before_temperature(tiny: Path) -> None:
    prompts = [make_dialogue("Why?"), make_dialogue("a longer one " * 9)]
    ours = [c.top_logprobs for c in completions(tiny, prompts, top_logprobs=5)]
    assert ours == [
        c.top_logprobs for c in completions(tiny, prompts, top_logprobs=5, temperature=1.9)
    ]
    assert completions(tiny, prompts)[0].top_logprobs is None
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), None
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for top, prompt in zip(ours, prompts, strict=True):
        ids = tokenizer.apply_chat_template(
            prompt.conversation(), add_generation_prompt=True, return_tensors="pt"
        )
        best = model(**ids).logits[0, -1].log_softmax(-1).topk(5)
        expected: dict[str, float] = {}
        for value, token in zip(best.values, best.indices, strict=True):
            text = tokenizer.decode([token])
            expected[text] = expected.get(text, 0.0) + value.exp().item()
        assert top is not None
        probabilities = {text: torch.tensor(value).exp().item() for text, value in top.items()}
        assert probabilities == pytest.approx(expected, rel=1e-4)


def test_a_model_that_computes_nan_fails_every_prompt(copy: Path) -> None:
    edit_weights(copy, lm_head_weight=lambda weight: weight * float("nan"))
    for outcome in run_worker(hf_generator(copy, max_tokens=4), PROMPTS[:2]):
        assert isinstance(outcome, BackendError)
        assert "dtype" in outcome.message


# ------------------------------------------------------------------------ prompts and tokens


def rendered(tokens: ModelTokenizer, prompt: Prompt, **sampling: Any) -> str:
    row = encode_prompt(tokens, prompt, Sampling(**sampling))
    return str(tokens.tokenizer.decode(row.tokens))


def test_a_prompt_is_rendered_by_the_chat_template(tokens: ModelTokenizer) -> None:
    assert rendered(tokens, make_dialogue("hi"), system="be kind") == (
        "<|start|>system\nbe kind<|end|>\n<|start|>user\nhi<|end|>\n<|start|>assistant\n"
    )


def test_a_last_assistant_turn_is_continued(tokens: ModelTokenizer) -> None:
    prompt = make_dialogue("count", "one, two,")
    assert rendered(tokens, prompt).endswith("<|start|>assistant\none, two,")


def test_a_template_without_system_turns_gets_the_system_prompt_in_the_first_turn(
    copy: Path,
) -> None:
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('none') }}{% endif %}"
    (copy / "chat_template.jinja").write_text(refuses + CHAT_TEMPLATE)
    plain = completions(copy, [make_dialogue("be kind\n\nhi")])
    assert completions(copy, [make_dialogue("hi")], system="be kind") == plain


def test_a_prompt_that_the_template_refuses_fails_alone(copy: Path) -> None:
    refuses = "{% if 'bad' in messages[0]['content'] %}{{ raise_exception('no!') }}{% endif %}"
    refuses += "{% if messages | length > 1 %}{{ raise_exception('one turn only') }}{% endif %}"
    (copy / "chat_template.jinja").write_text(refuses + CHAT_TEMPLATE)
    bad, good = run_worker(
        hf_generator(copy, max_tokens=4), [make_dialogue("bad"), make_dialogue("good")]
    )
    assert isinstance(bad, BackendError)
    assert "no!" in bad.message
    assert isinstance(good, Completion)


def test_special_thinking_tags_stay_in_the_text(tokens: ModelTokenizer) -> None:
    ids = tokens.tokenizer("<think>hm</think>yes<|end|><pad>")["input_ids"]
    assert {259, 260} <= set(tokens.tokenizer.added_tokens_decoder)
    assert tokens.decode(ids) == "<think>hm</think>yes"


def test_thinking_opened_by_the_template_is_not_in_the_text(copy: Path) -> None:
    opens = CHAT_TEMPLATE.replace("assistant\n{%", "assistant\n<think>\n{%")
    assert opens != CHAT_TEMPLATE
    (copy / "chat_template.jinja").write_text(opens)
    cut = completions(copy, [make_dialogue("Why?")], max_tokens=8)[0]
    assert (cut.text, cut.finish) == ("", "length")
    assert cut.thinking


def test_the_templates_end_of_turn_token_ends_a_completion(tiny: Path, copy: Path) -> None:
    for file in ("config.json", "generation_config.json"):
        edit_json(copy / file, eos_token_id=258)
    edit_json(copy / "tokenizer_config.json", eos_token="<pad>")
    prompts = [make_dialogue(f"{i}?") for i in range(12)]
    expected = completions(tiny, prompts, temperature=1.0, max_tokens=100)
    assert "stop" in {completion.finish for completion in expected}
    stopped = [c for c in expected if c.finish == "stop"]
    outcomes = completions(copy, prompts, temperature=1.0, max_tokens=100)
    assert [c for c in outcomes if c in stopped] == stopped


def test_a_prompt_that_fills_the_context_gets_the_remaining_tokens(tiny: Path) -> None:
    room = 5
    overhead = len("<|start|>user\n\n<|start|>assistant\n") - 2 * len("<|start|>") + 3
    long = make_dialogue("x" * (CONTEXT - overhead - room))
    done = run_worker(
        hf_generator(tiny, temperature=0, max_tokens=24),
        [make_dialogue("Why?"), long, make_dialogue("y" * CONTEXT)],
    )
    assert done[0] == completions(tiny, [make_dialogue("Why?")])[0]
    assert isinstance(done[1], Completion)
    assert (done[1].finish, done[1].tokens) == ("length", room)
    assert isinstance(done[2], BackendError)
    assert str(CONTEXT) in done[2].message


def test_a_token_outside_the_models_vocabulary_fails_its_prompt(copy: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["hello"])
    tokenizer.save_pretrained(copy)
    foreign, own = run_worker(
        hf_generator(copy, max_tokens=2), [make_dialogue("hello"), make_dialogue("hi")]
    )
    assert isinstance(foreign, BackendError)
    assert "tokenizer" in foreign.message
    assert isinstance(own, Completion)


@pytest.fixture(scope="session")
def overfitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model without a chat template, overfitted to one text."""
    folder = make_tiny_model(tmp_path_factory.mktemp("overfitted"), chat_template=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).train()
    text = "Question: Where?\n\nAnswer: Paris.\n\nQuestion: Who?\n\nAnswer: Me."
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def test_without_a_chat_template_prompts_are_question_and_answer(
    overfitted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paris, other = completions(
        f"{overfitted}?batch_size=1", [make_dialogue("Where?"), make_dialogue("Who")]
    )
    assert (paris.text, paris.finish) == ("Paris.", "stop")
    assert paris.tokens == len(" Paris.\n\nQuestion:")  # generation stopped there
    assert other.text
    warnings_ = [record for record in caplog.records if "chat template" in record.message]
    assert [record.levelname for record in warnings_] == ["WARNING"]
    knows = wrap_tokenizer(
        AutoTokenizer.from_pretrained(overfitted), AutoModelForCausalLM.from_pretrained(overfitted)
    )
    assert rendered(knows, make_dialogue("A?", "B.", "C?"), system="S.") == (
        "S.\n\nQuestion: A?\n\nAnswer: B.\n\nQuestion: C?\n\nAnswer:"
    )
    assert rendered(knows, make_dialogue("A?", "B and")).endswith("Answer: B and")


# -------------------------------------------------------------------------------- adapters


def test_an_adapter_changes_the_text(tiny: Path, lora: Path) -> None:
    adapted = completions(f"{tiny}?adapter={lora}")
    assert adapted != completions(tiny)
    assert adapted == completions(lora)  # it names its base
    assert hf_generator(lora).identity == hf_generator(f"{tiny}?adapter={lora}").identity
    assert hf_generator(lora).identity != hf_generator(tiny).identity
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = peft.AutoPeftModelForCausalLM.from_pretrained(lora)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    ids = tokenizer.apply_chat_template(
        PROMPTS[2].conversation(), add_generation_prompt=True, return_tensors="pt"
    )
    generated = model.generate(**ids, max_new_tokens=24, do_sample=False)[
        0, ids["input_ids"].shape[1] :
    ]
    assert adapted[2].tokens == int((generated != 256).sum())


def test_an_adapter_beside_a_full_model_is_not_applied(tiny: Path, copy: Path, lora: Path) -> None:
    for file in lora.glob("adapter_*"):
        shutil.copy(file, copy)
    assert completions(copy) == completions(tiny)


def test_an_adapter_with_added_tokens_resizes_the_embeddings(tiny: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.add_tokens(["hello"])
    base = AutoModelForCausalLM.from_pretrained(tiny)
    base.resize_token_embeddings(len(tokenizer))
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = peft.get_peft_model(base, config)
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path)
    assert completions(tmp_path, [make_dialogue("hello")])[0].tokens is not None


def test_adapters_with_missing_weights_or_base_are_refused(
    tiny: Path, lora: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(lora, tmp_path / "lora"))
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "layers.0" in k}, file)
    assert "does not fit" in load_error(folder)
    assert "is an adapter" in prepare_error(f"{folder}?adapter={lora}")
    edit_json(folder / "adapter_config.json", base_model_name_or_path=None)
    assert "names no base model" in prepare_error(folder)
    edit_json(folder / "adapter_config.json", base_model_name_or_path="/gone/base")
    assert "'/gone/base'" in prepare_error(folder)
    assert "hf:BASE?adapter=" in prepare_error(folder)
    (folder / "adapter_config.json").write_text("{")
    assert "cannot read adapter_config.json" in prepare_error(folder)
    file.unlink()
    make_adapter(tiny, folder, safe_serialization=False)
    assert "pickled" in prepare_error(folder)
    assert completions(f"{folder}?pickled=true") == completions(lora)


# -------------------------------------------------------------------------------- identity


def test_the_identity_depends_on_the_files_contents_only(tiny: Path, copy: Path) -> None:
    before = hf_generator(tiny).identity
    assert hf_generator(copy).identity == before
    (copy / "README.md").write_text("hello")
    (copy / "trainer_state.json").write_text("{}")
    (copy / "optimizer.bin").write_bytes(b"0")
    assert hf_generator(copy).identity == before
    assert hf_generator(f"{copy}?batch_size=3&device=cpu").identity == before
    assert hf_generator(f"{copy}?dtype=bfloat16").identity != before

    def one_weight(weight: torch.Tensor) -> torch.Tensor:
        weight[3, 4] += 1e-3
        return weight

    edit_weights(copy, lm_head_weight=one_weight)
    assert hf_generator(copy).identity != before


@pytest.mark.parametrize("at", [0, 2_999_999])
def test_the_fingerprint_of_a_large_file_covers_its_first_and_last_byte(
    copy: Path, at: int
) -> None:
    weights = bytearray(os.urandom(3_000_000))
    (copy / "model.safetensors").write_bytes(weights)
    before = hf_generator(copy).identity
    weights[at] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert hf_generator(copy).identity != before


def test_files_that_change_before_loading_are_refused(copy: Path) -> None:
    generator = hf_generator(copy)
    assert generator.identity
    edit_json(copy / "config.json", rope_theta=77.0)
    with pytest.raises(ConfigError, match="changed"):
        run_worker(generator, PROMPTS[:1])


def test_the_identity_imports_no_torch(tiny: Path, tmp_path: Path) -> None:
    code = """
import sys
from bakeoff.config import Sampling, Spec
from bakeoff.plugins import RunContext, open_generator
assert open_generator(Spec.parse(sys.argv[1]), RunContext(Sampling())).identity
assert not {"torch", "transformers", "huggingface_hub"} & set(sys.modules)
"""
    done = python_with_hub(code, "http://127.0.0.1:9", tmp_path, f"hf:{tiny}")
    assert (done.returncode, done.stderr) == (0, "")


# ---------------------------------------------------------------------------- quantization


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


QUANTIZERS = {"8bit": ["torchao", "bitsandbytes"], "4bit": ["bitsandbytes"]}


@pytest.mark.parametrize("bits", QUANTIZERS)
def test_quantized_weights_complete_and_have_their_own_identity(tmp_path: Path, bits: str) -> None:
    if not any(map(installed, QUANTIZERS[bits])):
        pytest.skip(f"needs {' or '.join(QUANTIZERS[bits])}")
    # bitsandbytes quantizes blocks of 64 weights.
    tiny = make_tiny_model(tmp_path, hidden_size=64)
    spec = f"{tiny}?quantization={bits}"
    quantized = hf_generator(spec)
    assert quantized.identity["quantization"][0] == bits  # type: ignore[index,call-overload]
    assert quantized.identity != hf_generator(tiny).identity
    assert quantized.weights == hf_generator(tiny).weights  # the key of the files
    layer = quantized._load().model.model.layers[0].self_attn.q_proj
    full = AutoModelForCausalLM.from_pretrained(tiny).model.layers[0].self_attn.q_proj
    states = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = full(states)
        error = (layer(states).float() - expected).norm() / expected.norm()
    assert 1e-4 < error < (0.02 if bits == "8bit" else 0.2)  # rounding to 255 or 16 levels
    for completion in completions(spec, max_tokens=4):
        assert completion.tokens


@pytest.mark.parametrize("bits", QUANTIZERS)
def test_a_missing_quantizer_is_named(
    tiny: Path, bits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torchao", "bitsandbytes"):
        monkeypatch.setitem(sys.modules, package, None)
    assert prepare_error(f"{tiny}?quantization={bits}") == (
        f"'hf:{tiny}': quantization={bits} needs: pip install {' or '.join(QUANTIZERS[bits])}"
    )


def test_quantization_of_quantized_files_is_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_loader, "choose_quantizer", lambda *_: "torchao")
    assert "'2bit'" in prepare_error(f"{copy}?quantization=2bit")
    assert "GGUF" in prepare_error(f"{copy}?quantization=8bit&gguf_file=x.gguf")
    edit_json(copy / "config.json", quantization_config={"quant_method": "fp8"})
    assert "is quantized already" in prepare_error(f"{copy}?quantization=8bit")


def test_without_the_option_no_quantizer_is_imported(tiny: Path, tmp_path: Path) -> None:
    code = (
        RUN
        + """
assert "transformers" in sys.modules
assert not {"torchao", "bitsandbytes"} & set(sys.modules)
"""
    )
    done = python_with_hub(code, "http://127.0.0.1:9", tmp_path, f"hf:{tiny}")
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------- invalid checkpoints


def test_missing_files_and_wrong_options_are_refused_before_loading(
    copy: Path, tmp_path: Path
) -> None:
    assert (
        prepare_error(tmp_path / "gone")
        == f"no directory {str(tmp_path / 'gone')!r}: check the path"
    )
    assert "?gguf_file=config.json" in prepare_error(copy / "config.json")
    assert "no revision" in prepare_error(f"{copy}?revision=main")
    assert "no revision" in prepare_error(f"{copy}?revision=main&adapter=me/lora")
    assert "no 'x.gguf'" in prepare_error(f"{copy}?gguf_file=x.gguf")
    assert "no option 'size'" in prepare_error(f"{copy}?size=4")
    assert "not both" in prepare_error(f"{copy}?device=cpu&device_map=auto")
    assert "write cuda" in prepare_error(f"{copy}?device=toaster")
    assert "adapter_config.json" in prepare_error(f"{copy}?adapter={copy}")
    (copy / "tokenizer.json").rename(tmp_path / "t")
    assert "no tokenizer" in prepare_error(copy)
    (tmp_path / "t").rename(copy / "tokenizer.json")
    (copy / "model.safetensors").unlink()
    assert "no weights" in prepare_error(copy)
    (copy / "config.json").unlink()
    assert "no config.json" in prepare_error(copy)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here")
def test_a_device_that_this_machine_lacks_is_refused(tiny: Path) -> None:
    assert "best there is here is 'cpu'" in prepare_error(f"{tiny}?device=cuda")


def test_sharded_weights_are_loaded_and_missing_shards_refused(tiny: Path, copy: Path) -> None:
    expected = completions(tiny)
    (copy / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(tiny).save_pretrained(copy, max_shard_size="50KB")
    assert len(list(copy.glob("model-*.safetensors"))) > 1
    assert completions(copy) == expected
    shard = sorted(copy.glob("model-*.safetensors"))[-1]
    shard.unlink()
    assert f"lacks {shard.name!r}" in prepare_error(copy)
    (copy / "model.safetensors.index.json").write_text("[]")
    assert "cannot read" in prepare_error(copy)


def test_pickled_weights_need_the_option_pickled(tiny: Path, copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    torch.save(load_file(tiny / "model.safetensors"), copy / "pytorch_model.bin")
    assert "?pickled=true" in prepare_error(copy)
    assert completions(f"{copy}?pickled=true") == completions(tiny)


def test_missing_mismatched_and_cut_weights_are_refused(copy: Path, tmp_path: Path) -> None:
    content = (copy / "model.safetensors").read_bytes()
    edit_weights(copy, lm_head_weight=None)
    assert "no weights for 'lm_head.weight'" in load_error(copy)
    (copy / "model.safetensors").write_bytes(content)
    edit_json(copy / "config.json", hidden_size=64, head_dim=8)
    assert re.search(r"has the shape .* its config says", load_error(copy))
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert "cannot be loaded" in load_error(copy)


def test_custom_code_needs_trust_remote_code(copy: Path) -> None:
    trap = copy / "ran"
    (copy / "modeling_x.py").write_text(f"open({str(trap)!r}, 'w')\n")
    edit_json(
        copy / "config.json",
        model_type="x",
        auto_map={"AutoConfig": "modeling_x.X", "AutoModelForCausalLM": "modeling_x.Y"},
    )
    assert "?trust_remote_code=true" in load_error(copy)
    assert not trap.exists()


def test_a_model_too_large_for_the_device_is_a_config_error(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(self: Any, *args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "__init__", too_large)
    assert "does not fit into the memory of 'cpu'" in load_error(f"{tiny}?device=cpu")


def test_dtype_and_device_map(tiny: Path) -> None:
    expected = completions(tiny, max_tokens=1, top_logprobs=3)
    assert (
        completions(f"{tiny}?device_map=auto&dtype=float32", max_tokens=1, top_logprobs=3)
        == expected
    )
    half = completions(f"{tiny}?dtype=bfloat16", max_tokens=1, top_logprobs=3)
    assert half != expected
    for outcome, reference in zip(half, expected, strict=True):
        assert outcome.top_logprobs is not None
        assert reference.top_logprobs is not None
        assert max(outcome.top_logprobs.values()) == pytest.approx(
            max(reference.top_logprobs.values()), abs=0.1
        )


@pytest.mark.parametrize("module", ["torch", "peft", "gguf", "huggingface_hub"])
def test_a_missing_extra_is_named(
    tiny: Path, lora: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    targets = {"torch": tiny, "peft": lora, "gguf": f"{tiny}?gguf_file=x.gguf"}
    targets["huggingface_hub"] = "me/model"
    monkeypatch.setitem(sys.modules, module, None)
    assert "pip install 'bakeoff[hf]'" in prepare_error(targets[module])


# ---------------------------------------------------------------------------------- memory


@pytest.fixture
def small_memory() -> Iterator[list[int]]:
    """Limit the device to two rows of up to 200 tokens; the sizes of the batches tried."""
    tried: list[int] = []

    def limited(rows: int, width: int) -> None:
        if width > 1:
            tried.append(rows)
        if rows > 2 or width > 200:
            raise torch.OutOfMemoryError("out of memory")

    with steps(act=limited):
        yield tried


def test_out_of_memory_halves_the_batch_and_continues(tiny: Path, small_memory: list[int]) -> None:
    prompts = [make_dialogue(f"{i}?") for i in range(8)]
    expected = completions(f"{tiny}?batch_size=2", prompts)
    small_memory.clear()
    assert completions(tiny, prompts) == expected
    assert small_memory[:2] == [8, 4]
    assert max(small_memory[2:]) == 2
    assert sum(small_memory[2:]) == 8


def test_later_batches_keep_the_halved_size(tiny: Path, small_memory: list[int]) -> None:
    completions(f"{tiny}?batch_size=4", [make_dialogue(f"{i}?") for i in range(8)])
    assert small_memory[0] == 4
    assert max(small_memory[1:]) == 2
    assert sum(small_memory[1:]) == 8


def test_only_a_prompt_that_does_not_fit_alone_fails(tiny: Path, small_memory: list[int]) -> None:
    prompts = [make_dialogue("a"), make_dialogue("b" * 300), make_dialogue("c")]
    first, second, third = run_worker(hf_generator(tiny, max_tokens=8), prompts)
    assert isinstance(first, Completion)
    assert isinstance(third, Completion)
    assert isinstance(second, BackendError)
    assert "out of memory" in second.message


def test_other_errors_are_raised(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "generate", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run_worker(hf_generator(tiny), PROMPTS)


def test_quiet_transformers_restores_the_log_level() -> None:
    logger = transformers.utils.logging.get_logger("transformers.generation.utils")
    assert logger.isEnabledFor(logging.WARNING)
    with quiet_transformers():
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.isEnabledFor(logging.WARNING)


def test_keep_loaded_is_true_for_a_small_loaded_model_only(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room, kept in ((1 << 34, True), (1 << 10, False)):
        monkeypatch.setattr(
            "bakeoff.generators.transformers.scheduler._free_bytes", lambda device, r=room: r
        )
        model = hf_generator(tiny, max_tokens=2)
        assert not model.traits.keep_loaded
        asyncio.run(model(PROMPTS[:1], lambda *_: None))
        assert model.traits.keep_loaded == kept
        asyncio.run(model.close())
        assert not model.traits.keep_loaded


def test_closing_frees_the_model_and_a_later_call_loads_it_again(tiny: Path) -> None:
    generator = hf_generator(tiny, temperature=0, max_tokens=8)
    outcomes: list[Completion | WorkError] = []

    async def run() -> weakref.ref[Any]:
        await generator(PROMPTS[:1], lambda _, outcome: outcomes.append(outcome))
        assert generator._loaded is not None
        model = weakref.ref(generator._loaded.model)
        await generator.close()
        return model

    assert asyncio.run(run())() is None
    asyncio.run(run())
    assert outcomes[0] == outcomes[1]


def test_attention_is_sdpa_and_dtype_follows_the_device(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = hf_generator(tiny)._load()
    assert loaded.model.config._attn_implementation == "sdpa"
    assert loaded.model.dtype == torch.float32
    for full, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: full)  # noqa: B023
        assert checkpoint_loader._dtype("auto", torch.device("cuda")) == dtype
    assert checkpoint_loader._dtype("auto", torch.device("mps")) == torch.bfloat16
    assert checkpoint_loader._dtype("float32", torch.device("cuda")) == torch.float32


def test_rank_is_the_number_of_characters(tiny: Path) -> None:
    generator = hf_generator(tiny)
    assert [
        generator.sort_key(prompt)
        for prompt in (make_dialogue("abc"), make_dialogue("ab", "c", "d"))
    ] == [3, 4]


# ------------------------------------------------------------------------------------- hub

RUN = """
import asyncio, json, sys
from bakeoff.config import Sampling, Spec
from bakeoff.errors import BakeoffError
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Message, Prompt

async def complete(generator):
    said = []
    await generator.prepare()
    question = Prompt(messages=(Message(role="user", content="Why?"),))
    await generator([question], lambda _, outcome: said.append(outcome.text))
    await generator.close()
    return said[0]

for token in sys.argv[1:]:
    spec = Spec.parse(token.removeprefix("only "))
    generator = open_generator(spec, RunContext(Sampling(temperature=0, max_tokens=24)))
    try:
        known = generator.identity
        text = None if token.startswith("only ") else asyncio.run(complete(generator))
        print(json.dumps([known, text]))
    except BakeoffError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


def run_on_hub(endpoint: str, home: Path, *tokens: str, **env: str) -> list[list[Any]]:
    done = python_with_hub(RUN, endpoint, home, *tokens, **env)
    assert (done.returncode, done.stderr) == (0, "")  # no progress bar and no warning
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
def test_a_model_on_the_hub(tiny: Path, lora: Path, tmp_path: Path) -> None:
    adapter = Path(shutil.copytree(lora, tmp_path / "adapter"))
    edit_json(adapter / "adapter_config.json", base_model_name_or_path="me/tiny")
    local = completions(tiny, [make_dialogue("Why?")])[0].text
    home = tmp_path / "home"
    repos = {"me/tiny": tiny, "me/lora": adapter, "me/closed": tiny}
    with loopback_hub(repos, gated=["me/closed"]) as hub:
        outcomes = run_on_hub(
            hub, home, "hf:me/tiny", "me/lora", "me/none", "me/closed", "me/tiny?revision=v9", "a b"
        )
        requests = [request for request in hub.requests if "/me/tiny" in request]
    (known, text), (adapted, other) = outcomes[:2]
    commit = known["model"]["commit"]
    assert known["model"] == {"repo": "me/tiny", "commit": commit}
    assert text == local
    assert adapted["model"] == known["model"]
    assert other == completions(lora, [make_dialogue("Why?")])[0].text
    errors = {"none": "no such model", "closed": "is gated", "v9": "no revision 'v9'"}
    for (kind, message), words in zip(outcomes[2:5], errors.values(), strict=True):
        assert (kind, "\n" in message) == ("ConfigError", False)
        assert words in message
    assert "hf auth login" in outcomes[3][1]
    assert "neither a directory nor a hub id" in outcomes[5][1]
    read = [request for request in requests if "/resolve/" in request]
    assert read
    assert all(f"/resolve/{commit}/" in request for request in read)

    # Without the hub, the cache has both repositories.
    offline = run_on_hub(hub, home, "hf:me/tiny", "me/lora", "me/tiny?revision=" + "0" * 40)
    assert offline[:2] == outcomes[:2]
    assert "not in the cache" in offline[2][1]


def test_a_new_commit_changes_the_identity(copy: Path, tmp_path: Path) -> None:
    with loopback_hub({"me/tiny": copy}) as hub:
        first = run_on_hub(hub, tmp_path, "only me/tiny")
        edit_json(copy / "config.json", rope_theta=77.0)
        again = run_on_hub(hub, tmp_path, "only me/tiny")
        offline = run_on_hub(hub, tmp_path, "only me/tiny", HF_HUB_OFFLINE="1")
    assert first != again
    # Only the commit was resolved so far, and no file downloaded.
    assert offline[0][0] == "ConfigError"


def test_an_unreachable_hub_is_a_config_error(tmp_path: Path) -> None:
    with refused_url() as url:
        [[kind, message]] = run_on_hub(url.removesuffix("/v1"), tmp_path, "hf:me/model")
    assert kind == "ConfigError"
    assert message == (
        "cannot reach the hub for 'me/model' and it is not in the cache: "
        "download it first or give a local path"
    )


@pytest.mark.long
@pytest.mark.engine
def test_a_gguf_file_is_loaded_and_completes_without_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from bakeoff.generators.llamacpp.fetch import fetch_model
    from bakeoff.generators.llamacpp.models import CATALOGUE

    try:
        file = fetch_model(CATALOGUE["smollm2"])
    except ConfigError as error:
        pytest.skip(str(error))
    (tmp_path / "model.gguf").symlink_to(file)
    prompt = make_dialogue("What is the capital of France?")
    capfd.readouterr()
    paris = completions(f"{tmp_path}?gguf_file=model.gguf", [prompt], max_tokens=16)[0]
    assert capfd.readouterr() == ("", "")
    assert "Paris" in paris.text
    assert paris.finish == "stop"
