"""Isolates every test: no API keys, no bakeoff settings, no hub, an empty working directory."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

ROOT = Path(__file__).parents[1]

# huggingface_hub reads this once, at import, so it is set before any test module is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

# Two test processes share two cores, so threads must not spin while they wait for each other.
# An engine chooses its own number of threads; passive waiting halves the time of its tests.
for setting, value in (
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_WAIT_POLICY", "passive"),
    ("GOMP_SPINCOUNT", "0"),
):
    os.environ.setdefault(setting, value)

# A shell makes its background jobs ignore SIGINT, and child processes would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

set_hypothesis_home_dir(ROOT / ".hypothesis")  # each test has another working directory
for profile, examples in (("quick", 5), ("bakeoff", 15), ("thorough", 100)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,  # the duration of an example depends on the load of the machine
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="CI" in os.environ,
    )
settings.load_profile("bakeoff")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests for pytest-xdist: by file, and all tests of an engine or a cluster together.

    Two engines or clusters at once would starve each other.
    """
    for item in items:
        large = any(item.get_closest_marker(name) for name in ("engine", "ray"))
        group = "engine" if large else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collection, which would scan them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def thawed() -> Iterator[None]:
    """Undo `gc.freeze()` for a test, as in a process that only runs bakeoff."""
    gc.unfreeze()
    yield
    gc.enable()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Remove bakeoff's settings and API keys from the environment; work in a temporary folder."""
    for name in list(os.environ):
        ours = name.startswith("BAKEOFF_") and not name.startswith("BAKEOFF_CACHE")
        if ours or name.endswith("_API_KEY") or name in ("OPENAI_BASE_URL", "RAY_ADDRESS"):
            monkeypatch.delenv(name)
    if "hub" in request.fixturenames:  # a loopback hub, which child processes may use
        monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.chdir(tmp_path)
