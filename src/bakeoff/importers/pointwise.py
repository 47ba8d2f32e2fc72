"""Makes judgments from pointwise scores by comparing the scores of each two models."""

from collections import defaultdict
from itertools import combinations, zip_longest

from bakeoff.importers.builder import EvidenceBuilder, ModelOutput, PointwiseScore
from bakeoff.importers.labels import (
    ParseFailure,
    make_verdict,
    parse_number,
    preference_from_scores,
)
from bakeoff.importers.score_scales import no_scale, rescale, scale_notes, score_scales
from bakeoff.importers.voters import VOTERS, VoteKey, find_voters, voter_note
from bakeoff.records import Scores, ScoreTimes, Verdict

# Model -> prompt id -> its scores by one judge.
ScoresByModel = dict[str, dict[str, list[PointwiseScore]]]


def pair_scores(builder: EvidenceBuilder) -> None:
    """Replace the pointwise scores of the builder by judgments, for each judge and two models.

    The n-th score of one model on a prompt is compared with the n-th of the other. A score without
    a counterpart becomes a failed judgment, so that missing data is counted, except for voters, of
    which one model may have more. Models without a common prompt are not compared. Raises
    ConfigError if the scores of a judge fit no known scale.
    """
    _combine_voters(builder)
    by_judge: dict[str, ScoresByModel] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    prompt_ids: dict[str, dict[str, None]] = defaultdict(dict)
    for score in builder.scores:
        by_judge[score.judge][score.output.model][score.prompt_id].append(score)
        prompt_ids[score.judge][score.prompt_id] = None
    tops = _scale_tops(builder)
    for judge, scores in by_judge.items():
        ordered = [model for model in builder.models if model in scores]
        for model_a, model_b in combinations(ordered, 2):
            scores_a, scores_b = scores[model_a], scores[model_b]
            if scores_a.keys().isdisjoint(scores_b):
                continue
            no_a, no_b = _missing_score(model_a, judge), _missing_score(model_b, judge)
            for prompt_id in prompt_ids[judge]:
                builder.continue_prompt(prompt_id)
                of_a, of_b = scores_a.get(prompt_id, []), scores_b.get(prompt_id, [])
                if judge == VOTERS and of_a and of_b:
                    of_a, of_b = of_a[: len(of_b)], of_b[: len(of_a)]
                rows = zip_longest(of_a, of_b)
                for a, b in ((a or no_a, b or no_b) for a, b in rows):
                    pair = builder.add_pair(prompt_id, a.output, b.output)
                    builder.add_judgment(pair, judge, _compare(a, b, tops[judge]), "pointwise")
    builder.scores.clear()


def _combine_voters(builder: EvidenceBuilder) -> None:
    """Replace the judges of scores that are voters by one; those of one voter stay together."""
    voters = find_voters(
        VoteKey(score.judge, frozenset((score.output.model,)), score.prompt_id)
        for score in builder.scores
    )
    if voters:
        builder.add_note(voter_note(voters))
        by_name = sorted(builder.scores, key=lambda score: score.judge)
        builder.scores[:] = [
            score._replace(judge=VOTERS) if score.judge in voters else score for score in by_name
        ]


def _scale_tops(builder: EvidenceBuilder) -> dict[str, float]:
    """Return the highest score of the scale of each judge."""
    values: dict[str, list[float]] = defaultdict(list)
    for score in builder.scores:
        number = parse_number("score", score.score, 0)
        values[score.judge] += [number] if isinstance(number, float) else []
    tops = {}
    for judge, top in score_scales(values).items():
        if top is None:
            location = next(s.location for s in builder.scores if s.judge == judge)
            raise no_scale(location, judge, values[judge])
        tops[judge] = top
    for note in scale_notes(values, tops):
        builder.add_note(note)
    return tops


def _missing_score(model: str, judge: str) -> PointwiseScore:
    return PointwiseScore("", ModelOutput(model), judge, None)


def _compare(a: PointwiseScore, b: PointwiseScore, top: float) -> Verdict | ParseFailure:
    numbers = []
    for score in (a, b):
        number = parse_number("score", score.score, 0, top)
        if isinstance(number, ParseFailure):
            return number._replace(message=f"of {score.output.model!r}: {number.message}")
        numbers.append(rescale(number, top))
    scores = Scores(*numbers)
    reason = "\n\n".join(filter(None, (a.reason, b.reason)))
    verdict = make_verdict(preference_from_scores(scores), scores, reason)
    if isinstance(verdict, ParseFailure) or a.time is None or b.time is None:
        return verdict
    return verdict.model_copy(update={"score_times": ScoreTimes(a.time, b.time)})
