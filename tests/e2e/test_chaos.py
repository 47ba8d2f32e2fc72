"""Whole runs against a server that fails in every way that servers fail.

What a run has to hold, whatever it meets: every pair is judged or counted as failed, with the kind
of its failure; what was judged is what a run without faults says; nothing is asked for ever.
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

# Seconds that the client waits for a server that stalls. A healthy reply that takes longer on a
# busy machine costs a retry, and every fault that passes leaves two of them.
TIMEOUT = 5.0
NEVER = 120.0  # where nothing stalls
RETRIES = 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed request is made again at once, nearly."""
    monkeypatch.setattr("bakeoff.generators.api.retries._FIRST_WAIT", 0.05)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")


def spec(server: ChaosServer, speaks: Protocol, name: str, *, timeout: float = TIMEOUT) -> str:
    at = f"api:{name}?base_url={server.url}"
    if speaks == "anthropic":
        at = f"anthropic:{name}?base_url={server.address}"
    return f"{name}={at}&timeout={timeout}&retries={RETRIES}"


def questions(folder: Path, count: int) -> list[str]:
    asked = [f"Question number {n}?" for n in range(count)]
    (folder / "prompts.txt").write_text("\n".join(asked))
    return asked


def recorded(folder: Path, count: int) -> tuple[tuple[str, str], list[str]]:
    """Two models whose completions are in files, and what the judge is going to be asked."""
    asked = questions(folder, count)
    for name in ("a", "b"):
        rows = [json.dumps({"prompt": one, "completion": f"{name} on {one}"}) for one in asked]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    models = (f"a=file:{folder / 'a.jsonl'}", f"b=file:{folder / 'b.jsonl'}")
    both = itertools.chain.from_iterable(
        (f"a on {one} / b on {one}", f"b on {one} / a on {one}") for one in asked
    )
    return models, list(both)


def ran(folder: Path, count: int, models: tuple[str, ...], judge: str, name: str) -> Results:
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


def verdicts(results: Results) -> dict[tuple[str, str], tuple[float, Any, str]]:
    """What was judged: by prompt and by who was shown first."""
    return {
        (one.prompt_id, one.first): (one.verdict.first, one.verdict.scores, one.verdict.reason)
        for one in results.judgments
    }


def adds_up(results: Results, count: int) -> None:
    """Asked = judged + failed, in every table and in the lists that they are made from."""
    (pair,) = results.summary.pairs
    asked = pair.accounting
    assert asked.asked == 2 * count == asked.judged + asked.failed
    failures = [one for one in results.failures if one.stage == "judgment"]
    assert (asked.judged, asked.failed) == (len(results.judgments), len(failures))
    assert asked.failed_by_kind == Counter(one.kind for one in failures)
    for tally in (*asked.by_judge.values(), *asked.by_order.values(), *pair.judges):
        assert tally.asked == tally.judged + tally.failed
    for tallies in (asked.by_judge, asked.by_order):
        assert sum(tally.asked for tally in tallies.values()) == 2 * count


def shown_in(results: Results, said: Mapping[tuple[str, str], str]) -> dict[str, tuple[str, str]]:
    """Which judgment (prompt, first) is which item of the server."""
    found = {}
    for prompt in results.prompts:
        for first, second in (("a", "b"), ("b", "a")):
            texts = (said[prompt.id, first], said[prompt.id, second])
            found[" / ".join(texts)] = (prompt.id, first)
    return found


def survived(
    results: Results, truth: Results, faults: Mapping[str, Fault], speaks: Protocol
) -> None:
    """Exactly what a fault took for good has failed, with its kind; all else is as it should be."""
    said = {(one.prompt_id, one.model): one.completion.text for one in truth.completions}
    place = shown_in(truth, said)
    lost = {
        place[item]: fails_as(fault.kind, speaks)
        for item, fault in faults.items()
        if fault.times > KINDS[fault.kind].passes and item in place
    }
    failures = {
        (one.prompt_id, str(one.first)): one.kind
        for one in results.failures
        if one.stage == "judgment"
    }
    assert failures == lost
    right = verdicts(truth)
    assert verdicts(results) == {key: right[key] for key in right if key not in lost}


