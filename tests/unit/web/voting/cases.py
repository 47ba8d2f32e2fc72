"""Small evidence to vote on, and a booth on loopback with a client that behaves like its page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.items import Candidates, Slips
from bakeoff.evaluation.votes.votes import Vote
from bakeoff.records import (
    Completion,
    Evidence,
    Failure,
    Judgment,
    Message,
    ModelCompletion,
    Prompt,
    Verdict,
)
from bakeoff.web.voting.serve import gather
from tests.background_server import serving

MODELS = ("model-alpha", "model-beta")
VOTES = Path("votes.jsonl")


def prompt(number: int) -> Prompt:
    return Prompt(
        id=f"prompt-{number}",
        messages=(Message(role="user", content=f"question {number}"),),
        tags=("tag-delta",),
    )


def evidence(
    count: int = 4,
    models: Sequence[str] = MODELS,
    *,
    said: dict[tuple[int, str], str] | None = None,
) -> Evidence:
    """What every model says to a prompt is unlike the others', and tells nothing of the model.

    `said` replaces some of it by number of prompt and model.
    """
    completions = [
        ModelCompletion(
            prompt_id=f"prompt-{number}",
            model=model,
            completion=Completion(
                text=(said or {}).get((number, model), f"text {number}{'xyzuvw'[place]}"),
                thinking=f"thought-epsilon by {model}",
                raw=f"raw-zeta by {model}",
            ),
        )
        for number in range(count)
        for place, model in enumerate(models)
    ]
    return Evidence(
        models=tuple(models),
        prompts=tuple(prompt(number) for number in range(count)),
        completions=tuple(completions),
        judgments=tuple(judged(number, 1.0, models[0], models[1]) for number in range(count)),
        failures=(
            Failure(
                stage="judgment",
                prompt_id="prompt-0",
                participant="judge-eta",
                kind="x",
                message="theta",
            ),
        ),
        origins={name: f"hf:org-iota/{name}" for name in (*models, "judge-gamma", "judge-eta")},
        notes=("note-kappa",),
    )


def judged(number: int, first: float, one: str, other: str, judge: str = "judge-gamma") -> Judgment:
    return Judgment(
        prompt_id=f"prompt-{number}",
        judge=judge,
        first=one,
        second=other,
        verdict=Verdict(first=first, reason="reason-lambda"),
    )


def vote(
    of: Evidence,
    number: int = 0,
    choice: str = "first",
    *,
    voter: str = "Anna",
    first: str = MODELS[0],
    **more: Any,
) -> Vote:
    """A vote on the texts of some evidence, of the first two models."""
    a, b = sorted(of.models[:2])
    slip = Slips(of).slip(Candidates(f"prompt-{number}", a, b, 0), first=first)
    assert slip
    values = {
        "voter": voter,
        "prompt_id": f"prompt-{number}",
        "first": slip.first,
        "second": slip.second,
        "shown": slip.shown,
        "choice": choice,
        "drawn": "random",
        "at": "2026-01-01T00:00:00+00:00",
    }
    return Vote(**(values | more))


class Browser:
    """What the page does: it asks, and sends what a voter says, as its own origin."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen = b""  # every byte that came
        scheme, place = urlsplit(url)[:2]
        self._client = httpx.Client(
            base_url=url, headers={"Origin": f"{scheme}://{place}"}, trust_env=False, timeout=30
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        return self._kept(self._client.get(path, params=query))

    def post(self, path: str, **body: object) -> httpx.Response:
        return self._kept(self._client.post(path, json=body))

    def state(self, voter: str = "Anna") -> dict[str, Any]:
        return self._told(self.get("state", voter=voter))

    def vote(self, choice: str, voter: str = "Anna") -> dict[str, Any]:
        """On the pair that is next."""
        pair = self.state(voter)["pair"]
        return self._told(self.post("vote", voter=voter, id=pair["id"], choice=choice))

    def press(self, button: str, voter: str = "Anna") -> dict[str, Any]:
        return self._told(self.post(button, voter=voter))

    def _told(self, reply: httpx.Response) -> dict[str, Any]:
        assert reply.status_code == 200, reply.text
        told: dict[str, Any] = reply.json()
        return told

    def _kept(self, reply: httpx.Response) -> httpx.Response:
        self.seen += repr(reply.headers.raw).encode() + reply.content
        return reply


@contextmanager
def booth(of: Evidence, file: Path = VOTES, poll: VoteOptions | None = None) -> Iterator[Browser]:
    """A booth that is open while the block runs, in a thread of its own."""
    asked = poll or VoteOptions()
    with (
        serving(lambda tell, until: gather(of, file, asked, announce=tell, until=until)) as address,
        Browser(address) as browser,
    ):
        yield browser
