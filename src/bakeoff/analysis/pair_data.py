"""The evidence on a pair of models, arranged for analysis, and the settings of the analysis."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, Self

import numpy as np
from pydantic import JsonValue

from bakeoff.analysis.aggregate import (
    JudgeTable,
    Panel,
    PromptTable,
    aggregate_by_judge,
    aggregate_by_prompt,
    rounded_preferences,
)
from bakeoff.analysis.deciding_rate import DecidingRate, InferenceSettings, deciding_rate
from bakeoff.analysis.judgment_table import JudgmentTable, judgment_table
from bakeoff.analysis.order_design import OrderDesign, PromptSequence
from bakeoff.analysis.text_features import TextDifferences, same_words
from bakeoff.records import (
    CLUSTER_TAG,
    MARGIN,
    Comparison,
    Completion,
    Design,
    Failure,
    HumanSample,
    Judgment,
    Prompt,
)
from bakeoff.stats.arrays import Codes, Mask, Values

PromptCompletions = Mapping[str, Sequence[Completion]]  # by prompt id


class AnalysisConfig(NamedTuple):
    """Settings declared before the analysis."""

    margin: float = MARGIN
    """Percentage points around 50 % within which two models are equivalent."""
    panel: Panel = "mean"
    """How judges are combined."""
    design: Design = Design()
    pairs: int = 1
    """Number of compared pairs of models."""

    @property
    def alpha(self) -> float:
        """The error rate of the interval of a pair: `Design.alpha`."""
        return self.design.alpha(self.pairs)

    @classmethod
    def from_config(cls, config: Mapping[str, JsonValue]) -> "AnalysisConfig":
        """The margin and panel in the `config` of a results file; defaults if they are missing."""
        margin = config.get("margin")
        return cls(
            margin=float(margin) if isinstance(margin, int | float) else MARGIN,
            panel="majority" if config.get("panel") == "majority" else "mean",
        )


@dataclass(frozen=True)
class PairData:
    """The evidence on models a and b.

    Rows of all tables are in the order of prompt ids, so that no number depends on the order of the
    evidence.
    """

    a: str
    b: str
    prompts: Mapping[str, Prompt]
    """By id."""
    completions: Mapping[str, PromptCompletions]
    """By model and prompt id."""
    judgments: Sequence[Judgment]
    failures: Sequence[Failure]
    origins: Mapping[str, str]
    config: AnalysisConfig
    clusters_by_prompt: Mapping[str, str] = field(default_factory=dict)
    """Name of the cluster of each prompt that shares one, by id."""
    identical: Set[tuple[str, int]] = frozenset()
    """Prompt id and sample of the completions of a and b with the same text."""
    incomplete: Set[str] = frozenset()
    """Ids of the prompts that a or b failed to complete."""
    labels: Sequence[Judgment] = ()
    """Judgments of people, if there are other judges too."""
    label_selection: HumanSample = "random"
    """Selection of the prompts with labels."""

    @property
    def margin(self) -> float:
        """Points around 50 % within which the models are equivalent."""
        return self.config.margin

    @property
    def name(self) -> str:
        """The name of the pair in flags."""
        return f"{self.a} against {self.b}"

    @property
    def look(self) -> str | None:
        """The look at the pair in words, such as `second look`; None for the first one."""
        return self.config.design.label(self.a, self.b)

    @cached_property
    def prompt_ids(self) -> list[str]:
        """The ids of the judged prompts, sorted."""
        return sorted({judgment.prompt_id for judgment in chain(self.judgments, self.labels)})

    @cached_property
    def table_as_judged(self) -> JudgmentTable:
        """A row per judgment, with the verdicts on identical completions as they are."""
        return judgment_table(self.a, self.judgments, self.prompt_ids)

    @cached_property
    def judgment_table(self) -> JudgmentTable:
        """A row per judgment; prompts are indices into `prompt_ids`.

        Verdicts on identical completions are ties.
        """
        table = self.table_as_judged
        if not self.identical:
            return table
        rows = zip(table.prompt.tolist(), table.sample.tolist(), strict=True)
        identical = [(self.prompt_ids[prompt], sample) in self.identical for prompt, sample in rows]
        return table.with_ties(np.array(identical, dtype=np.bool_)) if any(identical) else table

    @property
    def judges(self) -> tuple[str, ...]:
        """The names of the judges with any judgment, sorted."""
        return self.judgment_table.judges

    @cached_property
    def judge_table(self) -> JudgeTable:
        """A row per judge and prompt."""
        design = self.order_design
        return design.by_judge if design.known.all() else aggregate_by_judge(self.judgment_table)

    @cached_property
    def prompt_table(self) -> PromptTable:
        """A row per judged prompt."""
        return aggregate_by_prompt(self.judge_table.rows, self.config.panel)

    @cached_property
    def people_table(self) -> PromptTable:
        """A row per prompt with labels, over all people."""
        return aggregate_by_prompt(self._person_table.rows, self.config.panel)

    @cached_property
    def table_by_person(self) -> dict[str, PromptTable]:
        """A row per labeled prompt of each person; sorted by name."""
        names = sorted({judgment.judge for judgment in self.labels})
        return {name: self._person_table.for_judge(code) for code, name in enumerate(names)}

    @cached_property
    def _person_table(self) -> JudgeTable:
        return aggregate_by_judge(judgment_table(self.a, self.labels, self.prompt_ids))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """`prompt_table` as records."""
        return self._records(self.prompt_table)

    @cached_property
    def comparisons_by_judge(self) -> dict[str, list[Comparison]]:
        """The comparisons of each judge; sorted by name."""
        if len(self.judges) == 1:
            return {judge: self.comparisons for judge in self.judges}
        return {judge: self._records(self.table_of(judge)) for judge in self.judges}

    @cached_property
    def people_comparisons(self) -> list[Comparison]:
        """`people_table` as records."""
        return self._records(self.people_table)

    def table_of(self, judge: str) -> PromptTable:
        """A row per prompt that this judge judged, from its judgments only."""
        return self.judge_table.for_judge(self.judges.index(judge))

    def table_without(self, judge: str) -> PromptTable:
        """A row per prompt, from all judges but this one."""
        others = self.judge_table.without_judge(self.judges.index(judge))
        return aggregate_by_prompt(others, self.config.panel)

    def of_prompts(self, prompts: Codes) -> Self:
        """The data on these prompts, without labels of people.

        `prompts` are indices into `prompt_ids` of prompts in `prompt_table`, sorted.
        """
        ids = [self.prompt_ids[prompt] for prompt in prompts.tolist()]
        included = set(ids)
        completions = {
            model: {prompt_id: by_prompt[prompt_id] for prompt_id in ids if prompt_id in by_prompt}
            for model, by_prompt in self.completions.items()
            if model in (self.a, self.b)
        }
        data = replace(
            self,
            completions=completions,
            judgments=[judgment for judgment in self.judgments if judgment.prompt_id in included],
            failures=[failure for failure in self.failures if failure.prompt_id in included],
            incomplete=self.incomplete & included,
            labels=(),
        )
        # These are rows of what has been computed for all prompts.
        vars(data).update(
            prompt_ids=ids,
            judgment_table=self.judgment_table.of_prompts(prompts),
            identical_prompts=np.flatnonzero(np.isin(prompts, self.identical_prompts)),
            text_differences=self.text_differences.of_rows(
                np.searchsorted(self.prompt_table.prompt, prompts)
            ),
        )
        return data

    def _records(self, table: PromptTable) -> list[Comparison]:
        return table.comparisons(self.a, self.b, self.prompt_ids)

    @cached_property
    def snapshots(self) -> dict[str, tuple[str, ...]]:
        """The model names that servers returned, by judge; judges without one are missing."""
        snapshots = set(map(attrgetter("judge", "verdict.snapshot"), self.judgments))
        pairs = sorted((judge, name) for judge, name in snapshots if name)
        return {judge: tuple(n for j, n in pairs if j == judge) for judge, _ in pairs}

    @cached_property
    def preferences(self) -> Values:
        """The preference for a of each row of `prompt_table`."""
        return rounded_preferences(self.prompt_table)

    @cached_property
    def order_design(self) -> OrderDesign:
        """The orders in which each judge saw each prompt, and the rows that decide."""
        return self.order_design_of(self.judgment_table)

    def order_design_of(self, table: JudgmentTable) -> OrderDesign:
        """The order design of some of the judgments."""
        config = self.config
        return OrderDesign(table, self._sequence, config.panel, config.design.sequential)

    @cached_property
    def _sequence(self) -> PromptSequence:
        a, b = (self.completions.get(model, {}) for model in (self.a, self.b))
        return PromptSequence(self.prompt_ids, self.prompts, (a, b), self.judgment_table.prompt)

    @property
    def inference(self) -> InferenceSettings:
        """How the rows of a win rate are averaged and tested."""
        config = self.config
        return InferenceSettings(
            self._clusters[0], config.panel, config.alpha, config.design.sequential
        )

    @cached_property
    def deciding(self) -> DecidingRate:
        """The win rate of a by the judges, over the rows that decide; needs a judgment."""
        return deciding_rate(self.order_design, self.inference)

    @property
    def wins_and_losses(self) -> tuple[int, int]:
        """The numbers of prompts that a won, and that b won."""
        side = self.prompt_table.side
        return int((side == 1).sum()), int((side == -1).sum())

    @cached_property
    def clusters(self) -> Codes | None:
        """The cluster code of each row of `prompt_table`; None if no prompt is in a cluster."""
        return self.clusters_of_indices(self.prompt_table.prompt)

    @property
    def units(self) -> list[str]:
        """The unit of inference of each row: the cluster of its prompt, or the prompt id."""
        names = self._unit_names
        return [names[prompt] for prompt in self.prompt_table.prompt.tolist()]

    def clusters_of_indices(self, prompts: Codes) -> Codes | None:
        """The cluster codes of these indices into `prompt_ids`; None if none is in a cluster."""
        codes, tagged = self._clusters
        return codes[prompts] if tagged[prompts].any() else None

    def clusters_of_ids(self, prompt_ids: Sequence[str]) -> Codes | None:
        """The cluster codes of these prompts; None if none is in a cluster.

        A prompt outside a cluster is a cluster of its own.
        """
        names = [self._unit_name(prompt_id) for prompt_id in prompt_ids]
        if names == list(prompt_ids):
            return None
        return np.unique(names, return_inverse=True)[1]

    @cached_property
    def _unit_names(self) -> list[str]:
        return [self._unit_name(prompt_id) for prompt_id in self.prompt_ids]

    @cached_property
    def _clusters(self) -> tuple[Codes, Mask]:
        """The cluster code of each of `prompt_ids`, and whether it is in a cluster."""
        names = self._unit_names
        codes = {name: code for code, name in enumerate(sorted(set(names)))}
        tagged = [name != id_ for name, id_ in zip(names, self.prompt_ids, strict=True)]
        return (
            np.array([codes[name] for name in names], dtype=np.intp),
            np.array(tagged, dtype=np.bool_),
        )

    def tags(self, prompt_id: str) -> tuple[str, ...]:
        """The tags of a prompt; () for an unknown one."""
        return self.prompts[prompt_id].tags if prompt_id in self.prompts else ()

    def _unit_name(self, prompt_id: str) -> str:
        return self.clusters_by_prompt.get(prompt_id, prompt_id)

    def paired_completions(
        self,
    ) -> Iterator[tuple[int, Sequence[Completion], Sequence[Completion]]]:
        """Yield rows of `prompt_table` with the completions of a and b, if both have some."""
        by_prompt_a, by_prompt_b = (self.completions.get(m, {}) for m in (self.a, self.b))
        for row, prompt in enumerate(self.prompt_table.prompt.tolist()):
            prompt_id = self.prompt_ids[prompt]
            a, b = by_prompt_a.get(prompt_id), by_prompt_b.get(prompt_id)
            if a and b:
                yield row, a, b

    @cached_property
    def text_differences(self) -> TextDifferences:
        """The features of the completions, for the prompts with completions of a and b."""
        return TextDifferences.of(self.paired_completions())

    @cached_property
    def identical_prompts(self) -> Codes:
        """The judged prompts whose completions are all identical, as indices into `prompt_ids`."""
        rows = [
            row
            for row, a, b in self.paired_completions()
            if len(a) == len(b) and all(map(same_words, a, b))
        ]
        return self.prompt_table.prompt[rows]


def is_cluster_tag(tag: str) -> bool:
    """Whether a tag names the cluster of a prompt."""
    return tag.startswith(CLUSTER_TAG)
