"""Makes judgments and failures of the verdicts of all files: repeats, voters and scales of scores.

These depend on all verdicts, so they are determined after the last file.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from bakeoff.importers.labels import ParseFailure
from bakeoff.importers.score_scales import FileScores, no_scale, scale_notes, score_scales
from bakeoff.importers.voters import VOTERS, VoteKey, find_voters, voter_note
from bakeoff.records import Failure, Judgment, Presentation


class RepeatKey(NamedTuple):
    """The key of a judgment; judgments with equal keys are repeats of each other."""

    prompt_id: str
    judge: str
    first: str
    second: str
    sample: int
    presented: Presentation = "recorded"


class ImportedOutcome(NamedTuple):
    """A judgment or its failure, as it was added."""

    key: RepeatKey
    record: Judgment | Failure
    file: int
    """Number of the file, from 1."""
    row: int
    """Number of the row in the file, from 1."""
    location: str = ""
    """The file, for a message."""
    scores: FileScores | None = None
    """Scores of the judgment on the scale of the file."""
    keep_repeat: bool = False
    """The record keeps its own repeat index if that is free, and is dropped if it is equal to the
    one with this index; else it has the next free index."""

    def with_judge(self, judge: str) -> "ImportedOutcome":
        """Return the outcome under another name of its judge."""
        name = "judge" if isinstance(self.record, Judgment) else "participant"
        return self._replace(
            key=self.key._replace(judge=judge), record=self.record.model_copy(update={name: judge})
        )

    def with_failure(self, failure: ParseFailure) -> "ImportedOutcome":
        """Return the failure of the judgment."""
        return self._replace(record=judgment_failure(self.key, failure), scores=None)


class OutcomeRecords(NamedTuple):
    """The records of all outcomes, in the order of files and rows, and notes on them."""

    judgments: tuple[Judgment, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]


def judgment_failure(key: RepeatKey, failure: ParseFailure) -> Failure:
    """Return the failure to parse a judgment with this key."""
    return Failure(
        stage="judgment",
        prompt_id=key.prompt_id,
        participant=key.judge,
        kind=failure.kind,
        message=failure.message,
        raw=failure.raw,
        first=key.first,
        second=key.second,
    )


def resolve(outcomes: Sequence[ImportedOutcome]) -> OutcomeRecords:
    """Return the records of all outcomes. Raises ConfigError for scores without a known scale."""
    outcomes, voter_notes = _combine_voters(outcomes)
    outcomes, scale_notes = _attach_scores(outcomes)
    records = _number_repeats(outcomes)
    order = sorted(range(len(records)), key=lambda n: (outcomes[n].file, outcomes[n].row))
    sorted_records = [record for n in order if (record := records[n]) is not None]
    judgments = tuple(record for record in sorted_records if isinstance(record, Judgment))
    return OutcomeRecords(
        judgments=judgments,
        failures=tuple(record for record in sorted_records if isinstance(record, Failure)),
        notes=(
            *voter_notes,
            *scale_notes,
            *_repeat_notes(outcomes),
            *_tie_notes(judgments),
        ),
    )


def _combine_voters(
    outcomes: Sequence[ImportedOutcome],
) -> tuple[Sequence[ImportedOutcome], list[str]]:
    voters = find_voters(
        VoteKey(o.key.judge, frozenset((o.key.first, o.key.second)), o.key.prompt_id)
        for o in outcomes
        if not o.keep_repeat
    )
    if not voters:
        return outcomes, []
    combined = [
        o.with_judge(VOTERS) if o.key.judge in voters and not o.keep_repeat else o for o in outcomes
    ]
    return combined, [voter_note(voters)]


def _attach_scores(
    outcomes: Sequence[ImportedOutcome],
) -> tuple[Sequence[ImportedOutcome], list[str]]:
    """Return the outcomes with scores from 0 to 10, and notes on the scales of the files."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.scores is not None:
            values[outcome.key.judge] += outcome.scores.numbers()
    if not values:
        return outcomes, []
    scales = score_scales(values)
    notes = scale_notes(values, scales)
    notes += [
        f"Scores of {judge!r} reach {max(values[judge]):g}, which fits no scale to 1, 5, 10 or "
        "100: they are left out, and its winners count."
        for judge, top in sorted(scales.items())
        if top is None
    ]
    return [_with_scores(outcome, scales, values) for outcome in outcomes], notes


def _with_scores(
    outcome: ImportedOutcome,
    scales: Mapping[str, float | None],
    values: Mapping[str, Sequence[float]],
) -> ImportedOutcome:
    record, scores = outcome.record, outcome.scores
    if scores is None or isinstance(record, Failure):
        return outcome
    top = scales[outcome.key.judge]
    if top is None:
        if scores.decide:
            raise no_scale(outcome.location, outcome.key.judge, values[outcome.key.judge])
        return outcome
    rescaled = scores.on_scale(top)
    if isinstance(rescaled, ParseFailure):
        return outcome.with_failure(rescaled)
    if rescaled is None:
        return outcome
    verdict = record.verdict.model_copy(update={"scores": rescaled})
    return outcome._replace(record=record.model_copy(update={"verdict": verdict}))


def _number_repeats(outcomes: Sequence[ImportedOutcome]) -> list[Judgment | Failure | None]:
    """Return each record with its repeat index; None for a duplicate."""
    by_key: dict[RepeatKey, dict[int, Judgment | Failure]] = defaultdict(dict)
    records: list[Judgment | Failure | None] = []
    for outcome in outcomes:
        record, repeats = outcome.record, by_key[outcome.key]
        if outcome.keep_repeat and repeats.get(record.repeat) == record:
            records.append(None)
            continue
        if not outcome.keep_repeat or record.repeat in repeats:
            free = next(n for n in count(len(repeats)) if n not in repeats)
            if free != record.repeat:
                record = record.with_ids(record.prompt_id, record.sample, free)
        repeats[record.repeat] = record
        records.append(record)
    return records


def _repeat_notes(outcomes: Sequence[ImportedOutcome]) -> list[str]:
    keys = Counter((o.file, o.key._replace(sample=0)) for o in outcomes if not o.keep_repeat)
    repeats = keys.total() - len(keys)
    if not repeats:
        return []
    return [
        f"{repeats} verdicts are on a prompt that the same judge has in the same file and order "
        "already: they count as repeats, not as prompts."
    ]


def _tie_notes(judgments: Sequence[Judgment]) -> list[str]:
    both_bad = sum(judgment.verdict.both_bad for judgment in judgments)
    if not both_bad:
        return []
    ties = sum(judgment.verdict.first == 0.5 for judgment in judgments)
    return [
        f"{both_bad} of {ties} verdicts that are ties say that both completions are bad (labels "
        "such as 'tie (bothbad)' or 'both_bad'): they count as ties."
    ]
