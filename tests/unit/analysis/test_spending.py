"""What all outcomes took adds up, and an unknown price is not nought."""

from bakeoff.analysis.spending import summarize_spending
from bakeoff.records import Completion, Usage
from tests.unit.report.sample import results_of

USED = Usage(input=10, output=5, cached=4)


def test_it_adds_up_and_an_unknown_price_is_not_nought() -> None:
    evidence = results_of().evidence
    said = Completion(text="x", usage=USED, cost=0.5)
    completions = tuple(c.model_copy(update={"completion": said}) for c in evidence.completions)
    a, b, judge = summarize_spending(evidence.model_copy(update={"completions": completions}))
    assert (a.who, b.who, judge.who) == ("a", "b", "j")
    assert (a.outcomes, a.read, a.cached, a.written, a.cost) == (2, 20, 8, 10, 1.0)
    assert (judge.read, judge.cost) == (None, None)
    counted = summarize_spending(evidence)[0]
    assert counted.written == sum(
        c.completion.tokens or 0 for c in evidence.completions if c.model == "a"
    )
    assert counted.cost is None


def test_what_failed_is_paid_for_where_it_was_answered() -> None:
    evidence = results_of().evidence
    paid = tuple(
        failure.model_copy(update={"usage": USED, "cost": 0.25}) if nth == 0 else failure
        for nth, failure in enumerate(evidence.failures)
    )
    before = summarize_spending(evidence)[-1]
    after = summarize_spending(evidence.model_copy(update={"failures": paid}))[-1]
    assert (before.failed, before.read) == (len(paid), None)
    assert (after.failed, after.read, after.written) == (len(paid), 10, 5)


def test_a_check_of_a_model_against_itself_is_paid_for_too() -> None:
    evidence = results_of().evidence
    both = summarize_spending(evidence.model_copy(update={"null_check": evidence}))
    assert [one.outcomes for one in both] == [
        2 * one.outcomes for one in summarize_spending(evidence)
    ]
