"""Who is compared on which prompts, and in which orders: all at once, or only as much as it takes.

Knows the names of models, prompts, and what judges said of them; asks nobody, and keeps nothing.

Prompts are in a random order, and come in waves. How far a pair goes, and whether a wave of it is
judged in both orders, depends only on what came of the prompts before, in that order; never on who
was quicker. So a run that is killed and repeated ends where it would have ended; and each prompt is
expected to say the same, whatever came before it, so that no estimate is biased by the choice.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from bakeoff.config import Config
from bakeoff.evaluation.pair_progress import Course, Two, Wave
from bakeoff.records import Judgment, Prompt

if TYPE_CHECKING:
    from bakeoff.analysis.pair_data import AnalysisConfig, PairData

Said = Callable[[Two, Prompt], Sequence[Judgment] | None]  # None: not all of it is there yet

FEWEST = 20  # prompts before a pair may be sure: a verdict needs as many
_FIRST, _LEAST = 24, 16  # prompts of the first wave, and at least of any other
_MORE = 0.5  # of the prompts so far are the next wave
_WAVE = 25  # prompts of a wave where pairs are chosen: as simulated (benchmarks/adaptive_pairs.py)


class Schedule:
    """Which pairs are wanted on which prompts, now; and what comes next.

    `said` tells what the judges said of a pair on a prompt, None where they have not said all.
    """

    def __init__(self, config: Config, prompts: Sequence[Prompt], models: Sequence[str]) -> None:
        self.config = config
        self.prompts = tuple(prompts)
        self.models = tuple(models)
        self._place = {prompt.id: place for place, prompt in enumerate(prompts)}
        self.staged = config.design.sequential or config.orders == "adaptive"
        first = self._all[:_FIRST] if self.staged else self._all
        wave = Wave(first, both=config.orders != "random")
        pairs = config.design.pairs(self.models)
        self.courses = [Course(pair, [wave], over=not self.staged) for pair in pairs]
        self._by_pair = {course.pair: course for course in self.courses}
        if config.stop == "when-sure":
            self._watch()

    def pairs(self, prompt: Prompt) -> list[Two]:
        """Which models are compared on a prompt."""
        place = self._place[prompt.id]
        return [course.pair for course in self.courses if place in course]

    def wanted(self, model: str) -> list[Prompt]:
        """Which prompts a model is to complete, in their order."""
        if not self.staged:
            return list(self.prompts) if model in self.models else []
        waves = {wave.places for c in self.courses if model in c.pair for wave in c.waves}
        places = sorted(set(chain.from_iterable(waves)))
        return [self.prompts[place] for place in places]

    def both(self, pair: Two, prompt_id: str) -> bool:
        """Whether a pair is judged in both orders on a prompt."""
        return self._by_pair[pair].both(self._place[prompt_id])

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return all(course.over for course in self.courses)

    @contextmanager
    def at_most(self) -> Iterator[None]:
        """In the body all is wanted that may come to be."""
        now = [(course, course.waves) for course in self.courses if not course.over]
        for course, waves in now:
            rest = Wave(self._all[_end(waves) :], both=self.config.orders != "random")
            course.waves = [*waves, rest]
        try:
            yield
        finally:
            for course, waves in now:
                course.waves = waves

    def follow(self, pair: Two, said: Said) -> None:
        """Look at what is new of a pair, prompt by prompt, and end it where it is sure."""
        course = self._by_pair.get(pair) or self._by_pair.get(pair[::-1])
        if course is None or course.over or course.looks is None:
            return
        for place in course.places(course.seen):
            judgments = said(course.pair, self.prompts[place])
            if judgments is None:
                return
            course.seen += 1
            if judgments:
                course.looks.add(self._preference(course.pair, judgments))
                course.counted += 1
            if course.counted >= FEWEST and course.looks.decision:
                course.end(course.seen)
                return

    def catch_up(self, said: Said) -> None:
        """Look at what is new of every pair."""
        for course in self.courses:
            self.follow(course.pair, said)

    def advance(self, said: Said) -> bool:
        """What comes next, when all that was wanted is there; whether there is anything."""
        self.catch_up(said)
        going = [course for course in self.courses if not course.over]
        end = max((_end(course.waves) for course in self.courses), default=0)
        if end >= len(self.prompts):
            for course in going:
                course.over = True
        elif going:
            size = max(_LEAST, int(_MORE * end))
            if self.config.pairs == "adaptive":
                going, size = self._most_telling(going, said), _WAVE
            for course in going:
                both = self._in_both(course, said)
                course.waves.append(Wave(self._all[end : end + size], both))
        self.catch_up(said)  # of what comes next some may be there already
        return not self.over

    def settle(self, said: Said) -> None:
        """What is complete counts, as the run was stopped: no pair has more prompts than that."""
        for course in self.courses:
            if not course.over:
                there = (said(course.pair, self.prompts[place]) for place in course.places())
                course.end(sum(1 for _ in takewhile(lambda one: one is not None, there)))

    def notes(self) -> Iterator[str]:
        """What it came to, where that depended on verdicts."""
        whole, counts = len(self.prompts), sorted(map(len, self.courses))
        took = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
        if self.config.stop == "when-sure":
            who = "it" if len(counts) == 1 else f"each of {len(counts)} pairs"
            yield f"--stop when-sure: {who} took {took} of {whole:,} prompts at most"
            if len(self.models) > 2:
                yield "--stop when-sure: the pairs allow for it, the intervals of ratings do not"
        if self.config.pairs == "adaptive":
            share = sum(counts) / (whole * len(counts))
            yield f"--pairs adaptive: {100 * share:.0f} % of each two on {whole:,} prompts"
        if self.config.orders == "adaptive":
            both = sum(len(w.places) for course in self.courses for w in course.waves if w.both)
            of = f"{100 * both / max(1, sum(counts)):.0f} %"
            yield f"--orders adaptive: both orders were wanted of {of} of the prompts"

    @property
    def _all(self) -> range:
        return range(len(self.prompts))

    @cached_property
    def _analysis_config(self) -> "AnalysisConfig":
        from bakeoff.analysis.pair_data import AnalysisConfig

        config = self.config
        return AnalysisConfig(config.margin, config.panel, config.design, len(self.courses))

    def _watch(self) -> None:
        from bakeoff.stats.sequential import SequentialTest  # with numpy and scipy: slow to import

        for course in self.courses:
            course.looks = SequentialTest(self.config.margin / 100, self._analysis_config.alpha)

    def _preference(self, pair: Two, judgments: Sequence[Judgment]) -> float:
        from bakeoff.analysis.aggregate import compare

        return round(compare(*pair, judgments, self._analysis_config.panel)[0].preference, 9)

    def _pair_data(self, course: Course, said: Said) -> "PairData":
        """Everything that was said of a pair so far."""
        from bakeoff.analysis.pair_data import PairData

        told = (said(course.pair, self.prompts[place]) for place in course.places())
        judgments = [judgment for one in told for judgment in one or ()]
        return PairData(*course.pair, {}, {}, judgments, (), {}, self._analysis_config)

    def _in_both(self, course: Course, said: Said) -> bool:
        """Whether the next prompts of a pair are judged in both orders."""
        if self.config.orders != "adaptive":
            return self.config.orders == "both"
        from bakeoff.analysis.second_order import second_order_may_matter

        return second_order_may_matter(self._pair_data(course, said), len(self.prompts))

    def _most_telling(self, going: Sequence[Course], said: Said) -> list[Course]:
        """Twice as many pairs as there are models: those that the next prompts say most with."""
        from bakeoff.analysis.ratings import pairwise_outcomes
        from bakeoff.stats.pair_selection import select_pairs

        models, most = self.models, 2 * len(self.models)
        all_pair_data = [self._pair_data(course, said) for course in self.courses]
        all_pair_data = [pair_data for pair_data in all_pair_data if len(pair_data.prompt_table)]
        if not all_pair_data:
            return list(going[:most])
        outcomes = pairwise_outcomes(models, all_pair_data)
        ranked = select_pairs(outcomes, len(models), len(self.courses), prompts=_WAVE)
        courses = [self._by_pair[models[one], models[other]] for one, other in ranked]
        return [course for course in courses if course in going][:most]


def _end(waves: Sequence[Wave]) -> int:
    """The place behind the last prompt of some waves."""
    return waves[-1].places.stop if waves else 0
