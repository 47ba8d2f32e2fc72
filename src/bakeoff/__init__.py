"""bakeoff: is this model really better? Blind pairwise comparison with a verdict you can trust.

    import bakeoff
    results = bakeoff.run(bakeoff.Config(model=("a=hf:me/tuned", "b=hf:me/base"), judge=("gpt-4",)))
    print(results.summary.pairs[0].verdict)

The whole public surface is here; what is not in `__all__` may change.
"""

from typing import TYPE_CHECKING, Any

from bakeoff.config import Config, Sampling, Spec
from bakeoff.errors import (
    BackendError,
    BakeoffError,
    ConfigError,
    StoreError,
    VerdictError,
    WorkError,
)
from bakeoff.records import (
    Authored,
    Comparison,
    Completion,
    Failure,
    Judgment,
    Message,
    Pair,
    Prompt,
    Results,
    Scores,
    Summary,
    Verdict,
)
from bakeoff.work import Batched, Generator, Judge, PerItem, Worker

if TYPE_CHECKING:
    from bakeoff.auditing import audit
    from bakeoff.session import run, run_async

__all__ = [
    "Authored",
    "BackendError",
    "BakeoffError",
    "Batched",
    "Comparison",
    "Completion",
    "Config",
    "ConfigError",
    "Failure",
    "Generator",
    "Judge",
    "Judgment",
    "Message",
    "Pair",
    "PerItem",
    "Prompt",
    "Results",
    "Sampling",
    "Scores",
    "Spec",
    "StoreError",
    "Summary",
    "Verdict",
    "VerdictError",
    "WorkError",
    "Worker",
    "audit",
    "run",
    "run_async",
]


def __getattr__(name: str) -> Any:
    """What brings numpy and scipy is loaded when it is first used."""
    if name in ("run", "run_async"):
        from bakeoff import session

        return getattr(session, name)
    if name == "audit":
        from bakeoff.auditing import audit

        return audit
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")
