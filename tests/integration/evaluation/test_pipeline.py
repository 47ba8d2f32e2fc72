"""Whole runs over loopback servers: requests, their order, and the results."""

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config, ConfigError, PerItem, Results, StoreError, WorkError, run
from bakeoff.evaluation.cache import run_cached
from bakeoff.records import Completion, Judgment
from bakeoff.runtime.progress import ProgressCounter, ProgressUpdate, read_progress
from bakeoff.storage import Store
from bakeoff.storage.salvage import check
from bakeoff.testing import (
    OpenAIServer,
    Reply,
    chat_completion,
    prefer_good,
    shown_completions,
    verdict_json,
)
from tests.builders import make_prompt
from tests.marks import examples, long


def prompts_file(folder: Path, count: int) -> Path:
    path = folder / "prompts.txt"
    path.write_text("\n".join(f"Question number {n}?" for n in range(count)))
    return path


def config(server: OpenAIServer, folder: Path, count: int = 4, **more: Any) -> Config:
    url = f"?base_url={server.url}&retries=8"
    fields = {
        "model": (f"good=api:good{url}", f"bad=api:bad{url}"),
        "judge": (f"judge=api:judge{url}",),
        "prompts": str(prompts_file(folder, count)),
        "limit": count,
        "out": folder / "out",
        "store": folder / "store.sqlite",
    }
    return Config(**(fields | more))


