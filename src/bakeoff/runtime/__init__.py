"""Workers, and what they share in a run: queues, rate limits, a spend limit and stop tokens."""

from bakeoff.runtime.cancellation import (
    ChildStopToken,
    StopToken,
    current_stop_token,
    has_stop_token,
    sleep_or_stop,
    wait_or_stop,
)
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
from bakeoff.runtime.garbage_collection import gc_frozen
from bakeoff.runtime.rate_limits.rate_limiter import Quota
from bakeoff.runtime.rate_limits.request_queue import (
    Permit,
    RateLimits,
    RequestQueue,
    Server,
    ServerUnavailableError,
)
from bakeoff.runtime.rate_limits.server_limits import LimitConfig
from bakeoff.runtime.spend_limit import SpendLimit, UsageTotals
from bakeoff.runtime.tasks import outcome_of, run_periodically, task_group, to_daemon_thread
from bakeoff.runtime.work_queue import Emit, WorkItem, WorkQueue
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
    "BaseWorker",
    "Batched",
    "ChildStopToken",
    "Durable",
    "Emit",
    "Generator",
    "GeneratorJudge",
    "HasGenerator",
    "HasWeights",
    "Judge",
    "LimitConfig",
    "ModelRequest",
    "Order",
    "PerItem",
    "Permit",
    "Planned",
    "Priced",
    "Progress",
    "Quota",
    "RateLimits",
    "RequestQueue",
    "Server",
    "ServerUnavailableError",
    "SpendLimit",
    "StopToken",
    "Traits",
    "UsageTotals",
    "WorkItem",
    "WorkQueue",
    "Worker",
    "current_stop_token",
    "estimate_cost",
    "gc_frozen",
    "has_stop_token",
    "notify_committed",
    "outcome_of",
    "planned_requests",
    "remote_done",
    "run_periodically",
    "sleep_or_stop",
    "task_group",
    "to_daemon_thread",
    "tokens_in_progress",
    "wait_or_stop",
    "weights_of",
]
