"""Measures summaries, ratings and intervals, against limits of time and memory, Evalica and scipy.

    python benchmarks/summary.py [PROMPTS]

Prints a JSON line each; `ratio` is the peer's time divided by ours.

`summary`: 100,000 prompts, 5 judges, both orders: a million judgments, from records to intervals,
bias, agreement and verdict; and the same for a tenth and three tenths of the prompts. The time does
not include making the records, but `peak_gb` includes their memory; each size runs in its own
process. `us_per_judgment` shows whether time grows linearly with judgments. `limit_s` and
`limit_gb` are the limits of the time and of the memory of a million judgments.

`memory`: the peak memory of a process that has 20,000 pairs with their texts, judged in both orders
by one judge, and does what a run does after the last verdict: digest, summary, page and files.

`ratings`: 10 models on 10,000 prompts, every pair, 1,000 resamples of prompts, against Evalica's
bootstrap, which resamples outcomes (20 of them, scaled by 50).

`interval`: the interval of Cohen's kappa of two raters with 2,000 resamples, against
scipy.stats.bootstrap on the same ratings: BCa for 1,000 prompts, percentiles for 100,000.
`apart` is the difference of the bounds, as a share of the interval's width.
"""

import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from harness.results import print_result, versions
from harness.synthetic_evidence import synthetic_evidence
from numpy.typing import NDArray
from scipy import stats

from bakeoff.analysis.pair_data import AnalysisConfig
from bakeoff.analysis.summarize import analyze, summarize
from bakeoff.records import Evidence, Results
from bakeoff.report.export import save
from bakeoff.report.page.page import render_page
from bakeoff.report.provenance import input_digest
from bakeoff.stats.agreement import cohen_kappa
from bakeoff.stats.ratings import PairwiseOutcomes, bradley_terry
from bakeoff.stats.results import Estimate

JUDGES = 5
LIMIT_S, LIMIT_GB = 16, 2.5  # of a million judgments
ONCE, END = "--once", "--end"
END_PAIRS, END_LIMIT_MB = 20_000, 350
MODELS, RATED, RESAMPLES, THEIRS = 10, 10_000, 1_000, 20

EMPTY = Evidence(models=("a", "b"), prompts=(), completions=(), judgments=(), failures=())
Values = NDArray[np.float64]
T = TypeVar("T")


def main(prompts: int) -> None:
    """Measure all three, and print a line each."""
    measure_summary(prompts)
    measure_memory()
    measure_ratings()
    for n in (1_000, 100_000):
        measure_interval(n)


