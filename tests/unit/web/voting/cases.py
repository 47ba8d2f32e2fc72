"""Small evidence to vote on, and a client that behaves like the voting page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.items import PairKey, item_lookup
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
from bakeoff.web.voting.serve import serve_voting
from tests.serving import serving

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
    """Return evidence in which all texts differ and none reveals its model.

    `said` replaces texts by prompt number and model.
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
    """Return a vote on the texts of the first two models."""
    a, b = sorted(of.models[:2])
    item = item_lookup(of)(PairKey(f"prompt-{number}", a, b, 0), first)
    assert item
    values = {
        "voter": voter,
        "prompt_id": f"prompt-{number}",
        "first": item.first,
        "second": item.second,
        "content_key": item.content_key,
        "choice": choice,
        "human_sample": "random",
        "time": "2026-01-01T00:00:00+00:00",
    }
    return Vote(**(values | more))


class Browser:
    """HTTP client that sends the requests of the page, with its origin."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen = b""  # every byte that came
        scheme, place = urlsplit(url)[:2]
        self._client = httpx.Client(
            base_url=url, headers={"Origin": f"{scheme}://{place}"}, trust_env=False, timeout=60
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        return self._record(self._client.get(path, params=query))

    def post(self, path: str, **body: object) -> httpx.Response:
        return self._record(self._client.post(path, json=body))

    def state(self, voter: str = "Anna") -> dict[str, Any]:
        return self._json(self.get("state", voter=voter))

    def vote(self, choice: str, voter: str = "Anna") -> dict[str, Any]:
        """Vote on the next pair."""
        pair = self.state(voter)["pair"]
        return self._json(self.post("vote", voter=voter, id=pair["id"], choice=choice))

    def press(self, button: str, voter: str = "Anna") -> dict[str, Any]:
        return self._json(self.post(button, voter=voter))

    def _json(self, reply: httpx.Response) -> dict[str, Any]:
        assert reply.status_code == 200, reply.text
        told: dict[str, Any] = reply.json()
        return told

    def _record(self, reply: httpx.Response) -> httpx.Response:
        self.seen += repr(reply.headers.raw).encode() + reply.content
        return reply


@contextmanager
def voting_browser(
    of: Evidence, file: Path = VOTES, poll: VoteOptions | None = None
) -> Iterator[Browser]:
    """Serve the voting page in a thread while the block runs; yield a client."""
    asked = poll or VoteOptions()
    with (
        serving(
            lambda tell, until: serve_voting(of, file, asked, announce=tell, until=until)
        ) as address,
        Browser(address) as browser,
    ):
        yield browser
