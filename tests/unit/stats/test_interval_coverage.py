"""A thin slice of benchmarks/interval_coverage.py: fewer runs, and fewer sizes of samples."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
RUNS = 2_000
NOISE = 0.015  # three standard errors of a share near 0.95, or near 0.05, of 2,000 runs


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module; its name would be that of an installed package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location(
        "interval_coverage", BENCHMARKS / "interval_coverage.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_intervals_cover_and_equal_models_rarely_have_a_winner(coverage: ModuleType) -> None:
    results = list(coverage.measure(RUNS, sizes=(15, 50), clusters=(10, 20), labels=(10, 30)))
    assert len(results) > 2_500
    simulated = "intervals", "few labels"
    missed = [r for r in results if r.cover < 0.92 - NOISE * (r.part in simulated)]
    assert missed == []
    enumerated = [r for r in results if r.kind.startswith("wins")]
    assert len(enumerated) > 2_400
    assert all(r.errors <= r.most_errors for r in enumerated)
    assert all(r.errors <= r.most_errors + NOISE for r in results)


@pytest.mark.slow
def test_a_small_part_of_the_benchmark_runs(coverage: ModuleType) -> None:
    results = [*coverage.enumerated_intervals(15), *coverage.enumerated_equivalence(30)]
    results += [*coverage.simulated_winners(20, 300), *coverage.corrected_rates(10, 300)]
    assert {result.part for result in results} == {
        *("intervals", "no difference", "at the margin", "few labels")
    }
    assert all(result.passed for result in results if result.kind.startswith("wins"))


def test_wins_and_losses_of_15_prompts_are_covered(coverage: ModuleType) -> None:
    assert min(result.cover for result in coverage.enumerated_intervals(15)) >= 0.92
