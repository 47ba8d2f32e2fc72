"""All concurrency: how many items are put through something slow. Knows no model and no store."""

from bakeoff.runtime.cancellation import Halt, Part, halt, pause, stoppable, unless_stopped
from bakeoff.runtime.capabilities import (
    Durable,
    HasGenerator,
    HasWeights,
    Planned,
    Priced,
    Progress,
    estimate_cost,
    notify_committed,
    planned_requests,
    remote_done,
    tokens_in_progress,
    weights_of,
)
from bakeoff.runtime.gc_freeze import unswept
from bakeoff.runtime.rate_limits.rate_limiter import Quota
from bakeoff.runtime.rate_limits.request_queue import Gate, HopelessError, Limits, Server, Turn
from bakeoff.runtime.rate_limits.server_limits import Caps
from bakeoff.runtime.spend_limit import Account, Purse
from bakeoff.runtime.tasks import aside, meanwhile, outcome_of, tasks
from bakeoff.runtime.work_queue import Emit, Feed
from bakeoff.runtime.worker import (
    BaseWorker,
    Batched,
    Generator,
    GeneratorJudge,
    Judge,
    ModelRequest,
    Order,
    PerItem,
    Traits,
    Worker,
)

__all__ = [
    "Account",
    "BaseWorker",
    "Batched",
    "Caps",
    "Durable",
    "Emit",
    "Feed",
    "Gate",
    "Generator",
    "GeneratorJudge",
    "Halt",
    "HasGenerator",
    "HasWeights",
    "HopelessError",
    "Judge",
    "Limits",
    "ModelRequest",
    "Order",
    "Part",
    "PerItem",
    "Planned",
    "Priced",
    "Progress",
    "Purse",
    "Quota",
    "Server",
    "Traits",
    "Turn",
    "Worker",
    "aside",
    "estimate_cost",
    "halt",
    "meanwhile",
    "notify_committed",
    "outcome_of",
    "pause",
    "planned_requests",
    "remote_done",
    "stoppable",
    "tasks",
    "tokens_in_progress",
    "unless_stopped",
    "unswept",
    "weights_of",
]
