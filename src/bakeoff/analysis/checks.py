"""All checks of a pair; a failed check withholds or weakens the verdict."""

from bakeoff.analysis.findings import CheckInput, Finding, VerdictCheck
from bakeoff.analysis.judge_checks import JUDGE_CHECKS
from bakeoff.analysis.sample_checks import SAMPLE_CHECKS
from bakeoff.analysis.text_checks import TEXT_CHECKS

WEAKENING = ("few prompts", "many comparisons")  # kinds of findings; all others withhold a verdict

# Kinds of findings that do not concern the judges: they hold if people decide, too.
WITHOUT_JUDGES = (*WEAKENING, "identical completions", "placeholder")

_CHECKS: tuple[VerdictCheck, ...] = (*SAMPLE_CHECKS, *JUDGE_CHECKS, *TEXT_CHECKS)


def run_checks(inputs: CheckInput) -> list[Finding]:
    """The findings of all checks, in the order of the checks."""
    return [finding for check in _CHECKS for finding in check(inputs)]
