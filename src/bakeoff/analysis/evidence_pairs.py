"""Evidence divided into the data of each pair of models."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.analysis.prompt_clusters import prompt_clusters
from bakeoff.analysis.text_features import same_words
from bakeoff.records import (
    HUMAN_PREFIX,
    Completion,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Results,
)


def build_pair_data(evidence: Evidence, config: AnalysisConfig) -> list[PairData]:
    """The data of each pair of models with a judgment or a failure, in the order of the models."""
    prompts = {prompt.id: prompt for prompt in evidence.prompts}
    completions: dict[str, dict[str, list[Completion]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(evidence.completions, key=lambda row: row.sample):
        completions[row.model][row.prompt_id].append(row.completion)
    identical = identical_completions(evidence.completions)
    clusters, people = prompt_clusters(evidence.prompts), _additional_people(evidence)
    judgments, labels = _lists_by_pair(evidence.models), _lists_by_pair(evidence.models)
    for judgment in evidence.judgments:
        by_pair = labels if judgment.judge in people else judgments
        if (of_pair := by_pair.get((judgment.first, judgment.second))) is not None:
            of_pair.append(judgment)
    failures: dict[frozenset[str], list[Failure]] = defaultdict(list)
    for failure in evidence.failures:
        if failure.first and failure.second and failure.participant not in people:
            failures[frozenset((failure.first, failure.second))].append(failure)
    incomplete: dict[str, set[str]] = defaultdict(set)
    for failure in evidence.failures:
        if failure.stage == "completion":
            incomplete[failure.participant].add(failure.prompt_id)
    compared = [
        (a, b)
        for a, b in combinations(evidence.models, 2)
        if judgments[a, b] or failures[frozenset((a, b))]
    ]
    return [
        PairData(
            a,
            b,
            prompts,
            completions,
            judgments[a, b],
            failures[frozenset((a, b))],
            evidence.origins,
            config._replace(design=evidence.design.for_pair(a, b), pairs=len(compared)),
            clusters_by_prompt=clusters,
            identical=identical.get(frozenset((a, b)), frozenset()),
            incomplete=incomplete[a] | incomplete[b],
            labels=labels[a, b],
            label_selection=evidence.human_sample,
        )
        for a, b in compared
    ]


def identical_completions(
    completions: Iterable[ModelCompletion],
) -> dict[frozenset[str], set[tuple[str, int]]]:
    """Prompt id and sample of the completions that two models share, by the two models.

    Whitespace does not distinguish completions.
    """
    rows_by_sample: dict[tuple[str, int], list[ModelCompletion]] = defaultdict(list)
    for row in completions:
        rows_by_sample[row.prompt_id, row.sample].append(row)
    identical: dict[frozenset[str], set[tuple[str, int]]] = defaultdict(set)
    for sample, rows in rows_by_sample.items():
        for a, b in combinations(rows, 2):
            if same_words(a.completion, b.completion):
                identical[frozenset((a.model, b.model))].add(sample)
    return identical


def pair_data_of(results: Results) -> dict[tuple[str, str], PairData]:
    """The data behind each pair of a results file, by the names of the two models."""
    config = AnalysisConfig.from_config(results.config)
    return {(data.a, data.b): data for data in build_pair_data(results.evidence, config)}


def _lists_by_pair(models: Sequence[str]) -> dict[tuple[str, str], list[Judgment]]:
    """An empty list for each pair of models, the same list under both orders of the names."""
    lists: dict[tuple[str, str], list[Judgment]] = {}
    for a, b in combinations(models, 2):
        lists[a, b] = lists[b, a] = []
    return lists


def _additional_people(evidence: Evidence) -> set[str]:
    """The human judges beside other judges; empty if all judges are human."""
    judges = {j.judge for j in evidence.judgments}
    judges |= {f.participant for f in evidence.failures if f.stage == "judgment"}
    people = {judge for judge in judges if evidence.origins.get(judge, "").startswith(HUMAN_PREFIX)}
    return people if judges - people else set()
