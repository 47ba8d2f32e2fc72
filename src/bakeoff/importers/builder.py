"""Builds one Evidence from the rows of several evaluation files."""

from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Literal, NamedTuple

from pydantic import JsonValue

from bakeoff.importers.labels import (
    ParseFailure,
    is_blank,
    is_placeholder,
    label_text,
    parse_failure,
    parse_prompt,
)
from bakeoff.importers.model_order import ModelOrder
from bakeoff.importers.outcomes import ImportedOutcome, RepeatKey, judgment_failure, resolve
from bakeoff.importers.samples import SampleIndex
from bakeoff.importers.score_scales import FileScores
from bakeoff.importers.turns import Turns
from bakeoff.prompts.rows import Row
from bakeoff.records import (
    Completion,
    Design,
    Evidence,
    Failure,
    Judgment,
    Presentation,
    Prompt,
    Verdict,
    content_key,
    merged_design,
)

# The output of a pair that the judge saw first: `unknown` if the file does not record it,
# `pointwise` if each output was scored separately.
ShownFirst = Literal["a", "b", "unknown", "pointwise"]


class ModelOutput(NamedTuple):
    """A model and its completion of one prompt."""

    model: str
    recorded: bool = False
    """Whether the file holds completions of this model."""
    completion: JsonValue = None


class ComparedPair(NamedTuple):
    """The outputs of two models that were compared on one prompt."""

    prompt_id: str
    model_a: str
    model_b: str
    sample: int
    """Index of the completions of these models, from 0."""


class PointwiseScore(NamedTuple):
    """The score of one output that was judged separately."""

    prompt_id: str
    output: ModelOutput
    judge: str
    score: JsonValue
    """The value in the file; its scale is found after all files."""
    reason: str = ""
    location: str = ""
    """The file, for a message."""
    time: float | None = None
    """When it was given, in seconds since 1970."""


