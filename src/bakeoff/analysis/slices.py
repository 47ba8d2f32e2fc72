"""The win rate by prompt tag, with p-values adjusted for the number of tags."""

import math
from collections import defaultdict
from collections.abc import Sequence

from bakeoff.analysis.checks import WEAKENING, run_checks
from bakeoff.analysis.deciding_rate import DecidingRate, deciding_rate
from bakeoff.analysis.findings import CheckInput, interval_outcome
from bakeoff.analysis.pair import summarize_for_checks
from bakeoff.analysis.pair_data import PairData, is_cluster_tag
from bakeoff.analysis.sample_checks import counts_disagree
from bakeoff.records import Slice, SliceOutcome
from bakeoff.stats.arrays import Codes
from bakeoff.stats.intervals import smoothed_variance
from bakeoff.stats.panels import shrunken_rates
from bakeoff.stats.results import NO_INTERVAL, Estimate
from bakeoff.stats.tests import holm


def tag_slices(data: PairData, *, withheld: bool) -> list[Slice]:
    """A slice for each tag, the largest first; without outcomes if the verdict is `withheld`."""
    rows_by_tag: dict[str, list[int]] = defaultdict(list)
    for row, prompt in enumerate(data.prompt_table.prompt.tolist()):
        for tag in sorted(set(data.tags(data.prompt_ids[prompt]))):
            if not is_cluster_tag(tag):
                rows_by_tag[tag].append(row)
    tags = sorted(rows_by_tag, key=lambda tag: (-len(rows_by_tag[tag]), tag))
    prompts = [data.prompt_table.prompt[rows_by_tag[tag]] for tag in tags]
    rates = [deciding_rate(data.order_design, data.inference, codes) for codes in prompts]
    adjusted = holm([rate.test.p for rate in rates])
    shrunken = _shrunken([rate.rate for rate in rates])
    return [
        Slice(
            tag=tag,
            prompts=len(codes),
            win_rate=rate.rate,
            p=rate.test.p,
            adjusted_p=p,
            shrunken=expected,
            outcome=None if withheld else _outcome(data, codes, rate, p),
        )
        for tag, codes, rate, p, expected in zip(
            tags, prompts, rates, adjusted, shrunken, strict=True
        )
    ]


def _shrunken(rates: Sequence[Estimate]) -> Sequence[float | None]:
    """The rates shrunk towards their common mean; standard errors are smoothed, so none is 0."""
    if len(rates) < 2:
        return [None] * len(rates)
    ses = [
        math.sqrt(smoothed_variance(rate.estimate, rate.n * (rate.se or 0.0) ** 2, rate.n) / rate.n)
        for rate in rates
    ]
    return shrunken_rates([rate.estimate for rate in rates], ses).rates


def _outcome(
    data: PairData, prompts: Codes, rate: DecidingRate, adjusted_p: float
) -> SliceOutcome | None:
    """The outcome of a slice; None if it has too few prompts or if a check withholds it."""
    if not rate.identified or rate.rate.method == NO_INTERVAL:
        return None
    if adjusted_p >= 0.05 or counts_disagree(rate.rows.winner_share, rate.rate.estimate):
        return "no difference shown"
    if _is_withheld(data.of_prompts(prompts)):
        return None
    return "better" if rate.rate.estimate > 0.5 else "worse"


def _is_withheld(data: PairData) -> bool:
    """Whether a check withholds a verdict on these prompts."""
    pair = summarize_for_checks(data)
    if pair.win_rate is None:
        return False
    outcome = interval_outcome(pair.win_rate, pair.margin / 100)
    findings = run_checks(CheckInput(pair, data, outcome))
    return any(finding.kind not in WEAKENING for finding in findings)
