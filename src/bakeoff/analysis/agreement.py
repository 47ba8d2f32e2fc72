"""Agreement of the judges of a pair with each other, with people and with their own repeats."""

from collections.abc import Mapping

import numpy as np

from bakeoff.analysis.aggregate import PromptTable, side_values, sides_of
from bakeoff.analysis.judgment_table import dense_codes, joint_codes
from bakeoff.analysis.pair_data import PairData
from bakeoff.records import Agreement
from bakeoff.stats import power
from bakeoff.stats.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha
from bakeoff.stats.arrays import Codes, Values
from bakeoff.stats.results import VarianceComponents


def judge_agreements(data: PairData) -> list[Agreement]:
    """The agreement of the judges by prompt, then that of the repeats of each judge."""
    agreements = []
    if len(data.judges) > 1:
        tables = {judge: data.table_of(judge) for judge in data.judges}
        agreements.append(rater_agreement(data, tables))
    agreements += [repeat_agreement(data, judge) for judge in data.judges]
    return [agreement for agreement in agreements if agreement]


def repeat_agreement(data: PairData, judge: str) -> Agreement | None:
    """The agreement of a judge's repeats of the same question; None without repeats.

    A question is a prompt with its completions in one order.
    """
    table = data.judgment_table.for_judge(judge)
    repeats, repeat = np.unique(table.repeat, return_inverse=True)
    if len(repeats) < 2:
        return None
    raters = tuple(f"{judge}, repeat {number + 1}" for number in repeats.tolist())
    second = 1 - table.a_first.astype(np.intp)
    keys = joint_codes(table.prompt, dense_codes(table.sample), second)
    questions, first, row = np.unique(keys, return_index=True, return_inverse=True)
    # A file may hold several verdicts on a question as the same repeat: their mean is one rating.
    size = len(questions) * len(repeats)
    cell = row * len(repeats) + repeat
    count = np.bincount(cell, minlength=size)
    total = np.bincount(cell, weights=table.preference, minlength=size)
    ratings = np.full(size, np.nan)
    ratings[count > 0] = side_values(sides_of(total[count > 0] / count[count > 0]))
    return _agreement(raters, ratings.reshape(len(questions), len(repeats)), table.prompt[first])


def rater_agreement(data: PairData, tables: Mapping[str, PromptTable]) -> Agreement | None:
    """The agreement of raters on the winner; None if no prompt has ratings by two of them.

    `tables` are the rows of each rater, by name.
    """
    ratings = np.full((len(data.prompt_ids), len(tables)), np.nan)
    for column, table in enumerate(tables.values()):
        ratings[table.prompt, column] = side_values(table.side)
    rated = np.flatnonzero(~np.isnan(ratings).all(axis=1))
    return _agreement(tuple(tables), ratings[rated], data.clusters_of_indices(rated))


def variance_components(data: PairData) -> VarianceComponents | None:
    """The variance of single verdicts by source; judges count as repeats.

    None for fewer than two prompts, and where the order of presentation is unknown or absent.
    """
    table = data.judgment_table
    if len(data.prompt_table) < 2 or not table.recorded.all():
        return None
    repeats = joint_codes(table.judge, dense_codes(table.repeat))
    orders = table.a_first.astype(np.intp)
    return power.variance_components(table.preference, table.prompt, table.sample, orders, repeats)


def _agreement(
    raters: tuple[str, ...], ratings: Values, clusters: Codes | None
) -> Agreement | None:
    shared = (~np.isnan(ratings)).sum(axis=1) > 1
    if not shared.any():
        return None
    rows = ratings[shared]
    spread = np.nanmax(rows, axis=1) - np.nanmin(rows, axis=1)
    any_complete = not np.isnan(ratings).any(axis=1).all()
    two = len(raters) == 2
    return Agreement(
        raters=raters,
        share=float((spread == 0).mean()),
        cohen=cohen_kappa(ratings, clusters) if any_complete and two else None,
        fleiss=fleiss_kappa(ratings, clusters) if any_complete and not two else None,
        ac1=gwet_ac1(ratings, clusters) if any_complete else None,
        alpha=krippendorff_alpha(ratings, clusters=clusters),
    )
