"""Measures how often summaries state what is false, and what the checks cost where all is well.

    python benchmarks/false_verdicts.py [--only NAME ...] [--files N] [--bias X] [--difference D]
    python benchmarks/false_verdicts.py --further

Prints a JSON line per class and per setting of power, and a table to stderr; exits with 1 if a
limit is exceeded. Each class plants one problem in simulated evaluations, of several constructions
each: texts, sizes, shares of ties, orders and judges vary with the seed. `--bias` multiplies what
is planted, and `--difference` are the points by which the model that the problem harms is better.

Classes of false statements: `figure` is the percentage of evaluations with a false statement in
the verdict, the ranks and groups, or the slices (`false_by_kind`); "not enough data" and "withheld"
state nothing. The limit is 5 % and two standard errors. `interval against its test` counts pairs
whose interval excludes 50 % where its test does not reject, or the reverse: the limit is 0.

Innocent classes: nothing false is planted, and `figure` is the percentage of evaluations whose
true winner is not named; the limit is the same.

`--further` measures members that these classes do not have instead, each without a limit.

Power: both orders, 20 % ties, no bias. `figure` is the percentage of evaluations that the interval
alone decides rightly, and the verdict with all checks does not: 5 points at most.
"""

import argparse
import cProfile
import math
import multiprocessing
import os
import pstats
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import NamedTuple, TypeVar

from harness.power_of_checks import RATES, SIZES, Decision, decide_case
from harness.results import print_result, versions
from harness.verdict_classes import CLASSES, FURTHER_CLASSES, Knobs, VerdictClass
from harness.verdict_classes.case import Result

FILES, INNOCENT_FILES = 1_000, 300
POWER_FILES = {50: 500, 200: 400, 800: 200}
LIMIT = 0.05
CHUNK = 20  # files per task of the pool
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

T = TypeVar("T")


