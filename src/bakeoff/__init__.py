"""bakeoff: is this model really better? Blind pairwise comparison with a verdict you can trust.

    import bakeoff
    results = bakeoff.run(bakeoff.Config(model=("a=hf:me/tuned", "b=hf:me/base"), judge=("gpt-4",)))
    print(results.summary.pairs[0].verdict)

The public API is `__all__`: functions for notebooks, records, errors, and what plugins implement
(docs/plugins.md). Other names may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Type checkers and editors read the imports; at runtime a module is imported when a name of it is
# first used, so that `import bakeoff` takes a few milliseconds. A test holds the two equal.
if TYPE_CHECKING:
    from bakeoff.api import run as run
    from bakeoff.api import run_async as run_async
    from bakeoff.api import vote_async as vote_async
    from bakeoff.config import Config as Config
    from bakeoff.config import Sampling as Sampling
    from bakeoff.config import Spec as Spec
    from bakeoff.config import parse_fields as parse_fields
    from bakeoff.config import split_options as split_options
    from bakeoff.config.options import AuditOptions as AuditOptions
    from bakeoff.config.options import JudgeCheckOptions as JudgeCheckOptions
    from bakeoff.config.options import VoteOptions as VoteOptions
    from bakeoff.errors import BackendError as BackendError
    from bakeoff.errors import BakeoffError as BakeoffError
    from bakeoff.errors import BudgetError as BudgetError
    from bakeoff.errors import ConfigError as ConfigError
    from bakeoff.errors import ContextError as ContextError
    from bakeoff.errors import InterruptError as InterruptError
    from bakeoff.errors import RefusedError as RefusedError
    from bakeoff.errors import StoppedError as StoppedError
    from bakeoff.errors import StoreError as StoreError
    from bakeoff.errors import VerdictError as VerdictError
    from bakeoff.errors import WorkError as WorkError
    from bakeoff.evaluation.audit import audit as audit
    from bakeoff.evaluation.judge_check import check as check
    from bakeoff.evaluation.session import plan as plan
    from bakeoff.importers.builder import EvidenceBuilder as EvidenceBuilder
    from bakeoff.importers.builder import ModelOutput as ModelOutput
    from bakeoff.importers.documents import Document as Document
    from bakeoff.importers.labels import ParseFailure as ParseFailure
    from bakeoff.importers.reader import Importer as Importer
    from bakeoff.plugins import RunContext as RunContext
    from bakeoff.plugins import judge_spec as judge_spec
    from bakeoff.plugins import open_generator as open_generator
    from bakeoff.plugins import open_judge as open_judge
    from bakeoff.records import Comparison as Comparison
    from bakeoff.records import Completion as Completion
    from bakeoff.records import Criterion as Criterion
    from bakeoff.records import Design as Design
    from bakeoff.records import Evidence as Evidence
    from bakeoff.records import Failure as Failure
    from bakeoff.records import Judgment as Judgment
    from bakeoff.records import Message as Message
    from bakeoff.records import ModelCompletion as ModelCompletion
    from bakeoff.records import Pair as Pair
    from bakeoff.records import Plan as Plan
    from bakeoff.records import Prompt as Prompt
    from bakeoff.records import RawScores as RawScores
    from bakeoff.records import Results as Results
    from bakeoff.records import Scores as Scores
    from bakeoff.records import Summary as Summary
    from bakeoff.records import Usage as Usage
    from bakeoff.records import Verdict as Verdict
    from bakeoff.records import content_key as content_key
    from bakeoff.report.results_file import read_results as read_results
    from bakeoff.runtime import BaseWorker as BaseWorker
    from bakeoff.runtime import Batched as Batched
    from bakeoff.runtime import Durable as Durable
    from bakeoff.runtime import Emit as Emit
    from bakeoff.runtime import Generator as Generator
    from bakeoff.runtime import GeneratorJudge as GeneratorJudge
    from bakeoff.runtime import HasWeights as HasWeights
    from bakeoff.runtime import Judge as Judge
    from bakeoff.runtime import ModelRequest as ModelRequest
    from bakeoff.runtime import PerItem as PerItem
    from bakeoff.runtime import Planned as Planned
    from bakeoff.runtime import Priced as Priced
    from bakeoff.runtime import Progress as Progress
    from bakeoff.runtime import RateLimits as RateLimits
    from bakeoff.runtime import SpendLimit as SpendLimit
    from bakeoff.runtime import StopToken as StopToken
    from bakeoff.runtime import Traits as Traits
    from bakeoff.runtime import Worker as Worker
    from bakeoff.runtime import WorkItem as WorkItem
    from bakeoff.runtime import WorkQueue as WorkQueue
    from bakeoff.runtime import planned_requests as planned_requests
    from bakeoff.runtime.progress import ProgressCallback as ProgressCallback
    from bakeoff.runtime.progress import ProgressUpdate as ProgressUpdate
    from bakeoff.storage import Store as Store

_NAMES = {
    "bakeoff.api": "run run_async vote_async",
    "bakeoff.config": "Config Sampling Spec parse_fields split_options",
    "bakeoff.config.options": "AuditOptions JudgeCheckOptions VoteOptions",
    "bakeoff.errors": (
        "BackendError BakeoffError BudgetError ConfigError ContextError InterruptError "
        "RefusedError StoppedError StoreError VerdictError WorkError"
    ),
    "bakeoff.evaluation.audit": "audit",
    "bakeoff.evaluation.judge_check": "check",
    "bakeoff.evaluation.session": "plan",
    "bakeoff.importers.builder": "EvidenceBuilder ModelOutput",
    "bakeoff.importers.documents": "Document",
    "bakeoff.importers.labels": "ParseFailure",
    "bakeoff.importers.reader": "Importer",
    "bakeoff.plugins": "RunContext judge_spec open_generator open_judge",
    "bakeoff.records": (
        "Comparison Completion Criterion Design Evidence Failure Judgment Message ModelCompletion "
        "Pair Plan Prompt RawScores Results Scores Summary Usage Verdict content_key"
    ),
    "bakeoff.report.results_file": "read_results",
    "bakeoff.runtime": (
        "BaseWorker Batched Durable Emit Generator GeneratorJudge HasWeights Judge ModelRequest "
        "PerItem Planned Priced Progress RateLimits SpendLimit StopToken Traits Worker WorkItem "
        "WorkQueue planned_requests"
    ),
    "bakeoff.runtime.progress": "ProgressCallback ProgressUpdate",
    "bakeoff.storage": "Store",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULES)


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
