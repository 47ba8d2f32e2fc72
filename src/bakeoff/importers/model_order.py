"""The order of the models, which does not depend on the order of the rows."""

from collections import defaultdict


class ModelOrder:
    """Collects the names of models; `names` returns them in the order of comparison.

    Models of an earlier file precede others. Models of one file that were added with a rank are in
    the order of these; of the others, models that are always the first of a pair precede the rest,
    those that are always the second follow, and equal ones are sorted by name.
    """

    def __init__(self) -> None:
        self._ranks: dict[str, tuple[int, int]] = {}  # number of the file, rank
        self._sides: dict[str, set[int]] = defaultdict(set)

    def add_ranked(self, name: str, file: int) -> None:
        """Add a model of a file that gives the order of its models."""
        self._ranks.setdefault(name, (file, len(self._ranks)))

    def add(self, name: str, file: int, side: int | None = None) -> None:
        """Add a model of a row; `side` is 0 for the first of a pair and 1 for the second."""
        self._ranks.setdefault(name, (file, -1))
        if side is not None:
            self._sides[name].add(side)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all models."""

        def rank(name: str) -> tuple[int, int, int, str]:
            sides = self._sides.get(name, {0, 1})
            return *self._ranks[name], 2 * sum(sides) - len(sides), name

        return tuple(sorted(self._ranks, key=rank))
