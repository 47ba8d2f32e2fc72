"""The JSON that comparison scripts of the guide's kind write. Knows no other format."""

from pydantic import JsonValue

from bakeoff.importers.asking import label_of, prompt_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Shown, Side
from bakeoff.importers.documents import Document, holds
from bakeoff.importers.labels import marks, scores_of, verdict_of, winner_of

NAME = "script"
MARK = "an object with model1_path, model2_path and results"

_SCORES = ("model1_score", "model2_score")
_SAID = ("model1_completion", "model2_completion")


def claims(document: Document) -> bool:
    """Whether it is an object with results of two models."""
    results = document.top.get("results")
    rows = results if isinstance(results, list) else []
    return "results" in document.top and (
        any(key in document.top for key in ("model1_path", "model2_path", "judge_model"))
        or any(isinstance(row, dict) and _SAID[0] in row for row in rows)
    )


def gather(document: Document, into: Gathering) -> None:
    """Each row of `results` is a judgment; the first model was shown first, as A.

    A row with a boolean `swapped` says it otherwise; then A and B name what was shown as such.
    """
    rows = document.under("results")
    names = [label_of(document.top.get(f"{side}_path")) or side for side in ("model1", "model2")]
    judge = label_of(document.top.get("judge_model")) or "judge"
    sides = [Side(name, holds(rows, said)) for name, said in zip(names, _SAID, strict=True)]
    for number, (_, row) in enumerate(rows, 1):
        prompt = into.prompt(prompt_of(row.get("prompt"), otherwise=into.row(number)))
        a, b = (s._replace(said=row.get(said)) for s, said in zip(sides, _SAID, strict=True))
        shown = _shown(row)
        letters = ("b", "a") if shown == "b" else ("a", "b")
        known = marks(("model1", letters[0], names[0]), ("model2", letters[1], names[1]), ("tie",))
        found = verdict_of(
            winner_of("winner", row.get("winner"), known),
            scores_of(_SCORES, (row.get(_SCORES[0]), row.get(_SCORES[1]))),
            row.get("explanation"),
        )
        into.judged(into.case(prompt, a, b), judge, found, shown)


def _shown(row: dict[str, JsonValue]) -> Shown:
    match row.get("swapped", False):
        case True:
            return "b"
        case False:
            return "a"
    return "unknown"
