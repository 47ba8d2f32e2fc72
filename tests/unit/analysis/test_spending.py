"""Spending adds up, and an unknown cost is not 0."""

from bakeoff.analysis.spending import summarize_spending
from bakeoff.records import Completion, Usage
from tests.builders import sample_results

USED = Usage(input_tokens=10, output_tokens=5, cached_tokens=4)


def test_spending_adds_up_and_an_unknown_cost_is_none() -> None:
    evidence = sample_results().evidence
    completion = Completion(text="x", usage=USED, cost=0.5)
    completions = tuple(
        c.model_copy(update={"completion": completion}) for c in evidence.completions
    )
    a, b, judge = summarize_spending(evidence.model_copy(update={"completions": completions}))
    assert (a.participant, b.participant, judge.participant) == ("a", "b", "j")
    assert (a.outcomes, a.input_tokens, a.cached_tokens, a.output_tokens, a.cost) == (
        2,
        20,
        8,
        10,
        1.0,
    )
    assert (judge.input_tokens, judge.cost) == (None, None)
    counted = summarize_spending(evidence)[0]
    assert counted.output_tokens == sum(
        c.completion.tokens or 0 for c in evidence.completions if c.model == "a"
    )
    assert counted.cost is None


def test_answered_failures_are_included_in_the_cost() -> None:
    evidence = sample_results().evidence
    paid = tuple(
        failure.model_copy(update={"usage": USED, "cost": 0.25}) if nth == 0 else failure
        for nth, failure in enumerate(evidence.failures)
    )
    before = summarize_spending(evidence)[-1]
    after = summarize_spending(evidence.model_copy(update={"failures": paid}))[-1]
    assert (before.failed, before.input_tokens) == (len(paid), None)
    assert (after.failed, after.input_tokens, after.output_tokens) == (len(paid), 10, 5)


def test_spending_includes_the_null_check() -> None:
    evidence = sample_results().evidence
    both = summarize_spending(evidence.model_copy(update={"null_check": evidence}))
    assert [row.outcomes for row in both] == [
        2 * row.outcomes for row in summarize_spending(evidence)
    ]
