"""All concurrency: how many items are put through something slow. Knows no model and no store."""

from bakeoff.work.batched import Batched
from bakeoff.work.per_item import PerItem
from bakeoff.work.tasks import meanwhile, outcome_of, tasks
from bakeoff.work.worker import Emit, Generator, Judge, Order, Worker

__all__ = [
    "Batched",
    "Emit",
    "Generator",
    "Judge",
    "Order",
    "PerItem",
    "Worker",
    "meanwhile",
    "outcome_of",
    "tasks",
]
