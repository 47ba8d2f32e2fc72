"""Whole runs that ask for no more than it takes, over a real server: what is asked, what is said."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, Results, run
from tests.openai_server import OpenAIServer, shown, verdict


def prompts_file(folder: Path, count: int) -> Path:
    path = folder / "prompts.txt"
    path.write_text("\n".join(f"Question number {n}?" for n in range(count)))
    return path


def asked(server: OpenAIServer, folder: Path, count: int, **more: Any) -> Config:
    url = f"?base_url={server.url}"
    fields = {
        "model": (f"tuned=api:tuned{url}", f"base=api:base{url}"),
        "judge": (f"judge=api:judge{url}",),
        "prompts": str(prompts_file(folder, count)),
        "limit": count,
        "out": folder / "out",
        "store": folder / "store.sqlite",
        "max_concurrency": 8,
    }
    return Config(**(fields | more))


def strengths(**chances: float) -> Any:
    """A judge for which the stronger of two models is better on that share of the prompts; which
    ones is always the same.
    """

    def brain(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if body["model"] != "judge":
            return f"{body['model']} on {text} {body['seed']}"
        first, second = shown(body)
        who = [one.split(" on ")[0] for one in (first, second)]
        about = first.split(" on ")[1]
        dice = random.Random(f"{sorted(who)} {about}").random()
        a, b = (chances[name] for name in who)
        better = a >= b if dice < 0.5 + abs(a - b) / 2 else a < b
        return verdict("A" if better else "B")

    return brain


def judged(server: OpenAIServer) -> int:
    return sum(request["model"] == "judge" for request in server.requests)


def test_it_stops_when_it_is_sure_and_says_so_with_a_confidence_sequence(tmp_path: Path) -> None:
    with OpenAIServer(strengths(tuned=0.9, base=0.1)) as server:
        results = run(asked(server, tmp_path, 300, stop="when-sure"))
    pair = results.summary.pairs[0]
    assert pair.outcome == "better"
    assert pair.win_rate is not None
    assert pair.win_rate.method == "confidence sequence by betting"
    assert pair.win_rate.low > 0.5
    assert 20 <= pair.prompts < 60
    assert judged(server) < 2 * 64
    assert len(results.prompts) == pair.prompts
    assert f"it took {pair.prompts} of 300 prompts" in " ".join(results.summary.notes)
