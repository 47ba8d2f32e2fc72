"""The judgments of Arena-Hard, v0.1 and v2. Knows no other format."""

from pydantic import JsonValue

from bakeoff.importers.asking import label_of, name_of, prompt_of, tags_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Side
from bakeoff.importers.documents import Document, holds
from bakeoff.importers.labels import Unread, text_of, unread, verdict_of, winner_of
from bakeoff.records import Verdict

NAME = "arena_hard"
MARK = "rows with question_id or uid, model, judge and games"

BASELINE = "gpt-4-0314"  # v0.1 has one for all, and does not write it down

# What a score says of A, whoever that is in this game.
_SCORES = {"a>>b": 1.0, "a>b": 1.0, "a=b": 0.5, "b=a": 0.5, "b>a": 0.0, "b>>a": 0.0}


def claims(document: Document) -> bool:
    """Whether its rows hold games."""
    return holds(document.rows, "games")


def gather(document: Document, into: Gathering) -> None:
    """Each game of a row is a judgment: A is the baseline in the first, the model in the second."""
    into.note("Arena-Hard judgments hold no prompts and no completions: a prompt is 'question ID'.")
    for number, (place, row) in enumerate(document.rows, 1):
        model = name_of(row.get("model"), "model", document.where(place))
        baseline = label_of(row.get("baseline"))
        if not baseline:
            baseline = BASELINE
            into.note(f"Rows without a baseline are taken to be against {BASELINE}, as in v0.1.")
        name = label_of(row.get("question_id")) or label_of(row.get("uid"))
        tags = tags_of(row.get("category"))
        prompt = into.prompt(prompt_of(None, name=name, otherwise=into.row(number), tags=tags))
        case = into.case(prompt, Side(model), Side(baseline))
        judge = label_of(row.get("judge")) or "judge"
        games = row.get("games")
        for turn, game in enumerate(games if isinstance(games, list) and games else [games]):
            flipped = turn % 2 == 1
            found = _verdict(game, into)
            if isinstance(found, Verdict) and not flipped:
                found = found.swapped()  # to the model's point of view
            into.judged(case, judge, found, "a" if flipped else "b")


def _verdict(game: JsonValue, into: Gathering) -> Verdict | Unread:
    """What a game says of A and B."""
    if not isinstance(game, dict):
        return unread("games", game if game else None)
    score = game.get("score")
    mark = (text_of(score) or "").strip("[] ").replace(" ", "")
    if ">>" in mark and mark in _SCORES:
        into.note("'>>' (much better) counts as one win, like '>'.")
    judgment = game.get("judgment")
    reason = judgment.get("answer") if isinstance(judgment, dict) else judgment
    preference = winner_of("score", mark, _SCORES) if mark in _SCORES else unread("score", score)
    return verdict_of(preference, reason=reason)