def bounded(server: ChaosServer, retries: int = RETRIES) -> None:
    """No item was asked for more often than this, whatever it met: twice, since a reply that cannot
    be read is asked for once more, and each of those with all its retries; the same for the one
    further request that a verdict may need. A server that has too much to do may say so in between.
    """
    for item, count in server.asked.items():
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
def test_every_kind_of_fault_costs_what_it_has_to_and_no_more(
    speaks: Protocol, count: int, share: float, tmp_path: Path
) -> None:
    models, items = recorded(tmp_path, count)
    with ChaosServer() as server:
        judge = spec(server, speaks, "judge", timeout=NEVER)
        truth = ran(tmp_path, count, models, judge, "truth")
    assert server.asked == dict.fromkeys(items, 1)
    assert not truth.failures
    faults = plan(items, seed=7, share=share, stays=0.4)
    with ChaosServer(faults) as server, Outage(server, after=count, seconds=1):
        results = ran(tmp_path, count, models, spec(server, speaks, "judge"), "faulty")
    assert set(server.met) == set(KINDS)
    adds_up(truth, count)
    adds_up(results, count)
    survived(results, truth, faults, speaks)
    bounded(server)
    assert results.failures
    assert {one.verdict.snapshot for one in results.judgments} > {"somebody-else"}


@pytest.mark.parametrize("speaks", ["anthropic", *long(["openai"])])
def test_faults_that_pass_take_nothing(speaks: Protocol, tmp_path: Path) -> None:
    count = 20
    models, items = recorded(tmp_path, count)
    passing = [name for name, kind in KINDS.items() if kind.passes and name not in REFUSALS]
    faults = plan(items, seed=3, share=1, stays=0, kinds=passing)
    with ChaosServer(faults) as server:
        results = ran(tmp_path, count, models, spec(server, speaks, "judge"), "faulty")
    assert set(server.met) == set(passing)
    assert not results.failures
    assert len(results.judgments) == 2 * count
    bounded(server)


@pytest.mark.parametrize("speaks", ["anthropic", *long(["openai"])])
def test_what_failed_is_all_that_the_same_command_asks_for_again(
    speaks: Protocol, tmp_path: Path
) -> None:
    count = 20
    models, items = recorded(tmp_path, count)
    faults = {item: Fault("500", ALWAYS) for item in items[::4]}
    with ChaosServer(faults) as server:
        judge = spec(server, speaks, "judge", timeout=NEVER)
        first = ran(tmp_path, count, models, judge, "run")
        assert len(first.failures) == len(faults)
        server.faults = {}
        server.asked.clear()
        second = ran(tmp_path, count, models, judge, "run")
        assert server.asked == dict.fromkeys(faults, 1)
    assert not second.failures
    kept = verdicts(first)
    assert {key: said for key, said in verdicts(second).items() if key in kept} == kept


@pytest.mark.long
def test_models_that_fail_take_their_pairs_with_them_and_no_others(tmp_path: Path) -> None:
    count = 40
    asked = questions(tmp_path, count)
    of_models = [f"{name} on {one}" for name in "ab" for one in asked]
    transport = [name for name in KINDS if name not in (*ANSWERS, *REFUSALS)]
    faults = plan(of_models, seed=11, share=0.7, stays=0.3, kinds=transport)

    def everyone(server: ChaosServer, name: str) -> Results:
        models = (spec(server, "openai", "a"), spec(server, "anthropic", "b"))
        return ran(tmp_path, count, models, spec(server, "openai", "judge"), name)

    with ChaosServer() as server:
        truth = everyone(server, "truth")
    assert not truth.failures
    pairs = [item for item in server.asked if " / " in item]
    faults |= plan(pairs, seed=5, share=0.5, stays=0.3, kinds=transport)
    with ChaosServer(faults) as server:
        results = everyone(server, "faulty")
    adds_up(results, count)
    bounded(server)
    texts = {prompt.id: prompt.messages[-1].content for prompt in truth.prompts}
    speaks: dict[str, Protocol] = {"a": "openai", "b": "anthropic"}
    gone, changed = set(), set()
    for prompt_id, model in itertools.product(texts, "ab"):
        fault = faults.get(f"{model} on {texts[prompt_id]}")
        if fault and fails_as(fault.kind, speaks[model]) == "verdict":
            changed.add((prompt_id, model))  # an empty message is a completion, if a short one
        elif fault and fault.times > KINDS[fault.kind].passes:
            gone.add((prompt_id, model))
    failed = {(f.prompt_id, f.participant) for f in results.failures if f.stage == "completion"}
    assert failed == gone
    without = {f.prompt_id for f in results.failures if f.kind == "no completion"}
    assert without == {prompt_id for prompt_id, _ in gone}
    same = texts.keys() - {prompt_id for prompt_id, _ in gone | changed}
    right = verdicts(truth)
    assert {key for key in verdicts(results) if key[0] in same}
    assert all(right[key] == told for key, told in verdicts(results).items() if key[0] in same)


