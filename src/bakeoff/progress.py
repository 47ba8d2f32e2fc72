"""How far each model and judge of a run has come. Knows no terminal and no page."""

from collections.abc import Callable
from typing import Literal, NamedTuple

Stage = Literal["completion", "judgment"]


class Progress(NamedTuple):
    """How far one model or judge has come.

    `kept` of those done were in the store already; `tokens` (read and written) and `cost` (US
    dollars; None where no price is known) are of what was paid for since the start.
    """

    stage: Stage
    who: str
    done: int
    failed: int
    total: int
    kept: int = 0
    tokens: int = 0
    cost: float | None = None


Watch = Callable[[Progress], None]
