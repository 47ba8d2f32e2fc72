"""The requests to one judge for labeled pairs, and their outcomes.

The store keys are those of a run: a check reuses verdicts of runs, and a run those of checks.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bakeoff.errors import WorkError
from bakeoff.evaluation.cache import run_cached, verdict_key
from bakeoff.evaluation.judge_check.labeled_pairs import BETTER, WORSE, LabeledPair
from bakeoff.records import Failure, Judgment, Pair, Verdict, content_key
from bakeoff.runtime import Judge
from bakeoff.runtime.progress import ProgressCallback, ProgressCounter
from bakeoff.storage import Store


class LabeledJudgmentKey(NamedTuple):
    """Key of one judgment of a labeled pair."""

    pair: LabeledPair
    first: str
    """`better` or `worse`: the completion that is shown first."""
    second: str
    repeat: int

    def shown(self) -> Pair:
        """Return the pair as the judge sees it."""
        pair = Pair(prompt=self.pair.prompt, first=self.pair.better, second=self.pair.worse)
        return pair if self.first == BETTER else pair.swapped()


class JudgeRequests:
    """The requests to one judge, by store key, and the outcomes so far."""

    def __init__(self, name: str, judge: Judge, pairs: Sequence[LabeledPair], repeats: int) -> None:
        self.name = name
        self.judge = judge
        self._keys = list(self._judgment_keys(pairs, repeats))
        self.requests: list[tuple[str, Pair]] = []
        judge_key = content_key(judge.identity)
        for key in self._keys:
            pair = key.shown()
            store_key = verdict_key(judge_key, pair, key.repeat)
            self.requests.append((store_key, pair.with_id(store_key)))
        self._outcomes: dict[int, Verdict | WorkError] = {}

    def _judgment_keys(
        self, pairs: Sequence[LabeledPair], repeats: int
    ) -> Iterator[LabeledJudgmentKey]:
        orders = [(BETTER, WORSE)]
        if self.judge.traits.order == "both":
            orders.append((WORSE, BETTER))
        for pair in pairs:
            for repeat in range(repeats):
                for first, second in orders:
                    yield LabeledJudgmentKey(pair, first, second, repeat)

    async def run(self, store: Store, on_progress: ProgressCallback) -> None:
        """Obtain an outcome for every request, from the store or from the judge."""
        count = ProgressCounter("judgment", self.name, len(self.requests), on_progress)

        def take(index: int, outcome: Verdict | WorkError) -> None:
            self._outcomes[index] = outcome

        await run_cached(self.judge, self.requests, store, Verdict, take, count)

    @property
    def judgments(self) -> list[Judgment]:
        """The verdicts, in the order of the pairs."""
        return [
            Judgment(
                prompt_id=key.pair.id,
                judge=self.name,
                first=key.first,
                second=key.second,
                repeat=key.repeat,
                presented="recorded" if self.judge.traits.order == "both" else "pointwise",
                verdict=outcome,
            )
            for key, outcome in self._by_key()
            if isinstance(outcome, Verdict)
        ]

    @property
    def failures(self) -> list[Failure]:
        """The failed requests, in the order of the pairs."""
        return [
            Failure.of(outcome, "judgment", key.pair.id, self.name).for_pair(*key[1:])
            for key, outcome in self._by_key()
            if isinstance(outcome, WorkError)
        ]

    def _by_key(self) -> Iterator[tuple[LabeledJudgmentKey, Verdict | WorkError]]:
        return ((key, self._outcomes[index]) for index, key in enumerate(self._keys))
