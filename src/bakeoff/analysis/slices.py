"""The win rate by prompt tag, with p-values adjusted for the number of tags."""

from collections import defaultdict

from bakeoff.analysis.pair_data import PairData
from bakeoff.records import CLUSTER_TAG, Slice, SliceOutcome
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.tests import holm, sign_test

MIN_PROMPTS = 15  # of a slice with an outcome


def tag_slices(data: PairData, *, withheld: bool) -> list[Slice]:
    """A slice for each tag, the largest first; without outcomes if the verdict is `withheld`."""
    rows_by_tag: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(data.prompt_table.prompt.tolist()):
        for tag in sorted(set(data.tags(data.prompt_ids[prompt]))):
            if not tag.startswith(CLUSTER_TAG):
                rows_by_tag[tag].append(row)
    tags = sorted(rows_by_tag, key=lambda tag: (-len(rows_by_tag[tag]), tag))
    p_values = [_p_value(data, rows_by_tag[tag]) for tag in tags]
    return [
        _slice(data, tag, rows_by_tag[tag], (p, adjusted), withheld=withheld)
        for tag, p, adjusted in zip(tags, p_values, holm(p_values), strict=True)
    ]


def _p_value(data: PairData, rows: list[int]) -> float:
    sides = data.prompt_table.side[rows]
    return sign_test(int((sides == 1).sum()), int((sides == -1).sum())).p


def _slice(
    data: PairData, tag: str, rows: list[int], p_values: tuple[float, float], *, withheld: bool
) -> Slice:
    clusters = data.clusters[rows] if data.clusters is not None else None
    rate = win_rate(data.preferences[rows], clusters)
    no_outcome = withheld or len(rows) < MIN_PROMPTS
    return Slice(
        tag=tag,
        prompts=len(rows),
        win_rate=rate,
        p=p_values[0],
        adjusted_p=p_values[1],
        outcome=None if no_outcome else _outcome(rate.estimate, p_values[1]),
    )


def _outcome(rate: float, p: float) -> SliceOutcome:
    if p >= 0.05:
        return "no difference shown"
    return "better" if rate > 0.5 else "worse"
