"""The requests of a run: which completions of each model, which verdicts of each judge."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bakeoff.config import Config
from bakeoff.evaluation.presentation_order import presentation_orders
from bakeoff.evaluation.sequential import ModelPair, Schedule
from bakeoff.records import Prompt
from bakeoff.runtime import Generator, Judge

RESAMPLED_SUFFIX = ", drawn again"  # of the name of the resampled model


class CompletionKey(NamedTuple):
    """Key of one completion."""

    prompt_id: str
    model: str
    sample: int = 0


class JudgmentKey(NamedTuple):
    """Key of one judgment: a judge, a prompt, and two models in the order shown."""

    judge: str
    prompt_id: str
    first: str
    second: str
    repeat: int
    sample: int = 0

    @property
    def completions(self) -> tuple[CompletionKey, CompletionKey]:
        """Keys of the two completions that are judged."""
        first = CompletionKey(self.prompt_id, self.first, self.sample)
        return first, first._replace(model=self.second)


class Participants(NamedTuple):
    """The models and judges of a run, by name."""

    models: dict[str, Generator]
    judges: dict[str, Judge]
    resampled: tuple[str, Generator] | None = None
    """Name of the first model and the same model with another seed, for the null check."""


class RequestPlan:
    """The requests of the current stage of the `schedule`, and those of the null check."""

    def __init__(
        self, config: Config, prompts: Sequence[Prompt], participants: Participants
    ) -> None:
        self._config = config
        self._prompts = {prompt.id: prompt for prompt in prompts}
        judges = participants.judges.items()
        self._pointwise = {name for name, judge in judges if judge.traits.order == "pointwise"}
        self.schedule = Schedule(config, prompts, tuple(participants.models))
        self.null_pair: ModelPair | None = None
        if participants.resampled:
            name, _ = participants.resampled
            self.null_pair = (name, name + RESAMPLED_SUFFIX)
        self._null_prompt_ids = {prompt.id for prompt in prompts[: config.null_prompts]}

    def prompts_of(self, model: str) -> list[Prompt]:
        """Return the prompts that a model completes, in order."""
        scheduled = self.schedule.prompts_of(model)
        if not (self.null_pair and model in self.null_pair):
            return scheduled
        ids = {prompt.id for prompt in scheduled} | self._null_prompt_ids
        return [prompt for prompt in self._prompts.values() if prompt.id in ids]

    def pairs_on(self, prompt_id: str) -> list[ModelPair]:
        """Return the pairs of models that are compared on a prompt."""
        pairs = self.schedule.pairs_on(self._prompts[prompt_id])
        if self.null_pair and prompt_id in self._null_prompt_ids:
            pairs.append(self.null_pair)
        return pairs

    def judgment_keys(self, judge: str) -> Iterator[JudgmentKey]:
        """Yield the key of every judgment of one judge, in the order of the results."""
        for prompt_id in self._prompts:
            for pair in self.pairs_on(prompt_id):
                yield from self.keys_of_pair(judge, prompt_id, pair)

    def keys_of_pair(self, judge: str, prompt_id: str, pair: ModelPair) -> Iterator[JudgmentKey]:
        """Yield the keys of one judge, prompt and pair, over all samples."""
        for sample in range(self._config.samples):
            yield from self.keys_of_sample(judge, prompt_id, pair, sample)

    def keys_of_sample(
        self, judge: str, prompt_id: str, pair: ModelPair, sample: int
    ) -> Iterator[JudgmentKey]:
        """Yield the keys of one judge on two completions: for each repeat, one or both orders."""
        orders = [pair]
        if judge not in self._pointwise:
            both = self._both_orders(pair, prompt_id)
            orders = presentation_orders(
                pair, both=both, seed=self._config.seed, prompt_id=prompt_id
            )
        for repeat in range(self._config.repeats):
            for first, second in orders:
                yield JudgmentKey(judge, prompt_id, first, second, repeat, sample)

    def _both_orders(self, pair: ModelPair, prompt_id: str) -> bool:
        if pair == self.null_pair:
            return self._config.orders != "random"
        return self.schedule.both_orders(pair, prompt_id)
