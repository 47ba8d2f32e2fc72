"""Where the verdicts that were asked for went: asked = judged + failed, in every split."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from bakeoff.analysis.columns import APART, UNKNOWN
from bakeoff.analysis.pair_data import Trial
from bakeoff.records import Accounting, Counts


def accounting(trial: Trial) -> Accounting:
    """The tallies of a pair, and the win rate in the worst and in the best case."""
    columns, failures = trial.columns, trial.failures
    by_judge = np.bincount(columns.judge, minlength=len(columns.judges)).tolist()
    return Accounting(
        asked=len(columns) + len(failures),
        judged=len(columns),
        failed=len(failures),
        failed_by_kind=dict(sorted(Counter(failure.kind for failure in failures).items())),
        by_judge=_split(
            dict(zip(columns.judges, by_judge, strict=True)),
            [failure.participant for failure in failures],
        ),
        by_order=_split(_by_order(trial), [f"{failure.first} first" for failure in failures]),
        worst_case=_worst_case(trial),
    )


def _split(judged: dict[str, int], failures: Iterable[str]) -> dict[str, Counts]:
    failed = Counter(failures)
    return {
        key: Counts(
            asked=judged.get(key, 0) + failed[key], judged=judged.get(key, 0), failed=failed[key]
        )
        for key in sorted(judged.keys() | failed.keys())
    }


def _by_order(trial: Trial) -> dict[str, int]:
    """How many judgments there are of each order that occurs."""
    columns = trial.columns
    masks = {
        f"{trial.a} first": columns.recorded & columns.a_first,
        f"{trial.b} first": columns.recorded & ~columns.a_first,
        "judged apart": columns.presented == APART,
        "order not recorded": columns.presented == UNKNOWN,
    }
    return {key: int(mask.sum()) for key, mask in masks.items() if mask.any()}


def _worst_case(trial: Trial) -> tuple[float, float]:
    """The win rate over all prompts that were asked about, if every verdict that failed had gone
    against a, and if every one had gone to a.
    """
    failed = Counter(failure.prompt_id for failure in trial.failures)
    judged = np.bincount(trial.columns.prompt, minlength=len(trial.ids))[trial.folded.prompt]
    known = {trial.ids[prompt]: row for row, prompt in enumerate(trial.folded.prompt.tolist())}
    asked = judged.astype(np.float64)
    for prompt_id in failed.keys() & known.keys():
        asked[known[prompt_id]] += failed[prompt_id]
    sure = sum((trial.folded.preference * judged / asked).tolist())
    open_ = sum(
        count / asked[known[prompt_id]] if prompt_id in known else 1.0
        for prompt_id, count in failed.items()
    )
    prompts = len(known.keys() | failed.keys())
    return sure / prompts, min(1.0, (sure + float(open_)) / prompts)
