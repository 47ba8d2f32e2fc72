"""Builds one Evidence from the rows of several evaluation files."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from heapq import merge
from itertools import count
from typing import Literal, NamedTuple

from pydantic import JsonValue

from bakeoff.importers.labels import ParseFailure, is_placeholder, parse_failure, parse_prompt
from bakeoff.records import (
    Completion,
    Design,
    Evidence,
    Failure,
    Judgment,
    ModelCompletion,
    Presentation,
    Prompt,
    Verdict,
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
    score: float | ParseFailure
    reason: str = ""


class RepeatKey(NamedTuple):
    """The key of a judgment; judgments with equal keys are repeats of each other."""

    prompt_id: str
    judge: str
    first: str
    second: str
    sample: int
    presented: Presentation = "recorded"


class EvidenceBuilder:
    """Collects prompts, completions and judgments file by file; `build` returns the Evidence."""

    def __init__(self) -> None:
        self.outcome_count = 0
        """Judgments, failed judgments and pointwise scores so far, duplicates included."""
        self.scores: list[PointwiseScore] = []
        self._file_count = 0
        self._models: dict[str, None] = {}
        self._prompts: dict[str, Prompt] = {}
        self._prompt_ids: dict[str, str] = {}  # id in the current file -> id in the evidence
        self._file_keys: set[RepeatKey] = set()  # keys in the current file, with sample 0
        self._same_file_repeats = 0
        self._completions: dict[tuple[str, str, int], Completion] = {}  # prompt, model, sample
        self._samples_of_text: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        self._model_sample_counts: Counter[tuple[str, str]] = Counter()
        self._sample_counts: Counter[str] = Counter()
        self._first_free: Counter[tuple[str, str]] = Counter()  # lowest sample without completion
        self._outcomes: dict[RepeatKey, dict[int, Judgment | Failure]] = defaultdict(dict)
        self._judgments: list[Judgment] = []
        self._failures: list[Failure] = []
        self._completion_failures: dict[Failure, None] = {}
        self._origins: dict[str, str] = {}
        self._notes: dict[str, None] = {}
        self._designs: list[Design] = []

    def begin_file(self) -> None:
        """Start another file, with its own namespace of prompt ids."""
        self._file_count += 1
        self._prompt_ids = {}
        self._file_keys = set()

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
        self._models[name] = None

    @property
    def models(self) -> set[str]:
        """The names of all models, including those with pointwise scores only."""
        return {*self._models, *(score.output.model for score in self.scores)}

    def default_prompt(self, row_number: int) -> str:
        """Return a text, which is also the id, for the prompt of a row without one."""
        name = f"row {row_number}"
        return name if self._file_count < 2 else f"{name} of file {self._file_count}"

    def add_row_prompt(
        self, row_number: int, value: JsonValue, *, prompt_id: str = "", tags: tuple[str, ...] = ()
    ) -> str:
        """Add the prompt in a row (see `labels.parse_prompt`) and return its id in the evidence."""
        default = self.default_prompt(row_number)
        return self.add_prompt(parse_prompt(value, default=default, prompt_id=prompt_id, tags=tags))

    def add_prompt(self, prompt: Prompt) -> str:
        """Add a prompt and return its id in the evidence.

        That is its id in the file, unless an earlier file uses it for another text. Tags of equal
        prompts are merged. A placeholder is replaced by a prompt with a text and the same id.
        """
        if prompt.id not in self._prompt_ids:
            self._prompt_ids[prompt.id] = self._free_prompt_id(prompt)
        prompt_id = self._prompt_ids[prompt.id]
        known = self._prompts.get(prompt_id, prompt)
        if not _same_text(known, prompt):
            self.add_note(
                "Some prompt ids stand beside several texts of one file: the first one counts."
            )
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
        if not completions:
            return 0
        texts = {model: _full_text(completion) for model, completion in completions.items()}
        same = {m: self._samples_of_text.get((prompt_id, m, texts[m]), []) for m in texts}
        sample_count = self._sample_counts[prompt_id]

        def fits(sample: int) -> bool:
            known = {m: self._completions.get((prompt_id, m, sample)) for m in texts}
            return all(old is None or _full_text(old) == texts[m] for m, old in known.items())

        # Tries the samples of the most constrained model: a prompt may have thousands of samples.
        model = min(texts, key=lambda m: len(same[m]) - self._model_sample_counts[prompt_id, m])
        samples = range(self._first_free[prompt_id, model], sample_count)
        free = (n for n in samples if (prompt_id, model, n) not in self._completions)
        sample = next(filter(fits, merge(sorted(same[model]), free)), sample_count)
        for model, completion in completions.items():
            if (prompt_id, model, sample) not in self._completions:
                self._completions[prompt_id, model, sample] = completion
                self._samples_of_text[prompt_id, model, texts[model]].append(sample)
                self._model_sample_counts[prompt_id, model] += 1
                while (prompt_id, model, self._first_free[prompt_id, model]) in self._completions:
                    self._first_free[prompt_id, model] += 1
        self._sample_counts[prompt_id] = max(sample_count, sample + 1)
        return sample

    def add_pair(self, prompt_id: str, a: ModelOutput, b: ModelOutput) -> ComparedPair:
        """Add the outputs of two models on a prompt.

        If both are by the same model, the second one is named `NAME (2)`. An output that is no text
        is added as a failed completion.
        """
        if a.model == b.model:
            b = b._replace(model=f"{a.model} (2)")
        completions = {}
        for output in (a, b):
            self.add_model(output.model)
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
    ) -> None:
        """Add a verdict on model_a and model_b, in this order, or its failure."""
        first, second = pair.model_a, pair.model_b
        if shown_first == "b":
            first, second = second, first
            verdict = verdict.swapped() if isinstance(verdict, Verdict) else verdict
        presented: Presentation = "recorded"
        if shown_first == "unknown" or shown_first == "pointwise":
            presented = shown_first
        key = RepeatKey(pair.prompt_id, judge, first, second, pair.sample, presented)
        key_of_prompt = key._replace(sample=0)
        self._same_file_repeats += key_of_prompt in self._file_keys
        self._file_keys.add(key_of_prompt)
        if isinstance(verdict, ParseFailure):
            failure = Failure(
                stage="judgment",
                prompt_id=pair.prompt_id,
                participant=judge,
                kind=verdict.kind,
                message=verdict.message,
                raw=verdict.raw,
                first=first,
                second=second,
            )
            self.add_outcome(key, failure)
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
        self.add_outcome(key, judgment)

    def add_outcome(
        self, key: RepeatKey, outcome: Judgment | Failure, *, keep_repeat: bool = False
    ) -> None:
        """Add an outcome with the next free repeat index of its key.

        With `keep_repeat`, the outcome keeps its own repeat index if that is free; a duplicate, an
        equal outcome with the same index, is dropped.
        """
        self.outcome_count += 1
        repeats = self._outcomes[key]
        if keep_repeat and repeats.get(outcome.repeat) == outcome:
            return
        if not keep_repeat or outcome.repeat in repeats:
            free = next(n for n in count(len(repeats)) if n not in repeats)
            outcome = outcome.with_ids(outcome.prompt_id, outcome.sample, free)
        repeats[outcome.repeat] = outcome
        if isinstance(outcome, Judgment):
            self._judgments.append(outcome)
        else:
            self._failures.append(outcome)

    def add_completion_failure(self, failure: Failure) -> None:
        """Add the failure of a completion; equal failures are kept once."""
        self._completion_failures[failure] = None

    def add_score(self, score: PointwiseScore) -> None:
        """Add the score of one output; `pointwise.pair_scores` compares scores after all files."""
        self.outcome_count += 1
        self.scores.append(score)

    def build(self) -> Evidence:
        """Return the evidence of all files."""
        if self._same_file_repeats:
            self.add_note(
                f"{self._same_file_repeats} verdicts are on a prompt that the same judge has in "
                "the same file and order already: they count as repeats, not as prompts."
            )
        baselines = {design.baseline for design in self._designs}
        return Evidence(
            models=tuple(self._models),
            prompts=tuple(self._prompts.values()),
            completions=tuple(
                ModelCompletion(
                    prompt_id=prompt_id, model=model, completion=completion, sample=sample
                )
                for (prompt_id, model, sample), completion in self._completions.items()
            ),
            judgments=tuple(self._judgments),
            failures=(*self._completion_failures, *self._failures),
            origins=self._origins,
            design=Design(
                baseline=baselines.pop() if len(baselines) == 1 else None,
                sequential=any(design.sequential for design in self._designs),
            ),
            notes=tuple(self._notes),
        )


def _same_text(prompt: Prompt, other: Prompt) -> bool:
    return prompt.messages == other.messages or is_placeholder(prompt) or is_placeholder(other)


def _full_text(completion: Completion) -> str:
    return completion.text if completion.raw is None else completion.raw
