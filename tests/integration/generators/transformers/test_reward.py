"""Reward models in this process: their inputs, their rewards, and what is refused."""

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, ContextError
from bakeoff.generators.transformers.reward import RewardModel
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.testing import run_worker
from tests.builders import make_dialogue
from tests.integration.generators.transformers.hf_generators import edit_json
from tests.tiny_models import CHAT_TEMPLATE, CONTEXT, make_tiny_model, make_tiny_reward_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_reward_model(tmp_path_factory.mktemp("reward"))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


TURNS = [
    make_dialogue("hey", text)
    for text in ("no", "yes!", "!!!", "a longer one, all in all! " * 9, "", "x" * 99)
]


def reward_model(target: Path | str, **sampling: Any) -> RewardModel:
    context = RunContext(Sampling(**{"score_only": True} | sampling))
    generator = open_generator(Spec.parse(f"reward:{target}"), context)
    assert isinstance(generator, RewardModel)
    return generator


def rewards(target: Path | str, turns: list[Prompt] = TURNS, **sampling: Any) -> list[float]:
    done = run_worker(reward_model(target, **sampling), turns)
    for outcome in done:
        assert isinstance(outcome, Completion), outcome
        assert outcome.text == ""
    return [outcome.score for outcome in done]  # type: ignore[union-attr,misc]


