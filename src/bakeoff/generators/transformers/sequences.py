"""What happens at each step of a batch under way: tokens are drawn, and it is seen who is through.

`Draws` and `Ends` are what transformers' `generate` calls; both know the runs, neither the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.config import Sampling
from bakeoff.errors import BackendError, WorkError
from bakeoff.generators.thinking import make_completion
from bakeoff.generators.transformers.sampling import dice, draw, likeliest
from bakeoff.generators.transformers.tokenization import STOP, Row, Tokens
from bakeoff.records import Completion, Finish

if TYPE_CHECKING:
    import torch

Give = Callable[[Completion | WorkError], None]


@dataclass(eq=False)
class Run:
    """One completion under way. `give` takes it when it is through; `wanted`: does anybody wait?

    `made` are its tokens so far. `over` says that it is through, and its place free.
    """

    row: Row
    give: Give
    wanted: Callable[[], bool]
    made: list[int] = field(default_factory=list)
    over: bool = False
    top: dict[str, float] | None = None
    dice: "torch.Generator | None" = None

    @property
    def width(self) -> int:
        """The tokens that it may come to, with its prompt."""
        return len(self.row.tokens) + self.row.room

    def end(self, outcome: Completion | WorkError) -> None:
        """It is through."""
        self.over = True
        self.give(outcome)


class Draws:
    """Leaves each run the one token that its own random generator draws.

    At a run's first token it looks at the probabilities as the model gave them.
    """

    def __init__(
        self, runs: Sequence[Run], tokens: Tokens, sampling: Sampling, ends: "Ends"
    ) -> None:
        self._runs = runs
        self._tokens = tokens
        self._sampling = sampling
        self._ends = ends

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        """The scores, of which the largest is to be taken."""
        del input_ids
        if self._ends.stopping:
            return scores
        for index, run in enumerate(self._runs):
            if run.dice is None:
                run.dice = dice(run.row.seed, scores.device)
                self._look(run, scores[index])
        return draw(scores, self._sampling, [run.dice for run in self._runs if run.dice])

    def _look(self, run: Run, scores: "torch.Tensor") -> None:
        if bool(scores.isnan().any()):
            run.end(BackendError("the model computes NaN: try another dtype, like float32"))
        elif self._sampling.top:
            run.top = likeliest(scores, self._sampling.top, self._tokens)


class Ends:
    """Sees which runs are through, ends them, and stops `generate` where it pays.

    `pays` is asked after every step, with how many are over. `stops` sees the text that ends a
    completion where no token does. On MPS there is one step more when it is `stopping`, which is
    taken back: no token of it counts, and none is drawn.
    """

    def __init__(
        self, runs: Sequence[Run], tokens: Tokens, pays: Callable[[int], bool], stops: Any
    ) -> None:
        self._runs = runs
        self._tokens = tokens
        self._pays = pays
        self._stops = stops
        self.stopping = False

    def __call__(
        self, input_ids: "torch.Tensor", scores: "torch.Tensor", **_: object
    ) -> "torch.Tensor":
        """True for all rows when it is to stop, else for none."""
        import torch

        if not self.stopping:
            stops = self._stops(input_ids, scores).tolist() if self._stops else []
            for index, token in enumerate(input_ids[:, -1].tolist()):
                self._add(self._runs[index], token, stopped=bool(stops and stops[index]))
            over = [run for run in self._runs if run.over]
            full = any(run.width == self._tokens.context for run in over)
            self.stopping = len(over) == len(self._runs) or full or self._pays(len(over))
        return torch.full((len(self._runs),), self.stopping, device=input_ids.device)

    def _add(self, run: Run, token: int, *, stopped: bool) -> None:
        if run.over:
            return
        if not run.wanted():
            run.over = True
        elif token in self._tokens.ends:
            run.end(_completion(run, self._tokens, "stop"))
        else:
            run.made.append(token)
            if stopped or len(run.made) == run.row.room:
                run.end(_completion(run, self._tokens, "length"))


def _completion(run: Run, tokens: Tokens, finish: Finish) -> Completion:
    text = tokens.text(run.made)
    if not tokens.chat and STOP in text:
        text, finish = text.partition(STOP)[0], "stop"
    # The tag belongs to the thinking, though it was the template that wrote it.
    return make_completion(run.row.opened + text, finish=finish, tokens=len(run.made), top=run.top)
