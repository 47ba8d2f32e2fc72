"""Two models and everything that the evidence holds about them, ready to be counted."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from bakeoff.analysis.aggregate import Folded, Opinions, Panel, folded, opinions
from bakeoff.analysis.columns import Codes, Columns, Mask, Values, columns_of
from bakeoff.records import (
    CLUSTER_TAG,
    HUMAN_PREFIX,
    MARGIN,
    Comparison,
    Completion,
    Design,
    Evidence,
    Failure,
    Judgment,
    Prompt,
    Results,
)
from bakeoff.stats.confidence_sequences import mean_sequence
from bakeoff.stats.intervals import cluster_means, win_rate
from bakeoff.stats.results import Estimate

Texts = Mapping[str, Sequence[Completion]]


class Terms(NamedTuple):
    """What was declared before: the margin, how several judges make one preference, and what the
    interval of a pair has to allow for.

    `pairs` are how many were compared, in this `design`.
    """

    margin: float = MARGIN
    panel: Panel = "mean"
    design: Design = Design()
    pairs: int = 1

    @property
    def alpha(self) -> float:
        """How often the interval of a pair may miss. Pairs that may end when they like share it: no
        correction of p-values at the end would hold.
        """
        return 0.05 / self.pairs if self.design.sequential else 0.05

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
    def ids(self) -> list[str]:
        """The prompts that were judged, in the order of their ids."""
        return sorted({judgment.prompt_id for judgment in chain(self.judgments, self.labels)})

    @cached_property
    def columns(self) -> Columns:
        """The judgments, a row each; a prompt is an index into `ids`."""
        return columns_of(self.a, self.judgments, self.ids)

    @property
    def judges(self) -> tuple[str, ...]:
        """Who judged anything, in the order of their names."""
        return self.columns.judges

    @cached_property
    def opinions(self) -> Opinions:
        """What each judge thinks of each prompt."""
        return opinions(self.columns)

    @cached_property
    def folded(self) -> Folded:
        """A row per prompt that was judged."""
        return folded(self.opinions.each, self.terms.panel)

    @cached_property
    def voted(self) -> Folded:
        """A row per prompt that people judged, all of them together."""
        return folded(self._votes.each, self.terms.panel)

    @cached_property
    def voters(self) -> dict[str, Folded]:
        """What each of the people alone thinks, in the order of their names."""
        names = sorted({judgment.judge for judgment in self.labels})
        return {name: self._votes.of(code) for code, name in enumerate(names)}

    @cached_property
    def _votes(self) -> Opinions:
        return opinions(columns_of(self.a, self.labels, self.ids))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """`folded` as records."""
        return self._records(self.folded)

    @cached_property
    def alone(self) -> dict[str, list[Comparison]]:
        """The same from each judge alone, in the order of their names."""
        if len(self.judges) == 1:
            return {judge: self.comparisons for judge in self.judges}
        return {judge: self._records(self.alone_of(judge)) for judge in self.judges}

    @cached_property
    def labelled(self) -> list[Comparison]:
        """`voted` as records."""
        return self._records(self.voted)

    def alone_of(self, judge: str) -> Folded:
        """What one judge alone thinks, a row per prompt that it judged."""
        return self.opinions.of(self.judges.index(judge))

    def without(self, judge: str) -> Folded:
        """A row per prompt, from all judges but this one."""
        others = self.opinions.without(self.judges.index(judge))
        return folded(others, self.terms.panel)

    def _records(self, found: Folded) -> list[Comparison]:
        return found.comparisons(self.a, self.b, self.ids)

    @cached_property
    def snapshots(self) -> dict[str, tuple[str, ...]]:
        """The names under which the server of each judge answered, where it gave any."""
        named = {(j.judge, j.verdict.snapshot) for j in self.judgments if j.verdict.snapshot}
        return {judge: tuple(sorted(n for j, n in named if j == judge)) for judge, _ in named}

    @cached_property
    def values(self) -> Values:
        """The preferences for a, one per comparison."""
        return rounded(self.folded)

    def rate(self, found: Folded) -> Estimate:
        """The win rate of a, with the interval that the terms allow."""
        values, clusters = rounded(found), self.clusters_at(found.prompt)
        if self.terms.design.sequential:
            return mean_sequence(
                values if clusters is None else cluster_means(values, clusters), self.terms.alpha
            )
        return win_rate(values, clusters, 1 - self.terms.alpha)

    @property
    def wins(self) -> tuple[int, int]:
        """How many prompts a won, and how many b."""
        return int((self.folded.side == 1).sum()), int((self.folded.side == -1).sum())

    @cached_property
    def clusters(self) -> Codes | None:
        """The cluster of each comparison; None where no prompt names one."""
        return self.clusters_at(self.folded.prompt)

    @property
    def units(self) -> list[str]:
        """The unit of inference of each comparison, by name: its cluster, or the prompt itself."""
        names = self._names
        return [names[prompt] for prompt in self.folded.prompt.tolist()]

    def clusters_at(self, prompts: Codes) -> Codes | None:
        """The cluster of each of these indices into `ids`; None where none of them names one."""
        codes, named = self._clusters
        return codes[prompts] if named[prompts].any() else None

    def clusters_of(self, prompt_ids: Sequence[str]) -> Codes | None:
        """A code for the cluster of each prompt; a prompt that names none is one by itself."""
        names = [self._cluster(prompt_id) for prompt_id in prompt_ids]
        if names == list(prompt_ids):
            return None
        return np.unique(names, return_inverse=True)[1]

    @cached_property
    def _names(self) -> list[str]:
        return [self._cluster(prompt_id) for prompt_id in self.ids]

    @cached_property
    def _clusters(self) -> tuple[Codes, Mask]:
        """A code for the cluster of each of `ids`, and whether it is named."""
        code = {name: number for number, name in enumerate(sorted(set(self._names)))}
        named = [name != prompt_id for name, prompt_id in zip(self._names, self.ids, strict=True)]
        codes = np.array([code[name] for name in self._names], dtype=np.intp)
        return codes, np.array(named, dtype=np.bool_)

    def tags(self, prompt_id: str) -> tuple[str, ...]:
        """The tags of a prompt."""
        return self.prompts[prompt_id].tags if prompt_id in self.prompts else ()

    def _cluster(self, prompt_id: str) -> str:
        return next((t for t in self.tags(prompt_id) if t.startswith(CLUSTER_TAG)), prompt_id)

    def both_texts(self) -> Iterator[tuple[int, Sequence[Completion], Sequence[Completion]]]:
        """The completions of a and of b where both are there, with the index of the comparison."""
        ours, theirs = (self.texts.get(model, {}) for model in (self.a, self.b))
        for index, prompt in enumerate(self.folded.prompt.tolist()):
            prompt_id = self.ids[prompt]
            a, b = ours.get(prompt_id), theirs.get(prompt_id)
            if a and b:
                yield index, a, b

    @cached_property
    def same(self) -> Codes:
        """The prompts, as indices into `ids`, to which both models said the same."""
        rows = [
            index
            for index, ours, theirs in self.both_texts()
            if [c.text for c in ours] == [c.text for c in theirs]
        ]
        return self.folded.prompt[rows]

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


def rounded(found: Folded) -> Values:
    """The preferences for a.

    Rounded: p and 1 - (1 - p) need not be the same to the last bit, and ranks would see it.
    """
    return np.round(found.preference, 9)


def trials(evidence: Evidence, terms: Terms) -> list[Trial]:
    """Each two models that were to be compared, in the order of the models."""
    prompts = {prompt.id: prompt for prompt in evidence.prompts}
    texts: dict[str, dict[str, list[Completion]]] = defaultdict(lambda: defaultdict(list))
    for authored in sorted(evidence.completions, key=lambda c: c.sample):
        texts[authored.model][authored.prompt_id].append(authored.completion)
    people = _beside(evidence)
    judged, labels = _by_pair(evidence.models), _by_pair(evidence.models)
    for judgment in evidence.judgments:
        home = labels if judgment.judge in people else judged
        if (found := home.get((judgment.first, judgment.second))) is not None:
            found.append(judgment)
    failed: dict[frozenset[str], list[Failure]] = defaultdict(list)
    for failure in evidence.failures:
        if failure.first and failure.second and failure.participant not in people:
            failed[frozenset((failure.first, failure.second))].append(failure)
    compared = [
        (a, b)
        for a, b in combinations(evidence.models, 2)
        if judged[a, b] or failed[frozenset((a, b))]
    ]
    return [
        Trial(
            a,
            b,
            prompts,
            texts,
            judged[a, b],
            failed[frozenset((a, b))],
            evidence.origins,
            terms._replace(design=evidence.design, pairs=len(compared)),
            labels[a, b],
            evidence.human_sample,
        )
        for a, b in compared
    ]


def trials_of(results: Results) -> dict[tuple[str, str], Trial]:
    """The trials that a summary was made of, by the names of the two models."""
    found = trials(results.evidence, Terms.of(results.config))
    return {(trial.a, trial.b): trial for trial in found}


def _by_pair(models: Sequence[str]) -> dict[tuple[str, str], list[Judgment]]:
    """A list for each two models, whichever of them comes first."""
    found: dict[tuple[str, str], list[Judgment]] = {}
    for a, b in combinations(models, 2):
        found[a, b] = found[b, a] = []
    return found


def _beside(evidence: Evidence) -> set[str]:
    """The people who judged beside other judges; without others, people are the judges."""
    who = {j.judge for j in evidence.judgments}
    who |= {f.participant for f in evidence.failures if f.stage == "judgment"}
    people = {judge for judge in who if evidence.origins.get(judge, "").startswith(HUMAN_PREFIX)}
    return people if who - people else set()
