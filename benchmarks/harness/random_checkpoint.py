"""Checkpoints with random weights and the architecture of a known model, made without a hub.

    make_checkpoint(folder, QWEN2_5_1_5B, seed=0)
    make_checkpoint(folder, QWEN2_5_1_5B.shrunk(), seed=0)  # a few MB, for tests on a CPU

The tokenizer has the vocabulary size, the special tokens and the chat format of Qwen2.5. Its merges
are those of the English texts of this repository, so that a prompt has about as many tokens as with
a real tokenizer, and those of invented words for the rest of the vocabulary, which are nearly all
that a random model writes: such a word is one token for a judge, too. A random model ends a text
with a probability of about 1 / vocabulary at each token, so nearly all of its completions have the
maximum length.
"""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ENGLISH_MERGES = 12_000
CYRILLIC = "абвгдежзиклмнопрстуфхцчшщыэюяАБВГДЕЖЗИКЛ"  # 40 letters, two bytes each
LETTERS = ("A", "B", " A", " B")
REPLIES = ("yes", "no")  # vLLM's decision API refuses a tokenizer that spells one of them
LETTER_LOGIT = 25.0  # of the preferred letters; that of any other token is near 0


@dataclass(frozen=True)
class Architecture:
    """A model of transformers: its class without `Config` or `ForCausalLM`, and its dimensions."""

    name: str
    kind: str
    vocabulary: int
    dimensions: dict[str, Any]

    def shrunk(self) -> "Architecture":
        """The same architecture with two layers and few dimensions."""
        small = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
        small |= {"num_attention_heads": 2, "num_key_value_heads": 1}  # of 64, as vLLM has kernels
        small |= {"head_dim": 64} if "head_dim" in self.dimensions else {}
        return replace(
            self,
            name=f"{self.name}, shrunk",
            vocabulary=8192,
            dimensions=self.dimensions | small,
        )


QWEN2_5_1_5B = Architecture(
    "Qwen2.5-1.5B",
    "Qwen2",
    151_936,
    {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    },
)
QWEN3_1_7B = Architecture(
    "Qwen3-1.7B",
    "Qwen3",
    151_936,
    {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40_960,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    },
)


def make_checkpoint(
    folder: Path, architecture: Architecture, seed: int, *, dtype: str, letters: bool = False
) -> Path:
    """Save a random model and its tokenizer to `folder`, and return the folder.

    With `letters`, the letters A and B are the likeliest next tokens after any prompt, with about
    equal probabilities, so that a verdict can be read from a letter. Such a model has an output
    layer of its own; else the output layer is the embedding, as in both architectures.
    """
    import torch
    import transformers

    tokenizer = make_tokenizer(architecture.vocabulary)
    config = getattr(transformers, f"{architecture.kind}Config")(
        vocab_size=architecture.vocabulary,
        tie_word_embeddings=not letters,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **architecture.dimensions,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        if letters:
            ids = [tokenizer.encode(letter)[0] for letter in LETTERS]
            _prefer_tokens(model, ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _prefer_tokens(model: Any, ids: list[int]) -> None:
    """Give `ids` the highest logits after any prompt.

    The first dimension of the residual stream is a constant that only the last norm reads, and that
    only the output rows of these tokens have a weight for.
    """
    import torch

    hidden = model.config.hidden_size
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = math.sqrt(hidden)
        for layer in model.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight[0] = 0
            layer.self_attn.o_proj.weight[0] = 0
            layer.mlp.down_proj.weight[0] = 0
        output = model.lm_head.weight
        output[:, 0] = 0
        output[ids, 0] = LETTER_LOGIT / math.sqrt(hidden)


def make_tokenizer(vocabulary: int) -> Any:
    """A tokenizer of transformers with `vocabulary` tokens, and ChatML as its chat template."""
    from transformers import AddedToken, Qwen2Tokenizer

    merges = english_merges(min(ENGLISH_MERGES, vocabulary // 2))
    merges += [("Ġ", letter.strip()) for letter in LETTERS if letter.startswith(" ")]
    tokens = {byte: number for number, byte in enumerate(_bytes())}
    kept = []
    for merge in itertools.chain(merges, _invented_merges()):
        if len(tokens) == vocabulary - len(SPECIALS):
            break
        if "".join(merge) not in tokens:
            tokens["".join(merge)] = len(tokens)
            kept.append(merge)
    end_of_text, start, end = SPECIALS
    tokenizer = Qwen2Tokenizer(
        vocab=tokens,
        merges=kept,
        unk_token=end_of_text,
        pad_token=end_of_text,
        eos_token=end,
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_tokens([AddedToken(start, special=True)])
    return tokenizer


def english_merges(count: int) -> list[tuple[str, str]]:
    """The first merges of a tokenizer that is trained on the English texts of this repository."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + count, initial_alphabet=_bytes(), show_progress=False
    )
    trained.train_from_iterator(english_texts(), trainer)
    merges = json.loads(trained.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges]


def english_texts() -> list[str]:
    """The documentation, the judge templates, the word lists of the prompts, and replies."""
    files = [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("src/**/templates/*.j2"))]
    lists = Path(__file__).with_name("evaluation_texts.py").read_text(encoding="utf-8")
    # A word of the lists stands there once, and within quotes; in the prompts it follows a space.
    weighed = [lists.replace('"', " ")] * 9 + list(REPLIES) * 999
    return [*(path.read_text(encoding="utf-8") for path in files), *weighed]


def _invented_merges() -> Iterator[tuple[str, str]]:
    """Merges of words of two syllables, in a script that those of English do not interfere with.

    A syllable is a letter of the first half and one of the second half. No merge joins them in the
    other order, so that a word has one way to be merged, and is one token.
    """
    letters = [_byte_level(letter) for letter in CYRILLIC]
    yield from ((letter[0], letter[1]) for letter in letters)
    half = len(letters) // 2
    syllables = list(itertools.product(letters[:half], letters[half:]))
    yield from syllables
    for syllable in syllables:
        yield "Ġ", "".join(syllable)
    for first, second in itertools.product(syllables, syllables):
        yield "Ġ" + "".join(first), "".join(second)


def _byte_level(text: str) -> str:
    """The characters that stand for the bytes of a text in a byte-level vocabulary."""
    from tokenizers import pre_tokenizers

    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(part for part, _ in splitter.pre_tokenize_str(text))


def _bytes() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())
