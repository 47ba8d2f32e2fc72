"""Starts Ray nodes on this machine, each a raylet, and lists the replicas on them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FAULTY = Path(__file__).parent / "faulty_backend"
_SMALL = 100 << 20  # bytes of a node's object store
# Environment of Ray's processes: no log output, no usage statistics.
_SET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "TESTS_OF": str(os.getpid()),  # distinguishes these processes from those of other test runs
}


@contextmanager
def nodes(count: int, cpus: int) -> Iterator[Any]:
    """Start a cluster of `count` nodes with the backend `faulty:`; no driver is connected yet."""
    with faulty_backend_installed():
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        try:
            for _ in range(count):
                add_node(cluster, cpus)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: Any, cpus: int) -> Any:
    """Add a node to a cluster."""
    return cluster.add_node(num_cpus=cpus, include_dashboard=False, object_store_memory=_SMALL)


@contextmanager
def faulty_backend_installed() -> Iterator[None]:
    """Install the backend `faulty:` for this process and its child processes."""
    before = dict(os.environ)
    os.environ |= _SET
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(FAULTY), before.get("PYTHONPATH")])
    )
    sys.path.insert(0, str(FAULTY))
    try:
        yield
    finally:
        sys.path.remove(str(FAULTY))
        os.environ.clear()
        os.environ |= before


def replicas() -> list[int]:
    """The process ids of the replicas on the nodes of this test run."""
    ids, ours = [], f"TESTS_OF={os.getpid()}".encode()
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes()
            if not line.startswith(b"ray::MapWorker(MapBatches(Replica))"):
                continue
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if ours in environment.split(b"\0"):
            ids.append(int(folder.name))
    return ids


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Poll `condition` until its result is true, and return the result; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(0.05)
    return value
