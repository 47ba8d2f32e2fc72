"""The file of the LLM Comparator. Knows no other format."""

from collections.abc import Iterator

from pydantic import JsonValue

from bakeoff.errors import ConfigError
from bakeoff.importers.asking import label_of, name_of, prompt_of, tags_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Shown, Side
from bakeoff.importers.documents import Document, holds
from bakeoff.importers.labels import Unread, number_of, unread, verdict_of
from bakeoff.records import Verdict

NAME = "llm_comparator"
MARK = "an object with models and examples"

RATERS = "raters"  # who judged, where the file does not say
_CLEAR = 0.25  # the viewer's own threshold: a smaller score is a tie
_SAID = ("output_text_a", "output_text_b")


def claims(document: Document) -> bool:
    """Whether it is an object with models and examples."""
    return "models" in document.top and "examples" in document.top


def gather(document: Document, into: Gathering) -> None:
    """Each rater's score of an example is a judgment; without raters, the example's own score."""
    models = document.under("models")
    if len(models) != 2:
        raise ConfigError(f"{document.where()}: 'models' has to name two, and names {len(models)}")
    names = [name_of(row.get("name"), "name", document.where(f"models, {p}")) for p, row in models]
    rows = document.under("examples")
    sides = [Side(name, holds(rows, said)) for name, said in zip(names, _SAID, strict=True)]
    for number, (_, row) in enumerate(rows, 1):
        prompt = prompt_of(
            row.get("input_text"), otherwise=into.row(number), tags=tags_of(row.get("tags"))
        )
        a, b = (s._replace(said=row.get(said)) for s, said in zip(sides, _SAID, strict=True))
        case = into.case(into.prompt(prompt), a, b)
        for judge, found, shown in _ratings(row):
            into.judged(case, judge, found, shown)


def _ratings(row: dict[str, JsonValue]) -> Iterator[tuple[str, Verdict | Unread, Shown]]:
    raters = row.get("individual_rater_scores")
    if not isinstance(raters, list) or not raters:
        yield RATERS, verdict_of(_preference(row.get("score"))), "unknown"
        return
    for rater in raters:
        if not isinstance(rater, dict):
            yield RATERS, unread("individual_rater_scores", rater), "unknown"
            continue
        judge = label_of(rater.get("rater_id")) or label_of(rater.get("name")) or RATERS
        found = verdict_of(_preference(rater.get("score")), reason=rater.get("rationale"))
        flipped = rater.get("is_flipped")
        shown: Shown = "unknown"
        if isinstance(flipped, bool):
            shown = "b" if flipped else "a"
        yield judge, found, shown


def _preference(value: JsonValue) -> float | Unread:
    score = number_of("score", value)
    if isinstance(score, Unread):
        return score
    return 0.5 if abs(score) <= _CLEAR else float(score > 0)
