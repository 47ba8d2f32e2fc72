"""Runs that add verdicts to those of an earlier run, whose judge may have changed since."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, Results, audit, run
from bakeoff.evaluation.drift import MAX_PAIRS, is_moving_alias, judge_drift
from bakeoff.records import Verdict
from bakeoff.testing import OpenAIServer, chat_completion, shown_completions, verdict_json
from tests.integration.evaluation.test_pipeline import config
from tests.integration.evaluation.test_sequential_runs import judge_request_count


@dataclass
class ChangingJudge:
    """A server whose judge can be changed between runs."""

    snapshot: str | None = "judge-2026-01-01"
    flipped: float = 0.0  # share of the prompts whose verdicts are reversed
    noise: float = 0.0  # share of the requests that are answered at random
    usage: int = 0  # tokens in and out of each request

    def __post_init__(self) -> None:
        self.noise_source = random.Random(4)

    def respond(self, body: dict[str, Any]) -> dict[str, Any]:
        text = body["messages"][-1]["content"]
        if body["model"] in ("good", "bad"):
            return self._reply(f"{body['model']} on {text}", body)
        first, second = shown_completions(body)
        models = [completion.split(" on ")[0] for completion in (first, second)]
        dice = random.Random(first.split(" on ")[1])
        good_wins, reverse = dice.random() < 0.7, dice.random() < self.flipped
        winner = "good" if good_wins != reverse else "bad"
        if self.noise_source.random() < self.noise:
            winner = self.noise_source.choice(models)
        return self._reply(verdict_json("AB"[models.index(winner)]), body)

    def _reply(self, text: str, body: dict[str, Any]) -> dict[str, Any]:
        tokens = {"prompt_tokens": self.usage, "completion_tokens": self.usage}
        return chat_completion(text) | {
            "model": self.snapshot or body["model"],
            "usage": tokens | {"total_tokens": 2 * self.usage},
        }


def compare(server: OpenAIServer, folder: Path, limit: int, **more: Any) -> Results:
    return run(config(server, folder, 100, limit=limit, max_concurrency=8, **more))


def withheld_by_drift(results: Results) -> bool:
    (pair,) = results.summary.pairs
    kinds = [reason.kind for reason in pair.reasons]
    return "judge drifted" in kinds and pair.outcome == "withheld"


def test_a_judge_that_changed_with_its_snapshot_withholds_the_verdict(tmp_path: Path) -> None:
    judge = ChangingJudge()
    with OpenAIServer(judge.respond) as server:
        first = compare(server, tmp_path, 30)
        judge.snapshot, judge.flipped = "judge-2026-06-01", 0.8
        before = judge_request_count(server)
        second = compare(server, tmp_path, 60)
        assert judge_request_count(server) - before == 2 * 30 + 2 * MAX_PAIRS
        requests = len(server.requests)
        assert compare(server, tmp_path, 60) == second
        more_margin = compare(server, tmp_path, 60, margin=3, out=tmp_path / "margin")
        again = compare(server, tmp_path, 30, out=tmp_path / "again")
        assert len(server.requests) == requests
    (drift,) = second.design.drifts
    assert (drift.pairs, drift.judge) == (MAX_PAIRS, "judge")
    assert drift.changed == drift.stored_differs == drift.decisive > 10
    assert drift.p == pytest.approx(3.0**-drift.changed)
    assert drift.mean_change == drift.changed / MAX_PAIRS
    assert (drift.snapshots, drift.new_snapshots) == (("judge-2026-01-01",), ("judge-2026-06-01",))
    assert withheld_by_drift(second)
    assert withheld_by_drift(more_margin)  # the store is complete, and the check is in it
    assert again.summary == first.summary  # no verdict of the new snapshot is part of it
    assert "judge-2026-01-01 then and judge-2026-06-01 now" in " ".join(second.summary.notes)
    audited = audit([tmp_path / "out" / "results.json"])
    assert audited.summary.pairs == second.summary.pairs
    assert "judge drifted" not in {reason.kind for reason in first.summary.pairs[0].reasons}


def test_a_new_snapshot_that_decides_alike_is_shown_and_withholds_nothing(tmp_path: Path) -> None:
    judge = ChangingJudge()
    with OpenAIServer(judge.respond) as server:
        compare(server, tmp_path, 30)
        judge.snapshot = "judge-2026-06-01"
        before = judge_request_count(server)
        second = compare(server, tmp_path, 40)
        # No winner changed, so that the pairs are judged once again and not twice.
        assert judge_request_count(server) - before == 2 * 10 + MAX_PAIRS
    assert [(drift.changed, drift.p) for drift in second.design.drifts] == [(0, 1.0)]
    assert not withheld_by_drift(second)
    assert "judge judged 20 stored pairs again" in " ".join(second.summary.notes)


def test_the_noise_of_a_judge_is_no_drift(tmp_path: Path) -> None:
    judge = ChangingJudge(noise=0.6)
    with OpenAIServer(judge.respond) as server:
        compare(server, tmp_path, 30)
        judge.snapshot = "judge-2026-06-01"
        second = compare(server, tmp_path, 40)
    (drift,) = second.design.drifts
    assert drift.changed >= 3
    assert drift.decisive > drift.stored_differs
    assert not withheld_by_drift(second)


@pytest.mark.parametrize(
    ("target", "snapshot", "checked"),
    [
        ("gpt-4o", None, True),
        ("gpt-4o", "gpt-4o-2024-08-06", False),  # the server says that the alias has not moved
        ("gpt-4o-2024-08-06", None, False),
    ],
)
def test_a_moving_alias_is_checked_after_a_finished_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    snapshot: str | None,
    checked: bool,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    judge = ChangingJudge(snapshot=snapshot)
    with OpenAIServer(judge.respond) as server:
        spec = (f"judge=openai:{target}?base_url={server.url}",)
        first = compare(server, tmp_path, 24, judge=spec)
        assert first.design.drifts == ()
        judge.flipped = 1.0
        second = compare(server, tmp_path, 40, judge=spec)
    assert bool(second.design.drifts) == withheld_by_drift(second) == checked


def test_the_same_snapshot_is_not_checked(tmp_path: Path) -> None:
    judge = ChangingJudge()
    with OpenAIServer(judge.respond) as server:
        compare(server, tmp_path, 24)
        before = judge_request_count(server)
        second = compare(server, tmp_path, 30)
        assert judge_request_count(server) - before == 2 * 6
    assert second.design.drifts == ()


def test_judging_again_keeps_to_the_spending_limit(tmp_path: Path) -> None:
    judge = ChangingJudge(usage=500)
    with OpenAIServer(judge.respond) as server:
        spec = (f"judge=api:judge?base_url={server.url}&price=1,1",)
        compare(server, tmp_path, 24, judge=spec)
        judge.snapshot, judge.flipped = "judge-2026-06-01", 1.0
        second = compare(server, tmp_path, 26, judge=spec, max_cost=0.014)
        paid = sum(row.cost or 0 for row in second.run_usage)
    assert 0.004 <= paid <= 0.014
    assert len(second.judgments) == 52


def verdicts(*firsts: float) -> list[Verdict]:
    return [Verdict(first=first) for first in firsts]


@pytest.mark.parametrize(
    ("old", "new", "last", "counts", "p"),
    [
        ([1.0] * 5, [0.0] * 5, [0.0] * 5, (5, 5, 5), 3.0**-5),
        ([1.0] * 5, [0.0] * 5, [1.0] * 5, (5, 5, 0), 1.0),
        ([1.0] * 6, [1.0] * 6, [0.0] * 6, (0, 6, 0), 1.0),
        ([1.0, 1.0], [0.5, 1.0], [0.0, 1.0], (1, 0, 0), 1.0),
        ([0.9, 0.6], [0.1, 0.7], [0.2, 0.8], (1, 1, 1), 1 / 3),
    ],
)
def test_the_exact_test_counts_which_of_three_verdicts_differs(
    old: Sequence[float],
    new: Sequence[float],
    last: Sequence[float],
    counts: tuple[int, int, int],
    p: float,
) -> None:
    rows = list(zip(verdicts(*old), verdicts(*new), verdicts(*last), strict=True))
    drift = judge_drift("j", [row[:2] for row in rows], rows)
    assert (drift.changed, drift.decisive, drift.stored_differs) == counts
    assert drift.p == pytest.approx(p)
    assert drift.mean_change == pytest.approx(
        sum(abs(a - b) for a, b in zip(old, new, strict=True)) / len(old)
    )


def test_the_exact_test_keeps_its_level_for_a_noisy_judge() -> None:
    rng, rejected = random.Random(8), 0
    for _ in range(2000):
        share = [rng.random() for _ in range(MAX_PAIRS)]
        rows = [tuple(Verdict(first=float(rng.random() < p)) for _ in range(3)) for p in share]
        triples = [(row[0], row[1], row[2]) for row in rows]
        drift = judge_drift("j", [row[:2] for row in triples], triples)
        rejected += drift.p < 0.05
    assert 0 < rejected / 2000 <= 0.05


@pytest.mark.parametrize(
    ("spec", "moving"),
    [
        ("openai:gpt-4o", True),
        ("gpt-4", True),
        ("anthropic:claude-3-5-sonnet-latest", True),
        ("gemini:gemini-1.5-pro-002", False),
        ("openai:gpt-4-0613", False),
        ("anthropic:claude-sonnet-4-20250514", False),
        ("mistral:mistral-large-2411", False),
        ("api:judge?base_url=http://127.0.0.1:1/v1", False),
        ("embedded:qwen2.5-coder-0.5b", False),
    ],
)
def test_names_of_providers_without_a_snapshot_are_moving_aliases(spec: str, moving: bool) -> None:
    assert is_moving_alias(Config(model=("x", "y"), judge=(f"j={spec}",)), "j") is moving
