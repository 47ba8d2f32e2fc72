"""Prompts that are themselves about judging, whose completions may speak of scores and verdicts."""

import re

from bakeoff.analysis.injection import detect_injection
from bakeoff.records import Prompt

_JUDGING = re.compile(
    r"\b(?:scor(?:e|es|ed|ing)|rat(?:e|ing|ings)|grad(?:e|es|ing)|verdicts?|judg\w+"
    r"|rank(?:ing|ings)?|evaluat\w+|assess(?:ment|ments|ing)?|reviewers?|rubrics?"
    r"|prefer(?:red|ence|ences)?|better (?:answer|response|completion|reply)"
    r"|(?:answer|response|completion|reply) [ab12]|prompt injections?|jailbreaks?"
    r"|(?:ignore|disregard) (?:all |any |the )?(?:previous|prior|above))\b",
    re.IGNORECASE,
)


def is_about_judging(prompt: Prompt) -> bool:
    """Whether a prompt speaks of scores, verdicts or evaluation, so that a completion has to, too.

    So does a prompt in which `detect_injection` finds an injection.
    """
    texts = [message.content for message in prompt.messages]
    return any(_JUDGING.search(text) or detect_injection(text) for text in texts)
