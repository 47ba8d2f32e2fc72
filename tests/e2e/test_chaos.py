"""Complete runs against a server that injects every kind of fault.

Invariants: every pair is judged or counted as failed with the kind of its failure; verdicts equal
those of a run without faults; the number of requests is bounded.
"""

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, Results, run
from bakeoff.testing import verdict_json
from tests.chaos_server import (
    ALWAYS,
    ANSWERS,
    KINDS,
    REFUSALS,
    ChaosServer,
    Fault,
    Outage,
    Protocol,
    fails_as,
    plan,
)
from tests.marks import long

# Client timeout in seconds. A healthy reply that takes longer on a busy machine costs a retry, and
# every transient fault leaves two retries.
TIMEOUT = 5.0
NO_TIMEOUT = 120.0  # for servers without stalls
RETRIES = 4


@pytest.fixture(autouse=True)
def short_retry_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make retries nearly immediate."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.05)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")


def api_spec(server: ChaosServer, speaks: Protocol, name: str, *, timeout: float = TIMEOUT) -> str:
    target = f"api:{name}?base_url={server.url}"
    if speaks == "anthropic":
        target = f"anthropic:{name}?base_url={server.address}"
    return f"{name}={target}&timeout={timeout}&retries={RETRIES}"


def questions(folder: Path, count: int) -> list[str]:
    texts = [f"Question number {n}?" for n in range(count)]
    (folder / "prompts.txt").write_text("\n".join(texts))
    return texts


def recorded_models(folder: Path, count: int) -> tuple[tuple[str, str], list[str]]:
    """Two models with completions in files, and the items that the judge will be sent."""
    texts = questions(folder, count)
    for name in ("a", "b"):
        rows = [json.dumps({"prompt": text, "completion": f"{name} on {text}"}) for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    models = (f"a=file:{folder / 'a.jsonl'}", f"b=file:{folder / 'b.jsonl'}")
    both = itertools.chain.from_iterable(
        (f"a on {text} / b on {text}", f"b on {text} / a on {text}") for text in texts
    )
    return models, list(both)


def run_config(folder: Path, count: int, models: tuple[str, ...], judge: str, name: str) -> Results:
    return run(
        Config(
            model=models,
            judge=(judge,),
            prompts=str(folder / "prompts.txt"),
            limit=count,
            out=folder / name,
            store=folder / f"{name}.sqlite",
            quiet=True,
        )
    )


def verdicts_by_order(results: Results) -> dict[tuple[str, str], tuple[float, Any, str]]:
    """Verdicts by prompt and first model."""
    return {
        (judgment.prompt_id, judgment.first): (
            judgment.verdict.first,
            judgment.verdict.scores,
            judgment.verdict.reason,
        )
        for judgment in results.judgments
    }


def assert_counts_add_up(results: Results, count: int) -> None:
    """asked = judged + failed, in every table and in the lists of outcomes."""
    (pair,) = results.summary.pairs
    accounting = pair.accounting
    assert accounting.asked == 2 * count == accounting.judged + accounting.failed
    failures = [failure for failure in results.failures if failure.stage == "judgment"]
    assert (accounting.judged, accounting.failed) == (len(results.judgments), len(failures))
    assert accounting.failed_by_kind == Counter(failure.kind for failure in failures)
    for tally in (*accounting.by_judge.values(), *accounting.by_order.values(), *pair.judges):
        assert tally.asked == tally.judged + tally.failed
    for tallies in (accounting.by_judge, accounting.by_order):
        assert sum(tally.asked for tally in tallies.values()) == 2 * count


def prompt_orders(
    results: Results, completions: Mapping[tuple[str, str], str]
) -> dict[str, tuple[str, str]]:
    """Server item -> (prompt, first model) of its judgment."""
    by_item = {}
    for prompt in results.prompts:
        for first, second in (("a", "b"), ("b", "a")):
            texts = (completions[prompt.id, first], completions[prompt.id, second])
            by_item[" / ".join(texts)] = (prompt.id, first)
    return by_item


def assert_only_permanent_faults_failed(
    results: Results, truth: Results, faults: Mapping[str, Fault], speaks: Protocol
) -> None:
    """Exactly the items with permanent faults failed, with their kinds; other verdicts match."""
    completions = {
        (outcome.prompt_id, outcome.model): outcome.completion.text for outcome in truth.completions
    }
    order_of = prompt_orders(truth, completions)
    lost = {
        order_of[item]: fails_as(fault.kind, speaks)
        for item, fault in faults.items()
        if fault.times > KINDS[fault.kind].passes and item in order_of
    }
    failures = {
        (outcome.prompt_id, str(outcome.first)): outcome.kind
        for outcome in results.failures
        if outcome.stage == "judgment"
    }
    assert failures == lost
    expected = verdicts_by_order(truth)
    assert verdicts_by_order(results) == {key: expected[key] for key in expected if key not in lost}


def assert_requests_bounded(server: ChaosServer, retries: int = RETRIES) -> None:
    """No item has more than four rounds of requests: an unreadable reply is requested again, and
    so is the verdict itself, each with all retries. Refusals of a busy server do not count.
    """
    for item, count in server.request_counts.items():
        fault = server.faults.get(item)
        busy = fault.times if fault and fault.kind in REFUSALS else 0
        assert count <= 4 * (retries + 1) + busy, (item, fault)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("speaks", "count", "share"),
    [
        ("openai", 30, 0.7),
        *long(
            [
                ("openai", 60, 0.5),
                ("anthropic", 60, 0.5),
                ("openai", 1000, 0.1),
                ("anthropic", 1000, 0.1),
            ]
        ),
    ],
)
def test_only_permanent_faults_fail_and_requests_are_bounded(
    speaks: Protocol, count: int, share: float, tmp_path: Path
) -> None:
    models, items = recorded_models(tmp_path, count)
    with ChaosServer() as server:
        judge = api_spec(server, speaks, "judge", timeout=NO_TIMEOUT)
        truth = run_config(tmp_path, count, models, judge, "truth")
    assert server.request_counts == dict.fromkeys(items, 1)
    assert not truth.failures
    faults = plan(items, seed=7, share=share, permanent_share=0.4)
    with ChaosServer(faults) as server, Outage(server, after=count, seconds=1):
        results = run_config(tmp_path, count, models, api_spec(server, speaks, "judge"), "faulty")
    assert set(server.fault_counts) == set(KINDS)
    assert_counts_add_up(truth, count)
    assert_counts_add_up(results, count)
    assert_only_permanent_faults_failed(results, truth, faults, speaks)
    assert_requests_bounded(server)
    assert results.failures
    assert {judgment.verdict.snapshot for judgment in results.judgments} > {"somebody-else"}


