"""Loads a transformers model and its tokenizer from files on this disk. Draws nothing from it.

Everything that a checkpoint can have wrong becomes a ConfigError in one line here, because what
transformers would do instead is often to warn and go on with random weights.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import ConfigError
from bakeoff.generators.hub.download import one_line
from bakeoff.generators.transformers.tokenization import Tokens, tokens_of

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "bfloat16", "float16", "float32"]


@dataclass(frozen=True)
class Files:
    """Where everything lies, and how it is to be read."""

    model: Path
    tokenizer: Path
    adapter: Path | None
    gguf_file: str | None
    pickled: bool
    trust_remote_code: bool
    dtype: Dtype
    device: str | None
    device_map: str | None


@dataclass(frozen=True)
class Loaded:
    """A model on its device, and its tokens."""

    model: Any
    tokens: Tokens


def load(files: Files, name: str) -> Loaded:
    """The model and its tokenizer on their device. ConfigError where they cannot be loaded."""
    from transformers import AutoModelForCausalLM, GenerationConfig

    device = choose_device(files.device)
    with quiet(), _gguf_bar_off(files), _troubles(name, device):
        tokenizer = _tokenizer(files)
        model = _model(AutoModelForCausalLM, "a causal language model", files, device)
        if files.adapter is not None:
            model = _adapted(model, files.adapter, len(tokenizer))
        tokens = tokens_of(tokenizer, model)
    # The model's own generation settings (penalties, top_k) would make models be drawn differently.
    model.generation_config = GenerationConfig(eos_token_id=tokens.ends or None)
    return Loaded(model, tokens)


def load_classifier(files: Files, name: str) -> Loaded:
    """A model with a head that gives numbers, and its tokenizer. ConfigError as `load`'s.

    Nothing is drawn from it, so no token ends a text or is left out of one.
    """
    from transformers import AutoModelForSequenceClassification

    device = choose_device(files.device)
    with quiet(), _troubles(name, device):
        tokenizer = _tokenizer(files)
        model = _model(AutoModelForSequenceClassification, "a reward model", files, device)
    config = model.config.get_text_config()
    # Of some encoders only the tokenizer knows how much they hold, of some models only the config.
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    context = min(limit for limit in limits if limit is not None)
    return Loaded(model, Tokens(tokenizer, [], frozenset(), config.vocab_size, context))


def choose_device(asked: str | None) -> "torch.device":
    """The device that was asked for, or the best there is. ConfigError where it is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    best = next((name for name, available in there.items() if available), "cpu")
    try:
        device = torch.device(asked or best)
    except RuntimeError:
        raise ConfigError(f"device = {asked!r}: write cuda, cuda:1, mps or cpu") from None
    if not there.get(device.type, True):
        raise ConfigError(f"device = {asked!r} is not here: the best there is here is {best!r}")
    return device


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and its advice on settings off the terminal."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    hook = logging.set_tqdm_hook(lambda _bar, args, kwargs: logging.EmptyTqdm(*args, **kwargs))
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.set_tqdm_hook(hook)


@contextmanager
def _gguf_bar_off(files: Files) -> Iterator[None]:
    """The GGUF reader draws a bar of its own, around transformers' switch for all bars."""
    if files.gguf_file is None:
        yield
        return
    from transformers import modeling_gguf_pytorch_utils as reader
    from transformers.utils import logging

    bar, reader.tqdm = reader.tqdm, logging.tqdm
    try:
        yield
    finally:
        reader.tqdm = bar


def _tokenizer(files: Files) -> Any:
    from transformers import AutoTokenizer

    gguf = {"gguf_file": files.gguf_file} if files.gguf_file else {}
    return AutoTokenizer.from_pretrained(
        files.tokenizer, trust_remote_code=files.trust_remote_code, local_files_only=True, **gguf
    )


def _model(auto: Any, kind: str, files: Files, device: "torch.device") -> Any:
    """What `auto`, a class of transformers, makes of the files: whole, or a ValueError."""
    model, report = auto.from_pretrained(
        files.model,
        gguf_file=files.gguf_file,
        dtype=_dtype(files.dtype, device),
        device_map=files.device_map or str(device),
        use_safetensors=None if files.gguf_file else not files.pickled,
        trust_remote_code=files.trust_remote_code,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are in the report too
        # An adapter beside a full model is not asked for: look for it where none can be.
        adapter_kwargs={"subfolder": "no-adapter"},
    )
    for key, found, wanted in sorted(report["mismatched_keys"]):
        raise ValueError(f"{key} has the shape {tuple(found)}, its config says {tuple(wanted)}")
    for key in sorted(report["missing_keys"]):
        raise ValueError(f"it has no weights for {key!r}: is it {kind}?")
    return model.eval()


def _adapted(model: Any, adapter: Path, tokens: int) -> Any:
    """The model with the adapter on, whose tokenizer may know more tokens than the base."""
    from peft import PeftModel

    if tokens > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(tokens, mean_resizing=False)
    # peft only warns where an adapter does not fit, and leaves the base model as it is.
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        adapted = PeftModel.from_pretrained(model, str(adapter))
    if any("missing adapter keys" in str(warning.message) for warning in said):
        raise ValueError(f"the adapter {str(adapter)!r} does not fit its base model")
    return adapted.eval()


def _dtype(asked: Dtype, device: "torch.device") -> "torch.dtype":
    import torch

    if asked != "auto":
        named: torch.dtype = getattr(torch, asked)
        return named
    if device.type == "cuda":
        full = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if full else torch.float16
    return torch.bfloat16 if device.type == "mps" else torch.float32


@contextmanager
def _troubles(name: str, device: "torch.device") -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{name!r} does not fit into the memory of {str(device)!r}: take another device, "
            "dtype=bfloat16 or device_map=auto"
        ) from None
    except Exception as error:  # whatever is wrong with a checkpoint, it is not a bug of ours
        if "trust_remote_code" in str(error):
            hint = "read it, then write ?trust_remote_code=true if you trust it"
            raise ConfigError(f"{name!r} is made of code of its own: {hint}") from None
        raise ConfigError(f"{name!r} cannot be loaded ({one_line(error)})") from error
