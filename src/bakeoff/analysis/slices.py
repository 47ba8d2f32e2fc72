"""The win rate by prompt tag, with p-values adjusted for the number of tags."""

from collections import defaultdict

from bakeoff.analysis.deciding_rate import DecidingRate, deciding_rate
from bakeoff.analysis.pair_data import PairData
from bakeoff.analysis.sample_checks import counts_disagree
from bakeoff.records import CLUSTER_TAG, Slice, SliceOutcome
from bakeoff.stats.results import NO_INTERVAL
from bakeoff.stats.tests import holm


def tag_slices(data: PairData, *, withheld: bool) -> list[Slice]:
    """A slice for each tag, the largest first; without outcomes if the verdict is `withheld`."""
    rows_by_tag: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(data.prompt_table.prompt.tolist()):
        for tag in sorted(set(data.tags(data.prompt_ids[prompt]))):
            if not tag.startswith(CLUSTER_TAG):
                rows_by_tag[tag].append(row)
    tags = sorted(rows_by_tag, key=lambda tag: (-len(rows_by_tag[tag]), tag))
    rates = [
        deciding_rate(data.order_design, data.inference, data.prompt_table.prompt[rows_by_tag[tag]])
        for tag in tags
    ]
    adjusted = holm([rate.test.p for rate in rates])
    return [
        _slice(tag, len(rows_by_tag[tag]), rate, p, withheld=withheld)
        for tag, rate, p in zip(tags, rates, adjusted, strict=True)
    ]


def _slice(
    tag: str, prompts: int, rate: DecidingRate, adjusted_p: float, *, withheld: bool
) -> Slice:
    decides = rate.identified and rate.rate.method != NO_INTERVAL and not withheld
    return Slice(
        tag=tag,
        prompts=prompts,
        win_rate=rate.rate,
        p=rate.test.p,
        adjusted_p=adjusted_p,
        outcome=_outcome(rate, adjusted_p) if decides else None,
    )


def _outcome(rate: DecidingRate, adjusted_p: float) -> SliceOutcome:
    if adjusted_p >= 0.05 or counts_disagree(rate.rows.winner_share, rate.rate.estimate):
        return "no difference shown"
    return "better" if rate.rate.estimate > 0.5 else "worse"
