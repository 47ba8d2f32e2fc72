"""The report of a judge check: titled sections of text for a terminal of 80 columns."""

from collections.abc import Iterator, Mapping

from bakeoff.analysis.spending import spending_of
from bakeoff.evaluation.judge_check.labeled_pairs import LabeledPair
from bakeoff.evaluation.judge_check.results import CheckResults, Grade, JudgeCheck, Miss
from bakeoff.report.text.costs import usage_lines
from bakeoff.report.text.judge_card import agreement_line, interval, percent
from bakeoff.report.text.summary import Sections
from bakeoff.stats.results import Estimate

_WIDTH = 76  # characters of a line: 80 minus the indent of the terminal
_MAX_MISSES = 10
_SET_WIDTH = 23  # characters of a group name
_MIN_SNIPPET = 12  # minimal characters of a prompt


def check_sections(results: CheckResults) -> Sections:
    """Return the sections in display order; the titles of a judge's begin with its name."""
    baseline, count = results.length_baseline, len(results.pairs)
    pairs = f"{count} of {results.available}" if results.available != count else count
    sections: Sections = {
        "Judge Check": [
            f"Pairs whose better one is known: {pairs} ({results.source})",
            f"A coin gets {percent(results.chance_accuracy)}",
            f"Whoever picks the longer one gets {percent(baseline.accuracy)} ({baseline.right} "
            f"right, {baseline.wrong} wrong, {baseline.equal} of one length)",
        ]
    }
    for judge in results.judges:
        sections[judge.judge] = list(_judge(judge))
        sections[f"{judge.judge}: by set"] = list(_table(judge.by_set))
        sections[f"{judge.judge}: by kind"] = list(_table(judge.by_kind))
        sections[f"{judge.judge}: where it fails"] = list(_misses(judge, results))
    sections["What it took"] = usage_lines(spending_of((), results.judgments, results.failures))
    sections["Agreement"] = [agreement_line(agreement) for agreement in results.agreement]
    sections["Notes"] = list(dict.fromkeys(results.notes))
    return {title: lines for title, lines in sections.items() if lines}


def _judge(judge: JudgeCheck) -> Iterator[str]:
    grade, counts = judge.overall, judge.accounting
    yield f"Right: {grade.right} of {grade.pairs - grade.failed} pairs, {interval(grade.accuracy)}"
    yield (
        f"Wrong: {grade.wrong}; split, the winner changes with the order: {grade.split}; "
        f"tie: {grade.tie}"
    )
    yield from _baselines(grade)
    if grade.failed:
        low, high = grade.worst_case
        yield (
            f"Failed: {grade.failed} of {grade.pairs} pairs; right, were these all wrong or all "
            f"right: {100 * low:.1f} to {100 * high:.1f}%"
        )
    if judge.better_first and judge.better_second:
        yield (
            f"Right where the better one is shown first: {percent(judge.better_first.estimate)}, "
            f"second: {percent(judge.better_second.estimate)}"
        )
    yield from _biases(judge)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.failed_by_kind.items())
    yield (
        f"Verdicts: {counts.asked} asked = {counts.judged} judged + {counts.failed} failed"
        + (f" ({kinds})" if kinds else "")
    )
    if judge.retries:
        yield "Asked once more: " + ", ".join(f"{n} {why}" for why, n in judge.retries.items())
    if judge.contradictory:
        yield f"Winner and scores contradict each other: {judge.contradictory} verdicts"


def _baselines(grade: Grade) -> Iterator[str]:
    if grade.accuracy is None:
        return
    if grade.accuracy.low <= 0.5:
        yield "That is not shown to be better than a coin"
    if grade.accuracy.low <= grade.length_baseline.accuracy:
        yield "That is not shown to be better than to pick the longer one"


def _biases(judge: JudgeCheck) -> Iterator[str]:
    if judge.order.identified == "order-free":
        yield "Each completion was judged alone: there is no order"
    else:
        yield f"Same winner in both orders: {interval(judge.consistency)}"
        yield f"The one shown first won: {interval(judge.order.pick_first)}"
    if judge.longer_won:
        yield f"The longer one won: {interval(judge.longer_won)}"
    yield f"Mean preference for the better one: {interval(judge.overall.preference)}"
    yield f"Cohen's kappa with the labels: {_coefficient(judge.kappa)}"


def _table(grades: Mapping[str, Grade]) -> Iterator[str]:
    if not grades:
        return
    width = min(_SET_WIDTH, max(map(len, grades)))
    yield f"{'':{width}} pairs  right [95%]      longer wrong split tie failed"
    for name, grade in grades.items():
        yield (
            f"{_truncate(name, width):{width}} {grade.pairs:5}  {_short(grade.accuracy):15} "
            f"{percent(grade.length_baseline.accuracy):>7} {grade.wrong:5} {grade.split:5} "
            f"{grade.tie:3} {grade.failed:6}"
        )


def _misses(judge: JudgeCheck, results: CheckResults) -> Iterator[str]:
    prompts = {pair.id: pair for pair in results.pairs}
    for miss in judge.misses[:_MAX_MISSES]:
        yield _miss(miss, prompts[miss.id])
    more = len(judge.misses) - _MAX_MISSES
    if more > 0:
        yield f"and {more} more"


def _miss(miss: Miss, pair: LabeledPair) -> str:
    group = miss.kind or miss.set
    line = f"{miss.outcome}: {miss.id}" + (f" ({group})" if group else "")
    if miss.outcome == "wrong":  # split and tie have no winner
        scores = miss.scores and f"{miss.scores.first:g} to {miss.scores.second:g}"
        line += f", {scores or f'{miss.preference:.2f}'}"
    prompt = " ".join(pair.prompt.messages[-1].content.split())
    return f"{line}: {_truncate(prompt, max(_MIN_SNIPPET, _WIDTH - len(line) - 2))}"


def _coefficient(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not known"
    return f"{estimate.estimate:.2f} [95%: {estimate.low:.2f} to {estimate.high:.2f}]"


def _short(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.estimate:5.1f}% [{low:.0f}-{high:.0f}]"


def _truncate(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