@pytest.mark.parametrize("speaks", ["anthropic", *long(["openai"])])
def test_transient_faults_lose_nothing(speaks: Protocol, tmp_path: Path) -> None:
    count = 20
    models, items = recorded_models(tmp_path, count)
    passing = [name for name, kind in KINDS.items() if kind.passes and name not in REFUSALS]
    faults = plan(items, seed=3, share=1, permanent_share=0, kinds=passing)
    with ChaosServer(faults) as server:
        results = run_config(tmp_path, count, models, api_spec(server, speaks, "judge"), "faulty")
    assert set(server.fault_counts) == set(passing)
    assert not results.failures
    assert len(results.judgments) == 2 * count
    assert_requests_bounded(server)


@pytest.mark.parametrize("speaks", ["anthropic", *long(["openai"])])
def test_second_run_requests_only_failures(speaks: Protocol, tmp_path: Path) -> None:
    count = 20
    models, items = recorded_models(tmp_path, count)
    faults = {item: Fault("500", ALWAYS) for item in items[::4]}
    with ChaosServer(faults) as server:
        judge = api_spec(server, speaks, "judge", timeout=NO_TIMEOUT)
        first = run_config(tmp_path, count, models, judge, "run")
        assert len(first.failures) == len(faults)
        server.faults = {}
        server.request_counts.clear()
        second = run_config(tmp_path, count, models, judge, "run")
        assert server.request_counts == dict.fromkeys(faults, 1)
    assert not second.failures
    kept = verdicts_by_order(first)
    assert {
        key: verdict for key, verdict in verdicts_by_order(second).items() if key in kept
    } == kept


