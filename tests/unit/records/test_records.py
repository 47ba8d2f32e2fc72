"""Records: validation, JSON round trips and content keys."""

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bakeoff import records
from bakeoff.errors import BackendError, VerdictError, WorkError
from bakeoff.records import (
    SCHEMA,
    Accounting,
    Agreement,
    BaselineDifference,
    Comparison,
    Completion,
    Counts,
    Criterion,
    Design,
    Evidence,
    Failure,
    Flag,
    FlipRate,
    HumanVotes,
    JudgeCard,
    JudgeDrift,
    Judgment,
    Look,
    Message,
    ModelCompletion,
    ModelSummary,
    NullCheck,
    Pair,
    PairRun,
    PairSummary,
    Plan,
    PlannedLook,
    Prompt,
    Rating,
    RatingModel,
    RawScores,
    Record,
    Results,
    ScoreDifference,
    Scores,
    ScoreStats,
    Sensitivity,
    Slice,
    StageUsage,
    StoredRun,
    Summary,
    Usage,
    Verdict,
    content_key,
)
from bakeoff.stats import results as stats_results
from bakeoff.stats.results import (
    CalibratedRate,
    Estimate,
    FeatureBias,
    LeakEffect,
    OrderEffect,
    Power,
    VarianceComponents,
)

texts = st.text(max_size=12)
reals = st.floats(-1e6, 1e6)
shares = st.floats(0, 1)
counts = st.integers(0, 10**6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
jsons = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
# Values that survive JSON, which has no infinity.
plain = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers() | reals | texts, max_size=3
)

messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts)
prompts = st.builds(
    Prompt,
    messages=st.lists(messages, min_size=1, max_size=3),
    tags=st.lists(texts, max_size=2),
    reference=st.none() | texts,
    criteria=st.lists(
        st.builds(Criterion, name=st.text(min_size=1, max_size=5), weight=st.floats(0.1, 9)),
        max_size=2,
    ),
)
usages = st.none() | st.builds(
    Usage, input_tokens=counts, output_tokens=counts, cached_tokens=counts
)
costs = st.none() | st.floats(0, 1e6)
completions = st.builds(
    Completion,
    text=texts,
    thinking=st.none() | texts,
    finish=st.sampled_from(["stop", "length", "refused", "unknown"]),
    tokens=st.none() | counts,
    raw=st.none() | texts,
    top_logprobs=st.none() | st.dictionaries(texts, st.floats(-1e4, 0), max_size=3),
    score=st.none() | reals,
    snapshot=st.none() | texts,
    usage=usages,
    cost=costs,
)
pairs = st.builds(Pair, prompt=prompts, first=texts, second=texts)
scores = st.builds(Scores, st.floats(0, 10), st.floats(0, 10))
verdicts = st.builds(
    Verdict,
    first=shares,
    scores=st.none() | scores,
    reason=texts,
    raw=texts,
    raw_scores=st.none() | st.builds(RawScores, reals, reals),
    retry_reason=st.sampled_from([None, "unreadable", "contradiction"]),
    contradictory=st.booleans(),
    shown_characters=st.none() | counts,
    snapshot=st.none() | texts,
    usage=usages,
    cost=costs,
)
judgments = st.builds(
    Judgment,
    prompt_id=texts,
    judge=texts,
    first=texts,
    second=texts,
    repeat=counts,
    verdict=verdicts,
)
failures = st.builds(
    Failure,
    stage=st.sampled_from(["completion", "judgment"]),
    prompt_id=texts,
    participant=texts,
    kind=texts,
    message=texts,
    raw=st.none() | texts,
    status=st.none() | st.integers(100, 599),
)


@st.composite
def accountings(draw: st.DrawFn) -> Accounting:
    judged, failed = draw(counts), draw(counts)
    return Accounting(asked=judged + failed, judged=judged, failed=failed, failed_by_kind={"x": 1})


optional_reals = st.none() | reals
estimates = st.builds(
    Estimate, estimate=reals, low=reals, high=reals, method=texts, n=counts, se=optional_reals
)
significance_results = st.builds(stats_results.SignificanceResult, p=shares, method=texts, n=counts)
feature_biases = st.builds(
    FeatureBias, n=counts, more_wins=st.none() | estimates, spearman=optional_reals
)
orders = st.builds(
    OrderEffect,
    identified=st.sampled_from(["both orders", "random order", "one order", "order-free"]),
    shown_first=st.none() | shares,
    effect=st.none() | estimates,
    first_twice=counts,
    p=st.none() | shares,
)
variances = st.builds(
    VarianceComponents,
    *(
        optional_reals,
        optional_reals,
        optional_reals,
        optional_reals,
        counts,
        reals,
        reals,
        reals,
        texts,
    ),
)
flags = st.builds(Flag, kind=texts, about=texts, value=reals, message=texts, action=texts)
spreads = st.none() | st.builds(ScoreStats, mean=reals, sd=reals)
outcomes = st.sampled_from(["better", "worse", "equivalent", "not enough data", "withheld"])


