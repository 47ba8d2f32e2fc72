"""Loads a transformers model and its tokenizer from local files.

Every defect of a checkpoint becomes a ConfigError on one line. For some of them, transformers only
warns, and continues with random weights.
"""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import ConfigError
from bakeoff.generators.hub.download import describe_error
from bakeoff.generators.transformers.tokenization import ModelTokenizer, wrap_tokenizer

if TYPE_CHECKING:
    import torch

Dtype = Literal["auto", "bfloat16", "float16", "float32"]
Quantization = Literal["8bit", "4bit"]

# Packages in the order of preference. torchao's 4-bit formats are for some GPUs only; on a CPU, it
# keeps 4-bit weights in 8 bits.
_QUANTIZERS = {"8bit": ("torchao", "bitsandbytes"), "4bit": ("bitsandbytes",)}


@dataclass(frozen=True)
class CheckpointFiles:
    """Local directories of a checkpoint's files, and the options to load them with."""

    model: Path
    tokenizer: Path
    adapter: Path | None
    gguf_file: str | None
    """Name of a GGUF file in `model`."""
    pickled: bool
    """Whether the weights are pickles."""
    trust_remote_code: bool
    dtype: Dtype
    device: str | None
    device_map: str | None
    quantization: tuple[Quantization, str] | None = None
    """Bits of the weights of linear layers, and the package that quantizes them."""


@dataclass(frozen=True)
class LoadedModel:
    """A transformers model on its device, and its tokenizer."""

    model: Any
    tokenizer: ModelTokenizer


def load_language_model(files: CheckpointFiles, name: str) -> LoadedModel:
    """Load a causal language model onto its device; `name` is the model's, for messages.

    Raises ConfigError if that fails.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    device = choose_device(files.device)
    with quiet_transformers(), _gguf_bar_off(files), _as_config_error(name, device):
        tokenizer = _tokenizer(files)
        model = _model(AutoModelForCausalLM, "a causal language model", files, device)
        if files.adapter is not None:
            model = _with_adapter(model, files.adapter, len(tokenizer))
        _pack(model)
        wrapped = wrap_tokenizer(tokenizer, model)
    # With penalties or top_k of its own settings, a model would not be comparable.
    model.generation_config = GenerationConfig(eos_token_id=wrapped.end_tokens or None)
    return LoadedModel(model, wrapped)


def load_classifier(files: CheckpointFiles, name: str) -> LoadedModel:
    """Load a model with a classification head; `name` is the model's, for messages.

    Its tokenizer has no end tokens and no hidden ones, since nothing is generated. Raises
    ConfigError if that fails.
    """
    from transformers import AutoModelForSequenceClassification

    device = choose_device(files.device)
    with quiet_transformers(), _as_config_error(name, device):
        tokenizer = _tokenizer(files)
        model = _model(AutoModelForSequenceClassification, "a reward model", files, device)
        _pack(model)
    config = model.config.get_text_config()
    # The context length of some encoders is only in the tokenizer, that of some models only in the
    # config.
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    context = min(limit for limit in limits if limit is not None)
    wrapped = ModelTokenizer(tokenizer, [], frozenset(), config.vocab_size, context)
    return LoadedModel(model, wrapped)


def choose_device(requested: str | None) -> "torch.device":
    """Return the requested device, or the best one of this machine: cuda, mps, cpu.

    Raises ConfigError if the request is malformed or this machine does not have the device.
    """
    import torch

    accelerators = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    best = next((name for name, available in accelerators.items() if available), "cpu")
    try:
        device = torch.device(requested or best)
    except RuntimeError:
        raise ConfigError(f"device = {requested!r}: write cuda, cuda:1, mps or cpu") from None
    if not accelerators.get(device.type, True):
        raise ConfigError(f"device = {requested!r} is not here: the best there is here is {best!r}")
    return device


def choose_quantizer(quantization: Quantization, name: str) -> str:
    """Return the installed package that quantizes weights; `name` is the model's, for messages.

    Raises ConfigError if none is installed.
    """
    packages = _QUANTIZERS[quantization]
    for package in packages:
        if importlib.util.find_spec(package) is not None:
            return package
    raise ConfigError(
        f"{name!r}: quantization={quantization} needs: pip install {' or '.join(packages)}"
    )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Suppress transformers' progress bars and warnings while the body runs."""
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
def _gguf_bar_off(files: CheckpointFiles) -> Iterator[None]:
    """Suppress the progress bar of the GGUF reader, which ignores transformers' own switch."""
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