class EvidenceBuilder:
    """Collects prompts, completions and judgments file by file; `build` returns the Evidence.

    Rows have to be added in an order that does not depend on their order in the file (see
    `documents.sorted_by_content`); the records of the evidence are in the order of the file.
    """

    def __init__(self) -> None:
        self.scores: list[PointwiseScore] = []
        self._file_count = 0
        self._location = ""
        self._row_number = 0
        self._row_counts: Counter[str] = Counter()  # rows without prompt, by content
        self._models = ModelOrder()
        self._prompts: dict[str, Prompt] = {}
        self._positions: dict[str, tuple[int, int]] = {}  # lowest file and row of a prompt
        self._prompt_ids: dict[str, str] = {}  # id in the current file -> id in the evidence
        self._turns = Turns()
        self._samples = SampleIndex()
        self._outcomes: list[ImportedOutcome] = []
        self._completion_failures: dict[Failure, tuple[int, int]] = {}
        self._origins: dict[str, str] = {}
        self._notes: dict[str, None] = {}
        self._designs: list[Design] = []

    @property
    def outcome_count(self) -> int:
        """Judgments, failed judgments and pointwise scores so far, duplicates included."""
        return len(self._outcomes) + len(self.scores)

    def begin_file(self, location: str = "") -> None:
        """Start another file, with its own namespace of prompt ids; `location` is for messages."""
        self._file_count += 1
        self._location = location
        self._row_number = 0
        self._prompt_ids = {}

    def add_note(self, text: str) -> None:
        """Add a note for the reader of the summary; equal notes are kept once."""
        self._notes[text] = None

    def add_origin(self, name: str, origin: str) -> None:
        """Set `backend:target` of the model or judge `name`, unless it has been set before."""
        self._origins.setdefault(name, origin)

    def add_design(self, design: Design) -> None:
        """Add the design of one file.

        The evidence is sequential if any file is, and has a baseline if it is that of all files.
        """
        self._designs.append(design)

    def add_model(self, name: str) -> None:
        """Add a model; models are compared in the order in which they were added."""
        self._models.add_ranked(name, self._file_count)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models, in the order of comparison."""
        return self._models.names

    def add_row_prompt(
        self, row: Row, value: JsonValue, *, prompt_id: str = "", tags: tuple[str, ...] = ()
    ) -> str:
        """Add the prompt in a row (see `labels.parse_prompt`) and return its id in the evidence.

        A row without prompt and id is a prompt of its own, named `row` and a hash of its content.
        If the row has a `turn`, its prompt is that turn of a conversation; the turns of one prompt
        text or id are different prompts and one cluster.
        """
        self._row_number = row.number
        default = ""
        if is_blank(value) and not prompt_id:
            default = self._default_prompt(row)
        prompt = parse_prompt(value, default=default, prompt_id=prompt_id, tags=tags)
        turn = label_text(row.values.get("turn"))
        if not turn or default:
            return self.add_prompt(prompt)
        name = f"{prompt.id}, turn {turn}"
        added = self.add_prompt(parse_prompt(value, default=default, prompt_id=name, tags=tags))
        self._turns.add(prompt.id, added)
        return added

    def _default_prompt(self, row: Row) -> str:
        """Return a text, which is also the id, for the prompt of a row without one."""
        key = content_key(row.values, *((self._file_count,) if self._file_count > 1 else ()))
        self._row_counts[key] += 1
        return f"row {content_key(key, self._row_counts[key])[3:15]}"

    def add_prompt(self, prompt: Prompt) -> str:
        """Add a prompt and return its id in the evidence.

        That is its id in the file, unless an earlier file uses it for another text. Tags of equal
        prompts are merged. A placeholder is replaced by a prompt with a text and the same id.
        """
        if prompt.id not in self._prompt_ids:
            self._prompt_ids[prompt.id] = self._free_prompt_id(prompt)
        prompt_id = self._prompt_ids[prompt.id]
        position = (self._file_count, self._row_number)
        self._positions[prompt_id] = min(position, self._positions.get(prompt_id, position))
        known = self._prompts.get(prompt_id, prompt)
        if not _same_text(known, prompt):
            self.add_note("Some prompt ids stand beside several texts of one file: one counts.")
        has_new_text = is_placeholder(known) and not is_placeholder(prompt)
        more_tags = [tag for tag in prompt.tags if tag not in known.tags]
        if prompt_id not in self._prompts or has_new_text or more_tags:
            self._prompts[prompt_id] = Prompt(
                id=prompt_id,
                messages=prompt.messages if has_new_text else known.messages,
                tags=(*known.tags, *more_tags),
                reference=known.reference,
                criteria=known.criteria,
                sample=known.sample,
            )
        return prompt_id

    def _free_prompt_id(self, prompt: Prompt) -> str:
        ids = (prompt.id if n == 1 else f"{prompt.id} ({n})" for n in count(1))
        prompt_id = next(
            i for i in ids if i not in self._prompts or _same_text(self._prompts[i], prompt)
        )
        if prompt_id != prompt.id:
            self.add_note(
                "Files use the same prompt ids for other texts: those are other prompts, 'ID (2)'."
            )
        return prompt_id

    def add_completions(self, prompt_id: str, completions: Mapping[str, Completion]) -> int:
        """Add the completions of one prompt by several models, and return their sample index.

        It is the lowest index at which each of these models has the same text or none so far.
        """
        return self._samples.add(prompt_id, completions)

    def add_pair(self, prompt_id: str, a: ModelOutput, b: ModelOutput) -> ComparedPair:
        """Add the outputs of two models on a prompt.

        If both are by the same model, the second one is named `NAME (2)`. An output that is no text
        is added as a failed completion.
        """
        if a.model == b.model:
            b = b._replace(model=f"{a.model} (2)")
        completions = {}
        for side, output in enumerate((a, b)):
            self._models.add(output.model, self._file_count, side)
            if output.recorded and isinstance(output.completion, str):
                # With any reasoning in it, as the judge saw it.
                completions[output.model] = Completion(text=output.completion)
            elif output.recorded:
                missing = output.completion is None
                self.add_completion_failure(
                    Failure(
                        stage="completion",
                        prompt_id=prompt_id,
                        participant=output.model,
                        kind="not text",
                        message=f"the completion is {'missing' if missing else 'no text'}",
                        raw=parse_failure("completion", output.completion).raw,
                    )
                )
        sample = self.add_completions(prompt_id, completions)
        return ComparedPair(prompt_id, a.model, b.model, sample)

    def add_judgment(
        self,
        pair: ComparedPair,
        judge: str,
        verdict: Verdict | ParseFailure,
        shown_first: ShownFirst = "unknown",
        scores: FileScores | None = None,
    ) -> None:
        """Add a verdict on model_a and model_b, in this order, or its failure.

        `scores` are scores of the verdict on the scale of the file, which is found after all files.
        """
        first, second = pair.model_a, pair.model_b
        if shown_first == "b":
            first, second = second, first
            verdict = verdict.swapped() if isinstance(verdict, Verdict) else verdict
            scores = scores and scores.swapped()
        presented: Presentation = "recorded"
        if shown_first == "unknown" or shown_first == "pointwise":
            presented = shown_first
        key = RepeatKey(pair.prompt_id, judge, first, second, pair.sample, presented)
        if isinstance(verdict, ParseFailure):
            self._add_outcome(key, judgment_failure(key, verdict))
            return
        judgment = Judgment(
            prompt_id=pair.prompt_id,
            judge=judge,
            first=first,
            second=second,
            sample=pair.sample,
            presented=presented,
            verdict=verdict,
        )
        self._add_outcome(key, judgment, scores)

    def _add_outcome(
        self,
        key: RepeatKey,
        record: Judgment | Failure,
        scores: FileScores | None = None,
        keep_repeat: bool = False,
    ) -> None:
        place = (self._file_count, self._row_number, self._location)
        self._outcomes.append(ImportedOutcome(key, record, *place, scores, keep_repeat))

    def add_recorded(self, key: RepeatKey, record: Judgment | Failure) -> None:
        """Add a judgment or its failure with its own repeat index, if that is free.

        A duplicate, an equal record with the same index, is dropped.
        """
        self._add_outcome(key, record, keep_repeat=True)

    def add_completion_failure(self, failure: Failure) -> None:
        """Add the failure of a completion; equal failures are kept once."""
        position = (self._file_count, self._row_number)
        known = self._completion_failures.get(failure, position)
        self._completion_failures[failure] = min(position, known)

    def add_score(self, score: PointwiseScore) -> None:
        """Add the score of one output; `pointwise.pair_scores` compares scores after all files."""
        self._models.add(score.output.model, self._file_count)
        self.scores.append(score._replace(location=self._location))

    def continue_prompt(self, prompt_id: str) -> None:
        """Add what follows at the place of a prompt that has been added."""
        self._file_count, self._row_number = self._positions[prompt_id]

    def build(self) -> Evidence:
        """Return the evidence of all files, in their order.

        Raises ConfigError if scores decide verdicts and fit no known scale.
        """
        resolved = resolve(self._outcomes)
        for note in (*self._turns.notes, *resolved.notes):
            self.add_note(note)
        by_position = sorted(self._prompts, key=lambda prompt_id: self._positions[prompt_id])
        prompts = tuple(self._turns.tagged(self._prompts[prompt_id]) for prompt_id in by_position)
        ranks = {prompt.id: rank for rank, prompt in enumerate(prompts)}
        completions = sorted(self._samples.records(), key=lambda c: ranks.get(c.prompt_id, 0))
        failures = self._completion_failures
        return Evidence(
            models=self.models,
            prompts=prompts,
            completions=tuple(completions),
            judgments=resolved.judgments,
            failures=(*sorted(failures, key=lambda f: failures[f]), *resolved.failures),
            origins=self._origins,
            design=merged_design(self._designs),
            notes=tuple(self._notes),
        )


def _same_text(prompt: Prompt, other: Prompt) -> bool:
    return prompt.messages == other.messages or is_placeholder(prompt) or is_placeholder(other)