def measure_summary(prompts: int) -> None:
    """Summaries of `prompts` prompts and of fewer, each in its own process."""
    sizes = (prompts // 10, 3 * prompts // 10, prompts)
    results = [run_in_process(ONCE, size) for size in sizes]
    largest = results[-1]
    print_result(
        "summary",
        figure=largest["seconds"],
        unit=f"s for {largest['judgments']:,} judgments",
        peer=f"the limits of {LIMIT_S} s and {LIMIT_GB} GB for a million",
        ratio=LIMIT_S * largest["judgments"] / 1e6 / largest["seconds"],
        prompts=prompts,
        limit_s=LIMIT_S,
        limit_gb=LIMIT_GB,
        peak_gb=largest["peak_gb"],
        records_gb=largest["records_gb"],
        seconds={size: result["seconds"] for size, result in zip(sizes, results, strict=True)},
        us_per_judgment={
            size: round(1e6 * result["seconds"] / result["judgments"], 1)
            for size, result in zip(sizes, results, strict=True)
        },
        versions=versions("numpy", "scipy", "pydantic"),
    )


def measure_memory() -> None:
    """The peak memory of the end of a run, in its own process."""
    result = run_in_process(END, END_PAIRS)
    print_result(
        "memory",
        figure=1000 * result["peak_gb"],
        unit=f"MB at the end of a run of {END_PAIRS:,} pairs",
        peer=f"the {END_LIMIT_MB} MB that it should need at most",
        ratio=END_LIMIT_MB / (1000 * result["peak_gb"]),
        **result,
        versions=versions("numpy", "scipy", "pydantic"),
    )


def run_in_process(flag: str, prompts: int) -> dict[str, float]:
    """The parsed output of this script with a flag in a new process."""
    command = [sys.executable, __file__, flag, str(prompts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def summarize_once(prompts: int) -> None:
    """One summary, and the memory of the process after making the records and after it."""
    gc.disable()  # collections would traverse all records repeatedly
    evidence = synthetic_evidence(prompts, JUDGES)
    gc.enable()
    gc.collect()
    records = peak()
    started = time.perf_counter()
    summary = summarize(evidence)
    seconds = time.perf_counter() - started
    (pair,) = summary.pairs
    assert pair.accounting.judged == len(evidence.judgments)
    assert pair.agreement
    assert pair.length
    assert pair.controls
    assert pair.controls.rate
    result = {"judgments": len(evidence.judgments), "seconds": round(seconds, 2)}
    print(json.dumps({**result, "records_gb": round(records, 2), "peak_gb": round(peak(), 2)}))


def end_run(prompts: int) -> None:
    """The end of a run, and the memory of the process after the imports, the records, and it."""
    render_page(Results.of(EMPTY, summarize(EMPTY), {}, {}))  # imports what is imported late
    imported = peak()
    gc.disable()
    evidence = synthetic_evidence(prompts, 1)
    gc.enable()
    gc.collect()
    records = peak()
    started = time.perf_counter()
    inputs = input_digest(evidence, [{}])
    with tempfile.TemporaryDirectory() as folder:
        summary, pair_data = analyze(evidence, AnalysisConfig())
        save(Results.of(evidence, summary, {}, {}), Path(folder), inputs, pair_data)
    seconds = time.perf_counter() - started
    sizes = {"imports_gb": imported, "records_gb": records, "peak_gb": peak()}
    rounded = {name: round(size, 3) for name, size in sizes.items()}
    print(json.dumps({"seconds": round(seconds, 2), **rounded}))


def peak() -> float:
    """The peak memory of this process in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure_ratings() -> None:
    """Strengths with intervals, by bakeoff and by Evalica."""
    import evalica

    draw = np.random.default_rng(0)
    lower, upper = np.triu_indices(MODELS, 1)
    left, right = np.tile(lower, RATED), np.tile(upper, RATED)
    prompts = np.repeat(np.arange(RATED), len(lower))
    strengths = np.linspace(-1, 1, MODELS)
    wins = draw.random(len(left)) < 1 / (1 + np.exp(strengths[right] - strengths[left]))
    outcomes = PairwiseOutcomes(left, right, wins.astype(np.float64), prompts)
    ours, rating = time_call(lambda: bradley_terry(outcomes, MODELS, resamples=RESAMPLES))
    winners = [evalica.Winner.X if won else evalica.Winner.Y for won in wins.tolist()]
    arguments = (evalica.bradley_terry, left.tolist(), right.tolist(), winners)
    theirs, rival = time_call(
        lambda: evalica.bootstrap(*arguments, n_resamples=THEIRS, bootstrap_method="percentile")
    )
    logs = np.log(rival.result.scores.sort_index().to_numpy())
    gap = np.abs([s.estimate for s in rating.strengths] - (logs - logs.mean())).max()
    theirs *= RESAMPLES / THEIRS
    print_result(
        "ratings",
        figure=ours,
        unit=f"s for {MODELS} models, {RATED:,} prompts, {RESAMPLES:,} resamples",
        peer="evalica.bootstrap of bradley_terry, by outcome",
        ratio=theirs / ours,
        peer_s=round(theirs, 1),
        outcomes=len(left),
        largest_gap=float(f"{gap:.1g}"),
        versions=versions("evalica", "numpy", "scipy"),
    )


def measure_interval(n: int) -> None:
    """Cohen's kappa with its interval, by bakeoff and by scipy."""
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 3, n)
    raters = [np.where(draw.random(n) < 0.6, truth, draw.integers(0, 3, n)) for _ in range(2)]
    ratings_ = np.stack(raters, axis=1) / 2
    ours, interval = time_call(lambda: cohen_kappa(ratings_))
    assert isinstance(interval, Estimate)
    method = "BCa" if n <= 1_000 else "percentile"
    theirs, rival = time_call(
        lambda: stats.bootstrap(
            raters,
            kappa,
            paired=True,
            vectorized=True,
            n_resamples=2_000,
            batch=max(1, 2_000_000 // n),
            method=method,
            rng=np.random.default_rng(2),
        )
    )
    low, high = rival.confidence_interval
    print_result(
        f"interval:{n}",
        figure=1000 * ours,
        unit=f"ms for kappa with its interval, {n:,} prompts, 2,000 resamples",
        peer=f"scipy.stats.bootstrap, {method}",
        ratio=theirs / ours,
        peer_ms=round(1000 * theirs, 1),
        apart=round(max(abs(interval.low - low), abs(interval.high - high)) / (high - low), 3),
        versions=versions("numpy", "scipy"),
    )


def kappa(first: Values, second: Values, axis: int = -1) -> Values:
    """Cohen's kappa of the ratings 0, 1 and 2 along an axis."""
    shares = [[(rater == k).mean(axis=axis) for k in range(3)] for rater in (first, second)]
    chance = sum(p * q for p, q in zip(*shares, strict=True))
    result: Values = ((first == second).mean(axis=axis) - chance) / (1 - chance)
    return result


def time_call(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds and result of a call."""
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


if __name__ == "__main__":
    if sys.argv[1:2] == [ONCE]:
        summarize_once(int(sys.argv[2]))
    elif sys.argv[1:2] == [END]:
        end_run(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
