"""What is wanted of each model and judge: completions and verdicts, one by one, in their order.

Knows who takes part and what the schedule wants; not what there is of it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bakeoff.config import Config
from bakeoff.evaluation.pair_progress import Two
from bakeoff.evaluation.sequential import Schedule
from bakeoff.records import Prompt, content_key
from bakeoff.runtime import Generator, Judge

AGAIN = ", drawn again"  # after a model's name


class Text(NamedTuple):
    """A completion that is wanted: of which prompt, by which model, which of several."""

    prompt_id: str
    model: str
    sample: int = 0


class Sitting(NamedTuple):
    """A verdict that is wanted: which judge, which prompt, which models in which order, and which
    of several completions of theirs.
    """

    judge: str
    prompt_id: str
    first: str
    second: str
    repeat: int
    sample: int = 0

    @property
    def texts(self) -> tuple[Text, Text]:
        """The two completions that are judged."""
        first = Text(self.prompt_id, self.first, self.sample)
        return first, first._replace(model=self.second)


class Cast(NamedTuple):
    """Everyone who takes part, by name.

    `again` is a model that is drawn a second time, to be compared with itself on some prompts.
    """

    models: dict[str, Generator]
    judges: dict[str, Judge]
    again: tuple[str, Generator] | None = None


class Agenda:
    """All that is wanted now, as the `schedule` has it, and what a model is compared with itself
    for.
    """

    def __init__(self, config: Config, prompts: Sequence[Prompt], cast: Cast) -> None:
        self._config = config
        self._prompts = {prompt.id: prompt for prompt in prompts}
        self._judges = cast.judges
        self.schedule = Schedule(config, prompts, tuple(cast.models))
        self.null_pair = (cast.again[0], cast.again[0] + AGAIN) if cast.again else None
        self._null = {prompt.id for prompt in prompts[: config.null_prompts]}

    def wanted(self, model: str) -> list[Prompt]:
        """The prompts that a model completes, in their order."""
        wanted = self.schedule.wanted(model)
        if not (self.null_pair and model in self.null_pair):
            return wanted
        ours = {prompt.id for prompt in wanted} | self._null
        return [prompt for prompt in self._prompts.values() if prompt.id in ours]

    def pairs(self, prompt_id: str) -> list[Two]:
        """Which models are compared on a prompt, and one with itself where that is wanted."""
        pairs = self.schedule.pairs(self._prompts[prompt_id])
        if self.null_pair and prompt_id in self._null:
            pairs.append(self.null_pair)
        return pairs

    def sittings(self, judge: str) -> Iterator[Sitting]:
        """Every verdict that is wanted of one judge, in the order of the results."""
        for prompt_id in self._prompts:
            for pair in self.pairs(prompt_id):
                yield from self.on(judge, prompt_id, pair)

    def on(self, judge: str, prompt_id: str, pair: Two) -> Iterator[Sitting]:
        """Those on one pair of models and one prompt."""
        for sample in range(self._config.samples):
            yield from self.of(judge, prompt_id, pair, sample)

    def of(self, judge: str, prompt_id: str, pair: Two, sample: int) -> Iterator[Sitting]:
        """Those on two completions: in both orders or in one, as often as it is asked."""
        orders = [pair, pair[::-1]]
        if self._judges[judge].traits.order == "apart":
            orders = orders[:1]
        elif not self._both(pair, prompt_id):
            # Whoever is named first: the same two models are shown in the same order.
            drawn = content_key("order", self._config.seed, prompt_id, *sorted(pair))
            orders = [sorted(orders)[int(drawn[-1], 16) % 2]]
        for repeat in range(self._config.repeats):
            for first, second in orders:
                yield Sitting(judge, prompt_id, first, second, repeat, sample)

    def _both(self, pair: Two, prompt_id: str) -> bool:
        if pair == self.null_pair:
            return self._config.orders != "random"
        return self.schedule.both(pair, prompt_id)