def config_error(target: Path | str, turns: list[Prompt] = TURNS[:2]) -> str:
    with pytest.raises(ConfigError) as caught:
        run_worker(reward_model(target), turns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_head(folder: Path, change: Any) -> None:
    """Change the weights of the head; None takes them out."""
    weights = load_file(folder / "model.safetensors")
    head = weights.pop("score.weight")
    if change is not None:
        weights["score.weight"] = change(head)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def expected_reward(conversation: Prompt, system: str | None = None) -> float:
    """The reward of the tiny model, computed from the share of exclamation marks."""
    turns = [("system", system)] if system else []
    turns += [(m.role, m.content) for m in conversation.messages]
    # A byte is a token; a turn has two tags of one token each, and two line ends.
    length = sum(len(role.encode()) + len(text.encode()) + 4 for role, text in turns)
    share = sum(text.count("!") for _, text in turns) / length
    return 2 * share / math.sqrt((1 + 4 * share**2) / 8)


# --------------------------------------------------------------------------------- rewards


def test_rewards_equal_those_computed_by_hand(tiny: Path) -> None:
    actual = rewards(tiny)
    assert actual == pytest.approx([expected_reward(prompt) for prompt in TURNS], abs=1e-4)
    best = max(zip(actual, TURNS, strict=True), key=lambda pair: pair[0])[1]
    assert best.messages[-1].content == "!!!"


def test_rewards_equal_those_of_transformers(copy: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = transformers.AutoConfig.from_pretrained(copy, intermediate_size=24)
        model = transformers.LlamaForSequenceClassification(config).eval()
    model.save_pretrained(copy)
    tokenizer = AutoTokenizer.from_pretrained(copy)
    for prompt, reward in zip(TURNS, rewards(copy), strict=True):
        ids = tokenizer.apply_chat_template(prompt.conversation(), return_tensors="pt")
        assert reward == pytest.approx(model(**ids).logits.item(), abs=1e-5)


def test_batches_change_no_reward(tiny: Path) -> None:
    alone = rewards(f"{tiny}?batch_size=1")
    assert rewards(f"{tiny}?batch_size=6") == pytest.approx(alone, abs=1e-5)
    assert rewards(f"{tiny}?batch_size=4", TURNS[::-1]) == pytest.approx(alone[::-1], abs=1e-5)


@pytest.mark.parametrize("of_the_tokenizer", [None, "<|end|>", "<pad>"])
def test_without_a_padding_token_the_reward_is_read_at_the_last_token(
    tmp_path: Path, of_the_tokenizer: str | None
) -> None:
    folder = make_tiny_reward_model(tmp_path, pad=False)
    edit_json(folder / "tokenizer_config.json", pad_token=of_the_tokenizer)
    # Without the final line end, the reward is read at the end token, which is also the padding.
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace("<|end|>\n", "<|end|>"))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.pad_token_id is None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = []
    for prompt in TURNS:
        ids = tokenizer.apply_chat_template(prompt.conversation(), return_tensors="pt")
        expected.append(model(**ids).logits.item())
    assert rewards(f"{folder}?batch_size=6") == pytest.approx(expected, abs=1e-5)


def test_a_system_prompt_of_the_spec_is_part_of_the_conversation(tiny: Path) -> None:
    marked = rewards(f"{tiny}?system=Be loud!!", TURNS[:1])
    assert marked == pytest.approx([expected_reward(TURNS[0], "Be loud!!")], abs=1e-4)


def test_all_turns_of_a_conversation_are_scored(tiny: Path) -> None:
    roles = ("user", "assistant", "user", "assistant")
    turns = zip(roles, ("a?", "b!", "c?", "d"), strict=True)
    long = Prompt(messages=tuple(Message(role=r, content=t) for r, t in turns))  # type: ignore[arg-type]
    assert rewards(tiny, [long]) == pytest.approx([expected_reward(long)], abs=1e-4)


def test_without_a_chat_template_the_texts_are_joined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_tiny_reward_model(tmp_path, chat_template=False)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    ids = AutoTokenizer.from_pretrained(folder)("hey\n\nyes!!.", return_tensors="pt")
    expected = model(**{k: v for k, v in ids.items() if k != "token_type_ids"}).logits.item()
    assert rewards(folder, [make_dialogue("hey", "yes!!.")]) == pytest.approx([expected], abs=1e-5)
    assert sum("no chat template" in record.message for record in caplog.records) == 1


def test_an_encoder_reads_a_pair_of_texts(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "what", "is", "it", "a", "cat", "dog", "?"]
    word_level = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()
    word_level.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_level, pad_token="[PAD]", sep_token="[SEP]", cls_token="[CLS]",
        unk_token="[UNK]", model_max_length=24,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, num_labels=1, pad_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    prompts = [
        make_dialogue("what is it ?", text) for text in ("a cat", "a dog a dog it is", "cat")
    ]
    expected = []
    for prompt in prompts:
        pair = tokenizer(*(m.content for m in prompt.messages), return_tensors="pt")
        assert pair["token_type_ids"].sum() > 0
        expected.append(model(**pair).logits.item())
    assert rewards(tmp_path, prompts) == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 4) for value in expected}) == 3
    too_long = run_worker(reward_model(tmp_path), [make_dialogue("what is it ?", "a cat " * 12)])[0]
    assert isinstance(
        too_long, ContextError
    )  # by the tokenizer's limit: the model has 512 positions


def test_a_conversation_longer_than_the_context_fails_alone(tiny: Path) -> None:
    fits, too_long = run_worker(
        reward_model(tiny), [make_dialogue("hey", "yes"), make_dialogue("hey", "y" * CONTEXT)]
    )
    assert isinstance(fits, Completion)
    assert isinstance(too_long, ContextError)
    assert str(CONTEXT) in too_long.message


def test_a_nan_reward_is_a_backend_error(copy: Path) -> None:
    edit_head(copy, lambda head: head * float("nan"))
    for outcome in run_worker(reward_model(copy), TURNS[:2]):
        assert isinstance(outcome, BackendError)
        assert "dtype" in outcome.message


def test_out_of_memory_halves_the_batch_and_continues(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    forward = transformers.LlamaForSequenceClassification.forward

    def limited(self: Any, *args: Any, **kwargs: Any) -> Any:
        tried.append(len(kwargs["input_ids"]))
        if tried[-1] > 2:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, *args, **kwargs)

    expected = rewards(tiny)
    monkeypatch.setattr(transformers.LlamaForSequenceClassification, "forward", limited)
    assert rewards(tiny) == pytest.approx(expected, abs=1e-5)
    assert tried[:3] == [6, 3, 2]
    assert sum(rows for rows in tried if rows <= 2) == 6


