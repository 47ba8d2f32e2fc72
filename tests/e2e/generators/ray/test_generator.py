"""Generators on a Ray cluster: real nodes on this machine, and replicas that die on request."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, StoppedError, WorkError
from bakeoff.generators.ray import pipeline as ray_pipeline
from bakeoff.generators.ray import session as ray_session
from bakeoff.generators.ray.generator import RayGenerator
from bakeoff.generators.ray.messages import ReplicaError, decode_reply, encode_block
from bakeoff.generators.ray.pipeline import ReplicaPool, stream_replies
from bakeoff.generators.ray.replica import replica_config
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Failure, Prompt
from bakeoff.runtime import Generator, StopToken
from bakeoff.testing import run_worker
from tests.builders import make_prompt
from tests.marks import long
from tests.ray_nodes import add_node, faulty_backend_installed, nodes, replicas, wait_for

# Ray's settings emit a DeprecationWarning when they are first read.
own = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.data\.context")
ray = [pytest.mark.ray, own]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    with nodes(count=2, cpus=2) as cluster:
        yield cluster


@pytest.fixture
def cluster(two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    wait_for(lambda: not replicas())  # replicas of the previous test exit with a delay
    return two_nodes


def open_model(text: str, **context: Any) -> Generator:
    return open_generator(Spec.parse(text), RunContext(Sampling(max_tokens=4), **context))


def make_prompts(*texts: str) -> list[Prompt]:
    return [make_prompt(text) for text in texts]


def texts_of(outcomes: Sequence[Completion | WorkError]) -> list[str]:
    return [
        outcome.text if isinstance(outcome, Completion) else outcome.kind for outcome in outcomes
    ]


def failed(outcomes: Sequence[Completion | WorkError]) -> list[int]:
    return [index for index, outcome in enumerate(outcomes) if isinstance(outcome, WorkError)]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "echo:?replicas=0",
            "replicas = '0': .*a number of at least 1 is wanted, or two, as in 2-8",
        ),
        ("echo:?replicas=8-2", "at least 1 is wanted"),
        ("echo:?replicas=two", "at least 1 is wanted"),
        ("echo:?replicas=2&gpus=-1", "gpus = '-1'"),
        ("echo:?replicas=2&cpus=0", "cpus = '0'"),
        ("echo:?replicas=2&nonsense=1", "no option 'nonsense'; there are: words"),
        ("openai:gpt-4?replicas=2", "a server has as many as it has"),
        ("api:m?base_url=http://localhost:1/v1&replicas=2", "a server has as many as it has"),
        ("vllm:m?base_url=http://localhost:1/v1&replicas=2", "a server has as many as it has"),
        ("file:x.jsonl?replicas=2", "replicas are of models that run here"),
        ("echo:?replicas=2&batch=true", "in batches has no replicas"),
        ("vllm:m?replicas=2&devices=0", "leave out devices"),
    ],
)
def test_invalid_options_are_a_one_line_config_error(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_model(spec)
    assert "\n" not in str(caught.value)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs: pip install 'bakeoff\[ray\]'$"):
        asyncio.run(open_model("echo:?replicas=2").prepare())


def test_replicas_change_no_identity_and_opening_imports_no_ray() -> None:
    script = """
