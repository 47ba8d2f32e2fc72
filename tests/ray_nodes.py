"""Real Ray nodes on this machine, with a raylet each, and the replicas that run on them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FRAIL = Path(__file__).parent / "frail"
_SMALL = 100 << 20  # bytes of a node's object store
# Inherited by Ray's processes: no output, no telemetry.
_SET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "TESTS_OF": str(os.getpid()),  # identifies the processes of this test run
}


@contextmanager
def nodes(count: int, cpus: int) -> Iterator[Any]:
    """A cluster of `count` nodes on which the backend `frail:` is installed."""
    with somebodys_backend():
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            for _ in range(count):
                add_node(cluster, cpus)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: Any, cpus: int) -> Any:
    """One more node of a cluster."""
    return cluster.add_node(num_cpus=cpus, include_dashboard=False, object_store_memory=_SMALL)


@contextmanager
def somebodys_backend() -> Iterator[None]:
    """Install the backend `frail:` for this process and its children."""
    before = dict(os.environ)
    os.environ |= _SET
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(FRAIL), before.get("PYTHONPATH")]))
    sys.path.insert(0, str(FRAIL))
    try:
        yield
    finally:
        sys.path.remove(str(FRAIL))
        os.environ.clear()
        os.environ |= before


def replicas() -> list[int]:
    """Pids of the replicas that run on the nodes of this test run."""
    found, ours = [], f"TESTS_OF={os.getpid()}".encode()
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes()
            if not line.startswith(b"ray::MapWorker(MapBatches(Replica))"):
                continue
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours in environment.split(b"\0"):
            found.append(int(folder.name))
    return found


def soon(true: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until a function returns a true value, and return that."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
    return value
