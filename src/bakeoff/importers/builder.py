"""Collects what files hold and makes one Evidence of it. Knows no file and no format.

What was said of the same two completions is a repeat; other completions are another sample.
"""

from itertools import count

from bakeoff.importers.cases import Alone, Asked, Case, Shown, Side, not_text, outcome_of
from bakeoff.importers.labels import Unread
from bakeoff.importers.samples import Samples
from bakeoff.records import (
    Completion,
    Design,
    Evidence,
    Failure,
    Judgment,
    Presented,
    Prompt,
    Verdict,
)


class Gathering:
    """Evidence in the making, over any number of files; `begin` before each."""

    def __init__(self) -> None:
        self.samples = Samples()
        self.alone: list[Alone] = []
        self.files = 0
        self.seen = 0  # outcomes so far, those that came before among them
        self._models: dict[str, None] = {}
        self._prompts: dict[str, Prompt] = {}
        self._named: dict[str, str] = {}  # what the present file calls a prompt -> what we do
        self._here: set[Asked] = set()  # what the present file has been asked, whatever was said
        self._again = 0
        self._outcomes: dict[Asked, dict[int, Judgment | Failure]] = {}
        self._judgments: list[Judgment] = []
        self._failures: list[Failure] = []
        self._mute: dict[Failure, None] = {}
        self._origins: dict[str, str] = {}
        self._notes: dict[str, None] = {}
        self._design, self._designs = Design(), 0

    def begin(self) -> None:
        """Another file comes: its prompts' ids are its own."""
        self.files += 1
        self._named = {}
        self._here = set()

    def note(self, text: str) -> None:
        """Something for the reader of the summary, said once."""
        self._notes[text] = None

    def origin(self, name: str, behind: str) -> None:
        """What stands behind the name of a model or judge; the first to say so is believed."""
        self._origins.setdefault(name, behind)

    def designed(self, design: Design) -> None:
        """How a file's evidence came about: what holds for one holds for all of it."""
        same = not self._designs or self._design.baseline == design.baseline
        self._designs += 1
        self._design = Design(
            baseline=design.baseline if same else None,
            sequential=self._design.sequential or design.sequential,
        )

    def model(self, name: str) -> None:
        """A model: the order of these calls is the order in which models are compared."""
        self._models[name] = None

    @property
    def models(self) -> set[str]:
        """All of them, those among them whose completions were scored alone."""
        return {*self._models, *(one.side.model for one in self.alone)}

    def row(self, number: int) -> str:
        """What to call the prompt of a row that tells none."""
        return f"row {number}" if self.files < 2 else f"row {number} of file {self.files}"

    def prompt(self, prompt: Prompt) -> str:
        """The id that a prompt has here: its own, unless another file had it for another text."""
        if prompt.id not in self._named:
            self._named[prompt.id] = self._free(prompt)
        name = self._named[prompt.id]
        known = self._prompts.setdefault(name, prompt.model_copy(update={"id": name}))
        if not _same(known, prompt):
            self.note(
                "Some prompt ids stand beside several texts of one file: the first one counts."
            )
        update: dict[str, object] = {}
        if _bare(known) and not _bare(prompt):
            update["messages"] = prompt.messages
        if more := [tag for tag in prompt.tags if tag not in known.tags]:
            update["tags"] = (*known.tags, *more)
        if update:
            self._prompts[name] = known.model_copy(update=update)
        return name

    def _free(self, prompt: Prompt) -> str:
        names = (prompt.id if n == 1 else f"{prompt.id} ({n})" for n in count(1))
        name = next(n for n in names if n not in self._prompts or _same(self._prompts[n], prompt))
        if name != prompt.id:
            self.note(
                "Files use the same prompt ids for other texts: those are other prompts, 'ID (2)'."
            )
        return name

    def case(self, prompt: str, a: Side, b: Side) -> Case:
        """Two models on a prompt, with what they said; a model against itself is `NAME (2)`."""
        if a.model == b.model:
            b = b._replace(model=f"{a.model} (2)")
        said = {}
        for side in (a, b):
            self.model(side.model)
            if side.held and isinstance(side.said, str):
                # As the judge saw it, thinking and all.
                said[side.model] = Completion(text=side.said)
            elif side.held:
                self._mute[not_text(prompt, side)] = None
        return Case(prompt, a.model, b.model, self.samples.put(prompt, said))

    def judged(
        self, case: Case, judge: str, found: Verdict | Unread, shown: Shown = "unknown"
    ) -> None:
        """What a judge said of a case; the verdict is on a and b, in this order."""
        first, second = (case.b, case.a) if shown == "b" else (case.a, case.b)
        presented: Presented = "recorded" if shown == "a" or shown == "b" else shown
        asked = Asked(case.prompt, judge, first, second, case.sample, presented)
        if isinstance(found, Verdict) and shown == "b":
            found = found.swapped()
        here = asked._replace(sample=0)
        self._again += here in self._here
        self._here.add(here)
        self.take(asked, outcome_of(asked, found))

    def take(self, asked: Asked, outcome: Judgment | Failure, *, known: bool = False) -> None:
        """An outcome, as the next repeat of what was asked.

        One whose repeat is `known` keeps it if it is free, and the same one again is no other.
        """
        self.seen += 1
        taken = self._outcomes.setdefault(asked, {})
        repeat = outcome.repeat
        if known and taken.get(repeat) == outcome:
            return
        if not known or repeat in taken:
            repeat = next(n for n in count(len(taken)) if n not in taken)
            outcome = outcome.model_copy(update={"repeat": repeat})
        taken[repeat] = outcome
        if isinstance(outcome, Judgment):
            self._judgments.append(outcome)
        else:
            self._failures.append(outcome)

    def score(self, scored: Alone) -> None:
        """A completion that was scored by itself: `apart` makes pairs of them, after all files."""
        self.seen += 1
        self.alone.append(scored)

    def mute(self, failure: Failure) -> None:
        """A completion that there is not; the same one again is no other."""
        self._mute[failure] = None

    def evidence(self) -> Evidence:
        """All of it."""
        if self._again:
            self.note(
                f"{self._again} verdicts are on a prompt that the same judge has in the same file "
                "and order already: they count as repeats, not as prompts."
            )
        return Evidence(
            models=tuple(self._models),
            prompts=tuple(self._prompts.values()),
            completions=self.samples.authored(),
            judgments=tuple(self._judgments),
            failures=(*self._mute, *self._failures),
            origins=self._origins,
            design=self._design,
            notes=tuple(self._notes),
        )


def _same(one: Prompt, other: Prompt) -> bool:
    return one.messages == other.messages or _bare(one) or _bare(other)


def _bare(prompt: Prompt) -> bool:
    # Of which nothing but its id is known: see `asking`.
    return prompt.messages[0].content == f"question {prompt.id}"
