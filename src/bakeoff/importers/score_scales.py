"""Finds the scale of the scores of each judge: files hold scores to 1, 5, 10 or 100.

bakeoff stores scores from 0 to 10 and shows them divided by 10. A score s on a scale to `top`
becomes 10 s / top, so that a score from 0 to 1 is shown as it is in the file.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import median
from typing import NamedTuple

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.labels import ParseFailure, parse_number, parse_scores
from bakeoff.records import Scores

_MIN_VALUES = 20  # with fewer values, the scores of several judges are looked at together
_MAX_OUTLIERS = 0.02  # share of the scores that may lie above a scale, such as typing errors
_MIN_MEDIAN = 25  # of scores to 100; counts of votes have a few high values and many low ones


class FileScores(NamedTuple):
    """The two scores of a verdict as they are in the file."""

    columns: tuple[str, str]
    values: tuple[JsonValue, JsonValue]
    decide: bool = False
    """Whether the winner of the verdict is the output with the higher score."""

    def swapped(self) -> "FileScores":
        """Return the scores of the pair in the other order."""
        (a, b), (first, second) = self.columns, self.values
        return FileScores((b, a), (second, first), self.decide)

    def numbers(self) -> list[float]:
        """Return those of the scores that are numbers from 0."""
        parsed = (parse_number(c, v, 0) for c, v in zip(self.columns, self.values, strict=True))
        return [number for number in parsed if isinstance(number, float)]

    def on_scale(self, top: float) -> Scores | ParseFailure | None:
        """Return the scores from 0 to 10; None if one is missing."""
        scores = parse_scores(self.columns, self.values, top)
        return Scores(*(rescale(s, top) for s in scores)) if isinstance(scores, Scores) else scores


def rescale(score: float, top: float) -> float:
    """Return the score from 0 to `top` as one from 0 to 10."""
    return score if top == 10 else round(10 * score / top, 9)


def score_scales(values: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    """Return the highest score of the scale of each judge; None if it is on no known scale.

    `values` holds the scores of each judge. Judges with fewer than 20 share one scale.
    """
    few = [judge for judge, scores in values.items() if len(scores) < _MIN_VALUES]
    shared = find_scale(list(chain.from_iterable(values[judge] for judge in few)))
    return {
        judge: shared if len(scores) < _MIN_VALUES else find_scale(scores)
        for judge, scores in values.items()
    }


def find_scale(values: Sequence[float]) -> float | None:
    """Return 1, 5, 10 or 100, the top of the scale of non-negative scores; None for another one.

    Scores to 10 are the default: those that do not exceed 5 are read as scores from 1 to 5 only if
    there are at least 20 of them, none below 1, and 5 occurs.
    """
    to_10 = [value for value in values if value <= 10]
    outliers = len(values) - len(to_10)
    if outliers <= max(2, _MAX_OUTLIERS * len(values)) and outliers <= len(to_10):
        top = max(to_10, default=10)
        if top <= 1:
            return 1
        likert = top == 5 and min(to_10) >= 1 and len(to_10) >= _MIN_VALUES
        return 5 if likert else 10
    to_100 = [value for value in values if value <= 100]
    outliers = len(values) - len(to_100)
    if outliers <= _MAX_OUTLIERS * len(values) and median(to_100) >= _MIN_MEDIAN:
        return 100
    return None


def scale_notes(
    values: Mapping[str, Sequence[float]], scales: Mapping[str, float | None]
) -> list[str]:
    """Return a note for each scale other than that to 10, which names its judges."""
    judges: dict[float, list[str]] = defaultdict(list)
    for judge, top in sorted(scales.items()):
        if top not in (None, 10) and values[judge]:
            judges[top or 0].append(judge)
    return [
        f"Scores of {', '.join(map(repr, names[:5]))}{', ...' if len(names) > 5 else ''} reach "
        f"{max(max(values[name]) for name in names):g}: they are read as scores to {top:g}"
        + (" and shown on that scale." if top == 1 else f" and shown divided by {top:g}.")
        for top, names in sorted(judges.items())
    ]


def no_scale(location: str, judge: str, values: Sequence[float]) -> ConfigError:
    """Return the error for scores on no known scale."""
    return ConfigError(
        f"{location}: the scores of {judge!r} reach {max(values):g} with a median of "
        f"{median(values):g}, which fits no scale to 1, 5, 10 or 100, and counts of votes are no "
        "scores: scale them to 0 to 10, or name the column of the winner with --columns "
        "winner=COLUMN"
    )
