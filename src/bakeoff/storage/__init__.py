"""The content-addressed store of completions and verdicts, in one SQLite file."""

from bakeoff.storage.store import RUN_PREFIX, Store

__all__ = ["RUN_PREFIX", "Store"]