@pytest.mark.long
def test_failed_completions_fail_only_their_pairs(tmp_path: Path) -> None:
    count = 40
    prompt_texts = questions(tmp_path, count)
    model_items = [f"{name} on {text}" for name in "ab" for text in prompt_texts]
    transport = [name for name in KINDS if name not in (*ANSWERS, *REFUSALS)]
    faults = plan(model_items, seed=11, share=0.7, permanent_share=0.3, kinds=transport)

    def run_all(server: ChaosServer, name: str) -> Results:
        models = (api_spec(server, "openai", "a"), api_spec(server, "anthropic", "b"))
        return run_config(tmp_path, count, models, api_spec(server, "openai", "judge"), name)

    with ChaosServer() as server:
        truth = run_all(server, "truth")
    assert not truth.failures
    pairs = [item for item in server.request_counts if " / " in item]
    faults |= plan(pairs, seed=5, share=0.5, permanent_share=0.3, kinds=transport)
    with ChaosServer(faults) as server:
        results = run_all(server, "faulty")
    assert_counts_add_up(results, count)
    assert_requests_bounded(server)
    texts = {prompt.id: prompt.messages[-1].content for prompt in truth.prompts}
    speaks: dict[str, Protocol] = {"a": "openai", "b": "anthropic"}
    missing, changed = set(), set()
    for prompt_id, model in itertools.product(texts, "ab"):
        fault = faults.get(f"{model} on {texts[prompt_id]}")
        if fault and fails_as(fault.kind, speaks[model]) == "verdict":
            changed.add((prompt_id, model))  # an empty message is a valid completion
        elif fault and fault.times > KINDS[fault.kind].passes:
            missing.add((prompt_id, model))
    failed = {(f.prompt_id, f.participant) for f in results.failures if f.stage == "completion"}
    assert failed == missing
    without = {f.prompt_id for f in results.failures if f.kind == "no completion"}
    assert without == {prompt_id for prompt_id, _ in missing}
    same = texts.keys() - {prompt_id for prompt_id, _ in missing | changed}
    expected = verdicts_by_order(truth)
    assert {key for key in verdicts_by_order(results) if key[0] in same}
    assert all(
        expected[key] == verdict
        for key, verdict in verdicts_by_order(results).items()
        if key[0] in same
    )


# Server outages


def run_through_outage(server: ChaosServer, folder: Path, outage: Outage, count: int) -> Results:
    """The results of a run during which the server is down; asserts that none is lost."""
    models, items = recorded_models(folder, count)
    server.pause = 0.05  # the run must still be active when the outage begins
    with outage:
        judge = f"judge=api:judge?base_url={server.url}&timeout=60"
        results = run_config(folder, count, models, judge, "run")
    assert not results.failures
    assert len(results.judgments) == 2 * count
    # Only requests that were in flight are repeated.
    repeated = {item: number for item, number in server.request_counts.items() if number > 1}
    assert set(server.request_counts) == set(items)
    assert len(repeated) <= 256
    assert max(server.request_counts.values()) <= 2
    return results


def test_server_restart_loses_nothing(tmp_path: Path) -> None:
    with ChaosServer() as server:
        run_through_outage(server, tmp_path, Outage(server, after=50, seconds=6), 100)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_outage_of_two_minutes_loses_nothing(tmp_path: Path) -> None:
    with ChaosServer() as server:
        run_through_outage(server, tmp_path, Outage(server, after=200, seconds=120), 500)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_stalled_request_is_retried(tmp_path: Path) -> None:
    """The timeout is longer than the stall, so the connection ends without a reply."""
    count = 20
    models, items = recorded_models(tmp_path, count)
    faults = {item: Fault("a stall", 1) for item in items[::5]}
    with ChaosServer(faults) as server:
        judge = f"judge=api:judge?base_url={server.url}&timeout=90"
        results = run_config(tmp_path, count, models, judge, "run")
    assert not results.failures
    assert server.fault_counts == {"a stall": len(faults)}
    assert max(server.request_counts.values()) == 2


# Constant judges


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (verdict_json("A", 8, 3), "flipped verdicts", "100 % of the prompts"),
        *long([(verdict_json("B", 3, 8), "flipped verdicts", "100 % of the prompts")]),
        (verdict_json("tie", 5, 5), "same verdict", "the judge said the same of all"),
    ],
)
def test_constant_verdicts_are_withheld(
    reply: str, kind: str, message: str, tmp_path: Path
) -> None:
    count = 30
    models, _ = recorded_models(tmp_path, count)
    with ChaosServer() as server:
        server.reply_text = lambda _: reply
        results = run_config(tmp_path, count, models, api_spec(server, "openai", "judge"), "run")
    (pair,) = results.summary.pairs
    assert pair.outcome == "withheld"
    assert kind in [reason.kind for reason in pair.reasons]
    assert message in pair.verdict


def test_constant_scores_are_withheld(tmp_path: Path) -> None:
    count = 30
    models, _ = recorded_models(tmp_path, count)
    with ChaosServer() as server:
        server.reply_text = lambda _: json.dumps({"explanation": "Fine.", "score": 5})
        judge = f"judge=api:judge?base_url={server.url}&verdict=scored"
        results = run_config(tmp_path, count, models, judge, "run")
    (pair,) = results.summary.pairs
    assert pair.outcome == "withheld"
    assert "same verdict" in [reason.kind for reason in pair.reasons]
