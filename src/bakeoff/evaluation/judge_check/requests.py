"""One judge and the pairs that it is checked with: what it is asked, and what it said.

A verdict that a run has paid for is not asked for again, nor the other way round: the store and its
keys are the same.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bakeoff.errors import WorkError
from bakeoff.evaluation.cache import fill
from bakeoff.evaluation.judge_check.labeled_pairs import BETTER, WORSE, Labelled
from bakeoff.evaluation.pipeline import verdict_key
from bakeoff.records import Failure, Judgment, Pair, Verdict
from bakeoff.runtime import Judge
from bakeoff.runtime.progress import ProgressCallback, ProgressCounter
from bakeoff.storage import Store


class _Seat(NamedTuple):
    """One verdict that is wanted: on which pair, who of the two is shown first, which repeat."""

    pair: Labelled
    first: str
    second: str
    repeat: int

    def shown(self) -> Pair:
        """What the judge sees."""
        pair = Pair(prompt=self.pair.prompt, first=self.pair.better, second=self.pair.worse)
        return pair if self.first == BETTER else pair.swapped()


class Asking:
    """One judge under way: what it is asked, and what it said so far."""

    def __init__(self, name: str, judge: Judge, pairs: Sequence[Labelled], repeats: int) -> None:
        self.name = name
        self.judge = judge
        self._pairs = pairs
        self._seats = list(self._wanted(repeats))
        shown = [seat.shown() for seat in self._seats]
        keys = [
            verdict_key(judge.identity, pair, seat.repeat)
            for seat, pair in zip(self._seats, shown, strict=True)
        ]
        self.asks = [
            (key, pair.model_copy(update={"id": key}))
            for key, pair in zip(keys, shown, strict=True)
        ]
        self._outcomes: dict[int, Verdict | WorkError] = {}

    def _wanted(self, repeats: int) -> Iterator[_Seat]:
        both = self.judge.traits.order == "both"
        orders = [(BETTER, WORSE), (WORSE, BETTER)] if both else [(BETTER, WORSE)]
        for pair in self._pairs:
            for repeat in range(repeats):
                yield from (_Seat(pair, first, second, repeat) for first, second in orders)

    async def run(self, store: Store, on_progress: ProgressCallback) -> None:
        """Have a verdict or a failure for every seat."""
        count = ProgressCounter("judgment", self.name, len(self.asks), on_progress)

        def take(index: int, outcome: Verdict | WorkError) -> None:
            self._outcomes[index] = outcome

        await fill(self.judge, self.asks, store, Verdict, take, count)

    @property
    def judgments(self) -> list[Judgment]:
        """Its verdicts, in the order of the pairs."""
        return [
            Judgment(
                prompt_id=seat.pair.id,
                judge=self.name,
                first=seat.first,
                second=seat.second,
                repeat=seat.repeat,
                presented="recorded" if self.judge.traits.order == "both" else "apart",
                verdict=outcome,
            )
            for seat, outcome in self._heard()
            if isinstance(outcome, Verdict)
        ]

    @property
    def failures(self) -> list[Failure]:
        """What has no verdict, in the order of the pairs."""
        return [
            Failure.of(outcome, "judgment", seat.pair.id, self.name).model_copy(
                update={"first": seat.first, "second": seat.second, "repeat": seat.repeat}
            )
            for seat, outcome in self._heard()
            if isinstance(outcome, WorkError)
        ]

    def _heard(self) -> Iterator[tuple[_Seat, Verdict | WorkError]]:
        return ((seat, self._outcomes[index]) for index, seat in enumerate(self._seats))
