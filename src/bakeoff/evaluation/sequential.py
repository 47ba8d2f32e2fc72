"""The schedule of a comparison: which pairs of models on which prompts, all at once or in stages.

In stages, verdicts decide when a pair is finished, which pairs continue and whether both orders are
judged. `--stop early` checks a pair after each prompt, `--looks` at planned numbers of prompts.
Each decision uses only the judgments of earlier prompts, in prompt order and not in order of
arrival: a resumed run ends like an uninterrupted one, and no estimate becomes biased.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, takewhile
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.config import Config
from bakeoff.records import Design, Judgment, PlannedLook, Prompt

if TYPE_CHECKING:
    from bakeoff.analysis.pair_data import AnalysisConfig, PairData
    from bakeoff.stats.sequential import SequentialTest

ModelPair = tuple[str, str]

# The judgments of a pair on a prompt; None if some of them do not exist yet.
JudgmentLookup = Callable[[ModelPair, Prompt], Sequence[Judgment] | None]

MIN_PROMPTS = 20  # per pair before it may end; a verdict needs as many
_FIRST_STAGE = 24  # prompts
_MIN_STAGE = 16  # prompts of a later stage
_STAGE_GROWTH = 0.5  # size of a later stage relative to all prompts before it
_ADAPTIVE_STAGE = 25  # prompts with `--pairs adaptive`: see benchmarks/adaptive_pairs.py


class DesignStage(NamedTuple):
    """Consecutive prompts of one pair that are requested together."""

    positions: range
    """Indices of the prompts."""
    both_orders: bool


@dataclass
class PairProgress:
    """The stages of one pair, and the state of its sequential test."""

    pair: ModelPair
    stages: list[DesignStage]
    finished: bool
    """No further stage follows."""
    test: "SequentialTest | None" = None
    """None unless `--stop early`, or `--looks` after earlier looks at the pair."""
    examined: int = 0
    """Number of prompts that the test has passed, with or without a verdict."""
    judged: int = 0
    """Number of examined prompts with a verdict."""
    looks: int = 0
    """Number of planned looks so far."""

    def __len__(self) -> int:
        return sum(len(stage.positions) for stage in self.stages)

    def __contains__(self, position: int) -> bool:
        return any(position in stage.positions for stage in self.stages)

    def both_orders(self, position: int) -> bool:
        """Return whether the prompt at a position is judged in both orders."""
        return any(stage.both_orders and position in stage.positions for stage in self.stages)

    def positions(self, start: int = 0) -> Iterator[int]:
        """Yield the positions of the prompts in order, without the first `start`."""
        for stage in self.stages:
            yield from stage.positions[start:]
            start = max(0, start - len(stage.positions))

    def end_after(self, count: int) -> None:
        """Finish the pair with its first `count` prompts."""
        for index, stage in enumerate(self.stages):
            self.stages[index] = stage._replace(positions=stage.positions[:count])
            count -= len(self.stages[index].positions)
        self.finished = True


class Schedule:
    """The prompts that each pair of models is compared on so far, and the next stages."""

    def __init__(self, config: Config, prompts: Sequence[Prompt], models: Sequence[str]) -> None:
        self.config = config
        self.prompts = tuple(prompts)
        self.models = tuple(models)
        self.look_ends = planned_look_ends(len(self.prompts), config.looks)
        self.staged = (
            config.design.sequential or config.orders == "adaptive" or bool(self.look_ends)
        )
        self._position = {prompt.id: position for position, prompt in enumerate(prompts)}
        end = self.look_ends[0] if self.look_ends else _FIRST_STAGE
        first = self._all[:end] if self.staged else self._all
        stage = DesignStage(first, both_orders=config.orders != "random")
        pairs = config.design.pairs(self.models)
        self.progress = [PairProgress(pair, [stage], finished=not self.staged) for pair in pairs]
        self._by_pair = {progress.pair: progress for progress in self.progress}
        if config.stop == "early":
            self._start_tests(pairs)

    def set_earlier_looks(self, pairs: Collection[ModelPair]) -> None:
        """Set the pairs that an earlier run looked at, before the first `update`.

        Planned looks at them use the confidence sequence from the first prompt, as no error rate is
        left for the levels of a group-sequential design.
        """
        known = {frozenset(pair) for pair in pairs}
        if self.look_ends:
            self._start_tests([p.pair for p in self.progress if frozenset(p.pair) in known])

    @property
    def design(self) -> Design:
        """The design of the finished schedule: with the planned look that ended each pair."""
        planned = tuple(
            self._planned_look(progress)
            for progress in self.progress
            if self.look_ends and progress.test is None
        )
        return self.config.design.model_copy(update={"planned": planned})

    def pairs_on(self, prompt: Prompt) -> list[ModelPair]:
        """Return the pairs of models that are compared on a prompt."""
        position = self._position[prompt.id]
        return [progress.pair for progress in self.progress if position in progress]

    def prompts_of(self, model: str) -> list[Prompt]:
        """Return the prompts that a model completes, in order."""
        if not self.staged:
            return list(self.prompts) if model in self.models else []
        ranges = {
            stage.positions
            for progress in self.progress
            if model in progress.pair
            for stage in progress.stages
        }
        return [self.prompts[position] for position in sorted(set(chain.from_iterable(ranges)))]

    def both_orders(self, pair: ModelPair, prompt_id: str) -> bool:
        """Return whether a pair is judged in both orders on a prompt."""
        return self._by_pair[pair].both_orders(self._position[prompt_id])

    @property
    def finished(self) -> bool:
        """Whether no pair has a further stage."""
        return all(progress.finished for progress in self.progress)

    @contextmanager
    def with_all_stages(self) -> Iterator[None]:
        """Include every prompt that a pair may still get, while the body runs: an upper bound."""
        before = [
            (progress, progress.stages) for progress in self.progress if not progress.finished
        ]
        for progress, stages in before:
            rest = self._all[_end(stages) :]
            both = self.config.orders != "random"
            progress.stages = [*stages, DesignStage(rest, both_orders=both)]
        try:
            yield
        finally:
            for progress, stages in before:
                progress.stages = stages

    def update(self, pair: ModelPair, judgments_of: JudgmentLookup) -> None:
        """Pass new judgments of a pair to its test in prompt order; finish it if it is decided."""
        progress = self._by_pair.get(pair) or self._by_pair.get(pair[::-1])
        if progress is None or progress.finished or not (progress.test or self.look_ends):
            return
        for position in progress.positions(progress.examined):
            judgments = judgments_of(progress.pair, self.prompts[position])
            if judgments is None:
                return
            progress.examined += 1
            if judgments:
                progress.judged += 1
                if progress.test:
                    progress.test.add(self._preference(progress.pair, judgments))
            if self.look_ends:
                if progress.examined not in self.look_ends:
                    continue
                progress.looks = sum(look <= progress.examined for look in self.look_ends)
            if progress.judged >= MIN_PROMPTS and self._is_decided(progress, judgments_of):
                progress.end_after(progress.examined)
                return

    def update_all(self, judgments_of: JudgmentLookup) -> None:
        """Call `update` for every pair."""
        for progress in self.progress:
            self.update(progress.pair, judgments_of)

    def advance(self, judgments_of: JudgmentLookup) -> bool:
        """Add the next stage once the current one is complete; return whether there is one."""
        self.update_all(judgments_of)
        unfinished = [progress for progress in self.progress if not progress.finished]
        end = max((_end(progress.stages) for progress in self.progress), default=0)
        if end >= len(self.prompts):
            for progress in unfinished:
                progress.finished = True
        elif unfinished:
            size = max(_MIN_STAGE, int(_STAGE_GROWTH * end))
            if self.look_ends:
                size = next(look for look in self.look_ends if look > end) - end
            if self.config.pairs == "adaptive":
                unfinished = self._most_informative(unfinished, judgments_of)
                size = _ADAPTIVE_STAGE
            for progress in unfinished:
                both = self._next_in_both_orders(progress, judgments_of)
                progress.stages.append(DesignStage(self._all[end : end + size], both))
        self.update_all(judgments_of)  # the store may have judgments of the new stage
        return not self.finished

    def truncate(self, judgments_of: JudgmentLookup) -> None:
        """Finish every pair of a stopped run with the prompts before the first incomplete one.

        With planned looks, with those of the last look, if there was one.
        """
        for progress in self.progress:
            if progress.finished:
                continue
            judged = (
                judgments_of(progress.pair, self.prompts[position])
                for position in progress.positions()
            )
            count = sum(1 for _ in takewhile(lambda j: j is not None, judged))
            if progress.looks:
                count = self.look_ends[progress.looks - 1]
            progress.end_after(count)

    def notes(self) -> Iterator[str]:
        """Yield the sample sizes that depended on verdicts, as sentences for the results."""
        total, counts = len(self.prompts), sorted(map(len, self.progress))
        took = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
        subject = "it" if len(counts) == 1 else f"each of {len(counts)} pairs"
        if self.config.stop == "early":
            yield f"--stop early: {subject} took {took} of {total:,} prompts at most"
            if len(self.models) > 2:
                yield "--stop early: the pairs allow for it, the intervals of ratings do not"
        if self.look_ends:
            looks = sorted(progress.looks for progress in self.progress)
            ended = str(looks[0]) if looks[0] == looks[-1] else f"{looks[0]} to {looks[-1]}"
            yield (
                f"--looks {len(self.look_ends)}: {subject} took {took} of {total:,} prompts at "
                f"most, and {ended} of the looks"
            )
        if self.config.pairs == "adaptive":
            share = sum(counts) / (total * len(counts))
            yield f"--pairs adaptive: {100 * share:.0f} % of each two on {total:,} prompts"
        if self.config.orders == "adaptive":
            stages = chain.from_iterable(progress.stages for progress in self.progress)
            both = sum(len(stage.positions) for stage in stages if stage.both_orders)
            percent = f"{100 * both / max(1, sum(counts)):.0f} %"
            yield f"--orders adaptive: both orders were wanted of {percent} of the prompts"

    @property
    def _all(self) -> range:
        return range(len(self.prompts))

    # Functions below import `analysis` and `stats` late: numpy and scipy take long to import, and
    # only staged runs need them.

    @cached_property
    def _analysis_config(self) -> "AnalysisConfig":
        from bakeoff.analysis.pair_data import AnalysisConfig

        config = self.config
        return AnalysisConfig(config.margin, config.panel, config.design, len(self.progress))

    def _start_tests(self, pairs: Sequence[ModelPair]) -> None:
        from bakeoff.stats.sequential import SequentialTest

        for pair in pairs:
            alpha = 0.05 / len(self.progress)
            self._by_pair[pair].test = SequentialTest(self.config.margin / 100, alpha)

    def _is_decided(self, progress: PairProgress, judgments_of: JudgmentLookup) -> bool:
        """Return whether the test, or else the interval at this planned look, is conclusive."""
        if progress.test:
            return progress.test.decision is not None
        from bakeoff.analysis.findings import interval_outcome
        from bakeoff.analysis.pair import summarize_for_checks

        prompts = {prompt.id: prompt for prompt in self.prompts}  # their tags name clusters
        data = replace(self._pair_data(progress, judgments_of), prompts=prompts)
        rate = summarize_for_checks(data).win_rate
        outcome = interval_outcome(rate, self.config.margin / 100) if rate else "not enough data"
        return outcome != "not enough data"

    def _planned_look(self, progress: PairProgress) -> PlannedLook:
        from bakeoff.stats.looks import obrien_fleming

        looks, number = len(self.look_ends), max(1, progress.looks)
        alpha = obrien_fleming(looks, 0.05 / len(self.progress))[number - 1]
        a, b = progress.pair
        return PlannedLook(a=a, b=b, number=number, looks=looks, alpha=alpha)

    def _preference(self, pair: ModelPair, judgments: Sequence[Judgment]) -> float:
        from bakeoff.analysis.aggregate import compare

        return round(compare(*pair, judgments, self._analysis_config.panel)[0].preference, 9)

    def _pair_data(self, progress: PairProgress, judgments_of: JudgmentLookup) -> "PairData":
        """Return all judgments of a pair so far, ready for the analysis."""
        from bakeoff.analysis.pair_data import PairData

        by_prompt = (
            judgments_of(progress.pair, self.prompts[position]) for position in progress.positions()
        )
        judgments = [judgment for on_prompt in by_prompt for judgment in on_prompt or ()]
        config = self._analysis_config._replace(design=self.design.for_pair(*progress.pair))
        return PairData(*progress.pair, {}, {}, judgments, (), {}, config)

    def _next_in_both_orders(self, progress: PairProgress, judgments_of: JudgmentLookup) -> bool:
        if self.config.orders != "adaptive":
            return self.config.orders == "both"
        from bakeoff.analysis.second_order_benefit import second_order_may_matter

        return second_order_may_matter(self._pair_data(progress, judgments_of), len(self.prompts))

    def _most_informative(
        self, unfinished: Sequence[PairProgress], judgments_of: JudgmentLookup
    ) -> list[PairProgress]:
        """Return the most informative pairs for the ratings, at most two times the models."""
        from bakeoff.analysis.ratings import pairwise_outcomes
        from bakeoff.stats.pair_selection import select_pairs

        models, limit = self.models, 2 * len(self.models)
        pairs_data = [self._pair_data(progress, judgments_of) for progress in self.progress]
        pairs_data = [pair_data for pair_data in pairs_data if len(pair_data.prompt_table)]
        if not pairs_data:
            return list(unfinished[:limit])
        outcomes = pairwise_outcomes(models, pairs_data)
        ranked = select_pairs(outcomes, len(models), len(self.progress), prompts=_ADAPTIVE_STAGE)
        by_rank = [self._by_pair[models[a], models[b]] for a, b in ranked]
        return [progress for progress in by_rank if progress in unfinished][:limit]


def planned_look_ends(prompts: int, looks: int) -> tuple[int, ...]:
    """Return the number of prompts at each of equally spaced looks; empty for a single look."""
    return tuple(-(-prompts * look // looks) for look in range(1, looks + 1)) if looks > 1 else ()


def _end(stages: Sequence[DesignStage]) -> int:
    """Return the position after the last prompt."""
    return stages[-1].positions.stop if stages else 0
