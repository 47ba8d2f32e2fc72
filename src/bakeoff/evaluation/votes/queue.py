"""Which pairs people vote on, and in which order.

The order depends on a seed and on the pairs only: all voters see the same pairs first, and a
restarted vote continues.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from bakeoff.config.options import VoteOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.presentation_order import is_swapped_for_voter
from bakeoff.evaluation.votes.items import PairKey, VotingItem, item_lookup
from bakeoff.evaluation.votes.vote_log import read_votes
from bakeoff.evaluation.votes.votes import human_judges, latest_votes, matching_votes
from bakeoff.records import Evidence, HumanSample, content_key

_DEFAULT_OPTIONS = VoteOptions()


class VotingQueue:
    """The pairs that people vote on, in order: those with two different completions."""

    def __init__(self, evidence: Evidence, options: VoteOptions) -> None:
        """Raises ConfigError if no prompt has two different completions."""
        self.human_sample: HumanSample = "random" if options.draw == "random" else "chosen"
        self._seed = options.seed
        self._items = {item.key: item for item in _items(evidence)}
        order = list(self._items)
        if not order:
            raise ConfigError(
                "there is nothing to vote on: no prompt has two completions that differ"
            )
        if options.draw != "order":
            order.sort(key=self._random_rank)
        if options.draw == "close":
            order.sort(key=_Closeness(evidence))
        self.keys = tuple(order[: options.labels])

    def item(self, key: PairKey, voter: str) -> VotingItem:
        """Return a pair as this voter sees it: half of the voters see the other order."""
        item = self._items[key]
        swapped = is_swapped_for_voter(self._seed, voter, *self._content(key))
        return item.swapped() if swapped else item

    def _random_rank(self, key: PairKey) -> str:
        # A hash per pair: additional prompts do not change the order of the others.
        return content_key("order", self._seed, *self._content(key))

    def _content(self, key: PairKey) -> tuple[JsonValue, ...]:
        return (*key, self._items[key].pair.prompt.conversation())


def _items(evidence: Evidence) -> Iterator[VotingItem]:
    """Yield, per prompt and pair of models, the first sample whose completions differ."""
    item_of = item_lookup(evidence)
    samples = sorted({row.sample for row in evidence.completions})
    pairs = evidence.design.pairs(evidence.models)
    for prompt, (model, other_model) in itertools.product(evidence.prompts, pairs):
        for sample in samples:
            key = PairKey.of(prompt.id, model, other_model, sample)
            item = item_of(key, key.a)
            if item and item.pair.first != item.pair.second:
                yield item
                break


class _Closeness:
    """Sort key: pairs with contradictory verdicts, then the closest ones; unjudged pairs last."""

    def __init__(self, evidence: Evidence) -> None:
        from bakeoff.analysis.aggregate import preference_of  # late: imports numpy

        self._preferences: dict[PairKey, list[float]] = defaultdict(list)
        people = human_judges(evidence)
        for judgment in evidence.judgments:
            if judgment.judge not in people:
                key = PairKey.of(
                    judgment.prompt_id, judgment.first, judgment.second, judgment.sample
                )
                self._preferences[key].append(preference_of(key.a, judgment))

    def __call__(self, key: PairKey) -> tuple[bool, bool, float]:
        preferences = self._preferences.get(key)
        if not preferences:
            return (True, True, 1.0)
        contradictory = min(preferences) < 0.5 < max(preferences)
        mean = sum(preferences) / len(preferences)
        return (False, not contradictory, abs(mean - 0.5))


def all_voted(evidence: Evidence, file: Path, options: VoteOptions = _DEFAULT_OPTIONS) -> bool:
    """Return whether every pair that people vote on has a vote or a skip."""
    votes = latest_votes(matching_votes(read_votes(file), evidence))
    voted = {key for _, key in votes}
    return voted.issuperset(VotingQueue(evidence, options).keys)
