"""Where the verdicts that were asked for went: asked = judged + failed, in every split."""

from collections import Counter
from collections.abc import Callable, Iterable

from bakeoff.records import Accounting, Failure, Judgment, Tally
from bakeoff.summary.trial import Trial


def accounting(trial: Trial) -> Accounting:
    """The tallies of a pair, and the win rate in the worst and in the best case."""
    judgments, failures = trial.judgments, trial.failures
    return Accounting(
        asked=len(judgments) + len(failures),
        judged=len(judgments),
        failed=len(failures),
        failed_by_kind=dict(sorted(Counter(failure.kind for failure in failures).items())),
        by_judge=_split(judgments, failures, lambda j: j.judge, lambda f: f.who),
        by_order=_split(judgments, failures, _order, lambda f: f"{f.first} first"),
        worst_case=_worst_case(trial),
    )


def _split(
    judgments: Iterable[Judgment],
    failures: Iterable[Failure],
    of_judgment: Callable[[Judgment], str],
    of_failure: Callable[[Failure], str],
) -> dict[str, Tally]:
    judged = Counter(map(of_judgment, judgments))
    failed = Counter(map(of_failure, failures))
    return {
        key: Tally(asked=judged[key] + failed[key], judged=judged[key], failed=failed[key])
        for key in sorted(judged | failed)
    }


def _order(judgment: Judgment) -> str:
    if judgment.presented == "recorded":
        return f"{judgment.first} first"
    return "judged apart" if judgment.presented == "apart" else "order not recorded"


def _worst_case(trial: Trial) -> tuple[float, float]:
    """The win rate over all prompts that were asked about, if every verdict that failed had gone
    against a, and if every one had gone to a.
    """
    judged = Counter(judgment.prompt_id for judgment in trial.judgments)
    failed = Counter(failure.prompt_id for failure in trial.failures)
    asked = judged + failed
    sure = sum(
        comparison.preference * judged[comparison.prompt_id] / asked[comparison.prompt_id]
        for comparison in trial.comparisons
    )
    open_ = sum(failed[prompt_id] / asked[prompt_id] for prompt_id in failed)
    return sure / len(asked), min(1.0, (sure + open_) / len(asked))