def judge_requests(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [request for request in requests if request["model"] == "judge"]


def test_pairs_are_judged_in_both_orders_and_aggregated(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        results = run(config(server, tmp_path))
    firsts = Counter(judgment.first for judgment in results.judgments)
    assert firsts == {"good": 4, "bad": 4}
    pair = results.summary.pairs[0]
    assert (pair.wins, pair.losses, pair.ties, pair.consistency) == (4, 0, 0, 1.0)
    assert pair.scores_a is not None
    assert (pair.scores_a.mean, pair.scored_better) == (0.8, 4)
    assert (pair.accounting.asked, pair.accounting.judged) == (8, 8)
    for name in ("results.json", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 500
    assert Results.model_validate_json((tmp_path / "out/results.json").read_bytes()) == results


def test_judge_requests_contain_no_model_name(tmp_path: Path) -> None:
    names = ("secretly-tuned", "plain-baseline")

    def respond(body: dict[str, Any]) -> str:
        return (
            verdict_json("tie") if body["model"] == "judge" else f"H{sum(map(ord, body['model']))}"
        )

    with OpenAIServer(respond) as server:
        url = f"?base_url={server.url}"
        models = tuple(f"{name}=api:{name}-weights{url}" for name in names)
        run(config(server, tmp_path, model=models))
    judged = [raw for raw in server.raw if b'"model":"judge"' in raw]
    assert len(judged) == 8
    assert not any(name.encode() in raw for name in names for raw in judged)


def always(winner: str) -> Any:
    return lambda body: verdict_json(winner) if body["model"] == "judge" else prefer_good(body)


@pytest.mark.parametrize("winner", ["A", *long(["B"])])
def test_judge_that_always_takes_one_position_is_withheld(tmp_path: Path, winner: str) -> None:
    with OpenAIServer(always(winner)) as server:
        pair = run(config(server, tmp_path, 30)).summary.pairs[0]
    assert pair.win_rate is not None
    assert (pair.win_rate.estimate, pair.consistency) == (0.5, 0.0)
    assert pair.order.pick_first is not None
    assert (pair.ties, pair.order.pick_first.estimate) == (30, 1.0 if winner == "A" else 0.0)
    assert pair.outcome == "withheld"


def test_second_run_sends_no_request_and_has_equal_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as server:
        first = run(config(server, tmp_path, repeats=2))
        request_count = len(server.requests)
    monkeypatch.setattr("bakeoff.evaluation.pipeline._KEYS_PER_STEP", 3)
    again = run(config(server, tmp_path, repeats=2))  # the server is gone
    assert request_count == 4 * 2 + 4 * 2 * 2
    changing = {"environment"}
    assert again.model_dump(exclude=changing) == first.model_dump(exclude=changing)


def test_new_model_or_prompt_requests_only_new_work(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        run(config(server, tmp_path, 4))
        before = len(server.requests)
        run(config(server, tmp_path, 6))
        assert len(server.requests) - before == 2 * 2 + 2 * 2
        before = len(server.requests)
        third = f"third=api:third?base_url={server.url}"
        models = (*config(server, tmp_path).model, third)
        results = run(config(server, tmp_path, 6, model=models))
        assert len(server.requests) - before == 6 + 6 * 2 * 2
    assert [(p.a, p.b) for p in results.summary.pairs] == [
        ("good", "bad"),
        ("good", "third"),
        ("bad", "third"),
    ]


def test_random_order_judges_each_pair_once_in_a_fixed_order(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        results = run(config(server, tmp_path, 20, orders="random"))
        again = run(config(server, tmp_path, 20, orders="random"))
    assert again.judgments == results.judgments
    assert len(results.judgments) == 20
    assert 2 < sum(judgment.first == "good" for judgment in results.judgments) < 18
    assert results.summary.pairs[0].consistency is None


def test_pointwise_judge_is_requested_in_one_order(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> str:
        if body["model"] != "judge":
            return prefer_good(body)
        good = "This is good" in body["messages"][0]["content"]
        return json.dumps({"explanation": "Well.", "score": 8 if good else 3})

    with OpenAIServer(respond) as server:
        url = f"?base_url={server.url}&template=scored"
        results = run(config(server, tmp_path, judge=(f"judge=api:judge{url}",)))
    assert [j.presented for j in results.judgments] == ["pointwise"] * 4
    assert len(judge_requests(server.requests)) == 8  # each completion once
    pair = results.summary.pairs[0]
    assert (pair.wins, pair.order.identified, pair.accounting.asked) == (4, "order-free", 4)
    assert "order not recorded" not in {reason.kind for reason in pair.reasons}


def prefer_first_of_seeds(body: dict[str, Any]) -> Any:
    """Respond as a model whose text depends on the seed, and as a judge that prefers the first."""
    if body["model"] == "judge":
        return verdict_json("A", 8, 3)
    return f"{body['model']}, seed {body['seed']}: {body['messages'][-1]['content']}"


def test_null_check_compares_a_model_with_itself(tmp_path: Path) -> None:
    with OpenAIServer(prefer_first_of_seeds) as server:
        results = run(config(server, tmp_path, 5, null_check=3))
    assert len(judge_requests(server.requests)) == 2 * 5 + 2 * 3
    assert len(results.judgments) == 10
    assert {authored.model for authored in results.completions} == {"good", "bad"}
    (check,) = results.summary.null_checks
    assert (check.model, check.prompts, check.win_rate.estimate) == ("good", 3, 0.5)
    assert check.first_wins is not None
    assert check.first_wins.estimate == 1
    null = results.null_check
    assert null is not None
    assert null.models == ("good", "good, drawn again")
    assert len(null.judgments) == 6
    texts = {c.model: c.completion.text for c in null.completions}
    assert "seed 42" in texts["good"]
    assert "seed 43" in texts["good, drawn again"]
    read = Results.model_validate_json((tmp_path / "out/results.json").read_bytes())
    assert read == results


def test_null_check_changes_nothing_else_and_is_stored(tmp_path: Path) -> None:
    with OpenAIServer(prefer_first_of_seeds) as server:
        without = run(config(server, tmp_path, 4))
        request_count = len(server.requests)
        with_check = run(config(server, tmp_path, 4, null_check=2))
        assert len(server.requests) == request_count + 2 + 4
        run(config(server, tmp_path, 4, null_check=2))
        assert len(server.requests) == request_count + 2 + 4
    assert with_check.judgments == without.judgments
    assert with_check.summary.pairs == without.summary.pairs


def test_failed_completion_fails_its_verdicts_and_is_retried_next_run(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if body["model"] == "bad" and "number 1?" in body["messages"][-1]["content"]:
            return Reply(400, {"error": {"message": "the context is too long"}})
        return prefer_good(body)

    with OpenAIServer(respond) as server:
        results = run(config(server, tmp_path))
        kinds = Counter((failure.stage, failure.kind) for failure in results.failures)
        assert kinds == {("completion", "backend"): 1, ("judgment", "no completion"): 2}
        pair = results.summary.pairs[0]
        assert (pair.prompts, pair.wins, pair.ties) == (3, 3, 0)
        assert (pair.accounting.asked, pair.accounting.judged, pair.accounting.failed) == (8, 6, 2)
        server.respond = prefer_good
        before = len(server.requests)
        mended = run(config(server, tmp_path))
    assert len(server.requests) - before == 3
    assert not mended.failures
    assert mended.summary.pairs[0].wins == 4


def test_empty_completion_is_judged(tmp_path: Path) -> None:
    with OpenAIServer(
        lambda body: chat_completion("") if body["model"] == "bad" else prefer_good(body)
    ) as server:
        results = run(config(server, tmp_path))
    assert not results.failures
    assert (results.summary.pairs[0].wins, results.summary.models[1].empty) == (4, 4)


def test_equal_requests_are_sent_once(tmp_path: Path) -> None:
    with OpenAIServer(
        lambda body: verdict_json("A", 8, 3) if body["model"] == "judge" else "Same."
    ) as server:
        results = run(config(server, tmp_path))
    assert len(judge_requests(server.requests)) == 4  # both orders of two equal completions are one
    pair = results.summary.pairs[0]
    assert (pair.accounting.judged, pair.ties) == (8, 4)


def last_updates(updates: list[ProgressUpdate]) -> dict[str, ProgressUpdate]:
    """Return the last progress of each participant."""
    return {progress.participant: progress for progress in updates}


def test_tokens_of_new_outcomes_are_counted_once(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> str:  # on every other prompt both models say the same
        if body["model"] == "judge":
            return verdict_json("tie")
        text = str(body["messages"][-1]["content"])
        return "Same." if text[-2] in "02" else prefer_good(body)

    updates: list[ProgressUpdate] = []
    with OpenAIServer(respond) as server:
        run_config = config(server, tmp_path)
        run(run_config, updates.append)
        judged = len(judge_requests(server.requests))
    ends = last_updates(updates)
    assert judged == 6  # of the eight verdicts two are on the same two texts
    for name, requests in {"good": 4, "bad": 4, "judge": judged}.items():
        assert ends[name].tokens == 8 * requests  # 3 tokens in and 5 out
        assert (ends[name].done, ends[name].stored, ends[name].failed) == (
            ends[name].total,
            0,
            0,
        )
        assert ends[name].cost is None  # the server has no known price
    assert [(p.done, p.stored) for p in updates if p.participant == "judge"][-1] == (8, 0)
    again: list[ProgressUpdate] = []
    run(run_config, again.append)
    for name, end in last_updates(again).items():
        assert (end.done, end.stored) == (ends[name].total, ends[name].total)
        assert (end.tokens, end.cost) == (0, 0.0)


def test_known_prices_are_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    updates: list[ProgressUpdate] = []
    with OpenAIServer() as server:
        url = f"?base_url={server.url}"
        models = (f"good=openai:gpt-4o{url}", f"bad=openai:no-such-model{url}")
        results = run(config(server, tmp_path, model=models), updates.append)
    costs = [
        completion.completion.cost
        for completion in results.completions
        if completion.model == "good"
    ]
    assert last_updates(updates)["good"].cost == pytest.approx(sum(cost or 0 for cost in costs))
    assert (last_updates(updates)["good"].cost or 0) > 0
    assert last_updates(updates)["bad"].cost is None


def test_failures_count_as_done_without_known_cost(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if body["model"] == "bad":
            return Reply(status=400, body={"error": {"message": "no"}})
        return prefer_good(body)

    updates: list[ProgressUpdate] = []
    with OpenAIServer(respond) as server:
        run(config(server, tmp_path), updates.append)
    ends = last_updates(updates)
    for name, total in {"bad": 4, "judge": 8}.items():
        assert (ends[name].done, ends[name].failed, ends[name].total) == (total, total, total)
        assert (ends[name].tokens, ends[name].cost) == (0, 0.0)
    for update, next_ in itertools.pairwise([p for p in updates if p.participant == "judge"]):
        assert next_.done > update.done


def test_unreadable_verdict_is_retried_once_then_a_failure(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if body["model"] != "judge":
            return prefer_good(body)
        if "number 1?" in body["messages"][0]["content"]:
            return "I cannot decide."
        return prefer_good(body) if len(body["messages"]) > 1 else "Answer A, I think."

    with OpenAIServer(respond) as server:
        results = run(config(server, tmp_path))
    assert len(judge_requests(server.requests)) == 16
    assert [(f.kind, f.raw) for f in results.failures] == [("verdict", "I cannot decide.")] * 2
    assert {(f.first, f.second) for f in results.failures} == {("good", "bad"), ("bad", "good")}
    assert results.summary.pairs[0].wins == 3


def test_judging_starts_before_the_last_completion(tmp_path: Path) -> None:
    judged: list[int] = []
    waiting: list[bool] = []

    def three_prompts_are_judged() -> bool:
        waiting.append(len(judged) == 6)
        return waiting[-1]

    def respond(body: dict[str, Any]) -> Any:
        if "number 3?" in body["messages"][0]["content"] and body["model"] == "good":
            return Reply(body=chat_completion("This is good"), until=three_prompts_are_judged)
        if body["model"] == "judge":
            judged.append(1)
        return prefer_good(body)

    with OpenAIServer(respond) as server:
        run(config(server, tmp_path, max_concurrency=4))
    assert waiting[-1]  # the last completion was sent afterwards
    assert len(judged) == 8


def test_stored_pairs_are_judged_during_completion(
    tmp_path: Path,
) -> None:
    judged: list[int] = []
    waiting: list[bool] = []

    def all_stored_pairs_are_judged() -> bool:
        waiting.append(len(judged) >= 4)
        return waiting[-1]

    def respond(body: dict[str, Any]) -> Any:
        if body["model"] == "judge":
            judged.append(1)
            return prefer_good(body)
        return Reply(body=chat_completion(prefer_good(body)), until=all_stored_pairs_are_judged)

    with OpenAIServer(
        lambda body: "no" if body["model"] == "judge" else prefer_good(body)
    ) as server:
        assert len(run(config(server, tmp_path, 2)).failures) == 4
        server.respond = respond
        results = run(config(server, tmp_path, 4))
    assert waiting[-1]  # the new completions were sent afterwards
    assert (len(judged), len(results.judgments)) == (8, 8)


def test_thinking_is_hidden_from_the_judge_by_default(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if body["model"] == "judge":
            return verdict_json("tie")
        return "<think>my secret plan</think>Hello."

    with OpenAIServer(respond) as server:
        run(config(server, tmp_path))
        assert "secret plan" not in json.dumps(judge_requests(server.requests))
        run(config(server, tmp_path, thinking="keep"))
        assert "secret plan" in json.dumps(judge_requests(server.requests))


def test_config_errors_precede_all_requests(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        with pytest.raises(ConfigError, match="two models"):
            run(config(server, tmp_path, model=("echo:a",)))
        with pytest.raises(ConfigError, match="twice"):
            run(config(server, tmp_path, model=("echo:a", "echo:a")))
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
            run(config(server, tmp_path, judge=("gpt-4",)))
        spec = f"api:good?base_url={server.url}"
        with pytest.raises(ConfigError, match="--allow-self-judge"):
            run(config(server, tmp_path, judge=(f"self={spec}",)))
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="--out"):
            run(config(server, tmp_path, out=tmp_path / "file" / "out"))
        assert server.requests == []
        again = config(server, tmp_path, judge=(f"self={spec}",), allow_self_judge=True)
        assert run(again).judgments


def test_results_of_another_comparison_are_renamed(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        run(config(server, tmp_path))
        run(config(server, tmp_path, quiet=True))
        assert len(list((tmp_path / "out").glob("*.json"))) == 1
        run(config(server, tmp_path, 3))
    assert len(list((tmp_path / "out").glob("results*.json"))) == 2
    assert len(list((tmp_path / "out").glob("report*.html"))) == 2


def flaky(seed: int) -> Any:
    """Return a responder with 3 % each of 429, 500, broken bodies and unreadable verdicts."""
    random_ = random.Random(seed)
    faults = [
        lambda: Reply(429, {"error": {"message": "slow down"}}, {"Retry-After-Ms": "1"}),
        lambda: Reply(500, {"error": {"message": "oops"}}, {"Retry-After-Ms": "1"}),
        lambda: Reply(200, b'{"choices": [{'),
        lambda: "no verdict at all",
    ]

    def respond(body: dict[str, Any]) -> Any:
        drawn = random_.random()
        if drawn < 0.12 and (drawn < 0.09 or body["model"] == "judge"):
            return faults[int(drawn / 0.03)]()
        return prefer_good(body)

    return respond


@pytest.mark.parametrize("count", [40, *long([200])])
def test_all_pairs_are_judged_over_a_faulty_server(tmp_path: Path, count: int) -> None:
    with OpenAIServer(flaky(7)) as server:
        results = run(config(server, tmp_path, count))
        rounds = 1
        while (
            results.failures and rounds < 4
        ):  # after two faults in a row, requested by the next run
            results = run(config(server, tmp_path, count))
            rounds += 1
    accounting = results.summary.pairs[0].accounting
    assert (accounting.asked, accounting.judged, accounting.failed) == (2 * count, 2 * count, 0)
    assert results.summary.pairs[0].wins == count
    assert len(results.completions) == 2 * count


SCRIPT = """
import sys, bakeoff, pathlib
config = bakeoff.Config.model_validate_json(sys.argv[1])
bakeoff.run(config)
"""


def stored_count(run_config: Config) -> int:
    """Return the number of completions and verdicts in the store of a run."""
    counts = check(run_config.store).counts
    return counts["completions"] + counts["verdicts"]


def kill(run_config: Config, server: OpenAIServer, count: int) -> None:
    """Start a run in another process, and kill it when the server has got `count` requests.

    From then on the server holds its replies, so that the run does not end earlier.
    """
    respond, killed = server.respond, threading.Event()

    def hold_from_count(body: dict[str, Any]) -> Reply:
        content = respond(body)
        content = server.wrap_text(content) if isinstance(content, str) else content
        reply = content if isinstance(content, Reply) else Reply(body=content)
        if len(server.requests) >= count:
            reply.until = killed.is_set
        return reply

    server.respond = hold_from_count
    command = [sys.executable, "-c", SCRIPT, run_config.model_dump_json(by_alias=True)]
    process = subprocess.Popen(command, env=os.environ)
    while len(server.requests) < count:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.set()
    server.wait_disconnected()
    server.respond = respond


@pytest.mark.long
def test_killed_run_resumes_and_requests_nothing_twice(tmp_path: Path) -> None:
    answered: Counter[str] = Counter()

    def respond(body: dict[str, Any]) -> Any:
        answered[json.dumps(body["messages"]) + body["model"]] += 1
        return prefer_good(body)

    with OpenAIServer(respond) as server:
        run_config = config(server, tmp_path, 40, max_concurrency=4)
        for count in (30, 90):
            kill(run_config, server, count)
            left = read_progress(run_config.out)
            assert left is not None
            assert left.is_stale(left.updated + timedelta(minutes=1))
        sent, stored = answered.total(), stored_count(run_config)
        results = run(run_config)
        assert read_progress(run_config.out) is None
    assert not results.failures
    assert len(results.judgments) == 80
    # Only what a killed run had not committed is requested again.
    assert answered.total() - sent == stored_count(run_config) - stored


@examples(3)
@given(st.permutations(range(6)), st.integers(0, 5))
def test_order_of_the_prompts_file_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    with OpenAIServer() as server:
        straight = run(config(server, folder, 6, limit=4, seed=seed))
        mixed = folder / "mixed.txt"
        mixed.write_text("\n".join(f"Question number {n}?" for n in order))
        turned = run(config(server, folder, 6, limit=4, seed=seed, prompts=str(mixed)))
    assert turned.summary.pairs == straight.summary.pairs
    assert turned.prompts == straight.prompts


def test_shown_parses_the_rendered_pair() -> None:
    """The loopback judge parses the rendered template, which the tests above rely on."""
    from bakeoff.config import Sampling, Spec
    from bakeoff.judges.pairwise import PairwiseJudge
    from bakeoff.plugins import RunContext
    from bakeoff.records import Pair

    judge = PairwiseJudge(
        Spec.parse("api:j?base_url=http://localhost:1/v1"), RunContext(Sampling())
    )
    prompt = make_prompt("Q?")
    request = judge.render(Pair(prompt=prompt, first="one {{ x }}", second="two"), None)
    assert shown_completions({"messages": request.conversation()}) == ("one {{ x }}", "two")


def test_judgment_has_the_required_fields() -> None:
    assert {"prompt_id", "judge", "first", "second", "verdict"} <= set(Judgment.model_fields)


class Slow(PerItem[int, Completion]):
    """Returns its input as text, and fails on multiples of seven."""

    identity = "slow"

    def __init__(self) -> None:
        super().__init__(max_concurrency=4)
        self.items: list[int] = []

    async def process(self, item: int) -> Completion:
        self.items.append(item)
        await asyncio.sleep(0.005)
        if item % 7 == 0:
            raise WorkError("divisible by seven")
        return Completion(text=str(item))


def keyed_items(count: int) -> list[tuple[str, int]]:
    return [(f"key {number}", number) for number in range(count)]


def test_outcomes_are_stored_before_they_are_emitted() -> None:
    worker = Slow()
    kept: dict[int, bool] = {}
    counted: list[ProgressUpdate] = []

    def emit(index: int, outcome: Completion | WorkError) -> None:
        with Store(Path("store.sqlite")) as another_run:  # reads committed records
            kept[index] = not another_run.lacks([f"key {index}"])
        assert isinstance(outcome, WorkError) or outcome.text == str(index)

    async def filled(store: Store) -> None:
        count = ProgressCounter("completion", "m", 30, counted.append)
        await run_cached(worker, keyed_items(30), store, Completion, emit, count)

    with Store(Path("store.sqlite")) as store:
        asyncio.run(filled(store))
    assert kept == {number: number % 7 != 0 for number in range(30)}
    assert (counted[-1].done, counted[-1].failed) == (30, 5)


def test_outcome_stored_by_another_run_wins() -> None:
    texts: dict[int, str] = {}

    def emit(index: int, outcome: Completion | WorkError) -> None:
        if index == 0:  # the first one is emitted: the other run is faster with the last one
            with Store(Path("store.sqlite")) as another_run:
                another_run.put("key 20", Completion(text="theirs"))
        if isinstance(outcome, Completion):
            texts[index] = outcome.text

    async def filled(store: Store) -> None:
        count = ProgressCounter("completion", "m", 20, lambda _: None)
        await run_cached(Slow(), keyed_items(21)[1:], store, Completion, emit, count)

    with Store(Path("store.sqlite")) as store:
        asyncio.run(filled(store))
    assert (texts[0], texts[19]) == ("1", "theirs")


def test_equal_keys_are_requested_once_and_emitted_for_each_item() -> None:
    worker = Slow()
    indices: list[int] = []
    counted: list[ProgressUpdate] = []
    requests = [("old", 1), ("new", 2), ("old", 1), ("new", 2), ("new", 2)]

    async def filled(store: Store) -> None:
        count = ProgressCounter("completion", "m", 5, counted.append)
        emit = lambda index, _: indices.append(index)  # noqa: E731
        await run_cached(worker, requests, store, Completion, emit, count)

    with Store(Path("store.sqlite")) as store:
        store.put("old", Completion(text="1"))
        asyncio.run(filled(store))
    assert worker.items == [2]
    assert indices == [0, 2, 1, 3, 4]
    assert (counted[-1].done, counted[-1].stored) == (5, 2)


def test_unwritable_store_ends_the_work() -> None:
    worker = Slow()
    emitted: list[int] = []

    async def filled(store: Store) -> None:
        count = ProgressCounter("completion", "m", 999, lambda _: None)
        emit = lambda index, _: emitted.append(index)  # noqa: E731
        await run_cached(worker, keyed_items(999), store, Completion, emit, count)

    def run_with_read_only_store() -> None:
        with Store(Path("store.sqlite")) as store:
            assert store._writer is not None
            store._writer._db.execute("PRAGMA query_only = ON")
            asyncio.run(filled(store))

    with pytest.raises(StoreError, match="cannot be used"):
        run_with_read_only_store()
    assert len(worker.items) < 50  # and is not paid for
    assert all(index % 7 == 0 for index in emitted)


def test_error_in_the_emit_callback_is_raised() -> None:
    async def filled(store: Store) -> None:
        count = ProgressCounter("completion", "m", 99, lambda _: None)
        await run_cached(Slow(), keyed_items(99)[1:], store, Completion, lambda *_: 1 / 0, count)

    with Store(Path("store.sqlite")) as store, pytest.raises(ZeroDivisionError):
        asyncio.run(filled(store))
