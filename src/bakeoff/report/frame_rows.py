"""Judgments and comparisons as rows with named columns. Knows no library that holds tables."""

from collections.abc import Iterable, Iterator

from bakeoff.analysis.aggregate import preference_of, winner_of
from bakeoff.analysis.pair_data import Trial, trials_of
from bakeoff.records import Judgment, Results
from bakeoff.report.frames import Column, Row

JUDGMENTS = (
    Column("prompt_id", "text"),
    Column("judge", "text"),
    Column("first", "text"),
    Column("second", "text"),
    Column("repeat", "count"),
    Column("sample", "count"),
    Column("presented", "text"),
    Column("preference", "number"),
    Column("winner", "text"),
    Column("score_first", "number", optional=True),
    Column("score_second", "number", optional=True),
    Column("reason", "text"),
    Column("contradictory", "flag"),
    Column("retry_reason", "text", optional=True),
    Column("shown_characters", "count", optional=True),
    Column("tokens_in", "count", optional=True),
    Column("tokens_out", "count", optional=True),
    Column("cost", "number", optional=True),
    Column("snapshot", "text", optional=True),
)
COMPARISONS = (
    Column("prompt_id", "text"),
    Column("a", "text"),
    Column("b", "text"),
    Column("preference", "number"),
    Column("winner", "text"),
    Column("flipped", "flag"),
    Column("consistent", "flag", optional=True),
    Column("score_a", "number", optional=True),
    Column("score_b", "number", optional=True),
    Column("unit", "text"),
    Column("tags", "texts"),
)


def judgment_rows(judgments: Iterable[Judgment]) -> list[Row]:
    """A row per judgment, in the order of `JUDGMENTS`; `winner` is a model's name or `tie`."""
    return [_judgment(judgment) for judgment in judgments]


def comparison_rows(results: Results) -> list[Row]:
    """A row per prompt and two models, in the order of `COMPARISONS`: what the summary counts."""
    return [row for trial in trials_of(results).values() for row in _comparisons(trial)]


def _judgment(judgment: Judgment) -> Row:
    verdict = judgment.verdict
    scores = verdict.scores or (None, None)
    usage = verdict.usage
    names = {"a": judgment.first, "b": judgment.second, "tie": "tie"}
    return (
        judgment.prompt_id,
        judgment.judge,
        judgment.first,
        judgment.second,
        judgment.repeat,
        judgment.sample,
        judgment.presented,
        preference_of(judgment.first, judgment),
        names[winner_of(verdict.first)],
        *scores,
        verdict.reason,
        verdict.contradictory,
        verdict.retry_reason,
        verdict.shown_characters,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        verdict.cost,
        verdict.snapshot,
    )


def _comparisons(trial: Trial) -> Iterator[Row]:
    names = {"a": trial.a, "b": trial.b, "tie": "tie"}
    for found, unit in zip(trial.comparisons, trial.units, strict=True):
        yield (
            found.prompt_id,
            found.a,
            found.b,
            found.preference,
            names[found.winner],
            found.flipped,
            found.consistent,
            *(found.scores or (None, None)),
            unit,
            list(trial.tags(found.prompt_id)),
        )
