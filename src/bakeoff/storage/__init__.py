"""The content-addressed store of completions and verdicts, in one SQLite file."""

from bakeoff.storage.store import Store

__all__ = ["Store"]
