"""Makes pairs of completions that were scored alone. Knows no file and no format."""

from collections import defaultdict
from itertools import combinations, zip_longest

from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Alone, Side
from bakeoff.importers.labels import Unread, higher, unread, verdict_of
from bakeoff.records import Scores, Verdict

# Of one judge: prompt -> model -> its scores, in the order of the file.
Scored = dict[str, dict[str, list[Alone]]]


def pair_up(into: Gathering) -> None:
    """Compare all models that a judge scored, two by two, on each prompt of either.

    The n-th score of one stands against the n-th of the other. Where there is only one of the two,
    the judgment has failed: what was never written down is not left out.
    """
    by_judge: dict[str, Scored] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    models: dict[str, dict[str, None]] = defaultdict(dict)
    for one in into.alone:
        into.model(one.side.model)
        by_judge[one.judge][one.prompt][one.side.model].append(one)
        models[one.judge][one.side.model] = None
    for judge, scored in by_judge.items():
        for a, b in combinations(models[judge], 2):
            # Models that share no prompt were never meant to be compared.
            if any(a in rows and b in rows for rows in scored.values()):
                absent = [Alone("", Side(m), judge, unread("score", None)) for m in (a, b)]
                _pair(into, scored, absent[0], absent[1])
    into.alone.clear()


def _pair(into: Gathering, scored: Scored, no_a: Alone, no_b: Alone) -> None:
    for prompt, rows in scored.items():
        scores = zip_longest(rows.get(no_a.side.model, ()), rows.get(no_b.side.model, ()))
        for a, b in ((one or no_a, other or no_b) for one, other in scores):
            case = into.case(prompt, a.side, b.side)
            into.judged(case, a.judge, _verdict(a, b), "apart")


def _verdict(a: Alone, b: Alone) -> Verdict | Unread:
    if isinstance(a.score, Unread):
        return _named(a.score, a)
    if isinstance(b.score, Unread):
        return _named(b.score, b)
    scores = Scores(a.score, b.score)
    return verdict_of(higher(scores), scores, "\n\n".join(filter(None, (a.reason, b.reason))))


def _named(wrong: Unread, one: Alone) -> Unread:
    return wrong._replace(message=f"of {one.side.model!r}: {wrong.message}")
