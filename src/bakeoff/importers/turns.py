"""The turns of conversations: each is a prompt, and those of one question are one cluster."""

from collections import defaultdict

from bakeoff.records import CLUSTER_TAG, Prompt


class Turns:
    """Collects the prompts that are turns of a question; tags those of several turns."""

    def __init__(self) -> None:
        self._questions: dict[str, dict[str, None]] = defaultdict(dict)  # its prompt ids
        self._question_of: dict[str, str] = {}

    def add(self, question: str, prompt_id: str) -> None:
        """Add a prompt that is a turn of the question with this id."""
        self._questions[question][prompt_id] = None
        self._question_of[prompt_id] = question

    def tagged(self, prompt: Prompt) -> Prompt:
        """Return the prompt, with the cluster of its question if that has several turns.

        A prompt that has a cluster keeps it.
        """
        question = self._question_of.get(prompt.id, "")
        if len(self._questions.get(question, ())) < 2:
            return prompt
        if any(tag.startswith(CLUSTER_TAG) for tag in prompt.tags):
            return prompt
        return prompt.model_copy(update={"tags": (*prompt.tags, f"{CLUSTER_TAG}{question}")})

    @property
    def notes(self) -> list[str]:
        """A note if any question has several turns."""
        count = sum(len(prompt_ids) > 1 for prompt_ids in self._questions.values())
        if not count:
            return []
        return [
            f"{count} questions have several turns: each turn is a prompt, compared with the same "
            "turn only, and the turns of a question are one cluster."
        ]