@st.composite
def cards(draw: st.DrawFn) -> JudgeCard:
    judged, failed = draw(counts), draw(counts)
    return JudgeCard(
        asked=judged + failed,
        judged=judged,
        failed=failed,
        judge=draw(texts),
        win_rate=draw(estimates),
        outcome=draw(outcomes),
        consistency=draw(st.none() | estimates),
        snapshots=tuple(draw(st.lists(texts, max_size=2))),
        cost=draw(st.none() | st.floats(0, 1e6)),
    )


checks = st.builds(
    NullCheck,
    judge=texts,
    model=texts,
    prompts=counts,
    identical=counts,
    win_rate=estimates,
    band=st.tuples(shares, shares),
    first_wins=st.none() | estimates,
    decided=st.none() | shares,
)
pair_summaries = st.builds(
    PairSummary,
    a=texts,
    b=texts,
    prompts=counts,
    wins=counts,
    losses=counts,
    ties=counts,
    win_rate=st.none() | estimates,
    test=st.none() | significance_results,
    scores_a=spreads,
    scores_b=spreads,
    score_difference=st.none()
    | st.builds(ScoreDifference, value=estimates, sd=reals, test=significance_results),
    consistency=st.none() | shares,
    order=orders,
    length=st.none() | feature_biases,
    markdown=st.none() | feature_biases,
    thinking=st.none() | st.builds(LeakEffect, only_a=counts, only_b=counts, both=counts),
    judges=st.lists(cards(), max_size=2),
    people=st.none()
    | st.builds(
        HumanVotes,
        voters=st.lists(texts, max_size=2),
        prompts=counts,
        win_rate=estimates,
        corrected=st.none()
        | st.builds(
            CalibratedRate,
            value=estimates,
            labeled=counts,
            unlabeled=counts,
            weight=st.none() | reals,
        ),
        labels_needed=st.none() | counts,
    ),
    agreement=st.lists(
        st.builds(
            Agreement,
            raters=st.lists(texts, max_size=2),
            share=shares,
            alpha=st.none() | estimates,
        ),
        max_size=1,
    ),
    flip_rates=st.lists(
        st.builds(FlipRate, low=shares, high=shares, flipped=estimates), max_size=1
    ),
    sensitivity=st.none() | st.builds(Sensitivity, bias=shares, prompts=st.none() | counts),
    published=st.none() | estimates,
    power=st.none() | st.builds(Power, reals, st.none() | counts, st.none() | counts, texts),
    variance=st.none() | variances,
    accounting=accountings(),
    margin=st.floats(0, 50),
    outcome=outcomes,
    verdict=texts,
    reasons=st.lists(flags, max_size=1),
)
baseline_differences = st.builds(
    BaselineDifference,
    a=texts,
    b=texts,
    baseline=texts,
    prompts=counts,
    difference=estimates,
    test=significance_results,
    holm_p=shares,
    outcome=outcomes,
)
model_summaries = st.builds(
    ModelSummary,
    model=texts,
    completed=counts,
    failed=counts,
    truncated=counts,
    empty=counts,
    mean_tokens=st.none() | reals,
)
standings = st.builds(
    Rating,
    model=texts,
    strength=estimates,
    ranks=st.none() | st.tuples(counts, counts),
    group=st.none() | texts,
)
rating_models = st.builds(
    RatingModel,
    method=texts,
    prompts=st.integers(1, 99),
    clusters=st.none() | counts,
    tie_parameter=st.none() | st.floats(0, 9),
    first_advantage=st.none() | reals,
)
results = st.builds(
    Results,
    config=plain,
    prompts=st.lists(prompts, max_size=2),
    completions=st.lists(
        st.builds(ModelCompletion, prompt_id=texts, model=texts, completion=completions), max_size=2
    ),
    judgments=st.lists(judgments, max_size=2),
    failures=st.lists(failures, max_size=2),
    summary=st.builds(
        Summary,
        estimand=texts,
        models=st.lists(model_summaries, max_size=2),
        pairs=st.lists(pair_summaries, max_size=2),
        ratings=st.lists(standings, max_size=2),
        baseline_differences=st.lists(baseline_differences, max_size=1),
        rating_model=st.none() | rating_models,
        null_checks=st.lists(checks, max_size=2),
        notes=st.lists(texts, max_size=2),
    ),
    environment=plain,
)


