"""The estimate of a run."""

from bakeoff.records.record import Record
from bakeoff.records.usage import StageUsage, total_or_none


class Plan(Record):
    """Requests, tokens, cost and time that a run still needs, as `bakeoff.plan` estimates."""

    prompts: int
    usage: tuple[StageUsage, ...]
    """One row per model and judge."""
    detectable: tuple[float, float] | None = None
    """Win rates, as shares: without ties, the run tells those below the first and above the second
    from 0.5 with 80 % power. None for a part of a run, and with too few prompts."""
    notes: tuple[str, ...] = ()
    """Assumptions of the estimate."""

    @property
    def cost(self) -> float | None:
        """Estimated US dollars; None if any price is unknown."""
        return total_or_none(row.cost for row in self.usage)

    @property
    def max_cost(self) -> float | None:
        """US dollars if every completion and verdict reaches its token limit; None if unknown."""
        return total_or_none(row.max_cost for row in self.usage)

    @property
    def seconds(self) -> float | None:
        """Estimated seconds, with all participants in parallel; None if none is known."""
        known = [row.seconds for row in self.usage if row.seconds is not None]
        return max(known) if known else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of the participants whose price is unknown."""
        return tuple(row.participant for row in self.usage if row.cost is None)

    @property
    def paid(self) -> bool:
        """Whether the run costs money, or may do so because a price is unknown."""
        return self.cost != 0
