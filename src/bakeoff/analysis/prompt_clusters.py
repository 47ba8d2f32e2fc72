"""Clusters of prompts that are not independent: those with a common tag, and repeated prompts."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bakeoff.analysis.near_duplicates import duplicate_clusters
from bakeoff.records import CLUSTER_TAG, Prompt


def prompt_clusters(prompts: Sequence[Prompt]) -> dict[str, str]:
    """The name of the cluster of each prompt that shares one, by id of the prompt.

    Prompts are in one cluster if they have a common tag `cluster:NAME`, or if one repeats the text
    of the other (see `duplicate_clusters`), also through other prompts.
    """
    repeated = duplicate_clusters(prompts)
    edges: list[tuple[int, str]] = []
    for row, prompt in enumerate(prompts):
        edges += [(row, tag) for tag in prompt.tags if tag.startswith(CLUSTER_TAG)]
        if prompt.id in repeated:
            edges.append((row, repeated[prompt.id]))
    if not edges:
        return {}
    names = sorted({name for _, name in edges})
    codes = {name: len(prompts) + code for code, name in enumerate(names)}
    size = len(prompts) + len(names)
    rows, columns = np.array([(row, codes[name]) for row, name in edges]).T
    graph = coo_array((np.ones(len(edges), dtype=np.bool_), (rows, columns)), shape=(size, size))
    component = connected_components(graph, directed=False)[1].tolist()
    by_component: dict[int, str] = {}
    for name in names:  # the first name in alphabetical order
        by_component.setdefault(component[codes[name]], name)
    return {prompts[row].id: by_component[component[row]] for row, _ in edges}
