"""Log-probabilities of the tokens of a given text, by llama.cpp's C functions.

llama.cpp's server returns log-probabilities only of tokens that it generates, one per decoding
step. xllamacpp's extension module exports the C functions of the llama.cpp that it contains: they
read a text in batches and give the logits of all its tokens. The layouts of their structures are
checked before they are used, as far as values that llama.cpp fills in show them.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BATCH = 128  # tokens read at once; each has a logit per token of the vocabulary
# The first fields of `llama_context_params`, unsigned 32-bit numbers, with their default values.
_CONTEXT_FIELDS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_rs_seq": 0,
    "n_outputs_max": 0,
    "n_outputs_max_per_seq": 1,
    "n_threads": None,  # depends on the build
    "n_threads_batch": None,
}


class _Params(ctypes.Structure):
    """A structure of parameters, passed by value, with room for more fields than llama.cpp has.

    Fields without a name in this module keep the values that llama.cpp gives them.
    """

    _fields_ = (("words", ctypes.c_uint32 * 1024),)


class _Batch(ctypes.Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_POINTER, _INT, _BOOL = ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool
_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # result, then arguments
    "llama_model_default_params": (_Params,),
    "llama_context_default_params": (_Params,),
    "llama_model_load_from_file": (_POINTER, ctypes.c_char_p, _Params),
    "llama_init_from_model": (_POINTER, _POINTER, _Params),
    "llama_model_get_vocab": (_POINTER, _POINTER),
    "llama_vocab_n_tokens": (_INT, _POINTER),
    "llama_n_batch": (ctypes.c_uint32, _POINTER),
    "llama_n_ubatch": (ctypes.c_uint32, _POINTER),
    "llama_n_seq_max": (ctypes.c_uint32, _POINTER),
    "llama_n_ctx": (ctypes.c_uint32, _POINTER),
    "llama_get_memory": (_POINTER, _POINTER),
    "llama_memory_clear": (None, _POINTER, _BOOL),
    "llama_memory_seq_rm": (_BOOL, _POINTER, _INT, _INT, _INT),
    "llama_batch_init": (_Batch, _INT, _INT, _INT),
    "llama_batch_free": (None, _Batch),
    "llama_decode": (_INT, _POINTER, _Batch),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), _POINTER),
    "llama_free": (None, _POINTER),
    "llama_model_free": (None, _POINTER),
}


class UnsupportedError(Exception):
    """The installed llama.cpp has other functions or structures than this module knows."""


class TextScorer:
    """A loaded model that reads texts. All calls have to come from one thread.

    `context`: maximum number of tokens of a text and what precedes it. Raises UnsupportedError.
    """

    def __init__(self, path: Path, context: int, threads: int) -> None:
        self._functions = _load_functions()
        self._model: int | None = None
        self._context: int | None = None
        self._batch: _Batch | None = None
        self._read: list[int] = []  # tokens in the KV cache
        try:
            self._open(path, context, threads)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, context: int, threads: int) -> None:
        call = self._call
        params = call("llama_context_default_params")
        names = list(_CONTEXT_FIELDS)
        for place, (name, default) in enumerate(_CONTEXT_FIELDS.items()):
            if default is not None and params.words[place] != default:
                raise UnsupportedError(f"the default of {name} is {params.words[place]}")
        wanted = dict.fromkeys(names, _BATCH)
        wanted |= {"n_ctx": context, "n_seq_max": 1, "n_rs_seq": 0}
        wanted |= {"n_threads": threads, "n_threads_batch": threads}
        for name, value in wanted.items():
            params.words[names.index(name)] = value
        batch = call("llama_batch_init", _BATCH, 0, 1)
        pointers = (batch.token, batch.pos, batch.n_seq_id, batch.seq_id, batch.logits)
        if batch.n_tokens or batch.embd or not all(pointers):
            raise UnsupportedError("llama_batch has another layout")
        self._batch = batch
        model_params = call("llama_model_default_params")
        self._model = call("llama_model_load_from_file", os.fsencode(path), model_params)
        if not self._model:
            raise UnsupportedError("the model cannot be loaded a second time")
        self._context = call("llama_init_from_model", self._model, params)
        if not self._context:
            raise UnsupportedError("there is no second context")
        sizes = [call(f"llama_n_{name}", self._context) for name in ("batch", "ubatch", "seq_max")]
        if sizes != [_BATCH, _BATCH, 1] or call("llama_n_ctx", self._context) < context:
            raise UnsupportedError(f"the context has the sizes {sizes}")
        vocabulary = call("llama_model_get_vocab", self._model)
        self._words: int = call("llama_vocab_n_tokens", vocabulary)

    def logprobs(self, context: Sequence[int], text: Sequence[int]) -> list[float]:
        """Return the natural log-probability of each token of `text` after `context`.

        Tokens at the beginning of `context` that the last call read at the same places are not read
        again. Raises ValueError if either is empty, RuntimeError if llama.cpp cannot read them.
        """
        if not context or not text:
            raise ValueError("a text needs a context and a token")
        *unscored, last = context  # the last token's logits are those of the text's first token
        # The text has batches of its own: rounding depends on the batch, and a score must not
        # depend on how much of its context was in the KV cache.
        for start in range(self._reuse(unscored), len(unscored), _BATCH):
            self._decode(unscored[start : start + _BATCH], start, scored=False)
        scored, result = [last, *text[:-1]], []
        for start in range(0, len(text), _BATCH):
            self._decode(scored[start : start + _BATCH], len(unscored) + start, scored=True)
            result += self._read_logprobs(text[start : start + _BATCH])
        return result

    def _reuse(self, tokens: Sequence[int]) -> int:
        """Keep only the common prefix with `tokens` in the KV cache, and return its length."""
        same = 0
        for kept, token in zip(self._read, tokens, strict=False):
            if kept != token:
                break
            same += 1
        memory = self._call("llama_get_memory", self._context)
        if not self._call("llama_memory_seq_rm", memory, 0, same, -1):
            self._call("llama_memory_clear", memory, True)  # a recurrent state cannot be cut
            same = 0
        self._read = list(tokens[:same])
        return same

    def _decode(self, tokens: Sequence[int], start: int, *, scored: bool) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101 - for mypy: set by `_open`
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = start + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = scored
        batch.n_tokens = len(tokens)
        if status := self._call("llama_decode", self._context, batch):
            self._read = []
            self._call("llama_memory_clear", self._call("llama_get_memory", self._context), True)
            raise RuntimeError(f"llama_decode returns {status}")
        self._read += tokens

    def _read_logprobs(self, following: Sequence[int]) -> list[float]:
        import numpy as np

        pointer = self._call("llama_get_logits", self._context)
        logits = np.ctypeslib.as_array(pointer, shape=(len(following), self._words))
        result = []
        for row, token in zip(logits, following, strict=True):  # a row fits into the CPU cache
            largest = row.max()
            total = np.exp(row - largest).sum(dtype=np.float64)
            result.append(float(row[token] - largest - np.log(total)))
        return result

    def close(self) -> None:
        """Free the model and its context; a second call does nothing."""
        if self._context:
            self._call("llama_free", self._context)
        if self._model:
            self._call("llama_model_free", self._model)
        if self._batch is not None:
            self._call("llama_batch_free", self._batch)
        self._context = self._model = self._batch = None

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._functions[name](*arguments)


def _load_functions() -> dict[str, Any]:
    import xllamacpp.xllamacpp as extension

    try:
        library = ctypes.CDLL(extension.__file__)
        functions = {name: getattr(library, name) for name in _FUNCTIONS}
    except (OSError, AttributeError) as error:  # Windows exports only what is declared so
        raise UnsupportedError(str(error)) from None
    for name, (result, *arguments) in _FUNCTIONS.items():
        functions[name].restype, functions[name].argtypes = result, arguments
    return functions
