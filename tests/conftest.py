"""A clean world for every test: no keys, no settings of ours, no hub, an empty working folder."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

ROOT = Path(__file__).parents[1]

# The hub's client reads this once, when it is imported: before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"

# Two processes test at once on two cores: threads that wait for each other by spinning cost both.
# An engine takes as many threads as it wants; that they sleep halves the time of its tests.
for setting, value in (
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_WAIT_POLICY", "passive"),
    ("GOMP_SPINCOUNT", "0"),
):
    os.environ.setdefault(setting, value)

# A shell has its background jobs ignore Ctrl-C, and whoever they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

set_hypothesis_home_dir(ROOT / ".hypothesis")  # not into every test's working folder
for profile, examples in (("bakeoff", 15), ("thorough", 100)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,  # two noisy cores
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="CI" in os.environ,
    )
settings.load_profile("bakeoff")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests are spread over processes: those of a file stay together, and so do all that load
    an engine or a cluster, of which two at once would starve each other.
    """
    for item in items:
        large = any(item.get_closest_marker(name) for name in ("engine", "ray"))
        group = "engine" if large else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """What all tests are made of is no garbage: nobody has to search through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def thawed() -> Iterator[None]:
    """Where nobody has set anything aside, as in a process that only runs bakeoff."""
    gc.unfreeze()
    yield
    gc.enable()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name in list(os.environ):
        ours = name.startswith("BAKEOFF_") and not name.startswith("BAKEOFF_CACHE")
        if ours or name.endswith("_API_KEY") or name in ("OPENAI_BASE_URL", "RAY_ADDRESS"):
            monkeypatch.delenv(name)
    if "hub" in request.fixturenames:  # a hub on loopback: the processes that it starts may ask it
        monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.chdir(tmp_path)
