"""Importer of Arena-Hard judgments, v0.1 and v2."""

from pydantic import JsonValue

from bakeoff.importers import labels
from bakeoff.importers.builder import EvidenceBuilder, ModelOutput
from bakeoff.importers.documents import Document, has_columns
from bakeoff.importers.labels import ParseFailure
from bakeoff.records import Verdict

BASELINE = "gpt-4-0314"  # of all v0.1 files, which do not name it

# Preference for the model shown as A.
_SCORES = {"a>>b": 1.0, "a>b": 1.0, "a=b": 0.5, "b=a": 0.5, "b>a": 0.0, "b>>a": 0.0}


def recognizes(document: Document) -> bool:
    """Return whether the rows have the column `games`."""
    return has_columns(document.rows, "games")


def read_into(document: Document, builder: EvidenceBuilder) -> None:
    """Add each game as a judgment; A is the baseline in the first game, the model in the second.

    Raises ConfigError if a row has no model.
    """
    builder.add_note(
        "Arena-Hard judgments hold no prompts and no completions: a prompt is 'question ID'."
    )
    for placed in document.rows:
        row, location = placed.values, document.location(placed.place)
        model = labels.parse_model_name(row.get("model"), "model", location)
        baseline = labels.label_text(row.get("baseline"))
        if not baseline:
            baseline = BASELINE
            builder.add_note(
                f"Rows without a baseline are taken to be against {BASELINE}, as in v0.1."
            )
        question = labels.label_text(row.get("question_id")) or labels.label_text(row.get("uid"))
        tags = labels.parse_tags(row.get("category"))
        prompt_id = builder.add_row_prompt(placed, None, prompt_id=question, tags=tags)
        pair = builder.add_pair(prompt_id, ModelOutput(model), ModelOutput(baseline))
        judge = labels.parse_judge(row.get("judge"), "judge")
        games = row.get("games")
        for index, game in enumerate(games if isinstance(games, list) and games else [games]):
            model_first = index % 2 == 1
            verdict = _parse_game(game, builder)
            if isinstance(verdict, Verdict) and not model_first:
                verdict = verdict.swapped()  # to model, baseline
            builder.add_judgment(pair, judge, verdict, "a" if model_first else "b")


def _parse_game(game: JsonValue, builder: EvidenceBuilder) -> Verdict | ParseFailure:
    """Return the verdict of a game on A and B."""
    if not isinstance(game, dict):
        return labels.parse_failure("games", game if game else None)
    score = game.get("score")
    label = (labels.normalize_label(score) or "").strip("[] ").replace(" ", "")
    if ">>" in label and label in _SCORES:
        builder.add_note("'>>' (much better) counts as one win, like '>'.")
    judgment = game.get("judgment")
    reason = judgment.get("answer") if isinstance(judgment, dict) else judgment
    known = label in _SCORES
    preference = (
        labels.parse_winner("score", label, _SCORES)
        if known
        else labels.parse_failure("score", score)
    )
    return labels.make_verdict(preference, reason=reason)
