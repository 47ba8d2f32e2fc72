"""bakeoff: is this model really better? Blind pairwise comparison with a verdict you can trust.

    import bakeoff
    results = bakeoff.run(bakeoff.Config(model=("a=hf:me/tuned", "b=hf:me/base"), judge=("gpt-4",)))
    print(results.summary.pairs[0].verdict)

The public API is `__all__`: functions for notebooks, records, errors, and what plugins implement
(docs/plugins.md). Other names may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakeoff.api import run, run_async, vote_async
    from bakeoff.config import Config, Sampling, Spec, parse_fields, split_options
    from bakeoff.config.options import AuditOptions, JudgeCheckOptions, VoteOptions
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
    from bakeoff.evaluation.audit import audit
    from bakeoff.evaluation.judge_check import check
    from bakeoff.evaluation.session import plan
    from bakeoff.importers.builder import EvidenceBuilder, ModelOutput
    from bakeoff.importers.documents import Document
    from bakeoff.importers.labels import ParseFailure
    from bakeoff.importers.reader import Importer
    from bakeoff.plugins import RunContext, judge_spec, open_generator, open_judge
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
    from bakeoff.report.results_file import read_results
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

# The module of each public name: modules are imported when a name of theirs is first used, so that
# `import bakeoff` takes a few milliseconds.
_MODULES = {
    "AuditOptions": "bakeoff.config.options",
    "BackendError": "bakeoff.errors",
    "BakeoffError": "bakeoff.errors",
    "BaseWorker": "bakeoff.runtime",
    "Batched": "bakeoff.runtime",
    "BudgetError": "bakeoff.errors",
    "Comparison": "bakeoff.records",
    "Completion": "bakeoff.records",
    "Config": "bakeoff.config",
    "ConfigError": "bakeoff.errors",
    "ContextError": "bakeoff.errors",
    "Criterion": "bakeoff.records",
    "Design": "bakeoff.records",
    "Document": "bakeoff.importers.documents",
    "Durable": "bakeoff.runtime",
    "Emit": "bakeoff.runtime",
    "Evidence": "bakeoff.records",
    "EvidenceBuilder": "bakeoff.importers.builder",
    "Failure": "bakeoff.records",
    "Generator": "bakeoff.runtime",
    "GeneratorJudge": "bakeoff.runtime",
    "HasWeights": "bakeoff.runtime",
    "Importer": "bakeoff.importers.reader",
    "InterruptError": "bakeoff.errors",
    "Judge": "bakeoff.runtime",
    "JudgeCheckOptions": "bakeoff.config.options",
    "Judgment": "bakeoff.records",
    "Message": "bakeoff.records",
    "ModelCompletion": "bakeoff.records",
    "ModelOutput": "bakeoff.importers.builder",
    "ModelRequest": "bakeoff.runtime",
    "Pair": "bakeoff.records",
    "ParseFailure": "bakeoff.importers.labels",
    "PerItem": "bakeoff.runtime",
    "Plan": "bakeoff.records",
    "Planned": "bakeoff.runtime",
    "Priced": "bakeoff.runtime",
    "Progress": "bakeoff.runtime",
    "ProgressCallback": "bakeoff.runtime.progress",
    "ProgressUpdate": "bakeoff.runtime.progress",
    "Prompt": "bakeoff.records",
    "RateLimits": "bakeoff.runtime",
    "RawScores": "bakeoff.records",
    "RefusedError": "bakeoff.errors",
    "Results": "bakeoff.records",
    "RunContext": "bakeoff.plugins",
    "Sampling": "bakeoff.config",
    "Scores": "bakeoff.records",
    "Spec": "bakeoff.config",
    "SpendLimit": "bakeoff.runtime",
    "StopToken": "bakeoff.runtime",
    "StoppedError": "bakeoff.errors",
    "Store": "bakeoff.storage",
    "StoreError": "bakeoff.errors",
    "Summary": "bakeoff.records",
    "Traits": "bakeoff.runtime",
    "Usage": "bakeoff.records",
    "Verdict": "bakeoff.records",
    "VerdictError": "bakeoff.errors",
    "VoteOptions": "bakeoff.config.options",
    "WorkError": "bakeoff.errors",
    "WorkItem": "bakeoff.runtime",
    "WorkQueue": "bakeoff.runtime",
    "Worker": "bakeoff.runtime",
    "audit": "bakeoff.evaluation.audit",
    "check": "bakeoff.evaluation.judge_check",
    "content_key": "bakeoff.records",
    "judge_spec": "bakeoff.plugins",
    "open_generator": "bakeoff.plugins",
    "open_judge": "bakeoff.plugins",
    "parse_fields": "bakeoff.config",
    "plan": "bakeoff.evaluation.session",
    "planned_requests": "bakeoff.runtime",
    "read_results": "bakeoff.report.results_file",
    "run": "bakeoff.api",
    "run_async": "bakeoff.api",
    "split_options": "bakeoff.config",
    "vote_async": "bakeoff.api",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module:
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
