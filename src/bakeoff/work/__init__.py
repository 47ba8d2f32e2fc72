"""All concurrency: how many items are put through something slow. Knows no model and no store."""

from bakeoff.work.batched import Batched
from bakeoff.work.feed import Feed
from bakeoff.work.gate import Gate, HopelessError, Limits, Server, Turn
from bakeoff.work.limiter import Caps
from bakeoff.work.pace import Quota
from bakeoff.work.per_item import PerItem
from bakeoff.work.tasks import meanwhile, outcome_of, tasks
from bakeoff.work.worker import Emit, Generator, Judge, Order, Worker

__all__ = [
    "Batched",
    "Caps",
    "Emit",
    "Feed",
    "Gate",
    "Generator",
    "HopelessError",
    "Judge",
    "Limits",
    "Order",
    "PerItem",
    "Quota",
    "Server",
    "Turn",
    "Worker",
    "meanwhile",
    "outcome_of",
    "tasks",
]
