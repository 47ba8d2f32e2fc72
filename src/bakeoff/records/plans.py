"""What a run would take, before it takes it."""

from typing import Literal

from pydantic import Field

from bakeoff.records.nouns import Record


class Expense(Record):
    """What is left to do for one model or judge, about.

    `requests` are to be made, `kept` outcomes are in the store and cost nothing. `read` and
    `written` are tokens, None where nobody knows. `cost` is US dollars, 0 where nobody wants any,
    None where no price is known; `dearest` is what it costs if as much is written as may be.
    `seconds` is about how long it takes alone, None where that is up to this machine.
    """

    stage: Literal["completion", "judgment"]
    who: str
    requests: int = Field(default=0, ge=0)
    kept: int = Field(default=0, ge=0)
    read: int | None = Field(default=None, ge=0)
    written: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0)
    dearest: float | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)


class Plan(Record):
    """What is left to do in a run. `notes` say what was assumed."""

    prompts: int
    expenses: tuple[Expense, ...]
    notes: tuple[str, ...] = ()

    @property
    def cost(self) -> float | None:
        """US dollars, about; None where any price is not known."""
        return _sum([expense.cost for expense in self.expenses])

    @property
    def dearest(self) -> float | None:
        """US dollars if all write as much as they may."""
        return _sum([expense.dearest for expense in self.expenses])

    @property
    def seconds(self) -> float | None:
        """About how long it takes: all work side by side. None where nobody knows of anybody."""
        known = [expense.seconds for expense in self.expenses if expense.seconds is not None]
        return max(known) if known else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Whose price is not known."""
        return tuple(expense.who for expense in self.expenses if expense.cost is None)

    @property
    def paid(self) -> bool:
        """Whether somebody may want money for what is left to do."""
        return self.cost != 0


def _sum(costs: list[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