# Keys of the store: changing them would invalidate every stored record.


def test_a_key_is_the_hash_of_canonical_json() -> None:
    # printf '%s' '["a",1,{"b":[true,null,0.5],"\u00e9":"\ud83d\ude00"}]' | sha256sum
    assert content_key("a", 1, {"é": "😀", "b": [True, None, 0.5]}) == (
        "s1:581c13b80fa768c63ad0d8babc55f62232bfe5e9fc07f27ca0be8346ab77bc50"
    )


@given(st.dictionaries(texts, jsons, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], rng: Any) -> None:
    items = list(value.items())
    rng.shuffle(items)
    assert content_key(dict(items)) == content_key(value)


@given(st.lists(jsons, max_size=3), st.lists(jsons, max_size=3))
def test_keys_are_equal_if_and_only_if_the_json_is(first: list[Any], second: list[Any]) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (content_key(*first) == content_key(*second)) == same
    assert content_key(*first) != content_key(first)


def test_keys_depend_on_types() -> None:
    values = [1, 1.0, "1", True, [1], {"1": 1}, None, "", 0, False, [], {}, [[]], "null"]
    assert len({content_key(value) for value in values}) == len(values)
    assert len({content_key("a", "b"), content_key("b", "a"), content_key("ab")}) == 3


# Pairs and verdicts in both orders.


@given(pairs)
def test_a_pair_swapped_twice_is_equal(pair: Pair) -> None:
    swapped = pair.swapped()
    assert (swapped.prompt, swapped.first, swapped.second) == (pair.prompt, pair.second, pair.first)
    assert swapped.swapped() == pair


@given(verdicts)
def test_a_swapped_verdict_is_that_of_the_other_order(verdict: Verdict) -> None:
    swapped = verdict.swapped()
    assert swapped.first == 1 - verdict.first
    if verdict.scores is None:
        assert swapped.scores is None
    else:
        assert swapped.scores == (verdict.scores.second, verdict.scores.first)
    assert (swapped.reason, swapped.raw) == (verdict.reason, verdict.raw)
    twice = swapped.swapped()
    assert twice.first == pytest.approx(verdict.first, abs=1e-15)
    assert twice.model_copy(update={"first": verdict.first}) == verdict


@pytest.mark.parametrize("first", [0.0, 0.25, 0.5, 1.0])
def test_common_verdicts_swapped_twice_are_exactly_equal(first: float) -> None:
    verdict = Verdict(first=first, scores=Scores(3, 7))
    assert verdict.swapped().swapped() == verdict


@given(st.floats())
def test_a_preference_is_a_probability(first: float) -> None:
    comparison = {"prompt_id": "p", "a": "a", "b": "b", "winner": "tie"}
    if 0 <= first <= 1:
        assert Verdict(first=first).first == first
        assert Comparison(preference=first, **comparison).preference == first
        return
    with pytest.raises(ValidationError):
        Verdict(first=first)
    with pytest.raises(ValidationError):
        Comparison(preference=first, **comparison)


@given(st.floats(), st.booleans())
def test_scores_are_from_0_to_10(score: float, is_first: bool) -> None:
    both = Scores(score, 5) if is_first else Scores(5, score)
    if 0 <= score <= 10:
        assert Verdict(first=0.5, scores=both).scores == both
        return
    with pytest.raises(ValidationError):
        Verdict(first=0.5, scores=both)


# Validation and derived fields.

