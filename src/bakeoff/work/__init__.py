"""All concurrency: how many items are put through something slow. Knows no model and no store."""

from bakeoff.work.batched import Batched
from bakeoff.work.feed import Feed
from bakeoff.work.gate import Gate, HopelessError, Limits, Server, Turn
from bakeoff.work.halt import Halt, Part, halt, pause, stoppable, unless_stopped
from bakeoff.work.limiter import Caps
from bakeoff.work.pace import Quota
from bakeoff.work.per_item import PerItem
from bakeoff.work.purse import Account, Purse
from bakeoff.work.sweeping import unswept
from bakeoff.work.tasks import aside, meanwhile, outcome_of, tasks
from bakeoff.work.worker import Ask, Emit, Generator, Judge, Order, Worker

__all__ = [
    "Account",
    "Ask",
    "Batched",
    "Caps",
    "Emit",
    "Feed",
    "Gate",
    "Generator",
    "Halt",
    "HopelessError",
    "Judge",
    "Limits",
    "Order",
    "Part",
    "PerItem",
    "Purse",
    "Quota",
    "Server",
    "Turn",
    "Worker",
    "aside",
    "halt",
    "meanwhile",
    "outcome_of",
    "pause",
    "stoppable",
    "tasks",
    "unless_stopped",
    "unswept",
]
