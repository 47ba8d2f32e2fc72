"""The one Ray session of this process: joined or started by who needs it first, and left by all.

Knows how a cluster is reached and kept quiet; nothing of what runs there. What somebody else has
opened in this process, or on another machine, is used and never stopped.
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

_ANSWER = 10.0  # seconds that a cluster has to be heard of
_LEVEL = "RAY_BACKEND_LOG_LEVEL"
# Read when Ray is imported: what nodes report of dead replicas would go to stdout.
_SKIPPED = "RAY_DEDUP_LOGS_SKIP_REGEX"

_lock = threading.Lock()
_users: set[Hashable] = set()
_ours = False  # whether the session is to be ended by us
_started = False  # whether its cluster was started by us, too


def address(said: str | None) -> str | None:
    """Where the cluster is that was asked for; None: one of our own is to be started."""
    return said or os.environ.get("RAY_ADDRESS") or None


def enter(user: Hashable, said: str | None) -> None:
    """Be in the session. ConfigError where there is no cluster at the address that was said."""
    global _ours, _started
    with _lock:
        os.environ.setdefault(_SKIPPED, ".*")
        import ray

        if not ray.is_initialized():
            where = address(said)
            _lasting.do(lambda: _begin(where))
            _ours, _started = True, where is None
        _users.add(user)


def leave(user: Hashable) -> None:
    """Be out of the session; the last one out ends what we began."""
    global _ours, _started
    with _lock:
        if user not in _users:
            return
        _users.discard(user)
        if _ours and not _users:
            import ray

            _ours = _started = False
            _lasting.do(ray.shutdown)


def ours() -> bool:
    """Whether the cluster is one that we started, on this machine."""
    return _started


def gpus() -> float:
    """How many GPUs the cluster has now."""
    import ray

    return float(ray.cluster_resources().get("GPU", 0.0))


def nodes() -> set[str]:
    """The nodes that are there."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def fits(cpus: float, gpus: float) -> bool:
    """Whether a node of the cluster has room for one who needs so many of both."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes)


class _Lasting:
    """A thread that stays: Ray hangs in its next call when the one that connected has ended."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Callable[[], object], SimpleQueue[BaseException | None]]]
        self._asked = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Do it there; raises what it raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bakeoff-ray", daemon=True)
            self._thread.start()
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._asked.put((work, done))
        if (error := done.get()) is not None:
            raise error

    def _run(self) -> None:
        while True:
            work, done = self._asked.get()
            try:
                work()
            except BaseException as error:
                done.put(error)
            else:
                done.put(None)


_lasting = _Lasting()


def _begin(where: str | None) -> None:
    import ray

    os.environ.setdefault(_LEVEL, "fatal")
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with _said_without(_LEVEL):
            if where is None:
                os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # we send nobody anything
                # Ray listens on all interfaces, to who has the token; it would leave it in a file.
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
                ray.init("local", include_dashboard=False, **quiet)
            else:
                _call(where)
                ray.init(where, **quiet)
    except Exception as error:  # Ray lets out whatever its connection raises
        if where is None:
            raise
        raise ConfigError(
            f"no Ray cluster at {where!r} ({one_line(error)}): start one with `ray start --head`, "
            "or leave out --ray and RAY_ADDRESS"
        ) from None
    importlib.import_module("ray.data")  # it makes its handlers: what it logs is in its files, too
    log = logging.getLogger("ray.data")
    for handler in list(log.handlers):
        if isinstance(handler, logging.StreamHandler):
            log.removeHandler(handler)


def _call(where: str) -> None:
    """OSError where nobody listens there: Ray would try for minutes."""
    host, colon, port = where.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()


@contextmanager
def _said_without(words: str) -> Iterator[None]:
    """What is said on stderr meanwhile is said when the body is over, but for lines with `words`.

    Ray's C++ part says there that it was told to say nothing.
    """
    with tempfile.TemporaryFile() as heard:
        kept = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            heard.seek(0)
            for line in heard:
                if words.encode() not in line:
                    os.write(kept, line)
            os.close(kept)
