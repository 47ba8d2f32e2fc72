"""Finished runs of a pair of models, which the store records."""

from pydantic import Field

from bakeoff.records.looks import PairRecord
from bakeoff.records.pair_summary import Outcome
from bakeoff.stats.results import Estimate


class PairRun(PairRecord):
    """A finished run of two models by some judges."""

    judges: tuple[str, ...]
    """Names of the judges, sorted."""
    judge_key: str
    """Hash of the judges with their templates and settings, apart from seeds."""
    prompt_source: str
    seed: int
    prompts: int = Field(ge=1)
    """Prompts with a verdict."""
    outcome: Outcome
    """The outcome for `a`."""
    win_rate: Estimate | None = None
    """The win rate of `a` and its interval."""
    time: str | None = None
    """When the run ended: ISO 8601, UTC. None for the run of the results that list it."""


class StoredRun(PairRun):
    """A run as the store has it, with what tells whether another run is a later look."""

    design: str
    """Hash of models, judges, prompts and settings: runs with an equal one are the same run."""
    model_keys: tuple[str, str]
    """Hashes of `a` and `b` with their sampling settings, apart from seeds."""
    weight_keys: tuple[str, str]
    """Hashes of `a` and `b` without sampling settings."""
    judge_hashes: tuple[str, ...]
    """Hash of each judge, sorted; `judge_key` is the hash of all."""
    prompt_hashes: tuple[str, ...]
    """The smallest 512 hashes of its prompts, sorted: all hashes if there are fewer."""

    def public(self, *, current: bool = False) -> PairRun:
        """Return the fields that results list; `current` is the run of these results."""
        fields = {name: getattr(self, name) for name in PairRun.model_fields}
        return PairRun(**fields | ({"time": None} if current else {}))
