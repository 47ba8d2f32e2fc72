"""Further evaluations whose order, judges or missing verdicts make the verdict false."""

import numpy as np

from bakeoff.records import Design
from harness.evaluation_texts import Generator, Style, completion_text, lengths
from harness.evidence_draft import EvidenceDraft
from harness.looks import EarlierLook, evidence_of_look
from harness.simulated_judge import Judge
from harness.verdict_classes.case import Case, Knobs, VerdictClass, pair_truth, size


def _start(rng: Generator, knobs: Knobs, follows: float) -> tuple[EvidenceDraft, Judge, int]:
    draft = EvidenceDraft(rng)
    n = size(rng, 80, 220)
    draft.add_prompts(n)
    judge = Judge(knobs.rate, ties=float(rng.choice([0.0, 0.2])), follows=follows * knobs.bias)
    return draft, judge, n


def _case(draft: EvidenceDraft, knobs: Knobs) -> Case:
    return Case(draft.evidence(), pair_truth(draft, knobs.rate))


def selected_second_orders(rng: Generator, knobs: Knobs) -> Case:
    """b first is judged only where a first was no win of a."""
    draft, judge, n = _start(rng, knobs, 0.0)
    differences = judge.differences(rng, n)
    first = judge.verdicts(rng, differences, True)
    draft.add_judgments(first, True)
    again = first < 0.75
    names = np.array(draft.ids)[again].tolist()
    draft.add_judgments(judge.verdicts(rng, differences, False)[again], False, ids=names)
    return _case(draft, knobs)


def orders_by_judge(rng: Generator, knobs: Knobs) -> Case:
    """Each prompt has both orders, one by each of two judges with unequal position bias."""
    draft, judge, n = _start(rng, knobs, 0.4)
    differences = judge.differences(rng, n)
    fair = judge._replace(follows=0.05)
    draft.add_judgments(judge.verdicts(rng, differences, True), True, judge="judge")
    draft.add_judgments(fair.verdicts(rng, differences, False), False, judge="judge 2")
    return _case(draft, knobs)


def orders_by_judge_and_prompt(rng: Generator, knobs: Knobs) -> Case:
    """Two judges on random prompts each; one mostly saw a first, the other mostly b first."""
    draft, judge, n = _start(rng, knobs, 0.45)
    differences = judge.differences(rng, n)
    strong = rng.random(n) < 0.5
    a_first = np.where(strong, rng.random(n) < 0.85, rng.random(n) < 0.15)
    fair = judge._replace(follows=0.0)
    names = np.array(draft.ids)
    for name, member, mask in (("judge", judge, strong), ("judge 2", fair, ~strong)):
        values = member.verdicts(rng, differences, a_first)[mask]
        draft.add_judgments(values, a_first[mask], ids=names[mask].tolist(), judge=name)
    return _case(draft, knobs)


def repeated_first_order(rng: Generator, knobs: Knobs) -> Case:
    """a first is judged four times, b first once."""
    draft, judge, n = _start(rng, knobs, 0.45)
    differences = judge.differences(rng, n)
    for repeat in range(4):
        draft.add_judgments(judge.verdicts(rng, differences, True), True, repeat=repeat)
    draft.add_judgments(judge.verdicts(rng, differences, False), False)
    return _case(draft, knobs)


def order_by_prompt_length(rng: Generator, knobs: Knobs) -> Case:
    """a is better on long prompts, which show a first; worse on short ones, at random orders."""
    draft = EvidenceDraft(rng)
    n = size(rng, 80, 220)
    long = rng.random(n) < 0.5
    texts = [
        completion_text(rng, 900 if is_long else 80) + f" What about part {rng.integers(1e6)}?"
        for is_long in long.tolist()
    ]
    draft.add_prompts(n, texts=texts)
    judge = Judge(knobs.rate, follows=0.3 * knobs.bias)
    differences = judge.differences(rng, n) + np.where(long, 0.9, -0.9)
    a_first = np.where(long, rng.random(n) < 0.95, rng.random(n) < 0.3)
    draft.add_judgments(judge.verdicts(rng, differences, a_first), a_first)
    return _case(draft, knobs)


def drift_of_judge_and_order(rng: Generator, knobs: Knobs) -> Case:
    """The judge's habit turns around halfway, when the order does."""
    draft, judge, n = _start(rng, knobs, 0.35)
    differences = judge.differences(rng, n)
    early = np.arange(n) < n / 2
    a_first = np.where(early, rng.random(n) < 0.9, rng.random(n) < 0.1)
    turned = judge._replace(follows=-judge.follows)
    values = np.where(
        early,
        judge.verdicts(rng, differences, a_first),
        turned.verdicts(rng, differences, a_first),
    )
    draft.add_judgments(values, a_first)
    return _case(draft, knobs)


