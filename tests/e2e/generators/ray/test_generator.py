"""Generators on a cluster: real Ray nodes on this machine, and replicas that die when told to."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, StoppedError, WorkError
from bakeoff.generators.ray import pipeline as ray_pipeline
from bakeoff.generators.ray import session as ray_session
from bakeoff.generators.ray.generator import Replicated
from bakeoff.generators.ray.pipeline import Pool, replies
from bakeoff.generators.ray.replica import described
from bakeoff.generators.ray.rows import ReplicaError, block_of, outcomes_of
from bakeoff.plugins import Setting, open_generator
from bakeoff.records import Completion, Failure, Message, Prompt
from bakeoff.runtime import Generator, Halt
from tests.ray_nodes import add_node, faulty_backend_installed, nodes, replicas, soon
from tests.workers import outcomes

# Ray's own settings warn of themselves when the first one reads them.
own = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.data\.context")
ray = [pytest.mark.ray, own]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    with nodes(count=2, cpus=2) as cluster:
        yield cluster


@pytest.fixture
def cluster(two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    soon(lambda: not replicas())  # those of the test before take a moment to go
    return two_nodes


def opened(text: str, **setting: Any) -> Generator:
    return open_generator(Spec.parse(text), Setting(Sampling(max_tokens=4), **setting))


def asked(*texts: str) -> list[Prompt]:
    return [Prompt(messages=(Message(role="user", content=text),)) for text in texts]


def words(said: Sequence[Completion | WorkError]) -> list[str]:
    return [one.text if isinstance(one, Completion) else one.kind for one in said]


def failed(said: Sequence[Completion | WorkError]) -> list[int]:
    return [place for place, one in enumerate(said) if isinstance(one, WorkError)]


@pytest.mark.parametrize(
    ("spec", "says"),
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
def test_nonsense_is_refused_in_one_line(spec: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        opened(spec)
    assert "\n" not in str(caught.value)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"install bakeoff\[ray\]"):
        asyncio.run(opened("echo:?replicas=2").prepare())


def test_replicas_change_no_key_and_need_no_ray_to_be_opened() -> None:
    script = """