PAIR_RUN: dict[str, Any] = {
    "a": "a",
    "b": "b",
    "judges": ["j"],
    "judge_key": "k",
    "prompt_source": "p.txt",
    "seed": 1,
    "prompts": 50,
    "outcome": "better",
}
EXAMPLES: dict[type[Record], dict[str, Any]] = {
    Message: {"role": "user", "content": "hi"},
    Prompt: {"messages": [{"role": "user", "content": "hi"}]},
    Completion: {"text": "yes"},
    Pair: {
        "prompt": {"messages": [{"role": "user", "content": "hi"}]},
        "first": "1",
        "second": "2",
    },
    Verdict: {"first": 0.5},
    ModelCompletion: {"prompt_id": "p", "model": "m", "completion": {"text": "yes"}},
    Judgment: {
        "prompt_id": "p",
        "judge": "j",
        "first": "a",
        "second": "b",
        "verdict": {"first": 1},
    },
    Failure: {
        "stage": "judgment",
        "prompt_id": "p",
        "participant": "j",
        "kind": "k",
        "message": "m",
    },
    Comparison: {"prompt_id": "p", "a": "a", "b": "b", "preference": 1, "winner": "a"},
    ScoreStats: {"mean": 1, "sd": 0},
    Design: {},
    Look: {"a": "a", "b": "b", "prompts": 50, "outcome": "better", "time": "2026-01-02"},
    PlannedLook: {"a": "a", "b": "b", "number": 1, "looks": 2, "alpha": 0.005},
    JudgeDrift: {"judge": "j", "pairs": 20, "changed": 1, "mean_change": 0.05, "p": 1},
    PairRun: PAIR_RUN,
    StoredRun: {
        **PAIR_RUN,
        "design": "d",
        "model_keys": ["x", "y"],
        "weight_keys": ["x", "y"],
        "judge_hashes": ["k"],
        "prompt_hashes": ["0"],
    },
    ScoreDifference: {
        "value": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
        "sd": 1,
        "test": {"p": 0.5, "method": "m", "n": 3},
    },
    Rating: {
        "model": "m",
        "strength": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
    },
    RatingModel: {"method": "m", "prompts": 3},
    Flag: {"kind": "k", "about": "a", "value": 1, "message": "m", "action": "do"},
    Counts: {"asked": 3, "judged": 2, "failed": 1},
    Accounting: {"asked": 3, "judged": 2, "failed": 1},
    JudgeCard: {
        "asked": 3,
        "judged": 2,
        "failed": 1,
        "judge": "j",
        "win_rate": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
        "outcome": "better",
    },
    HumanVotes: {
        "voters": ["v"],
        "prompts": 3,
        "win_rate": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
    },
    NullCheck: {
        "judge": "j",
        "model": "m",
        "prompts": 3,
        "identical": 0,
        "win_rate": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
        "band": [0.4, 0.6],
    },
    Usage: {"input_tokens": 3, "output_tokens": 1},
    Criterion: {"name": "correct"},
    Agreement: {"raters": ["j", "k"], "share": 1},
    Slice: {
        "tag": "t",
        "prompts": 3,
        "win_rate": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
        "p": 1,
        "adjusted_p": 1,
        "outcome": None,
    },
    FlipRate: {
        "low": 0,
        "high": 1,
        "flipped": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
    },
    Sensitivity: {"bias": 0.1},
    BaselineDifference: {
        "a": "a",
        "b": "b",
        "baseline": "c",
        "prompts": 3,
        "difference": {"estimate": 0.5, "low": 0.4, "high": 0.6, "method": "m", "n": 3},
        "test": {"p": 0.5, "method": "m", "n": 3},
        "holm_p": 0.5,
        "outcome": "better",
    },
    StageUsage: {"stage": "judgment", "participant": "j"},
    Plan: {"prompts": 1, "usage": []},
    Evidence: {"models": [], "prompts": [], "completions": [], "judgments": [], "failures": []},
    PairSummary: {
        "a": "a",
        "b": "b",
        "prompts": 1,
        "wins": 1,
        "losses": 0,
        "ties": 0,
        "order": {"identified": "one order"},
        "margin": 5,
        "accounting": {"asked": 1, "judged": 1, "failed": 0},
        "outcome": "better",
        "verdict": "a is better",
    },
    ModelSummary: {"model": "m", "completed": 1, "failed": 0, "truncated": 0, "empty": 0},
    Summary: {"estimand": "e", "models": [], "pairs": []},
    Results: {
        "config": {},
        "prompts": [],
        "completions": [],
        "judgments": [],
        "failures": [],
        "summary": {"estimand": "e", "models": [], "pairs": []},
        "environment": {},
    },
}


def test_every_record_type_has_an_example() -> None:
    record_types = {
        value
        for value in vars(records).values()
        if isinstance(value, type) and issubclass(value, Record) and value is not Record
    }
    assert record_types - {records.PrefixedPrompt} == set(EXAMPLES)


@pytest.mark.parametrize("record_type", EXAMPLES, ids=lambda record_type: record_type.__name__)
def test_a_record_is_frozen_and_rejects_unknown_and_missing_fields(
    record_type: type[Record],
) -> None:
    valid = EXAMPLES[record_type]
    record = record_type.model_validate(valid)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, next(iter(record_type.model_fields)), None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        record_type.model_validate({**valid, "colour": "red"})
    for field in valid:
        with pytest.raises(ValidationError, match=field):
            record_type.model_validate({key: value for key, value in valid.items() if key != field})


