"""The sequences of a batch, and the logits processor and stopping criteria for `generate`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.thinking import make_completion
from bakeoff.generators.transformers.sampling import row_generator, sample_top_p, top_logprobs
from bakeoff.generators.transformers.tokenization import STOP_STRING, EncodedPrompt, ModelTokenizer
from bakeoff.records import Completion, Finish

if TYPE_CHECKING:
    import torch


@dataclass(eq=False)
class RunningSequence:
    """One completion that is being generated."""

    prompt: EncodedPrompt
    on_finish: Callable[[Completion | WorkError], None]
    """Called with the outcome, at most once."""
    is_wanted: Callable[[], bool]
    """Returns whether the caller still waits for the completion."""
    output: list[int] = field(default_factory=list)
    """Tokens generated so far."""
    finished: bool = False
    """Whether it has ended, so that its row can be removed from the batch."""
    top_logprobs: dict[str, float] | None = None
    """Log-probabilities of the most likely first tokens, if requested."""
    random_generator: "torch.Generator | None" = None

    @property
    def max_length(self) -> int:
        """Number of tokens of the prompt and the longest possible completion."""
        return len(self.prompt.tokens) + self.prompt.max_new_tokens

    def finish(self, outcome: Completion | WorkError) -> None:
        """Mark the sequence as finished, and call `on_finish`."""
        self.finished = True
        self.on_finish(outcome)


class SamplingProcessor:
    """Logits processor that samples a token per sequence, with the sequence's own generator.

    Before the first token of a sequence it checks the logits for NaN, and records the
    log-probabilities if they are requested.
    """

    def __init__(
        self,
        sequences: Sequence[RunningSequence],
        tokenizer: ModelTokenizer,
        sampling: Sampling,
        criteria: "EosOrLength",
    ) -> None:
        self._sequences = sequences
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._criteria = criteria

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        """Return scores whose argmax is the sampled token of each row."""
        del input_ids
        if self._criteria.stopping:
            return scores
        for index, sequence in enumerate(self._sequences):
            if sequence.random_generator is None:
                sequence.random_generator = row_generator(sequence.prompt.seed, scores.device)
                self._inspect_first(sequence, scores[index])
        generators = [s.random_generator for s in self._sequences if s.random_generator]
        return sample_top_p(scores, self._sampling, generators)

    def _inspect_first(self, sequence: RunningSequence, scores: "torch.Tensor") -> None:
        if bool(scores.isnan().any()):
            message = "the model computes NaN: try another dtype, like float32"
            sequence.finish(BackendError(message))
        elif self._sampling.top_logprobs:
            count = self._sampling.top_logprobs
            sequence.top_logprobs = top_logprobs(scores, count, self._tokenizer)


class EosOrLength:
    """Stopping criteria: finish each sequence at an end token, a stop string or its length.

    `should_stop` is called after every step with the number of finished sequences; `generate` ends
    if it returns True. `stop_strings` are criteria for text that ends a completion, or None. On
    MPS, transformers makes one more step after `stopping`, whose tokens are ignored.
    """

    def __init__(
        self,
        sequences: Sequence[RunningSequence],
        tokenizer: ModelTokenizer,
        should_stop: Callable[[int], bool],
        stop_strings: Any,
    ) -> None:
        self._sequences = sequences
        self._tokenizer = tokenizer
        self._should_stop = should_stop
        self._stop_strings = stop_strings
        self.stopping = False

    def __call__(
        self, input_ids: "torch.Tensor", scores: "torch.Tensor", **_: object
    ) -> "torch.Tensor":
        """Return True for all rows if `generate` has to end, else False for all rows."""
        import torch

        sequences = self._sequences
        if not self.stopping:
            stops = self._stop_strings(input_ids, scores).tolist() if self._stop_strings else []
            for index, token in enumerate(input_ids[:, -1].tolist()):
                self._append(sequences[index], token, stopped=bool(stops and stops[index]))
            finished = [sequence for sequence in sequences if sequence.finished]
            # A finished row grows until the stop, and must not grow beyond the context.
            context_length = self._tokenizer.context_length
            full = any(sequence.max_length == context_length for sequence in finished)
            done = len(finished) == len(sequences)
            self.stopping = done or full or self._should_stop(len(finished))
        return torch.full((len(sequences),), self.stopping, device=input_ids.device)

    def _append(self, sequence: RunningSequence, token: int, *, stopped: bool) -> None:
        if sequence.finished:
            return
        if not sequence.is_wanted():
            sequence.finished = True
        elif token in self._tokenizer.end_tokens:
            sequence.finish(_completion(sequence, self._tokenizer, "stop"))
        else:
            sequence.output.append(token)
            if stopped or len(sequence.output) == sequence.prompt.max_new_tokens:
                sequence.finish(_completion(sequence, self._tokenizer, "length"))


def _completion(sequence: RunningSequence, tokenizer: ModelTokenizer, finish: Finish) -> Completion:
    text = tokenizer.decode(sequence.output)
    if not tokenizer.has_chat_template and STOP_STRING in text:
        text, finish = text.partition(STOP_STRING)[0], "stop"
    # The opening tag of the thinking, if the chat template wrote it at the end of the prompt.
    text = sequence.prompt.thinking_tag + text
    return make_completion(
        text,
        finish=finish,
        tokens=len(sequence.output),
        top_logprobs=sequence.top_logprobs,
    )