def one_judge_of_a_panel(rng: Generator, knobs: Knobs) -> Case:
    """A fair judge in both orders on all prompts, and a biased one that saw only a first."""
    draft, judge, n = _start(rng, knobs, 0.5)
    differences = judge.differences(rng, n)
    fair = judge._replace(follows=0.0)
    for side in (True, False):
        draft.add_judgments(fair.verdicts(rng, differences, side), side, judge="fair")
    draft.add_judgments(judge.verdicts(rng, differences, True), True, judge="biased")
    return _case(draft, knobs)


def unknown_order_marked_pointwise(rng: Generator, knobs: Knobs) -> Case:
    """Pairs that showed a first are stored as if each completion had been judged alone."""
    draft, judge, n = _start(rng, knobs, 0.35)
    values = judge.verdicts(rng, judge.differences(rng, n), True)
    draft.add_judgments(values, True, presented="pointwise")
    return _case(draft, knobs)


def missing_rows(rng: Generator, knobs: Knobs) -> Case:
    """A tenth of the prompts has no row at all: a's worst ones, where its requests timed out."""
    draft, judge, n = _start(rng, knobs, 0.0)
    differences = judge.differences(rng, n)
    kept = np.argsort(differences)[round(0.1 * n * knobs.bias) :]
    names = np.array(draft.ids)[kept].tolist()
    draft.add_completions(draft.b, Style(rng, n, 0.4).render(rng, lengths(rng, n)))
    for side in (True, False):
        values = judge.verdicts(rng, differences, side)[kept]
        draft.add_judgments(values, side, ids=names)
    return _case(draft, knobs)


def failures_of_one_judge(rng: Generator, knobs: Knobs) -> Case:
    """One of three judges refuses where b wins: under 2 % of all verdicts."""
    draft, judge, n = _start(rng, knobs, 0.0)
    judge = judge._replace(ties=0.9, noise=0.2)
    differences = judge.differences(rng, n)
    failed = np.zeros(n, dtype=bool)
    failed[np.argsort(differences)[: round(0.055 * n * knobs.bias)]] = True
    for name in ("j1", "j2", "j3"):
        for side in (True, False):
            values = judge.verdicts(rng, differences, side)
            values = np.where(failed, np.nan, values) if name == "j1" else values
            draft.add_judgments(values, side, judge=name)
    return _case(draft, knobs)


def one_order_stopped_early(rng: Generator, knobs: Knobs) -> Case:
    """a was always shown first, in a run whose design says that it stopped early."""
    draft, judge, n = _start(rng, knobs, 0.35)
    draft.add_judgments(judge.verdicts(rng, judge.differences(rng, n), True), True)
    evidence = draft.evidence(design=Design(sequential=True))
    return Case(evidence, pair_truth(draft, knobs.rate))


def mixed_design_stopped_early(rng: Generator, knobs: Knobs) -> Case:
    """Both orders on half of the prompts, a first on the rest; the design says early stopping."""
    draft, judge, n = _start(rng, knobs, 0.4)
    differences = judge.differences(rng, n)
    both = rng.random(n) < 0.5
    names = np.array(draft.ids)[both].tolist()
    draft.add_judgments(judge.verdicts(rng, differences, True), True)
    draft.add_judgments(judge.verdicts(rng, differences, False)[both], False, ids=names)
    evidence = draft.evidence(design=Design(sequential=True))
    return Case(evidence, pair_truth(draft, knobs.rate))


def mixed_design_second_look(rng: Generator, knobs: Knobs) -> Case:
    """The same design at a second look."""
    case = mixed_design_stopped_early(rng, knobs)
    assert case.evidence is not None
    first = case.evidence.model_copy(update={"design": Design()})
    ids = [prompt.id for prompt in first.prompts]
    return case._replace(
        evidence=evidence_of_look(first, ids, [EarlierLook(50, "not enough data")])
    )


FURTHER_ORDER_CLASSES = tuple(
    VerdictClass(f"further: {name}", build)
    for name, build in {
        "second orders only where a did not win": selected_second_orders,
        "both orders, one by each judge": orders_by_judge,
        "judges with opposite shares of orders": orders_by_judge_and_prompt,
        "a first four times, b first once": repeated_first_order,
        "order by length of prompt": order_by_prompt_length,
        "habit turns with the order": drift_of_judge_and_order,
        "a fair judge and a one-order judge": one_judge_of_a_panel,
        "pairs stored as pointwise": unknown_order_marked_pointwise,
        "prompts without rows": missing_rows,
        "one order, stopped early": one_order_stopped_early,
        "mixed design, stopped early": mixed_design_stopped_early,
        "mixed design, second look": mixed_design_second_look,
        "refusals of one of three judges": failures_of_one_judge,
    }.items()
)
