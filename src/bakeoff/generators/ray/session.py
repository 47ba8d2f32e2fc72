"""The Ray session of this process, which all generators share.

The first generator joins or starts a cluster, the last one ends the session. A session or cluster
that other code has opened is used, but never stopped.
"""

import importlib
import logging
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from bakeoff.errors import ConfigError, one_line

_CONNECT_TIMEOUT = 10.0  # seconds
_LOG_LEVEL_VARIABLE = "RAY_BACKEND_LOG_LEVEL"
# Read when Ray is imported. Without it, messages of nodes about dead replicas go to stdout.
_SKIP_REGEX_VARIABLE = "RAY_DEDUP_LOGS_SKIP_REGEX"

_lock = threading.Lock()
_users: set[Hashable] = set()
_owns_session = False  # whether `leave` has to end the session
_owns_cluster = False  # whether the cluster was started here, too


def cluster_address(requested: str | None) -> str | None:
    """Return the address of the cluster to join, by default RAY_ADDRESS; None: start one."""
    return requested or os.environ.get("RAY_ADDRESS") or None


def join(user: Hashable, requested: str | None) -> None:
    """Add a user of the session, and open it for the first one.

    Raises ConfigError if no cluster answers at the requested address.
    """
    global _owns_session, _owns_cluster
    with _lock:
        os.environ.setdefault(_SKIP_REGEX_VARIABLE, ".*")
        import ray

        if not ray.is_initialized():
            address = cluster_address(requested)
            _ray_thread.run(lambda: _connect(address))
            _owns_session, _owns_cluster = True, address is None
        _users.add(user)


def leave(user: Hashable) -> None:
    """Remove a user of the session; after the last one, end the session if it was opened here."""
    global _owns_session, _owns_cluster
    with _lock:
        if user not in _users:
            return
        _users.discard(user)
        if _owns_session and not _users:
            import ray

            _owns_session = _owns_cluster = False
            _ray_thread.run(ray.shutdown)


def owns_cluster() -> bool:
    """Return whether this module has started the cluster, on this machine."""
    return _owns_cluster


def gpu_count() -> float:
    """Return the present number of GPUs in the cluster."""
    import ray

    return float(ray.cluster_resources().get("GPU", 0.0))


def alive_nodes() -> set[str]:
    """Return the ids of the cluster's nodes that are alive."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def fits_on_a_node(cpus: float, gpus: float) -> bool:
    """Return whether any node has this many CPUs and GPUs in total, used ones included."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes)


class RayThread:
    """A thread for connecting and disconnecting, which lives as long as the process.

    Once the thread that connected has ended, the next call of Ray hangs.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Callable[[], object], SimpleQueue[BaseException | None]]]
        self._tasks = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, task: Callable[[], object]) -> None:
        """Run a function on the thread and wait for it; raise its exception."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="bakeoff-ray", daemon=True)
            self._thread.start()
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._tasks.put((task, done))
        if (error := done.get()) is not None:
            raise error

    def _loop(self) -> None:
        while True:
            task, done = self._tasks.get()
            try:
                task()
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)


_ray_thread = RayThread()


def _connect(address: str | None) -> None:
    import ray

    os.environ.setdefault(_LOG_LEVEL_VARIABLE, "fatal")
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with _stderr_without(_LOG_LEVEL_VARIABLE):
            if address is None:
                os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no telemetry
                # Ray listens on all interfaces. It would write a token of its own to a file.
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
                ray.init("local", include_dashboard=False, **quiet)
            else:
                _check_reachable(address)
                ray.init(address, **quiet)
    except Exception as error:  # Ray does not convert the errors of its connection
        if address is None:
            raise
        raise ConfigError(
            f"no Ray cluster at {address!r} ({one_line(error)}): start one with `ray start "
            "--head`, or leave out --ray and RAY_ADDRESS"
        ) from None
    importlib.import_module("ray.data")  # adds its log handlers, one of which writes a file
    log = logging.getLogger("ray.data")
    for handler in list(log.handlers):
        if isinstance(handler, logging.StreamHandler):
            log.removeHandler(handler)


def _check_reachable(address: str) -> None:
    """Raise OSError if no process listens at the address, as Ray would retry for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT).close()


@contextmanager
def _stderr_without(text: str) -> Iterator[None]:
    """Write the body's output on stderr after the body, without the lines that contain `text`.

    The C++ part of Ray prints a line about the log level in the environment variable.
    """
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            captured.seek(0)
            for line in captured:
                if text.encode() not in line:
                    os.write(stderr, line)
            os.close(stderr)
