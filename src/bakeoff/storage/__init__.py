"""The store: everything that was paid for, in one SQLite file, and what becomes of a damaged one.

Knows keys and records; not what they mean, who asked, or in what order.
"""

from bakeoff.storage.sqlite_file import VERSION
from bakeoff.storage.store import Store

__all__ = ["VERSION", "Store"]