@pytest.mark.parametrize(
    ("record_type", "change"),
    [
        (Prompt, {"messages": []}),
        (Message, {"role": "tool"}),
        (Completion, {"tokens": -1}),
        (Completion, {"finish": "done"}),
        (Verdict, {"scores": [1]}),
        (Failure, {"stage": "summary"}),
        (Comparison, {"winner": "first"}),
        (PairSummary, {"outcome": "equal"}),
    ],
)
def test_a_value_out_of_range_is_rejected(
    record_type: type[Record], change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        record_type.model_validate({**EXAMPLES[record_type], **change})


@given(prompts, st.lists(texts, max_size=2), st.none() | texts)
def test_a_prompt_id_depends_on_the_messages_only(
    prompt: Prompt, tags: list[str], reference: str | None
) -> None:
    assert prompt.id == content_key(prompt.conversation())[:19]
    again = Prompt(messages=prompt.messages, tags=tuple(tags), reference=reference)
    assert again.id == prompt.id
    longer = Prompt(messages=(*prompt.messages, Message(role="user", content="more")))
    assert longer.id != prompt.id
    assert Prompt(id="mine", messages=prompt.messages).id == "mine"


def test_a_conversation_is_plain_json() -> None:
    prompt = Prompt(
        messages=(Message(role="system", content="s"), Message(role="user", content="u"))
    )
    assert prompt.conversation() == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]


@given(counts, counts, counts)
def test_asked_is_judged_plus_failed(asked: int, judged: int, failed: int) -> None:
    total = judged + failed
    assert Accounting(asked=total, judged=judged, failed=failed).asked == total
    if asked != total:
        with pytest.raises(ValidationError, match=rf"asked {asked} is not judged {judged}"):
            Accounting(asked=asked, judged=judged, failed=failed)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (WorkError("m", raw="r"), "failed", None),
        (BackendError("m", status=503, raw="r"), "backend", 503),
        (VerdictError("m", raw="r"), "verdict", None),
    ],
)
def test_a_failure_has_the_fields_of_its_error(
    error: WorkError, kind: str, status: int | None
) -> None:
    failure = Failure.of(error, "judgment", "p", "j")
    assert (failure.stage, failure.prompt_id, failure.participant) == ("judgment", "p", "j")
    assert (failure.kind, failure.message, failure.raw) == (kind, "m", "r")
    assert failure.status == status


@given(results)
def test_results_round_trip_through_json(result: Results) -> None:
    text = result.to_json()
    document = json.loads(text)
    assert document["schema"] == SCHEMA == "bakeoff/1"
    assert "schema_" not in document
    assert text.endswith("}\n")
    assert Results.model_validate_json(text) == result


@given(results, st.integers(1, 3))
def test_the_parts_of_a_document_make_the_document(result: Results, block_size: int) -> None:
    assert b"".join(result.json_parts(block_size)) == result.to_json().encode()


def test_probabilities_round_trip_through_json_exactly() -> None:
    for first in itertools.chain((1 / 3, math.nextafter(1, 0), 5e-324), (n / 7 for n in range(8))):
        verdict = Verdict(first=first)
        assert Verdict.model_validate_json(verdict.model_dump_json()).first == first


@given(st.lists(jsons))
def test_the_key_of_a_list_is_that_of_its_items_one_by_one(items: list[Any]) -> None:
    assert records.list_key(iter(items)) == content_key(items)


def test_interned_field_sets_are_shared_and_records_stay_equal() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2}
    first, second = (Completion(text=text, usage=Usage(**usage), cost=0.5) for text in "ab")
    before = first.model_copy(), first.model_dump_json(exclude_unset=True)
    assert (records.intern_fields_set(first), first.model_dump_json(exclude_unset=True)) == before
    assert first.usage
    assert records.intern_fields_set(second).usage
    assert first.__pydantic_fields_set__ is second.__pydantic_fields_set__
    changed = first.model_copy(update={"tokens": 1})  # a copy has its own field set
    assert "tokens" in changed.model_fields_set
    assert "tokens" not in first.model_fields_set


def test_a_design_lists_the_pairs_compared() -> None:
    assert Design().pairs("abc") == [("a", "b"), ("a", "c"), ("b", "c")]
    assert Design(baseline="c").pairs("abc") == [("a", "c"), ("b", "c")]
    assert Design(baseline="a").pairs("abc") == [("a", "b"), ("a", "c")]
