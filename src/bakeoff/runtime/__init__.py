"""All concurrency: how many items are put through something slow. Knows no model and no store."""

from bakeoff.runtime.batched import Batched
from bakeoff.runtime.cancellation import Halt, Part, halt, pause, stoppable, unless_stopped
from bakeoff.runtime.gc_freeze import unswept
from bakeoff.runtime.per_item import PerItem
from bakeoff.runtime.rate_limits.rate_limiter import Quota
from bakeoff.runtime.rate_limits.request_queue import Gate, HopelessError, Limits, Server, Turn
from bakeoff.runtime.rate_limits.server_limits import Caps
from bakeoff.runtime.spend_limit import Account, Purse
from bakeoff.runtime.tasks import aside, meanwhile, outcome_of, tasks
from bakeoff.runtime.work_queue import Feed
from bakeoff.runtime.worker import Ask, Emit, Generator, Judge, Order, Worker

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