# ------------------------------------------------------------------------- refused models


def test_a_reward_model_is_refused_as_a_contestant(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"completes nothing.*--judge"):
        reward_model(tiny, score_only=False)


def test_a_language_model_is_refused_as_a_reward_model(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path)
    edit_json(folder / "config.json", num_labels=1)
    assert "no weights for 'score.weight': is it a reward model?" in config_error(folder)


def test_a_missing_or_mismatched_head_is_refused(copy: Path) -> None:
    edit_head(copy, lambda head: torch.cat([head, head]))
    assert "score.weight has the shape (2, 8)" in config_error(copy)
    edit_head(copy, None)
    assert "no weights for 'score.weight'" in config_error(copy)


def test_a_classifier_with_several_labels_is_refused(copy: Path) -> None:
    edit_head(copy, lambda head: torch.cat([head, head, head]))
    edit_json(copy / "config.json", id2label={i: str(i) for i in range(3)})
    assert "a classifier with 3 labels" in config_error(copy)
    assert "a classifier with 3 labels" in config_error(copy, TURNS[:1])


def test_adapters_and_gguf_files_are_refused(tiny: Path, copy: Path) -> None:
    for option in ("adapter=x", "gguf_file=x"):
        assert option.split("=")[0] in config_error(f"{tiny}?{option}")
    (copy / "model.safetensors").unlink()
    edit = {"base_model_name_or_path": str(tiny)}
    (copy / "adapter_config.json").write_text(json.dumps(edit))
    (copy / "adapter_model.safetensors").write_bytes(b"")
    assert "merge_and_unload" in config_error(copy)


CODE = """
import pathlib
from dataclasses import dataclass
import torch
from transformers import LlamaForSequenceClassification
from transformers.utils import ModelOutput

pathlib.Path({ran!r}).touch()


@dataclass
class Judged(ModelOutput):
    score: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None


class Gated(LlamaForSequenceClassification):
    def forward(self, *args, **kwargs):
        found = super().forward(*args, **kwargs).logits
        return Judged(score=10 - found[:, 0], logits=found.expand(-1, 5))
"""


def test_custom_code_needs_trust_remote_code_and_may_return_a_score(
    tiny: Path,
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran = tmp_path / "ran"
    (copy / "modeling_gated.py").write_text(CODE.format(ran=str(ran)))
    code = "modeling_gated.Gated"
    edit_json(copy / "config.json", auto_map={"AutoModelForSequenceClassification": code})
    refused = config_error(copy)
    assert code in refused
    assert "?trust_remote_code=true" in refused
    assert "runs" not in caplog.text
    assert not ran.exists()
    modules = tmp_path / "modules"
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(modules))
    monkeypatch.syspath_prepend(modules)
    actual = rewards(f"{copy}?trust_remote_code=true")
    assert ran.exists()
    assert actual == pytest.approx([10 - reward for reward in rewards(tiny)], abs=1e-5)
    warnings_ = [r for r in caplog.records if "with all your rights" in r.getMessage()]
    assert [record.levelno for record in warnings_] == [logging.WARNING]


# -------------------------------------------------------------------------------- identity


def test_the_identity_depends_on_the_files_contents_only(tiny: Path, copy: Path) -> None:
    before = reward_model(tiny)
    assert reward_model(f"{copy}?batch_size=3&device=cpu").identity == before.identity
    assert reward_model(f"{copy}?dtype=bfloat16").identity != before.identity
    assert reward_model(copy).weights == before.weights
    edit_head(copy, lambda head: head * 2)
    assert reward_model(copy).identity != before.identity
    assert reward_model(copy).weights != before.weights