def _tokenizer(files: CheckpointFiles) -> Any:
    from transformers import AutoTokenizer

    gguf = {"gguf_file": files.gguf_file} if files.gguf_file else {}
    return AutoTokenizer.from_pretrained(
        files.tokenizer, trust_remote_code=files.trust_remote_code, local_files_only=True, **gguf
    )


def _model(auto_class: Any, kind: str, files: CheckpointFiles, device: "torch.device") -> Any:
    """Load the model with a class of transformers; `kind` describes it in messages.

    Raises ValueError if weights are missing or have another shape.
    """
    model, report = auto_class.from_pretrained(
        files.model,
        gguf_file=files.gguf_file,
        dtype=_dtype(files.dtype, device),
        device_map=files.device_map or str(device),
        use_safetensors=None if files.gguf_file else not files.pickled,
        trust_remote_code=files.trust_remote_code,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are in the report
        # A folder that does not exist: transformers would load an adapter beside a full model.
        adapter_kwargs={"subfolder": "no-adapter"},
        **(
            {"quantization_config": _quantization_config(*files.quantization)}
            if files.quantization
            else {}
        ),
    )
    for key, actual, expected in sorted(report["mismatched_keys"]):
        raise ValueError(f"{key} has the shape {tuple(actual)}, its config says {tuple(expected)}")
    for key in sorted(report["missing_keys"]):
        raise ValueError(f"it has no weights for {key!r}: is it {kind}?")
    return model.eval()


def _quantization_config(quantization: Quantization, package: str) -> Any:
    if package == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


def _pack(model: Any) -> None:
    """Pack the linear layers, unless code other than that of transformers may read their weights.

    These are custom code, and adapters other than plain LoRA.
    """
    adapters = getattr(model, "peft_config", {}).values()
    plain = all(adapter.peft_type == "LORA" and not adapter.use_dora for adapter in adapters)
    if plain and not getattr(model.config, "auto_map", None):
        from bakeoff.generators.transformers.packed_linear import (
            pack_linear_layers,
        )  # imports torch

        pack_linear_layers(model)


def _with_adapter(model: Any, adapter: Path, vocab_size: int) -> Any:
    """Return the model with the adapter applied; `vocab_size` is that of the adapter's tokenizer.

    Raises ValueError if the adapter does not fit.
    """
    from peft import PeftModel

    if vocab_size > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(vocab_size, mean_resizing=False)
    # peft only warns if an adapter does not fit, and leaves the base model unchanged.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = PeftModel.from_pretrained(model, str(adapter))
    if any("missing adapter keys" in str(warning.message) for warning in caught):
        raise ValueError(f"the adapter {str(adapter)!r} does not fit its base model")
    return adapted.eval()


def _dtype(requested: Dtype, device: "torch.device") -> "torch.dtype":
    import torch

    if requested != "auto":
        dtype: torch.dtype = getattr(torch, requested)
        return dtype
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    return torch.bfloat16 if device.type == "mps" else torch.float32


@contextmanager
def _as_config_error(name: str, device: "torch.device") -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{name!r} does not fit into the memory of {str(device)!r}: take another device, "
            "dtype=bfloat16 or device_map=auto"
        ) from None
    except Exception as error:  # defects of a checkpoint raise exceptions of many classes
        if "trust_remote_code" in str(error):
            hint = "read it, then write ?trust_remote_code=true if you trust it"
            raise ConfigError(f"{name!r} is made of code of its own: {hint}") from None
        raise ConfigError(f"{name!r} cannot be loaded ({describe_error(error)})") from error
