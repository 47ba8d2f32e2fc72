"""The same question by prompt tag, with the p-values that asking it so often needs."""

from collections import defaultdict

from bakeoff.analysis.pair_data import Trial
from bakeoff.records import CLUSTER_TAG, Slice, SliceOutcome
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.tests import holm, sign_test

FEWEST = 15  # prompts: under this a slice is shown without a verdict


def slices_of(trial: Trial, *, withheld: bool) -> list[Slice]:
    """A row for each tag, the largest first. No row names a winner where the pair may not."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, prompt in enumerate(trial.folded.prompt.tolist()):
        for tag in sorted(set(trial.tags(trial.ids[prompt]))):
            if not tag.startswith(CLUSTER_TAG):
                members[tag].append(index)
    tags = sorted(members, key=lambda tag: (-len(members[tag]), tag))
    p_values = [_p(trial, members[tag]) for tag in tags]
    return [
        _slice(trial, tag, members[tag], (p, adjusted), withheld=withheld)
        for tag, p, adjusted in zip(tags, p_values, holm(p_values), strict=True)
    ]


def _p(trial: Trial, indices: list[int]) -> float:
    sides = trial.folded.side[indices]
    return sign_test(int((sides == 1).sum()), int((sides == -1).sum())).p


def _slice(
    trial: Trial, tag: str, indices: list[int], p_values: tuple[float, float], *, withheld: bool
) -> Slice:
    clusters = trial.clusters[indices] if trial.clusters is not None else None
    rate = win_rate(trial.values[indices], clusters)
    told = None if withheld or len(indices) < FEWEST else _outcome(rate.estimate, p_values[1])
    return Slice(
        tag=tag,
        prompts=len(indices),
        win_rate=rate,
        p=p_values[0],
        adjusted_p=p_values[1],
        outcome=told,
    )


def _outcome(rate: float, p: float) -> SliceOutcome:
    if p >= 0.05:
        return "no difference shown"
    return "better" if rate > 0.5 else "worse"
