"""Two models and everything that the evidence holds about them, ready to be counted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from bakeoff.records import (
    CLUSTER,
    MARGIN,
    PEOPLE,
    Comparison,
    Completion,
    Evidence,
    Failure,
    Judgment,
    Prompt,
    Results,
)
from bakeoff.stats.intervals import cluster_means
from bakeoff.summary.folding import Panel, compare

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
Texts = Mapping[str, Sequence[Completion]]


class Terms(NamedTuple):
    """What was declared before: the margin, and how several judges make one preference."""

    margin: float = MARGIN
    panel: Panel = "mean"

    @classmethod
    def of(cls, config: Mapping[str, JsonValue]) -> "Terms":
        """The terms that the config of some results declares."""
        margin = config.get("margin")
        return cls(
            margin=float(margin) if isinstance(margin, int | float) else MARGIN,
            panel="majority" if config.get("panel") == "majority" else "mean",
        )


@dataclass(frozen=True)
class Trial:
    """One pair of models. `comparisons` are in the order of prompt ids, so that no number depends
    on the order in which prompts came; `texts` are the completions of each model by prompt.
    `labels` are judgments of people beside those of the judges; `drawn` says how their prompts were
    chosen.
    """

    a: str
    b: str
    prompts: Mapping[str, Prompt]
    texts: Mapping[str, Texts]
    judgments: Sequence[Judgment]
    failures: Sequence[Failure]
    origins: Mapping[str, str]
    terms: Terms
    labels: Sequence[Judgment] = ()
    drawn: str = "random"

    @property
    def margin(self) -> float:
        """Points around 50 % within which two models are equivalent."""
        return self.terms.margin

    @property
    def name(self) -> str:
        """What flags call it."""
        return f"{self.a} against {self.b}"

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """One per prompt that was judged."""
        return self._compared(self.judgments)

    @cached_property
    def alone(self) -> dict[str, list[Comparison]]:
        """The same from each judge alone, in the order of their names."""
        if len(self.judges) == 1:
            return {judge: self.comparisons for judge in self.judges}
        return {judge: self._compared(self.judges[judge]) for judge in sorted(self.judges)}

    @cached_property
    def labelled(self) -> list[Comparison]:
        """One per prompt that people judged, all of them together."""
        return self._compared(self.labels)

    def _compared(self, judgments: Sequence[Judgment]) -> list[Comparison]:
        found = compare(self.a, self.b, judgments, self.terms.panel)
        return sorted(found, key=lambda c: c.prompt_id)

    def of_judges(self, judges: Iterable[str]) -> "Trial":
        """The same with the judgments and failures of these judges only."""
        kept = set(judges)
        return replace(
            self,
            judgments=[j for j in self.judgments if j.judge in kept],
            failures=[f for f in self.failures if f.who in kept],
        )

    @cached_property
    def values(self) -> Values:
        """The preferences for a, one per comparison.

        Rounded: p and 1 - (1 - p) need not be the same to the last bit, and ranks would see it.
        """
        return np.round([comparison.preference for comparison in self.comparisons], 9)

    @cached_property
    def clusters(self) -> Codes | None:
        """The cluster of each comparison; None where no prompt names one."""
        return self.clusters_of([comparison.prompt_id for comparison in self.comparisons])

    @property
    def units(self) -> list[str]:
        """The unit of inference of each comparison, by name: its cluster, or the prompt itself."""
        return [self._cluster(comparison.prompt_id) for comparison in self.comparisons]

    def clusters_of(self, prompt_ids: Sequence[str]) -> Codes | None:
        """A code for the cluster of each prompt; a prompt that names none is one by itself."""
        names = [self._cluster(prompt_id) for prompt_id in prompt_ids]
        if all(name == prompt_id for name, prompt_id in zip(names, prompt_ids, strict=True)):
            return None
        return np.unique(names, return_inverse=True)[1]

    def tags(self, prompt_id: str) -> tuple[str, ...]:
        """The tags of a prompt."""
        return self.prompts[prompt_id].tags if prompt_id in self.prompts else ()

    def _cluster(self, prompt_id: str) -> str:
        return next((t for t in self.tags(prompt_id) if t.startswith(CLUSTER)), prompt_id)

    @cached_property
    def judges(self) -> dict[str, list[Judgment]]:
        """The judgments of each judge."""
        by_judge: dict[str, list[Judgment]] = defaultdict(list)
        for judgment in self.judgments:
            by_judge[judgment.judge].append(judgment)
        return dict(by_judge)

    def both_texts(self) -> Iterator[tuple[int, Sequence[Completion], Sequence[Completion]]]:
        """The completions of a and of b where both are there, with the index of the comparison."""
        for index, comparison in enumerate(self.comparisons):
            ours = [self.texts.get(m, {}).get(comparison.prompt_id, ()) for m in (self.a, self.b)]
            if all(ours):
                yield index, ours[0], ours[1]

    def read(self, prompt_id: str) -> str:
        """What a judge may have read for a prompt, in lower case."""
        prompt = self.prompts.get(prompt_id)
        texts = [message.content for message in prompt.messages] if prompt else []
        for model in (self.a, self.b):
            texts += [
                completion.text for completion in self.texts.get(model, {}).get(prompt_id, ())
            ]
        return "\n".join(texts).lower()

    def per_unit(self, values: Values) -> Values:
        """Averages over clusters, of one value per comparison; the values where there are none."""
        return values if self.clusters is None else cluster_means(values, self.clusters)


def trials(evidence: Evidence, terms: Terms) -> list[Trial]:
    """Each two models that were to be compared, in the order of the models."""
    prompts = {prompt.id: prompt for prompt in evidence.prompts}
    texts: dict[str, dict[str, list[Completion]]] = defaultdict(lambda: defaultdict(list))
    for authored in sorted(evidence.completions, key=lambda c: c.sample):
        texts[authored.model][authored.prompt_id].append(authored.completion)
    people = _beside(evidence)
    judged: dict[frozenset[str], list[Judgment]] = defaultdict(list)
    labels: dict[frozenset[str], list[Judgment]] = defaultdict(list)
    for judgment in evidence.judgments:
        home = labels if judgment.judge in people else judged
        home[frozenset((judgment.first, judgment.second))].append(judgment)
    failed: dict[frozenset[str], list[Failure]] = defaultdict(list)
    for failure in evidence.failures:
        if failure.first and failure.second and failure.who not in people:
            failed[frozenset((failure.first, failure.second))].append(failure)
    return [
        Trial(
            a,
            b,
            prompts,
            texts,
            judged[key],
            failed[key],
            evidence.origins,
            terms,
            labels[key],
            evidence.drawn,
        )
        for a, b in combinations(evidence.models, 2)
        if judged[key := frozenset((a, b))] or failed[key]
    ]


def trials_of(results: Results) -> dict[tuple[str, str], Trial]:
    """The trials that a summary was made of, by the names of the two models."""
    found = trials(results.evidence, Terms.of(results.config))
    return {(trial.a, trial.b): trial for trial in found}


def _beside(evidence: Evidence) -> set[str]:
    """The people who judged beside other judges; without others, people are the judges."""
    who = {j.judge for j in evidence.judgments}
    who |= {f.who for f in evidence.failures if f.stage == "judgment"}
    people = {judge for judge in who if evidence.origins.get(judge, "").startswith(PEOPLE)}
    return people if who - people else set()