# A server that goes away, and comes back


def outlived(server: ChaosServer, folder: Path, outage: Outage, count: int) -> Results:
    """What comes of a run in which the server dies; nothing of it may be lost."""
    models, items = recorded(folder, count)
    server.pause = 0.05  # so that the run is not over before it dies
    with outage:
        judge = f"judge=api:judge?base_url={server.url}&timeout=60"
        results = ran(folder, count, models, judge, "run")
    assert not results.failures
    assert len(results.judgments) == 2 * count
    # Who was in flight when it died is asked again, and nobody else.
    again = {item: number for item, number in server.asked.items() if number > 1}
    assert set(server.asked) == set(items)
    assert len(again) <= 256
    assert max(server.asked.values()) <= 2
    return results


def test_a_server_that_dies_and_comes_back_takes_nothing(tmp_path: Path) -> None:
    with ChaosServer() as server:
        outlived(server, tmp_path, Outage(server, after=50, seconds=6), 100)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_server_that_is_away_for_two_minutes_takes_nothing(tmp_path: Path) -> None:
    with ChaosServer() as server:
        outlived(server, tmp_path, Outage(server, after=200, seconds=120), 500)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_stall_of_a_minute_is_waited_for_and_asked_again(tmp_path: Path) -> None:
    """With a timeout that is longer than the stall, the connection ends before a reply is there."""
    count = 20
    models, items = recorded(tmp_path, count)
    faults = {item: Fault("a stall", 1) for item in items[::5]}
    with ChaosServer(faults) as server:
        judge = f"judge=api:judge?base_url={server.url}&timeout=90"
        results = ran(tmp_path, count, models, judge, "run")
    assert not results.failures
    assert server.met == {"a stall": len(faults)}
    assert max(server.asked.values()) == 2


# A judge that says the same of everything


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (verdict_json("A", 8, 3), "flipped verdicts", "100 % of the prompts"),
        *long([(verdict_json("B", 3, 8), "flipped verdicts", "100 % of the prompts")]),
        (verdict_json("tie", 5, 5), "same verdict", "the judge said the same of all"),
    ],
)
def test_a_judge_that_says_the_same_of_everything_decides_nothing(
    says: str, kind: str, words: str, tmp_path: Path
) -> None:
    count = 30
    models, _ = recorded(tmp_path, count)
    with ChaosServer() as server:
        server.says_what = lambda _: says
        results = ran(tmp_path, count, models, spec(server, "openai", "judge"), "run")
    (pair,) = results.summary.pairs
    assert pair.outcome == "withheld"
    assert kind in [reason.kind for reason in pair.reasons]
    assert words in pair.verdict


def test_a_judge_that_scores_everything_alike_decides_nothing(tmp_path: Path) -> None:
    count = 30
    models, _ = recorded(tmp_path, count)
    with ChaosServer() as server:
        server.says_what = lambda _: json.dumps({"explanation": "Fine.", "score": 5})
        judge = f"judge=api:judge?base_url={server.url}&verdict=scored"
        results = ran(tmp_path, count, models, judge, "run")
    (pair,) = results.summary.pairs
    assert (pair.outcome, [reason.kind for reason in pair.reasons]) == (
        "withheld",
        ["same verdict"],
    )