import sys
from bakeoff.config import Sampling, Spec
from bakeoff.plugins import RunContext, open_generator
from bakeoff.runtime import weights_of
one, two = (
    open_generator(Spec.parse(text), RunContext(Sampling()))
    for text in ("embedded:smollm2?seed=3", "embedded:smollm2?seed=3&replicas=2-8")
)
same = [(x.identity, weights_of(x), x.traits.caveat) for x in (one, two)]
print(same[0] == same[1], two.traits.exclusive, "ray" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


@pytest.mark.parametrize(
    ("items", "most", "max_concurrency", "size", "blocks"),
    [
        (1, 4, 256, 1, 1),
        (200, 2, 256, 6, 9),  # 50 in flight: half of the share of 100
        (100_000, 64, 256, 16, 16),
        (100_000, 64, 8, 1, 8),
        (100_000, 1, 1, 1, 1),
    ],
)
def test_block_size_and_concurrency_follow_items_and_lanes(
    items: int, most: int, max_concurrency: int, size: int, blocks: int
) -> None:
    worker = open_model(f"echo:?replicas={most}", max_concurrency=max_concurrency)
    assert isinstance(worker, RayGenerator)
    block_size, pool = worker._pool(items)
    assert (block_size, pool.concurrent_blocks, pool.max_retries) == (size, blocks, 1)


def test_embedded_replicas_use_as_many_threads_as_reserved_cpus() -> None:
    for options, threads in (("", "1"), ("&cpus=1.5", "2"), ("&cpus=4&threads=3", "3")):
        worker = open_model(f"embedded:smollm2?replicas=2{options}")
        assert isinstance(worker, RayGenerator)
        assert worker.spec.options["threads"] == threads


class TestOnACluster:
    pytestmark = ray

    @pytest.mark.parametrize(
        ("replicas", "count", "max_concurrency"),
        [("1-3", 300, 64), *long([("1", 1, 1), ("2", 7, 2)])],
    )
    def test_outcomes_do_not_depend_on_the_number_of_replicas(
        self, cluster: Any, replicas: str, count: int, max_concurrency: int
    ) -> None:
        prompts = make_prompts(
            *(f"word {n}" for n in range(count)), "fail", "long", "refuse", "odd"
        )
        single = run_worker(open_model("faulty:x", max_concurrency=max_concurrency), prompts)
        many = run_worker(
            open_model(f"faulty:x?replicas={replicas}&cpus=0.5", max_concurrency=max_concurrency),
            prompts,
        )
        as_kept = [
            [
                outcome.model_dump()
                if isinstance(outcome, Completion)
                else Failure.of(outcome, "completion", "", "").model_dump()
                for outcome in outcomes
            ]
            for outcomes in (single, many)
        ]
        assert as_kept[0] == as_kept[1]

    def test_outcomes_arrive_while_other_blocks_run(self, cluster: Any, tmp_path: Path) -> None:
        worker = open_model("faulty:x?replicas=2", max_concurrency=4)
        gate = tmp_path / "gate"
        received: list[str] = []

        def emit(_: int, outcome: Completion | WorkError) -> None:
            received.extend(texts_of([outcome]))
            if len(received) == 30:  # all prompts that do not wait for the gate
                gate.touch()

        async def go() -> None:
            try:
                await worker(make_prompts(f"until {gate}", *(f"word {n}" for n in range(30))), emit)
            finally:
                await worker.close()

        asyncio.run(go())
        assert received[-1].startswith("x until")
        assert len(received) == 31

    def test_a_prompt_that_kills_its_replica_fails_only_its_block(self, cluster: Any) -> None:
        texts = [f"sleep 0.4 {n}" for n in range(100)]  # still running when the replica dies
        texts[60] = "die"
        worker = open_model("faulty:x?replicas=2")
        assert isinstance(worker, RayGenerator)
        size, pool = worker._pool(len(texts))
        assert pool.concurrent_blocks > 1
        outcomes = run_worker(worker, make_prompts(*texts))
        start = 60 // size * size
        assert failed(outcomes) == list(range(start, start + size))
        error = outcomes[60]
        assert isinstance(error, BackendError)
        assert "its block failed twice on the cluster" in error.message
        assert texts_of(outcomes[:start]) == [f"x {text}" for text in texts[:start]]

    def test_a_replica_that_dies_once_loses_no_prompt(
        self, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipelines: list[ReplicaPool] = []

        def counted(blocks: Any, config_json: str, pool: ReplicaPool, needed: Any) -> Iterator[str]:
            pipelines.append(pool)
            return stream_replies(blocks, config_json, pool, needed)

        monkeypatch.setattr("bakeoff.generators.ray.generator.stream_replies", counted)
        texts = [f"once {tmp_path / 'died'}" if n == 50 else f"sleep 0.05 {n}" for n in range(100)]
        outcomes = run_worker(
            open_model("faulty:x?replicas=2", max_concurrency=8), make_prompts(*texts)
        )
        assert (tmp_path / "died").exists()
        assert texts_of(outcomes) == [f"x {text}" for text in texts]
        assert len(pipelines) == 1  # Ray retried the blocks

    def test_a_lost_node_loses_no_prompt(
        self, cluster: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No other node has room for its replica: its prompts go to the other replicas."""
        monkeypatch.setattr(ray_pipeline, "_STALL_SECONDS", 6.0)
        third = add_node(cluster, cpus=2)
        worker = open_model("faulty:x?replicas=3&cpus=2", max_concurrency=8)  # one on each node
        texts = [f"sleep 0.2 {n}" for n in range(240)]
        outcomes: dict[int, Completion | WorkError] = {}
        lost = False

        def emit(index: int, outcome: Completion | WorkError) -> None:
            nonlocal lost
            assert index not in outcomes
            outcomes[index] = outcome
            if len(outcomes) >= 60 and not lost and len(replicas()) == 3:
                lost = True
                third.kill_raylet()

        asyncio.run(complete_all(worker, make_prompts(*texts), emit))
        assert lost
        assert texts_of([outcomes[n] for n in range(240)]) == [f"x {text}" for text in texts]

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("faulty:x?replicas=2", ConfigError, r"^its key was revoked \(on "),
            ("faulty:x?replicas=2", ReplicaError, "ZeroDivisionError: what nobody thought of"),
            (
                "faulty:unprepared?replicas=2",
                ConfigError,
                r"^it lacks what it needs: install it \(on ",
            ),
            ("faulty:elsewhere?replicas=2", ConfigError, "are its files the same"),
        ],
        ids=["config", "bug", "unprepared", "other files"],
    )
    def test_an_error_of_a_replica_stops_the_run(
        self, cluster: Any, text: str, error: type[Exception], message: str
    ) -> None:
        last = "bug" if error is ReplicaError else "config"
        with pytest.raises(error, match=message):
            run_worker(open_model(text), make_prompts("word", last))

    def test_a_replica_of_another_version_is_refused(self, cluster: Any) -> None:
        user = object()
        ray_session.join(user, None)
        config = replica_config(
            Spec.parse("faulty:x"), RunContext(Sampling()), {"backend": "faulty"}
        )
        config["version"] = "0.0.9"
        pool = ReplicaPool(1, 1, cpus=1, gpus=0, concurrent_blocks=1, max_retries=0)
        block = encode_block(enumerate(make_prompts("word")))
        try:
            (reply,) = stream_replies([block], json.dumps(config), pool, lambda: True)
        finally:
            ray_session.leave(user)
        with pytest.raises(ConfigError, match=r"driver has bakeoff 0\.0\.9, and a node .* 0\.1\.0"):
            decode_reply(reply)

    def test_a_stopped_run_keeps_its_outcomes_and_releases_the_replicas(self, cluster: Any) -> None:
        worker = open_model("faulty:x?replicas=2", max_concurrency=4)
        stop_token = StopToken()
        outcomes: dict[int, Completion | WorkError] = {}

        def emit(index: int, outcome: Completion | WorkError) -> None:
            outcomes[index] = outcome
            if len(outcomes) == 20:
                stop_token.stop("that is enough")

        prompts = make_prompts(*(f"word {n}" for n in range(40)), *["sleep 600"] * 60)
        with stop_token.activate():
            asyncio.run(complete_all(worker, prompts, emit))
        assert sorted(outcomes) == list(range(100))
        kinds = [type(outcomes[n]) for n in range(100)]
        assert kinds.count(Completion) >= 20
        assert set(kinds) == {Completion, StoppedError}
        assert {
            str(outcome) for outcome in outcomes.values() if isinstance(outcome, StoppedError)
        } == {"that is enough"}
        wait_for(lambda: not replicas())

    def test_a_cancelled_call_releases_its_replicas(self, cluster: Any) -> None:
        worker = open_model("faulty:x?replicas=1")

        async def go() -> None:
            call = asyncio.create_task(worker(make_prompts(*["sleep 600"] * 4), lambda *_: None))
            try:
                await asyncio.to_thread(wait_for, replicas)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            finally:
                await worker.close()

        asyncio.run(go())
        wait_for(lambda: not replicas())

    def test_the_last_user_ends_the_session(self, cluster: Any) -> None:
        import ray as real

        async def go() -> None:
            first, second = open_model("faulty:x?replicas=1"), open_model("faulty:y?replicas=1")
            await first.prepare()
            await second.prepare()
            await first.close()
            assert real.is_initialized()
            outcomes: list[Completion | WorkError] = []
            await second(make_prompts("word"), lambda _, outcome: outcomes.append(outcome))
            assert texts_of(outcomes) == ["y word"]
            await second.close()
            await second.close()
            assert not real.is_initialized()

        asyncio.run(go())

    def test_an_existing_session_is_used_and_not_ended(self, cluster: Any) -> None:
        import ray as real

        real.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
        try:
            assert texts_of(
                run_worker(open_model("faulty:x?replicas=1"), make_prompts("word"))
            ) == ["x word"]
            assert real.is_initialized()
        finally:
            real.shutdown()

    def test_a_replica_that_fits_on_no_node_waits_with_a_warning(
        self, cluster: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = open_model("faulty:x?replicas=1&gpus=1")
        asyncio.run(complete_all(worker, [], lambda *_: None))
        assert "no node has 1 CPUs and 1 GPUs for a replica: waiting" in caplog.text

    def test_a_run_resumes_with_and_without_a_cluster(self, cluster: Any, tmp_path: Path) -> None:
        (tmp_path / "prompts.txt").write_text("\n".join(f"Question {n}?" for n in range(12)))

        def run(replicas: str, store: str, out: str) -> tuple[list[Any], dict[str, int]]:
            config = bakeoff.Config(
                model=(f"one=faulty:one{replicas}", "two=faulty:two"),
                judge=(f"judge=faulty:judge{replicas}",),
                prompts="prompts.txt",
                limit=12,
                out=Path(out),
                store=Path(store),
            )
            results = bakeoff.run(config)
            outcomes = [
                outcome.model_dump() for outcome in (*results.completions, *results.failures)
            ]
            return outcomes, {row.participant: row.stored for row in results.run_usage}

        alone, _ = run("", "alone.sqlite", "alone")
        many, kept = run("?replicas=2", "many.sqlite", "many")
        assert many == alone
        assert kept == {"one": 0, "two": 0, "judge": 0}
        # A run without replicas resumes; every reply of this judge is unreadable.
        again, kept = run("", "many.sqlite", "again")
        assert again == alone
        assert kept == {"one": 12, "two": 12, "judge": 0}


@pytest.mark.long
@pytest.mark.ray
@own
@pytest.mark.engine
@pytest.mark.timeout(300)
def test_killing_a_replica_of_a_real_model_changes_no_completion(
    cluster: Any, tmp_path: Path
) -> None:
    """With one slot: floating-point sums would otherwise depend on the batch."""
    (tmp_path / "bare").write_text("{{ messages[0].content }}")  # a shorter prompt
    prompts = make_prompts(*(f"Number {n}?" for n in range(200)))
    spec = f"embedded:smollm2?context=128&slots=1&threads=1&template={tmp_path / 'bare'}"
    alone = run_worker(open_model(spec), prompts)
    by_index: dict[int, Completion | WorkError] = {}
    killed: list[int] = []

    def emit(index: int, outcome: Completion | WorkError) -> None:
        assert index not in by_index
        by_index[index] = outcome
        if len(by_index) >= 60 and not killed:
            killed.append(replicas()[0])
            os.kill(killed[0], signal.SIGKILL)

    asyncio.run(complete_all(open_model(f"{spec}&replicas=2&cpus=2"), prompts, emit))
    assert killed
    outcomes = [by_index[n] for n in range(200)]
    different = [
        (outcome.model_dump(), reference.model_dump())
        for outcome, reference in zip(outcomes, alone, strict=True)
        if isinstance(outcome, Completion)
        and isinstance(reference, Completion)
        and _without_cached_tokens(outcome) != _without_cached_tokens(reference)
    ]
    assert different == []
    assert not failed([*outcomes, *alone])


def test_an_address_without_a_cluster_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    worker = open_model("echo:?replicas=1", ray="127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1' .*ray start") as at:
        asyncio.run(worker.prepare())
    assert "\n" not in str(at.value)


@pytest.mark.ray
def test_a_run_starts_and_ends_a_local_cluster_without_output_of_ray(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(["once died", "b", "c", "d"]))
    line = [sys.executable, "-m", "bakeoff", "run", "--model", "faulty:one?replicas=2&cpus=0.5"]
    line += ["--model", "echo:two", "--judge", "echo:A", "--prompts", "prompts.txt", "--json"]
    with faulty_backend_installed():
        for name in (
            "RAY_BACKEND_LOG_LEVEL",
            "RAY_DEDUP_LOGS_SKIP_REGEX",
            "RAY_USAGE_STATS_ENABLED",
        ):
            del os.environ[name]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert (tmp_path / "died").exists()  # an event that nodes log
    results = json.loads(done.stdout)
    assert len(results["completions"]) == 8
    assert done.returncode in (0, 3), done.stderr
    for word in ("ray", "raylet", "MapWorker", "Token", "core_worker"):
        assert word not in done.stderr
    wait_for(lambda: not replicas())


@pytest.mark.ray
@pytest.mark.long
def test_joining_a_started_cluster_requires_its_token(tmp_path: Path) -> None:
    script = """
import os, subprocess, sys
from bakeoff.generators.ray import session as ray_session
ray_session.join("me", None)
import ray
where = ray.get_runtime_context().gcs_address
others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
join = f"import ray; ray.init({where!r}, log_to_driver=False); print('joined')"
for env in (os.environ, others):
    done = subprocess.run([sys.executable, "-c", join], env=env, capture_output=True, text=True)
    print(done.returncode, done.stdout.strip())
ray_session.leave("me")
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["0 joined", "1 "], done.stderr
    assert not list(tmp_path.rglob("auth_token"))


def _without_cached_tokens(completion: Completion) -> Completion:
    """Without the cached tokens: they depend on earlier requests."""
    assert completion.usage
    return completion.model_copy(
        update={"usage": completion.usage.model_copy(update={"cached_tokens": 0})}
    )


async def complete_all(worker: Generator, prompts: Sequence[Prompt], emit: Any) -> None:
    try:
        await worker.prepare()
        await worker(prompts, emit)
    finally:
        await worker.close()