class Line(NamedTuple):
    """A row of the table."""

    name: str
    percent: float
    limit: float
    remark: str

    @property
    def passed(self) -> bool:
        """Whether the limit holds."""
        return self.percent <= self.limit + 1e-9


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the classes, print their lines and the table, and return the exit status."""
    options = _parse(arguments)
    classes = FURTHER_CLASSES if options.further else CLASSES
    classes = tuple(c for c in classes if not options.only or _matches(c.name, options.only))
    knobs = Knobs(options.bias, options.difference)
    if options.profile:
        _profile(classes, options.files, knobs)
        return 0
    started = time.perf_counter()
    for variable in _THREAD_COUNTS:
        os.environ.setdefault(variable, "1")  # the processes would compete for the cores
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        work = {c.name: _submit(pool, _measure, c.name, _files(c, options), knobs) for c in classes}
        powers = {}
        if not options.further and (not options.only or _matches("power", options.only)):
            powers = {
                (n, rate): _submit(
                    pool, _decide, (n, rate), min(options.files, POWER_FILES[n]), knobs
                )
                for n in SIZES
                for rate in RATES
            }
        lines = [_class_line(c, list(_results(work[c.name]))) for c in classes]
        lines += [_power_line(*setting, list(_results(f))) for setting, f in powers.items()]
    _print_table(lines, time.perf_counter() - started)
    return 0 if all(line.passed for line in lines) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="parts of names of classes")
    parser.add_argument("--further", action="store_true", help="members without a limit")
    parser.add_argument("--files", type=int, default=FILES, help="evaluations per class")
    parser.add_argument("--bias", type=float, default=1.0, help="multiplies what is planted")
    parser.add_argument("--difference", type=float, default=0.0, help="in points of win rate")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--profile", action="store_true", help="print where the time is spent")
    return parser.parse_args(arguments)


def _matches(name: str, parts: Iterable[str]) -> bool:
    return any(part.casefold() in name.casefold() for part in parts)


def _files(verdict_class: VerdictClass, options: argparse.Namespace) -> int:
    innocent = verdict_class.measures == "lost"
    files: int = options.files
    return min(files, INNOCENT_FILES) if innocent else files


def _submit(
    pool: ProcessPoolExecutor, work: Callable[..., list[T]], key: object, files: int, knobs: Knobs
) -> list[Future[list[T]]]:
    starts = range(0, files, CHUNK)
    return [pool.submit(work, key, s, min(s + CHUNK, files), knobs) for s in starts]


def _results(futures: list[Future[list[T]]]) -> Iterator[T]:
    for future in futures:
        yield from future.result()


def _measure(name: str, start: int, end: int, knobs: Knobs) -> list[Result]:
    by_name = {c.name: c for c in (*CLASSES, *FURTHER_CLASSES)}
    return [by_name[name].measure(number, knobs) for number in range(start, end)]


def _decide(setting: tuple[int, float], start: int, end: int, knobs: Knobs) -> list[Decision]:
    del knobs  # power is measured without any bias
    return [decide_case(*setting, number) for number in range(start, end)]


def limit_of(files: int, share: float = LIMIT) -> float:
    """The largest percentage within the limit: the share and two standard errors."""
    return 100 * (share + 2 * math.sqrt(share * (1 - share) / files))


def _class_line(verdict_class: VerdictClass, results: list[Result]) -> Line:
    files = len(results)
    bad = [verdict_class.is_bad(result) for result in results]
    percent = 100 * sum(bad) / files
    limit = 0.0 if verdict_class.measures == "contradictions" else limit_of(files)
    if verdict_class in FURTHER_CLASSES:
        limit = 100.0
    by_variant: dict[str, list[bool]] = defaultdict(list)
    for result, is_bad in zip(results, bad, strict=True):
        by_variant[result.variant].append(is_bad)
    variants = {name: round(100 * sum(v) / len(v), 1) for name, v in sorted(by_variant.items())}
    kinds = Counter(kind for result in results for kind in result.false)
    outcomes = Counter(result.outcome for result in results)
    reasons = Counter(reason for result in results for reason in set(result.reasons))
    print_result(
        f"false_verdicts:{verdict_class.name}",
        figure=percent,
        unit=f"% of evaluations: {verdict_class.unit}",
        peer="the limit",
        ratio=limit / percent if percent else 99.0 if limit else 1.0,
        limit=round(limit, 2),
        passed=percent <= limit,
        files=files,
        variants=variants,
        false_by_kind=_percentages(kinds, files),
        outcomes=_percentages(outcomes, files),
        reasons=_percentages(reasons, files),
        contradictions=round(100 * sum(r.contradiction for r in results) / files, 2),
        ms_per_summary=round(1000 * sum(result.seconds for result in results) / files, 1),
        versions=versions("numpy", "scipy", "pydantic"),
    )
    worst = max(variants, key=lambda name: variants[name])
    remark = f"worst: {worst} {variants[worst]:g} %; {_most(outcomes, files)}"
    return Line(verdict_class.name, percent, limit, remark)


def _percentages(counts: Counter[str], files: int) -> dict[str, float]:
    return {name: round(100 * count / files, 1) for name, count in counts.most_common()}


def _most(counts: Counter[str], files: int) -> str:
    return ", ".join(f"{name} {100 * n / files:.0f} %" for name, n in counts.most_common(3))


def _power_line(n: int, rate: float, decisions: list[Decision]) -> Line:
    files = len(decisions)
    lost = [d for d in decisions if d.alone == "better" and d.verdict != "better"]
    alone = 100 * sum(d.alone == "better" for d in decisions) / files
    checked = 100 * sum(d.verdict == "better" for d in decisions) / files
    reasons = Counter(reason for d in lost for reason in set(d.reasons))
    percent = 100 * len(lost) / files
    name = f"power, {100 * rate:.0f} %, n {n}"
    print_result(
        f"false_verdicts:{name}",
        figure=percent,
        unit="points of power lost to the checks",
        peer="the limit of 5 points",
        ratio=5 / percent if percent else 99.0,
        files=files,
        interval_alone=round(alone, 1),
        with_checks=round(checked, 1),
        lost_to=_percentages(reasons, files),
        ms_per_summary=round(1000 * sum(d.seconds for d in decisions) / files, 1),
    )
    remark = f"{alone:.1f} % by the interval alone, {checked:.1f} % with the checks"
    if reasons:
        remark += f"; {_most(reasons, files)}"
    return Line(name, percent, 100 * LIMIT, remark)


def _print_table(lines: list[Line], seconds: float) -> None:
    width = max(len(line.name) for line in lines)
    for line in lines:
        verdict = "pass" if line.passed else "FAIL"
        print(
            f"{verdict}  {line.name:{width}}  {line.percent:5.1f} (limit {line.limit:.1f})  "
            f"{line.remark}",
            file=sys.stderr,
        )
    failed = sum(not line.passed for line in lines)
    print(f"{failed} of {len(lines)} fail; {seconds:.0f} s", file=sys.stderr)


def _profile(classes: tuple[VerdictClass, ...], files: int, knobs: Knobs) -> None:
    """Print the functions in which the summaries of these classes spend most time."""
    profiler = cProfile.Profile()
    profiler.enable()
    for verdict_class in classes:
        for number in range(min(files, CHUNK)):
            verdict_class.measure(number, knobs)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("bakeoff|harness", 40)


if __name__ == "__main__":
    sys.exit(main())