import sys
from bakeoff.config import Sampling, Spec
from bakeoff.plugins import Setting, open_generator
one, two = (
    open_generator(Spec.parse(text), Setting(Sampling()))
    for text in ("embedded:smollm2?seed=3", "embedded:smollm2?seed=3&replicas=2-8")
)
same = [(x.identity, x.weights, x.caveat) for x in (one, two)]
print(same[0] == same[1], two.exclusive, "ray" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


@pytest.mark.parametrize(
    ("items", "most", "lanes", "size", "blocks"),
    [
        (1, 4, 256, 1, 1),
        (200, 2, 256, 6, 9),  # 50 at once: half of what each gets
        (100_000, 64, 256, 16, 16),
        (100_000, 64, 8, 1, 8),
        (100_000, 1, 1, 1, 1),
    ],
)
def test_as_much_is_given_to_a_replica_as_its_engine_takes(
    items: int, most: int, lanes: int, size: int, blocks: int
) -> None:
    worker = opened(f"echo:?replicas={most}", lanes=lanes)
    assert isinstance(worker, Replicated)
    found, pool = worker._pool(items)
    assert (found, pool.blocks, pool.retries) == (size, blocks, 1)


def test_llama_cpp_has_as_many_threads_as_ray_knows_of() -> None:
    for options, threads in (("", "1"), ("&cpus=1.5", "2"), ("&cpus=4&threads=3", "3")):
        worker = opened(f"embedded:smollm2?replicas=2{options}")
        assert isinstance(worker, Replicated)
        assert worker.spec.options["threads"] == threads


class TestOnACluster:
    pytestmark = ray

    @pytest.mark.parametrize(
        ("replicas", "count", "lanes"), [("1", 1, 1), ("2", 7, 2), ("1-3", 300, 64)]
    )
    def test_however_many_there_are_the_outcomes_are_those_of_one(
        self, cluster: Any, replicas: str, count: int, lanes: int
    ) -> None:
        prompts = asked(*(f"word {n}" for n in range(count)), "fail", "long", "refuse", "odd")
        one = outcomes(opened("faulty:x", lanes=lanes), prompts)
        many = outcomes(opened(f"faulty:x?replicas={replicas}&cpus=0.5", lanes=lanes), prompts)
        as_kept = [
            [
                one.model_dump()
                if isinstance(one, Completion)
                else Failure.of(one, "completion", "", "").model_dump()
                for one in said
            ]
            for said in (one, many)
        ]
        assert as_kept[0] == as_kept[1]

    def test_what_is_done_is_there_while_others_are_under_way(
        self, cluster: Any, tmp_path: Path
    ) -> None:
        worker = opened("faulty:x?replicas=2", lanes=4)
        gate = tmp_path / "gate"
        came: list[str] = []

        def emit(_: int, one: Completion | WorkError) -> None:
            came.extend(words([one]))
            if len(came) == 30:  # all that do not wait for this
                gate.touch()

        async def go() -> None:
            try:
                await worker(asked(f"until {gate}", *(f"word {n}" for n in range(30))), emit)
            finally:
                await worker.close()

        asyncio.run(go())
        assert came[-1].startswith("x until")
        assert len(came) == 31

    def test_a_prompt_that_kills_its_replica_fails_with_its_block_alone(self, cluster: Any) -> None:
        texts = [f"sleep 0.4 {n}" for n in range(100)]  # there when it dies, and its neighbours
        texts[60] = "die"
        worker = opened("faulty:x?replicas=2")
        assert isinstance(worker, Replicated)
        size, pool = worker._pool(len(texts))
        assert pool.blocks > 1
        said = outcomes(worker, asked(*texts))
        start = 60 // size * size
        assert failed(said) == list(range(start, start + size))
        error = said[60]
        assert isinstance(error, BackendError)
        assert "its block failed twice on the cluster" in error.message
        assert words(said[:start]) == [f"x {text}" for text in texts[:start]]

    def test_a_replica_that_dies_once_costs_nothing(
        self, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pipelines: list[Pool] = []

        def counted(blocks: Any, told: str, pool: Pool, wanted: Any) -> Iterator[str]:
            pipelines.append(pool)
            return replies(blocks, told, pool, wanted)

        monkeypatch.setattr("bakeoff.generators.ray.generator.replies", counted)
        texts = [f"once {tmp_path / 'died'}" if n == 50 else f"sleep 0.05 {n}" for n in range(100)]
        said = outcomes(opened("faulty:x?replicas=2", lanes=8), asked(*texts))
        assert (tmp_path / "died").exists()
        assert words(said) == [f"x {text}" for text in texts]
        assert len(pipelines) == 1  # it was Ray that tried its blocks again

    def test_a_node_that_is_lost_costs_nothing(
        self, cluster: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its replica has no room elsewhere: what it had is given to the others."""
        monkeypatch.setattr(ray_pipeline, "_PATIENCE", 6.0)
        third = add_node(cluster, cpus=2)
        worker = opened("faulty:x?replicas=3&cpus=2", lanes=8)  # one on each node
        texts = [f"sleep 0.2 {n}" for n in range(240)]
        found: dict[int, Completion | WorkError] = {}
        lost = False

        def emit(place: int, one: Completion | WorkError) -> None:
            nonlocal lost
            assert place not in found
            found[place] = one
            if len(found) >= 60 and not lost:
                assert len(replicas()) == 3
                lost = True
                third.kill_raylet()

        asyncio.run(_through(worker, asked(*texts), emit))
        assert lost
        assert words([found[n] for n in range(240)]) == [f"x {text}" for text in texts]

    @pytest.mark.parametrize(
        ("text", "error", "says"),
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
    def test_what_keeps_a_replica_from_working_stops_the_run(
        self, cluster: Any, text: str, error: type[Exception], says: str
    ) -> None:
        last = "bug" if error is ReplicaError else "config"
        with pytest.raises(error, match=says):
            outcomes(opened(text), asked("word", last))

    def test_a_replica_of_another_version_refuses(self, cluster: Any) -> None:
        user = object()
        ray_session.enter(user, None)
        told = described(Spec.parse("faulty:x"), Setting(Sampling()), {"backend": "faulty"})
        told["version"] = "0.0.9"
        pool = Pool(1, 1, cpus=1, gpus=0, blocks=1, retries=0)
        block = block_of(enumerate(asked("word")))
        try:
            (reply,) = replies([block], json.dumps(told), pool, lambda: True)
        finally:
            ray_session.leave(user)
        with pytest.raises(ConfigError, match=r"driver has bakeoff 0\.0\.9, and a node .* 0\.1\.0"):
            outcomes_of(reply)

    def test_a_run_that_is_stopped_keeps_what_came_and_ends(self, cluster: Any) -> None:
        worker = opened("faulty:x?replicas=2", lanes=4)
        halt = Halt()
        found: dict[int, Completion | WorkError] = {}
        stopped = 0.0

        def emit(place: int, one: Completion | WorkError) -> None:
            nonlocal stopped
            found[place] = one
            if len(found) == 20:
                halt.stop("that is enough")
                stopped = time.monotonic()

        prompts = asked(*(f"word {n}" for n in range(40)), *["sleep 600"] * 60)
        with halt.in_force():
            asyncio.run(_through(worker, prompts, emit))
        assert time.monotonic() - stopped < 15
        assert sorted(found) == list(range(100))
        kinds = [type(found[n]) for n in range(100)]
        assert kinds.count(Completion) >= 20
        assert set(kinds) == {Completion, StoppedError}
        assert {str(one) for one in found.values() if isinstance(one, StoppedError)} == {
            "that is enough"
        }
        soon(lambda: not replicas())

    def test_who_does_not_wait_any_more_is_not_worked_for(self, cluster: Any) -> None:
        worker = opened("faulty:x?replicas=1")

        async def go() -> None:
            try:
                await asyncio.wait_for(
                    worker(asked(*["sleep 600"] * 4), lambda *_: None), timeout=5
                )
            finally:
                await worker.close()

        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            asyncio.run(go())
        assert time.monotonic() - begun < 25
        soon(lambda: not replicas())

    def test_those_who_share_the_session_leave_it_to_the_last(self, cluster: Any) -> None:
        import ray as real

        async def go() -> None:
            one, two = opened("faulty:x?replicas=1"), opened("faulty:y?replicas=1")
            await one.prepare()
            await two.prepare()
            await one.close()
            assert real.is_initialized()
            found: list[Completion | WorkError] = []
            await two(asked("word"), lambda _, said: found.append(said))
            assert words(found) == ["y word"]
            await two.close()
            await two.close()
            assert not real.is_initialized()

        asyncio.run(go())

    def test_somebody_elses_session_is_used_and_left_alone(self, cluster: Any) -> None:
        import ray as real

        real.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
        try:
            assert words(outcomes(opened("faulty:x?replicas=1"), asked("word"))) == ["x word"]
            assert real.is_initialized()
        finally:
            real.shutdown()

    def test_what_no_node_has_room_for_is_waited_for(
        self, cluster: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        worker = opened("faulty:x?replicas=1&gpus=1")
        asyncio.run(_through(worker, [], lambda *_: None))
        assert "no node has 1 CPUs and 1 GPUs for a replica: waiting" in caplog.text

    def test_a_run_goes_on_with_and_without_a_cluster(self, cluster: Any, tmp_path: Path) -> None:
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
            said = [one.model_dump() for one in (*results.completions, *results.failures)]
            return said, {row.participant: row.stored for row in results.run_usage}

        alone, _ = run("", "alone.sqlite", "alone")
        many, kept = run("?replicas=2", "many.sqlite", "many")
        assert many == alone
        assert kept == {"one": 0, "two": 0, "judge": 0}
        # One process goes on with what they did; this judge says nothing that can be read.
        again, kept = run("", "many.sqlite", "again")
        assert again == alone
        assert kept == {"one": 12, "two": 12, "judge": 0}


@pytest.mark.ray
@own
@pytest.mark.engine
@pytest.mark.timeout(300)
def test_200_prompts_of_a_real_model_survive_a_replica_that_is_killed(
    cluster: Any, tmp_path: Path
) -> None:
    """One slot: with more of them, numbers are added up in an order that depends on neighbours."""
    (tmp_path / "bare").write_text("{{ messages[0].content }}")  # there is less to read
    prompts = asked(*(f"Number {n}?" for n in range(200)))
    spec = f"embedded:smollm2?context=128&slots=1&threads=1&template={tmp_path / 'bare'}"
    alone = outcomes(opened(spec), prompts)
    found: dict[int, Completion | WorkError] = {}
    killed: list[int] = []

    def emit(place: int, one: Completion | WorkError) -> None:
        assert place not in found
        found[place] = one
        if len(found) >= 60 and not killed:
            killed.append(replicas()[0])
            os.kill(killed[0], signal.SIGKILL)

    asyncio.run(_through(opened(f"{spec}&replicas=2&cpus=2"), prompts, emit))
    assert killed
    said = [found[n] for n in range(200)]
    different = [
        (one.model_dump(), other.model_dump())
        for one, other in zip(said, alone, strict=True)
        if isinstance(one, Completion)
        and isinstance(other, Completion)
        and _as_said(one) != _as_said(other)
    ]
    assert different == []
    assert not failed([*said, *alone])


def test_an_address_where_nothing_is_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    worker = opened("echo:?replicas=1", ray="127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1' .*ray start") as at:
        asyncio.run(worker.prepare())
    assert "\n" not in str(at.value)


@pytest.mark.ray
def test_a_cluster_of_our_own_is_started_and_ended_and_says_nothing(tmp_path: Path) -> None:
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
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert (tmp_path / "died").exists()  # of which nodes report
    results = json.loads(done.stdout)
    assert len(results["completions"]) == 8
    assert done.returncode in (0, 3), done.stderr
    for word in ("ray", "raylet", "MapWorker", "Token", "core_worker"):
        assert word not in done.stderr
    soon(lambda: not replicas())


@pytest.mark.ray
@pytest.mark.long
def test_nobody_without_its_token_gets_into_a_cluster_of_our_own(tmp_path: Path) -> None:
    script = """
import os, subprocess, sys
from bakeoff.generators import ray_session
ray_session.enter("me", None)
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
        timeout=150,
    )
    assert done.stdout.splitlines() == ["0 joined", "1 "], done.stderr
    assert not list(tmp_path.rglob("auth_token"))


def _as_said(one: Completion) -> Completion:
    """Without how much of the prompt was read already: that depends on what was asked before."""
    assert one.usage
    return one.model_copy(update={"usage": one.usage.model_copy(update={"cached_tokens": 0})})


async def _through(worker: Generator, prompts: Sequence[Prompt], emit: Any) -> None:
    try:
        await worker.prepare()
        await worker(prompts, emit)
    finally:
        await worker.close()
