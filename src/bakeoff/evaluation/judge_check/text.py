"""The results of a check as titled lines of text, for 80 columns. Knows no terminal."""

from collections.abc import Iterator, Mapping

from bakeoff.analysis.spending import spending_of
from bakeoff.evaluation.judge_check.labeled_pairs import Labelled
from bakeoff.evaluation.judge_check.results import CheckResults, Grade, JudgeCheck, Miss
from bakeoff.report.text.costs import usage_lines
from bakeoff.report.text.judge_card import agreement_line, interval, percent
from bakeoff.report.text.summary import Sections
from bakeoff.stats.results import Estimate

_WIDTH = 76  # characters of a line that is not to be broken: the terminal's 80 without an indent
_MISSES = 10
_NAME = 23  # characters of a set's name
_SNIPPET = 12  # characters of a prompt, at least


def lines(results: CheckResults) -> Sections:
    """Title to lines, in the order of showing; a judge's titles begin with its name."""
    longer, drawn = results.longer, len(results.pairs)
    some = f"{drawn} of {results.held}" if results.held != drawn else drawn
    found: Sections = {
        "Judge Check": [
            f"Pairs whose better one is known: {some} ({results.source})",
            f"A coin gets {percent(results.coin)}",
            f"Whoever picks the longer one gets {percent(longer.share)} ({longer.right} right, "
            f"{longer.wrong} wrong, {longer.equal} of one length)",
        ]
    }
    for judge in results.judges:
        found[judge.judge] = list(_judge(judge))
        found[f"{judge.judge}: by set"] = list(_table(judge.by_set))
        found[f"{judge.judge}: by kind"] = list(_table(judge.by_kind))
        found[f"{judge.judge}: where it fails"] = list(_misses(judge, results))
    found["What it took"] = usage_lines(spending_of((), results.judgments, results.failures))
    found["Agreement"] = [agreement_line(agreement) for agreement in results.agreement]
    found["Notes"] = list(dict.fromkeys(results.notes))
    return {title: shown for title, shown in found.items() if shown}


def _judge(judge: JudgeCheck) -> Iterator[str]:
    grade, asked = judge.overall, judge.accounting
    yield f"Right: {grade.right} of {grade.pairs - grade.failed} pairs, {interval(grade.share)}"
    yield (
        f"Wrong: {grade.wrong}; split, the winner changes with the order: {grade.split}; "
        f"tie: {grade.tie}"
    )
    yield from _peers(grade)
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
    yield from _leanings(judge)
    kinds = ", ".join(f"{count} {kind}" for kind, count in asked.failed_by_kind.items())
    yield (
        f"Verdicts: {asked.asked} asked = {asked.judged} judged + {asked.failed} failed"
        + (f" ({kinds})" if kinds else "")
    )
    if judge.mended:
        yield "Asked once more: " + ", ".join(f"{n} {why}" for why, n in judge.mended.items())
    if judge.contradicting:
        yield f"Winner and scores contradict each other: {judge.contradicting} verdicts"


def _peers(grade: Grade) -> Iterator[str]:
    if grade.share is None:
        return
    if grade.share.low <= 0.5:
        yield "That is not shown to be better than a coin"
    if grade.share.low <= grade.longer.share:
        yield "That is not shown to be better than to pick the longer one"


def _leanings(judge: JudgeCheck) -> Iterator[str]:
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
    width = min(_NAME, max(map(len, grades)))
    yield f"{'':{width}} pairs  right [95%]      longer wrong split tie failed"
    for name, grade in grades.items():
        yield (
            f"{_cut(name, width):{width}} {grade.pairs:5}  {_short(grade.share):15} "
            f"{percent(grade.longer.share):>7} {grade.wrong:5} {grade.split:5} {grade.tie:3} "
            f"{grade.failed:6}"
        )


def _misses(judge: JudgeCheck, results: CheckResults) -> Iterator[str]:
    prompts = {pair.id: pair for pair in results.pairs}
    for miss in judge.misses[:_MISSES]:
        yield _miss(miss, prompts[miss.id])
    more = len(judge.misses) - _MISSES
    if more > 0:
        yield f"and {more} more"


def _miss(miss: Miss, pair: Labelled) -> str:
    group = miss.kind or miss.set
    said = f"{miss.mark}: {miss.id}" + (f" ({group})" if group else "")
    if miss.mark == "wrong":  # in the others the two orders or the two completions level out
        scores = miss.scores and f"{miss.scores.first:g} to {miss.scores.second:g}"
        said += f", {scores or f'{miss.preference:.2f}'}"
    asked = " ".join(pair.prompt.messages[-1].content.split())
    return f"{said}: {_cut(asked, max(_SNIPPET, _WIDTH - len(said) - 2))}"


def _coefficient(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not known"
    return f"{estimate.estimate:.2f} [95%: {estimate.low:.2f} to {estimate.high:.2f}]"


def _short(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.estimate:5.1f}% [{low:.0f}-{high:.0f}]"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
