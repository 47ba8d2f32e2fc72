"""Makes judgments from pointwise scores by comparing the scores of each two models."""

from collections import defaultdict
from itertools import combinations, zip_longest

from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, PointwiseScore
from bakeoff.importers.labels import (
    ParseFailure,
    make_verdict,
    parse_failure,
    preference_from_scores,
)
from bakeoff.records import Scores, Verdict

# Model -> prompt id -> its scores by one judge, in file order.
ScoresByModel = dict[str, dict[str, list[PointwiseScore]]]


def pair_scores(builder: EvidenceBuilder) -> None:
    """Replace the pointwise scores of the builder by judgments, for each judge and two models.

    The n-th score of one model on a prompt is compared with the n-th of the other. A score without
    a counterpart becomes a failed judgment, so that missing data is counted. Models without a
    common prompt are not compared.
    """
    by_judge: dict[str, ScoresByModel] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    prompt_ids: dict[str, dict[str, None]] = defaultdict(dict)
    for score in builder.scores:
        builder.add_model(score.output.model)
        by_judge[score.judge][score.output.model][score.prompt_id].append(score)
        prompt_ids[score.judge][score.prompt_id] = None
    for judge, scores in by_judge.items():
        for model_a, model_b in combinations(scores, 2):
            scores_a, scores_b = scores[model_a], scores[model_b]
            if scores_a.keys().isdisjoint(scores_b):
                continue
            no_a, no_b = _missing_score(model_a, judge), _missing_score(model_b, judge)
            for prompt_id in prompt_ids[judge]:
                rows = zip_longest(scores_a.get(prompt_id, ()), scores_b.get(prompt_id, ()))
                for a, b in ((a or no_a, b or no_b) for a, b in rows):
                    pair = builder.add_pair(prompt_id, a.output, b.output)
                    builder.add_judgment(pair, judge, _compare(a, b), "pointwise")
    builder.scores.clear()


def _missing_score(model: str, judge: str) -> PointwiseScore:
    return PointwiseScore("", ModelOutput(model), judge, parse_failure("score", None))


def _compare(a: PointwiseScore, b: PointwiseScore) -> Verdict | ParseFailure:
    if isinstance(a.score, ParseFailure):
        return _with_model(a.score, a.output.model)
    if isinstance(b.score, ParseFailure):
        return _with_model(b.score, b.output.model)
    scores = Scores(a.score, b.score)
    reason = "\n\n".join(filter(None, (a.reason, b.reason)))
    return make_verdict(preference_from_scores(scores), scores, reason)


def _with_model(failure: ParseFailure, model: str) -> ParseFailure:
    return failure._replace(message=f"of {model!r}: {failure.message}")
