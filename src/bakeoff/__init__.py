"""bakeoff: is this model really better? Blind pairwise comparison with a verdict you can trust.

    import bakeoff
    results = bakeoff.run(bakeoff.Config(model=("a=hf:me/tuned", "b=hf:me/base"), judge=("gpt-4",)))
    print(results.summary.pairs[0].verdict)

The public API is `__all__`: functions for notebooks, records, errors, and what plugins implement
(docs/plugins.md). Other names may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bakeoff.config import Config, Sampling, Spec, parse_fields, split_options
from bakeoff.errors import (
    BackendError,
    BakeoffError,
    BudgetError,
    ConfigError,
    ContextError,
    InterruptError,
    RefusedError,
    StoppedError,
    StoreError,
    VerdictError,
    WorkError,
)
from bakeoff.records import (
    Comparison,
    Completion,
    Criterion,
    Design,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Pair,
    Plan,
    Prompt,
    RawScores,
    Results,
    Scores,
    Summary,
    Usage,
    Verdict,
    content_key,
)
from bakeoff.records import register_views as _register_views
from bakeoff.runtime import (
    BaseWorker,
    Batched,
    Durable,
    Emit,
    Generator,
    GeneratorJudge,
    HasWeights,
    Judge,
    ModelRequest,
    PerItem,
    Planned,
    Priced,
    Progress,
    RateLimits,
    SpendLimit,
    StopToken,
    Traits,
    Worker,
    WorkItem,
    WorkQueue,
    planned_requests,
)

if TYPE_CHECKING:
    from bakeoff.api import run, run_async, vote_async
    from bakeoff.config.options import AuditOptions, JudgeCheckOptions, VoteOptions
    from bakeoff.evaluation.audit import audit
    from bakeoff.evaluation.judge_check import check
    from bakeoff.evaluation.session import plan
    from bakeoff.importers.builder import EvidenceBuilder, ModelOutput
    from bakeoff.importers.documents import Document
    from bakeoff.importers.labels import ParseFailure
    from bakeoff.importers.reader import Importer
    from bakeoff.plugins import RunContext, judge_spec, open_generator, open_judge
    from bakeoff.report.results_file import read_results
    from bakeoff.runtime.progress import ProgressCallback, ProgressUpdate
    from bakeoff.storage import Store

__all__ = [
    "AuditOptions",
    "BackendError",
    "BakeoffError",
    "BaseWorker",
    "Batched",
    "BudgetError",
    "Comparison",
    "Completion",
    "Config",
    "ConfigError",
    "ContextError",
    "Criterion",
    "Design",
    "Document",
    "Durable",
    "Emit",
    "Evidence",
    "EvidenceBuilder",
    "Failure",
    "Generator",
    "GeneratorJudge",
    "HasWeights",
    "Importer",
    "InterruptError",
    "Judge",
    "JudgeCheckOptions",
    "Judgment",
    "Message",
    "ModelCompletion",
    "ModelOutput",
    "ModelRequest",
    "Pair",
    "ParseFailure",
    "PerItem",
    "Plan",
    "Planned",
    "Priced",
    "Progress",
    "ProgressCallback",
    "ProgressUpdate",
    "Prompt",
    "RateLimits",
    "RawScores",
    "RefusedError",
    "Results",
    "RunContext",
    "Sampling",
    "Scores",
    "Spec",
    "SpendLimit",
    "StopToken",
    "StoppedError",
    "Store",
    "StoreError",
    "Summary",
    "Traits",
    "Usage",
    "Verdict",
    "VerdictError",
    "VoteOptions",
    "WorkError",
    "WorkItem",
    "WorkQueue",
    "Worker",
    "audit",
    "check",
    "content_key",
    "judge_spec",
    "open_generator",
    "open_judge",
    "parse_fields",
    "plan",
    "planned_requests",
    "read_results",
    "run",
    "run_async",
    "split_options",
    "vote_async",
]

# Imported on first use, so that `import bakeoff` is fast: many of these load numpy and scipy.
_LAZY = {
    "AuditOptions": "bakeoff.config.options",
    "Document": "bakeoff.importers.documents",
    "EvidenceBuilder": "bakeoff.importers.builder",
    "Importer": "bakeoff.importers.reader",
    "JudgeCheckOptions": "bakeoff.config.options",
    "ModelOutput": "bakeoff.importers.builder",
    "ParseFailure": "bakeoff.importers.labels",
    "ProgressCallback": "bakeoff.runtime.progress",
    "ProgressUpdate": "bakeoff.runtime.progress",
    "RunContext": "bakeoff.plugins",
    "Store": "bakeoff.storage",
    "VoteOptions": "bakeoff.config.options",
    "audit": "bakeoff.evaluation.audit",
    "check": "bakeoff.evaluation.judge_check",
    "judge_spec": "bakeoff.plugins",
    "open_generator": "bakeoff.plugins",
    "open_judge": "bakeoff.plugins",
    "plan": "bakeoff.evaluation.session",
    "read_results": "bakeoff.report.results_file",
    "run": "bakeoff.api",
    "run_async": "bakeoff.api",
    "vote_async": "bakeoff.api",
}


_register_views(lambda: import_module("bakeoff.report.views"))


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module:
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
