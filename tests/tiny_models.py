"""Transformers checkpoints of about 60 kB: random weights and a byte-level tokenizer."""

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
SPECIALS = ("<|end|>", "<|start|>", "<pad>", "<think>", "</think>")
CONTEXT = 2048


def make_tiny_model(
    folder: Path, chat_template: bool = True, seed: int = 0, kind: str = "Llama", **more
) -> Path:
    """Save a 2-layer random Llama, or a model of another `kind`, with its tokenizer to `folder`.

    Every byte is a token, `<|end|>` ends a turn, `<pad>` pads; the context is 2048 tokens.
    """
    import torch
    import transformers

    tokenizer = tiny_tokenizer()
    if chat_template:
        tokenizer.chat_template = CHAT_TEMPLATE
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,  # so that the random logits are far apart
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=False,
        **{"hidden_size": 32, "intermediate_size": 64} | more,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer():
    """A tokenizer with a token per byte and the special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_ = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.add_special_tokens(list(SPECIALS))
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_,
        eos_token="<|end|>",
        pad_token="<pad>",
    )


def make_tiny_reward_model(
    folder: Path, chat_template: bool = True, mark: str = "!", pad: bool = True
) -> Path:
    """Save a reward model whose reward grows with the share of the byte `mark` in its input.

    Its only layer attends to all tokens equally and copies the share of `mark` to the last token,
    where the head reads it. The last token must not be `mark` itself.
    """
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = tiny_tokenizer()
    if chat_template:
        tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id if pad else None,
        bos_token_id=None,
        num_labels=1,
    )
    model = LlamaForSequenceClassification(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        layer = model.model.layers[0].self_attn
        model.model.embed_tokens.weight[:, 0] = 1.0  # so that every token has a length
        model.model.embed_tokens.weight[tokenizer.convert_tokens_to_ids(mark), 1] = 1.0
        layer.v_proj.weight[1, 1] = layer.o_proj.weight[2, 1] = 1.0
        model.score.weight[0, 2] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
