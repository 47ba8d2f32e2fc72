"""bakeoff: is this model really better? Blind pairwise comparison with a verdict you can trust.

    import bakeoff
    results = bakeoff.run(bakeoff.Config(model=("a=hf:me/tuned", "b=hf:me/base"), judge=("gpt-4",)))
    print(results.summary.pairs[0].verdict)

The whole public surface is here; what is not in `__all__` may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.config import Config, Sampling, Spec
from bakeoff.errors import (
    BackendError,
    BakeoffError,
    BudgetError,
    ConfigError,
    InterruptError,
    StoppedError,
    StoreError,
    VerdictError,
    WorkError,
)
from bakeoff.records import (
    Comparison,
    Completion,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Pair,
    Plan,
    Prompt,
    Results,
    Scores,
    Summary,
    Usage,
    Verdict,
    register_views,
)
from bakeoff.runtime import Batched, Generator, Judge, ModelRequest, PerItem, Worker

if TYPE_CHECKING:
    from bakeoff.api import run, run_async, vote_async
    from bakeoff.evaluation.audit import audit
    from bakeoff.evaluation.judge_check import check
    from bakeoff.evaluation.session import plan
    from bakeoff.report.results_file import read_results

__all__ = [
    "BackendError",
    "BakeoffError",
    "Batched",
    "BudgetError",
    "Comparison",
    "Completion",
    "Config",
    "ConfigError",
    "Failure",
    "Generator",
    "InterruptError",
    "Judge",
    "Judgment",
    "Message",
    "ModelCompletion",
    "ModelRequest",
    "Pair",
    "PerItem",
    "Plan",
    "Prompt",
    "Results",
    "Sampling",
    "Scores",
    "Spec",
    "StoppedError",
    "StoreError",
    "Summary",
    "Usage",
    "Verdict",
    "VerdictError",
    "WorkError",
    "Worker",
    "audit",
    "check",
    "plan",
    "read_results",
    "run",
    "run_async",
    "vote_async",
]


_LATER = {
    "audit": "bakeoff.evaluation.audit",
    "check": "bakeoff.evaluation.judge_check",
    "read_results": "bakeoff.report.results_file",
    "plan": "bakeoff.evaluation.session",
    "run": "bakeoff.api",
    "run_async": "bakeoff.api",
    "vote_async": "bakeoff.api",
}


register_views(lambda: import_module("bakeoff.report.views"))


def __getattr__(name: str) -> Any:
    """What brings numpy and scipy is loaded when it is first used."""
    home = _LATER.get(name)
    if home:
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")
