"""Whole sequential and adaptive runs over a loopback server."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Batched, Config, ConfigError, PerItem, Results, audit, run
from bakeoff.cli.comparison import compare
from bakeoff.evaluation.pipeline import Pipeline
from bakeoff.evaluation.request_plan import Participants
from bakeoff.evaluation.session import plan
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Completion, Pair, Prompt, Verdict
from bakeoff.storage import Store
from bakeoff.storage.merge import merge
from bakeoff.storage.salvage import check
from bakeoff.testing import OpenAIServer, Reply, chat_completion, shown_completions, verdict_json
from tests.builders import prose
from tests.integration.evaluation.test_pipeline import config, kill, prompts_file, stored_count
from tests.marks import long


def config_of(server: OpenAIServer, folder: Path, count: int, **more: Any) -> Config:
    models = tuple(f"{name}=api:{name}?base_url={server.url}" for name in ("tuned", "base"))
    return config(server, folder, count, **{"model": models, "max_concurrency": 8} | more)


def judge_by_strength(**chances: float) -> Any:
    """Return the responder of a judge for which a model wins on a fixed share of the prompts."""

    def respond(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if body["model"] != "judge":
            words = prose(f"{body['model']} {text} {body['seed']}")
            return f"{body['model']} on {text} {body['seed']} on {words}"
        first, second = shown_completions(body)
        models = [completion.split(" on ")[0] for completion in (first, second)]
        about = first.split(" on ")[1]
        dice = random.Random(f"{sorted(models)} {about}").random()
        weak, strong = sorted(models, key=lambda name: (chances[name], name))
        better = strong if dice < 0.5 + (chances[strong] - chances[weak]) / 2 else weak
        return verdict_json("AB"[models.index(better)])

    return respond


def judge_request_count(server: OpenAIServer) -> int:
    return sum(request["model"] == "judge" for request in server.requests)


def document_of(results: Results) -> dict[str, Any]:
    """Return results as a document, without environment, usage, config and list of runs."""
    return results.model_dump(exclude={"environment", "run_usage", "config", "runs"})


def request_counts(server: OpenAIServer) -> Counter[str]:
    """Count the requests by model, seed and shown completions."""
    return Counter(
        json.dumps([body["model"], body.get("seed"), shown_completions(body)])
        if body["model"] == "judge"
        else json.dumps([body["model"], body["messages"], body["seed"]])
        for body in server.requests
    )


CLEAR = judge_by_strength(tuned=0.85, base=0.15)


def test_run_stops_when_sure_with_a_confidence_sequence(tmp_path: Path) -> None:
    with OpenAIServer(CLEAR) as server:
        results = run(config_of(server, tmp_path, 300, stop="early"))
        requests = len(server.requests)
        kept = check(tmp_path / "store.sqlite").counts  # including requests in flight at the end
        assert kept["verdicts"] == judge_request_count(server)
        assert kept["completions"] == requests - judge_request_count(server)
        again = run(config_of(server, tmp_path, 300, stop="early"))
        assert len(server.requests) == requests
    assert document_of(again) == document_of(results)
    pair = results.summary.pairs[0]
    assert pair.outcome == "better"
    assert pair.win_rate is not None
    assert pair.win_rate.method == "confidence sequence by betting"
    assert pair.win_rate.low > 0.5
    assert 20 <= pair.prompts < 100
    assert pair.accounting.failed == 0
    assert len(results.prompts) == pair.prompts
    assert [p.id for p in results.prompts] == [
        p.id for p in sample_prompts(str(tmp_path / "prompts.txt"), pair.prompts, 42).prompts
    ]
    assert f"it took {pair.prompts} of 300 prompts" in " ".join(results.summary.notes)
    assert judge_request_count(server) <= 2 * (pair.prompts + 24)
    audited = audit([tmp_path / "out" / "results.json"])
    assert audited.summary.pairs == results.summary.pairs  # what it allowed for is kept with it
    page = (tmp_path / "out" / "report.html").read_text()
    assert "confidence sequence" in page


@pytest.mark.parametrize("samples", [2, *long([1])])
def test_killed_sequential_run_resumes_to_the_same_results(tmp_path: Path, samples: int) -> None:
    def slow(body: dict[str, Any]) -> Any:
        return Reply(body=chat_completion(CLEAR(body)), delay=0.01)

    undisturbed, parts = tmp_path / "whole", tmp_path / "parts"
    undisturbed.mkdir()
    parts.mkdir()
    more = {"stop": "early", "samples": samples, "max_concurrency": 4}
    with OpenAIServer(slow) as server:
        once = run(config_of(server, undisturbed, 200, **more))
    with OpenAIServer(slow) as server:
        run_config = config_of(server, parts, 200, **more)
        for enough in (30, 110):
            kill(run_config, server, enough)
        sent, stored = len(server.requests), stored_count(run_config)
        results = run(run_config)
    assert document_of(results)["summary"] == document_of(once)["summary"]
    assert document_of(results) == document_of(once)
    assert results.summary.pairs[0].outcome == "better"
    # Only what a killed run had not committed is requested again.
    assert len(server.requests) - sent == stored_count(run_config) - stored


def test_complete_prompts_count_when_the_budget_is_spent(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 500, "completion_tokens": 500, "total_tokens": 1000}
    respond = judge_by_strength(tuned=0.5, base=0.5)
    with OpenAIServer(lambda body: {**chat_completion(respond(body)), "usage": usage}) as server:
        url = f"?base_url={server.url}&price=1,1"
        judge = (f"judge=api:judge{url}",)
        run_config = config_of(server, tmp_path, 200, stop="early", margin=0, judge=judge)
        assert any("as much as it may come to" in note for note in plan(run_config).notes)
        results = run(run_config.model_copy(update={"max_cost": 0.2, "yes": True}))
        pair, counted = results.summary.pairs[0], len(results.judgments)
        assert 100 < counted < 200  # of 0.001 US dollars each, with room for those under way
        assert counted % 2 == 0
        assert not results.failures
        assert (pair.outcome, pair.accounting.failed) == ("not enough data", 0)
        assert sum(row.cost or 0 for row in results.run_usage) <= 0.2
        results_of_all = run(run_config)
    assert len(results_of_all.judgments) == 400
    assert results_of_all.judgments[:counted] == results.judgments


def test_clustered_prompts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"{n}?", "tags": ["cluster:a"]}) for n in "ab"))
    with OpenAIServer() as server:
        for more in ({"stop": "early"},):
            run_config = config_of(server, tmp_path, 2, **more)
            with pytest.raises(ConfigError, match="belong together"):
                run(run_config.model_copy(update={"prompts": str(path)}))
        assert not server.requests


def test_retried_failures_may_change_the_sample_size(tmp_path: Path) -> None:
    broken = True

    def respond(body: dict[str, Any]) -> Any:
        if broken and body["model"] == "base" and "number 7" in body["messages"][-1]["content"]:
            return Reply(400, {"error": {"message": "no"}})
        return CLEAR(body)

    with OpenAIServer(respond) as server:
        first = run(config_of(server, tmp_path, 100, stop="early"))
        broken = False
        second = run(config_of(server, tmp_path, 100, stop="early"))
    failed = {failure.prompt_id for failure in first.failures}
    assert first.summary.pairs[0].prompts + len(failed) == len(first.prompts)
    assert not second.failures


def test_null_check_is_complete_despite_early_stop(tmp_path: Path) -> None:
    with OpenAIServer(CLEAR) as server:
        results = run(config_of(server, tmp_path, 200, stop="early", null_check=40))
    assert results.null_check is not None
    assert len(results.null_check.judgments) == 80
    assert len(results.null_check.completions) == 80
    assert not results.null_check.failures
    assert len(results.prompts) < 60
    assert results.summary.null_checks[0].prompts == 40


def test_second_order_is_requested_only_if_it_may_matter(tmp_path: Path) -> None:
    for strength, judged_twice in ((1.0, 24), (0.5, 40)):
        both = judged_twice == 40
        folder = tmp_path / str(both)
        folder.mkdir()
        with OpenAIServer(judge_by_strength(tuned=strength, base=1 - strength)) as server:
            results = run(config_of(server, folder, 40, orders="adaptive"))
            assert judge_request_count(server) == len(results.judgments) == 40 + judged_twice
        order = results.summary.pairs[0].order
        assert order.identified == "both orders"
        assert (
            0.2
            < Counter(j.first for j in results.judgments)["tuned"] / len(results.judgments)
            < 0.8
        )
        share = 100 * judged_twice / 40
        assert f"both orders were wanted of {share:.0f} %" in " ".join(results.summary.notes)
        assert results.summary.pairs[0].consistency == 1


def test_samples_are_aggregated_within_a_prompt(tmp_path: Path) -> None:
    with OpenAIServer(judge_by_strength(tuned=0.7, base=0.3)) as server:
        single = run(config_of(server, tmp_path, 30))
        before = len(server.requests)
        results = run(config_of(server, tmp_path, 30, samples=3))
        assert len(server.requests) - before == 2 * (30 * 2 + 30 * 2)  # the first ones are there
        seeds = {request["seed"] for request in server.requests if request["model"] == "tuned"}
        assert run(config_of(server, tmp_path, 30)).judgments == single.judgments
    assert len(seeds) == 3
    assert Counter(row.sample for row in results.completions) == {0: 60, 1: 60, 2: 60}
    assert Counter(row.sample for row in results.judgments) == {0: 60, 1: 60, 2: 60}
    pair = results.summary.pairs[0]
    assert pair.prompts == 30
    assert pair.variance is not None
    assert (pair.variance.generations, pair.variance.prompts) == (3, 30)
    assert pair.variance.generation is not None
    assert pair.variance.advice


def test_merged_shards_equal_the_whole(tmp_path: Path) -> None:
    more = {"null_check": 3, "samples": 2}
    with OpenAIServer(CLEAR) as server:
        complete = run(config_of(server, tmp_path, 10, **more, store=tmp_path / "whole.sqlite"))
        requests = len(server.requests)
        parts = []
        for which in (1, 2, 3):
            run_config = config_of(server, tmp_path, 10, **more, shard=f"{which}/3")
            fields = run_config.model_dump(exclude={"store", "out"}, exclude_unset=True)
            results = run(Config(**fields))
            parts.append(Path(f".bakeoff/shard-{which}-of-3.sqlite"))
            assert Path(f"results/shard-{which}-of-3/results.json").exists()
            assert [p.id for p in results.prompts] == [p.id for p in complete.prompts][
                which - 1 :: 3
            ]
        assert len(server.requests) == 2 * requests
        merged = tmp_path / "merged.sqlite"
        counts = merge(parts, merged)
        assert sum(count.new for count in counts) == requests
        assert [count.new for count in merge(parts, merged)] == [0, 0, 0]
        again = run(config_of(server, tmp_path, 10, **more, store=merged))
        assert len(server.requests) == 2 * requests
    assert document_of(again) == document_of(complete)


def test_shard_command_names_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer(CLEAR) as server:
        run_config = config_of(server, tmp_path, 4, shard="2/2")
        fields = run_config.model_dump(exclude={"store", "out"}, exclude_unset=True)
        assert compare(Config(**fields)) == 0
    printed = capsys.readouterr().out
    assert "results/shard-2-of-2/results.json" in printed
    assert Path("results/shard-2-of-2/report.html").exists()


def test_more_shards_than_prompts_is_an_error(tmp_path: Path) -> None:
    with OpenAIServer() as server, pytest.raises(ConfigError, match="of 2 prompts none is for"):
        run(config_of(server, tmp_path, 2, shard="3/3"))


def test_new_model_adds_only_its_pair_with_the_baseline(tmp_path: Path) -> None:
    chances = {"m0": 0.9, "m1": 0.5, "m2": 0.3, "base": 0.4}
    with OpenAIServer(judge_by_strength(**chances)) as server:
        url = f"?base_url={server.url}"
        models = tuple(f"{name}=api:{name}{url}" for name in ("m0", "m1"))
        base = f"base=api:base{url}"
        run(config_of(server, tmp_path, 50, model=models, baseline=base, orders="random"))
        assert len(server.requests) == 3 * 50 + 2 * 50
        new = (f"m2=api:m2{url}", *reversed(models))
        before = len(server.requests)
        results = run(config_of(server, tmp_path, 50, model=new, baseline=base, orders="random"))
        assert len(server.requests) - before == 50 + 50
        before = len(server.requests)
        run(config_of(server, tmp_path, 50, model=(base, *new), baseline="base", orders="random"))
        assert len(server.requests) == before
        complete = run(config_of(server, tmp_path, 50, model=(*new, base), orders="random"))
        assert len(server.requests) - before == 3 * 50
    pairs = [(pair.a, pair.b) for pair in results.summary.pairs]
    assert pairs == [("m2", "base"), ("m1", "base"), ("m0", "base")]
    assert len(complete.summary.pairs) == 6
    assert all(pair.holm_p is not None for pair in results.summary.pairs)
    assert results.summary.ratings[0].model == "m0"


class Engine(Batched[Any, Any]):
    """An exclusive worker that logs its calls and when it is closed."""

    def __init__(self, name: str, log: list[str], *, keep_loaded: bool) -> None:
        super().__init__(64)
        self.identity = self.name = name
        self.log = log
        self.traits = replace(self.traits, keep_loaded=keep_loaded)

    def process_batch(self, items: Sequence[Prompt | Pair]) -> list[Completion | Verdict]:
        self.log.append(f"{self.name} {len(items)}")
        outcomes: list[Completion | Verdict] = []
        for item in items:
            if isinstance(item, Prompt):
                outcomes.append(Completion(text=f"{self.name} {item.messages[0].content}"))
            else:
                number = int("".join(filter(str.isdigit, item.first)))
                outcomes.append(Verdict(first=float(item.first.startswith("ab"[number % 2]))))
        return outcomes

    def release(self) -> None:
        self.log.append(f"{self.name} closed")


@pytest.mark.parametrize("keep_loaded", [True, False])
def test_engines_that_fit_stay_loaded_between_stages(tmp_path: Path, keep_loaded: bool) -> None:
    log: list[str] = []
    a, b, judge = (Engine(name, log, keep_loaded=keep_loaded) for name in ("a", "b", "judge"))
    prompts = sample_prompts(str(prompts_file(tmp_path, 60)), 60, 42).prompts
    run_config = Config(model=("a", "b"), stop="early", margin=0)

    async def go() -> None:
        with Store(tmp_path / "store.sqlite") as store:
            participants = Participants({"a": a, "b": b}, {"judge": judge})
            pipeline = Pipeline(run_config, prompts, participants, store, lambda _: None)
            await pipeline.resume()
            await pipeline.run()
            assert pipeline.schedule.finished
            for worker in pipeline.workers:
                await worker.close()

    asyncio.run(go())
    closed = [line for line in log if "closed" in line]
    waves = 3  # of 24, 16 and 20 prompts
    assert len(closed) == 3 if keep_loaded else len(closed) == 3 * waves
    turns = [line.split()[0] for line in log if "closed" not in line]
    assert turns == ["a", "b", "judge"] * waves


def eight_models(folder: Path, count: int) -> tuple[str, ...]:
    """Write recorded completions of eight models."""
    prompts_file(folder, count)
    for model in range(8):
        rows = [
            {
                "prompt": question,
                "completion": f"m{model} on {question} on {prose(question + name)}",
            }
            for name in (f"m{model}",)
            for question in (f"Question number {n}?" for n in range(count))
        ]
        path = folder / f"m{model}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
    return tuple(f"m{model}=file:{folder / f'm{model}.jsonl'}" for model in range(8))


EIGHT = judge_by_strength(**{f"m{model}": 0.95 - model / 8 for model in range(8)})


def test_eighth_model_adds_only_its_own_pairs(
    tmp_path: Path,
) -> None:
    models = eight_models(tmp_path, 24)
    with OpenAIServer(EIGHT) as server:
        seven = run(config_of(server, tmp_path, 24, model=models[:7]))
        assert judge_request_count(server) == 21 * 24 * 2
        results = run(config_of(server, tmp_path, 24, model=models))
        assert judge_request_count(server) == 28 * 24 * 2
    assert len(seven.summary.pairs) == 21
    summary = results.summary
    assert len(summary.pairs) == 28
    assert all(pair.holm_p is not None for pair in summary.pairs)
    assert [rating.model for rating in summary.ratings] == [f"m{model}" for model in range(8)]
    assert len(results.completions) == 8 * 24
    first, last = summary.ratings[0], summary.ratings[-1]
    assert first.ranks is not None
    assert last.ranks is not None
    assert first.ranks[1] < last.ranks[0]
    assert not set(first.group or "") & set(last.group or "")
    kept = {(pair.a, pair.b): pair for pair in seven.summary.pairs}
    again = {(pair.a, pair.b): pair for pair in summary.pairs if "m7" not in (pair.a, pair.b)}
    assert {names: pair.win_rate for names, pair in again.items()} == {
        names: pair.win_rate for names, pair in kept.items()
    }


def test_adaptive_pairs_are_fewer_and_rank_first_and_last(tmp_path: Path) -> None:
    models = eight_models(tmp_path, 60)
    with OpenAIServer(EIGHT) as server:
        results = run(config_of(server, tmp_path, 60, model=models, pairs="adaptive"))
        requests = judge_request_count(server)
        assert run(config_of(server, tmp_path, 60, model=models, pairs="adaptive")).judgments
        assert judge_request_count(server) == requests
    assert requests == len(results.judgments) == 2 * (28 * 24 + 16 * 25 + 16 * 11)
    prompts = Counter(
        (pair.a, pair.b) for pair in results.summary.pairs for _ in range(pair.prompts)
    )
    assert set(prompts.values()) <= {24, 35, 49, 60}
    assert all(
        pair.win_rate.method == "confidence sequence by betting"
        for pair in results.summary.pairs
        if pair.win_rate
    )
    ranked = [rating.model for rating in results.summary.ratings]
    assert ranked[0] == "m0"
    assert ranked[-1] == "m7"
    assert len(results.completions) == 8 * 60
    share = 100 * sum(prompts.values()) / (28 * 60)
    assert f"{share:.0f} % of each two" in " ".join(results.summary.notes)


class SerialJudge(PerItem[Pair, Verdict]):
    """Judges one pair after another, in favor of model `a`.

    It waits until the pipeline has recorded the verdict on the previous pair.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.identity = "serial judge"
        self.judged = 0
        self.recorded: Sized = ()

    async def process(self, item: Pair) -> Verdict:
        while len(self.recorded) < self.judged:
            await asyncio.sleep(0.001)
        self.judged += 1
        return Verdict(first=float(item.first.startswith("a")))


def test_no_request_after_a_decision_within_a_stage(
    tmp_path: Path,
) -> None:
    prompts = sample_prompts(str(prompts_file(tmp_path, 60)), 60, 42).prompts
    run_config = Config(model=("a", "b"), stop="early")

    async def go() -> tuple[int, int]:
        judge, log = SerialJudge(), list[str]()
        models = {name: Engine(name, log, keep_loaded=True) for name in "ab"}
        with Store(tmp_path / "store.sqlite") as store:
            pipeline = Pipeline(
                run_config, prompts, Participants(models, {"judge": judge}), store, lambda _: None
            )
            await pipeline.resume()
            judge.recorded = pipeline.verdicts
            await pipeline.run()
            for worker in pipeline.workers:
                await worker.close()
        return judge.judged, len(pipeline.schedule.progress[0])

    judged, length = asyncio.run(go())
    assert length == 20  # of a wave of 24
    assert judged <= 24 + length + 1  # the first order of the whole wave, then the second ones
    assert asyncio.run(go()) == (0, length)
