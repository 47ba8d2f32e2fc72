"""The other runs of two models that a store records, as text."""

from bakeoff.records import PairRun, PairSummary, Results, ordinal

_MAX_RUNS = 8  # listed


def history_lines(results: Results, pair: PairSummary) -> list[str]:
    """One line on all runs of the two models in the store; empty if this one is the only one.

    It says how many other judges (alone or as a panel, with their settings) were tried before.
    """
    runs = [run for run in results.runs if run.is_about(pair.a, pair.b)]
    current = next((run for run in runs if run.time is None), None)
    if current is None or len(runs) < 2:
        return []
    judges = list(dict.fromkeys(run.judge_key for run in runs))
    listed = [_run(run) for run in runs]
    if len(listed) > _MAX_RUNS:
        listed = [f"{len(listed) - _MAX_RUNS} more", *listed[-_MAX_RUNS:]]
    if len(judges) > 1:
        number = judges.index(current.judge_key) + 1
        head = f"{ordinal(number).capitalize()} of {len(judges)} judges tried on these two models"
    else:
        head = f"{len(runs)} runs of these two models with this judge"
    return [f"{head} in this store: {'; '.join(listed)}"]


def _run(run: PairRun) -> str:
    """A run in short: its judges, prompts and outcome."""
    outcome: str = run.outcome
    if run.outcome in ("better", "worse"):
        better, worse = (run.a, run.b) if run.outcome == "better" else (run.b, run.a)
        outcome = f"{better} better than {worse}"
    judges, when = " and ".join(run.judges), f" on {run.time[:10]}" if run.time else ", this run"
    return f"{judges}, {run.prompts:,} prompts of {run.prompt_source}{when}: {outcome}"
