"""Determines what the numbers of a column of verdicts mean.

A 1 may be the probability that the first of two is better, or the index of the second, or that of
the first. A column whose values fit several of these meanings is refused, unless `--columns` names
one of them.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.labels import ParseFailure, is_blank, parse_failure, parse_number

NumberMeaning = Literal["probability", "index_from_0", "index_from_1"]
MEANINGS: tuple[NumberMeaning, ...] = get_args(NumberMeaning)

_BOOLEANS = {"true": 1.0, "false": 0.0}


class ColumnValues(NamedTuple):
    """The kinds of values of a column."""

    numbers: frozenset[float]
    has_words: bool
    """Whether there are texts that are neither numbers nor booleans."""
    all_boolean: bool
    """Whether there are booleans, and nothing else."""


class VerdictColumn(NamedTuple):
    """A column of verdicts, for messages."""

    location: str
    name: str
    """The name in the file."""
    values: ColumnValues

    def probability_or_index(self, numbered_from_1: bool) -> NumberMeaning | None:
        """Return the meaning of a column of preferences; None if it holds no numbers.

        Fractions between 0 and 1 are probabilities. If `numbered_from_1`, the columns are those of
        AlpacaFarm: 1 is output_1, 2 is output_2. Raises ConfigError if the meaning is ambiguous.
        """
        numbers = self.values.numbers
        if self.values.all_boolean:
            raise self.ambiguous()
        if not numbers:
            return None
        if any(0 < number < 1 and number != 0.5 for number in numbers) or numbers == {0.5}:
            return "probability"
        if numbered_from_1 and max(numbers) >= 1 and numbers != {0, 1}:
            fits = all(preference(number, "index_from_1") is not None for number in numbers)
            if fits and not ({0, 1} <= numbers and 2 not in numbers):
                return "index_from_1"
        raise self.ambiguous()

    def winner_numbers(self, numbered_from_1: bool) -> tuple[str, ...]:
        """Return the numbers that are labels in a column of winners: 1 for a, 2 for b, 0 for ties.

        Both 1 and 2, without 0, are indices from 1. If the columns of the models or completions are
        `numbered_from_1`, a 2 or 1 alone is as well, and a 0 beside a 2 is a tie. Raises
        ConfigError if the meaning is ambiguous.
        """
        labels = self.values.numbers & {0.0, 1.0, 2.0}
        if self.values.all_boolean:
            raise self.ambiguous()
        if labels == {1.0, 2.0}:
            return ("1", "2")
        if numbered_from_1 and (2.0 in labels or labels == {1.0}):
            return ("0", "1", "2")
        if labels:
            raise self.ambiguous()
        return ("0", "1", "2")  # not in the column, but possibly the name of a model

    def ambiguous(self) -> ConfigError:
        """Return the error that names each meaning that fits, and how to say it."""
        booleans = self.values.all_boolean
        numbers = [0.0, 1.0] if booleans else sorted(self.values.numbers)
        shown = ["false", "true"] if booleans else [f"{number:g}" for number in numbers]
        start = (
            f"{self.location}: the {'booleans' if booleans else 'numbers'} in {self.name!r} "
            f"({', '.join(shown[:5])}{', ...' if len(shown) > 5 else ''})"
        )
        ways = [
            f"--columns {meaning}={self.name} ({_explain(shown, preferences)})"
            for meaning, preferences in _possible_meanings(numbers).items()
        ]
        if not ways:
            return ConfigError(
                f"{start} are neither probabilities nor indices of the winner: write a, b or tie"
            )
        return ConfigError(
            f"{start} do not say which of the two is better: say it with {' or '.join(ways)}"
        )


def column_values(values: Iterable[JsonValue]) -> ColumnValues:
    """Return the kinds of the values of a column."""
    numbers: set[float] = set()
    has_words = has_booleans = has_others = False
    seen: set[tuple[type, JsonValue]] = set()  # a column has few distinct labels
    for value in values:
        if is_blank(value):
            continue
        if isinstance(value, str | int | float):
            if (type(value), value) in seen:
                continue
            seen.add((type(value), value))
        number = parse_number("", value)
        if isinstance(number, float):
            numbers.add(number)
        elif number.kind == "boolean":
            has_booleans = True
        elif number.kind == "unreadable" and isinstance(value, str):
            has_words = True
        else:
            has_others = True
    all_boolean = has_booleans and not (numbers or has_words or has_others)
    return ColumnValues(frozenset(numbers), has_words, all_boolean)


def preference(number: float, meaning: NumberMeaning) -> float | None:
    """Return the probability that a is better, which a number means; None if it has no meaning.

    Between two indices, a number is nearer to the better one: 1.3 is a preference of .7 for a.
    """
    if meaning == "probability":
        return number if 0 <= number <= 1 else None
    start, tie = (0, 2) if meaning == "index_from_0" else (1, 0)
    if number == tie:
        return 0.5
    return round(1 - (number - start), 12) if start <= number <= start + 1 else None


def parse_meaning(column: str, value: JsonValue, meaning: NumberMeaning) -> float | ParseFailure:
    """Return the probability that a is better which a number, or a boolean as 0 or 1, means."""
    folded = str(value).strip().casefold() if isinstance(value, bool | str) else ""
    number = _BOOLEANS.get(folded) if meaning != "index_from_1" else None
    parsed = parse_number(column, value) if number is None else number
    if isinstance(parsed, ParseFailure):
        return parsed
    result = preference(parsed, meaning)
    return parse_failure(column, value) if result is None else result


def _possible_meanings(numbers: Sequence[float]) -> dict[NumberMeaning, list[float]]:
    """Return the preference that each number has under each meaning that fits all of them.

    Of meanings with equal preferences, the first one. A column of 0 and 1 holds no indices from
    1, of which none would name b.
    """
    possible: dict[NumberMeaning, list[float]] = {}
    for meaning in MEANINGS:
        values = [preference(number, meaning) for number in numbers]
        preferences = [value for value in values if value is not None]
        unlikely = meaning == "index_from_1" and 0 in numbers and max(numbers) <= 1
        complete = len(preferences) == len(values)
        if complete and not unlikely and preferences not in possible.values():
            possible[meaning] = preferences
    return possible


def _explain(shown: Sequence[str], preferences: Sequence[float]) -> str:
    """Return what up to three numbers say, such as `0: a, 1: b`."""
    return ", ".join(
        f"{text}: {'a tie' if value == 0.5 else 'a' if value > 0.5 else 'b'}"
        for text, value in list(zip(shown, preferences, strict=True))[:3]
    )
