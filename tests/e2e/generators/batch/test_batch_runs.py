"""Runs with `--batch` in this process, and in subprocesses that are killed at critical points.

The server counts its replies: no request of a batch may be answered, and so paid for, twice.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bakeoff.records import Results
from bakeoff.testing import prefer_good, shown_completions, verdict_json
from tests.batch_server import BatchServer
from tests.in_process import run_command
from tests.marks import long

PROMPTS = 12
LIMIT = 300  # seconds for a run


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for provider in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{provider}_API_KEY", "key")
    for name in ("good", "poor"):
        rows = [{"prompt": f"Number {n}?", "completion": f"{name} {n}"} for n in range(PROMPTS)]
        Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    Path("prompts.txt").write_text("".join(f"Number {n}?\n" for n in range(PROMPTS)))


def judge_of(server: BatchServer, kind: str) -> str:
    if kind == "anthropic":
        return f"anthropic:claude-sonnet-4-5?base_url={server.address}"
    return f"openai:gpt-4?base_url={server.url}"


def flags(judge: str, *more: str, batch: bool = True, store: str = "store.sqlite") -> list[str]:
    """Return the arguments of a run of two recorded models; results in `results` or `direct`."""
    judge += "&poll=0.02" if batch else ""
    more = (*more, f"--store={store}", "--batch" if batch else "--out=direct")
    models = ["--model=good=file:good.jsonl", "--model=poor=file:poor.jsonl"]
    rest = ["--prompts=prompts.txt", f"--limit={PROMPTS}"]
    return ["run", *models, f"--judge=j={judge}", *rest, *more]


def start_run(arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bakeoff", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


RunToEnd = Callable[..., str]


@pytest.fixture
def run_to_end(capfd: pytest.CaptureFixture[str]) -> RunToEnd:
    """Fixture that runs the command to the end in this process, and returns its stderr."""

    def run(arguments: Sequence[str], code: int = 0) -> str:
        done = run_command(arguments, capfd)
        assert done.returncode == code, done.stderr
        return done.stderr

    return run


def results(folder: str = "results") -> Results:
    return Results.model_validate_json(Path(folder, "results.json").read_text())


def judged(results: Results) -> list[tuple[Any, ...]]:
    """Return the judgments without their costs."""
    plain = {"cost": None}
    return [
        (j.prompt_id, j.first, j.second, j.repeat, j.verdict.model_copy(update=plain))
        for j in results.evidence.judgments
    ]


def paid_once(server: BatchServer) -> bool:
    ids = Counter(id_ for job in server.jobs for id_, fate, _ in job.results if fate == "replied")
    return set(ids.values()) <= {1}


# --------------------------------------------------------------------------------- from end to end


@pytest.mark.parametrize("kind", ["openai", *long(["anthropic"])])
def test_batched_run_equals_a_direct_one(kind: str, run_to_end: RunToEnd) -> None:
    with BatchServer() as server:
        judge = judge_of(server, kind)
        run_to_end(flags(judge, batch=False, store="direct.sqlite"))
        directly = len(server.direct)
        stderr = run_to_end(flags(judge))
        assert "sent 23 requests as batch_0" in stderr
        direct, batched = results("direct"), results()
        assert judged(batched) == judged(direct)
        assert len(judged(batched)) == directly == 2 * PROMPTS
        assert batched.summary.pairs[0].outcome == direct.summary.pairs[0].outcome
        assert [len(job.requests) for job in server.jobs] == [2 * PROMPTS - 1]
        assert len(server.direct) == directly + 1
        costs = [sum(j.verdict.cost or 0 for j in r.evidence.judgments) for r in (batched, direct)]
        assert costs[0] == pytest.approx(costs[1] * (1 + 23 * 0.5) / 24)

        before = len(server.paid), server.request_counts.total()
        run_to_end(flags(judge))
        assert (len(server.paid), server.request_counts.total()) == before, (
            "a complete store asks nobody"
        )
        run_to_end(flags(judge, store="direct.sqlite"))
        assert (len(server.paid), server.request_counts.total()) == before, (
            "nor one filled directly"
        )


def test_models_and_judge_in_batches(run_to_end: RunToEnd) -> None:
    with BatchServer() as server:
        at = f"?base_url={server.url}&poll=0.02"
        models = [f"--model=good=openai:good{at}", f"--model=poor=openai:poor{at}"]
        judge = f"--judge=j=openai:gpt-4{at}"
        rest = ["--prompts=prompts.txt", f"--limit={PROMPTS}", "--null-check=3", "--batch"]
        run_to_end(["run", *models, judge, *rest])
        merged = results()
        assert len(merged.evidence.completions) == 2 * PROMPTS
        assert len(merged.evidence.judgments) == 2 * PROMPTS
        assert not merged.evidence.failures
        # One request per model, one for the repeated completion and one per judge is sent directly.
        assert len(server.direct) == 4
        # The repeated completion of the first model is equal, so both orders are one request.
        expected = [PROMPTS - 1, PROMPTS - 1, 3 - 1, 2 * PROMPTS + 3 - 1]
        assert sorted(len(job.requests) for job in server.jobs) == sorted(expected)


def test_failures_are_repeated_by_the_next_run(run_to_end: RunToEnd) -> None:
    def expired(body: dict[str, Any]) -> str:
        return "expired" if "good 3" in shown_completions(body) else "replied"

    with BatchServer(fate=expired) as server:
        run_to_end(flags(judge_of(server, "openai")), code=3)
        failed = results().evidence.failures
        assert {(f.prompt_id, f.kind) for f in failed} == {(failed[0].prompt_id, "unfinished")}
        assert len(failed) == 2
        server.fate = lambda body: "replied"
        run_to_end(flags(judge_of(server, "openai")))
        assert not results().evidence.failures
        assert len(judged(results())) == 2 * PROMPTS == len(server.paid)
        assert paid_once(server)


def test_repeats_are_separate_requests(run_to_end: RunToEnd) -> None:
    with BatchServer() as server:
        run_to_end(flags(judge_of(server, "openai"), "--repeats=3"))
        assert len(judged(results())) == 6 * PROMPTS == len(server.paid)
        assert paid_once(server)


def test_batch_without_a_batching_model_is_a_config_error(run_to_end: RunToEnd) -> None:
    stderr = run_to_end(
        ["run", "--model=a=echo:", "--model=b=echo:", "--judge=echo:", "--batch"], 2
    )
    assert "nobody here is asked in batches" in stderr


def test_judge_check_in_batches(run_to_end: RunToEnd) -> None:
    with BatchServer() as server:
        judge = judge_of(server, "openai") + "&batch=true&poll=0.02"
        run_to_end(["judge-check", f"--judge=j={judge}", "--limit=5", "--store=store.sqlite"])
        assert [len(job.requests) for job in server.jobs] == [9]


# ------------------------------------------------------------------------------------------ killed


def unreadable_first(body: dict[str, Any]) -> Any:
    """Return an unreadable first verdict for two of the prompts."""
    if len(body["messages"]) == 1 and any(f"good {n}" in shown_completions(body) for n in (3, 7)):
        return "Well, hard to say."
    return prefer_good(body)


class Killer:
    """Kills a run at the first of the given events at the server or in the store."""

    def __init__(self, server: BatchServer) -> None:
        self.server = server
        self.done = threading.Event()
        self.process: subprocess.Popen[str]

    def kill(self) -> None:
        if not self.done.is_set():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(300)
            self.done.set()

    def on_hook(self, when: str, job: int) -> None:
        self.server.hook = lambda at: (
            self.kill() if at == when and len(self.server.jobs) == job else None
        )

    def on_request(self, verb: str, ending: str, job: int) -> None:
        def on_each_request(request: Any) -> None:
            path = request.url.path
            if request.method == verb and ending in path and len(self.server.jobs) == job:
                self.kill()

        self.server.intercept = on_each_request

    def on_verdicts(self, count: int) -> None:
        def wait_for_verdicts() -> None:
            deadline = time.monotonic() + LIMIT
            while time.monotonic() < deadline and records("store.sqlite") < count:
                time.sleep(0.002)
            self.kill()

        def hold_second_batch(request: Any) -> None:  # or a fast run could end before the signal
            if "/batch_1" in request.url.path:
                self.done.wait(LIMIT)

        self.server.intercept = hold_second_batch
        threading.Thread(target=wait_for_verdicts).start()


def records(path: str) -> int:
    """Return the number of verdicts in a store."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT count(*) FROM records WHERE body LIKE '%scores%'")
            return int(rows.fetchone()[0])
    except sqlite3.Error:
        return 0


POINTS: dict[str, Callable[[Killer], None]] = {
    "before the first batch is created": lambda k: k.on_hook("making", 0),
    "after it is created, before the reply": lambda k: k.on_hook("made", 1),
    "while it is polled": lambda k: k.on_request("GET", "/batch_0", 1),
    "before the second batch is created": lambda k: k.on_hook("making", 1),
    "after the second is created, before the reply": lambda k: k.on_hook("made", 2),
    "while the second is polled": lambda k: k.on_request("GET", "/batch_1", 2),
    "when some verdicts are stored": lambda k: k.on_verdicts(5),
}


# The two providers report a batch that was sent but not recorded in different ways.
CASES = [("openai", point) for point in POINTS]
CASES += [("anthropic", point) for point in POINTS if "created" in point or "stored" in point]
REST = [*CASES[:2], *CASES[3:-1]]


@pytest.mark.parametrize(("kind", "point"), [CASES[2], CASES[-1], *long(REST)])
@pytest.mark.long
def test_killed_run_resumes_without_paying_twice(
    point: str, kind: str, run_to_end: RunToEnd
) -> None:
    with BatchServer(unreadable_first, polls=3) as server:
        killer = Killer(server)
        POINTS[point](killer)
        arguments = flags(judge_of(server, kind), "--repeats=2")
        killer.process = start_run(arguments)
        with killer.process:
            killer.process.communicate(timeout=LIMIT)
        assert killer.done.wait(300)
        assert killer.process.returncode == -signal.SIGKILL
        assert not Path("results", "results.json").exists()
        server.hook, server.intercept = (lambda when: None), (lambda request: None)
        stderr = run_to_end(arguments)
        merged = results()
        assert not merged.evidence.failures
        requested = 4 * PROMPTS
        assert len(merged.evidence.judgments) == requested
        assert sum(j.verdict.retry_reason is not None for j in merged.evidence.judgments) == 8
        assert paid_once(server)
        assert len(server.paid) == requested + 8, stderr
        assert len(server.direct) == 1
        assert [len(job.requests) for job in server.jobs] == [requested - 1, 8]


@pytest.mark.long
def test_correction_of_another_reply_is_not_reused(run_to_end: RunToEnd) -> None:
    """The provider loses the first batch, and its replacement gets other replies to correct.

    The corrections in the second batch answer replies that are not used any more.
    """
    with BatchServer(unreadable_first, polls=3) as server:
        killer = Killer(server)
        POINTS["while the second is polled"](killer)
        arguments = flags(judge_of(server, "openai"))
        killer.process = start_run(arguments)
        with killer.process:
            killer.process.communicate(timeout=LIMIT)
        assert killer.done.wait(300)
        server.intercept = lambda request: None
        server.jobs[0].id = "lost"
        server.respond = lambda body: (
            f"{reply} again" if (reply := unreadable_first(body))[0] == "W" else reply
        )
        run_to_end(arguments)
        assert [len(job.requests) for job in server.jobs] == [23, 4, 4, 4]
        again = [request["body"]["messages"][1]["content"] for request in server.jobs[3].requests]
        assert again == ["Well, hard to say. again"] * 4


@pytest.mark.long
def test_interrupt_leaves_the_batch_running_and_the_next_run_resumes(run_to_end: RunToEnd) -> None:
    with BatchServer(polls=10**6) as server:
        arguments = flags(judge_of(server, "openai"))
        with start_run(arguments) as process:
            until = time.monotonic() + LIMIT
            while time.monotonic() < until and not (server.jobs and server.jobs[0].polls > 2):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
        assert (
            "what was sent goes on at the provider (batch_0); the same command fetches it" in stderr
        )
        assert "Traceback" not in stderr
        server.polls = 1
        stderr = run_to_end(arguments)
        assert "going on with batch_0" in stderr
        assert len(server.jobs) == 1
        assert len(judged(results())) == 2 * PROMPTS == len(server.paid)


@pytest.mark.long
def test_progress_of_a_batch_is_reported() -> None:
    with BatchServer(polls=10**6) as server:
        with start_run(flags(judge_of(server, "openai"))) as process:
            until, through = time.monotonic() + LIMIT, 0
            while time.monotonic() < until and not through:
                time.sleep(0.05)
                file = Path("results", "progress.json")
                rows = json.loads(file.read_text())["rows"] if file.exists() else []
                through = max((row.get("remote_done", 0) for row in rows), default=0)
            process.kill()
            process.communicate(timeout=LIMIT)
        assert through > 0


def test_verdict_of_a_pair_is_not_reused_for_another(run_to_end: RunToEnd) -> None:
    """The replies of a batch are matched to pairs by id, not by order."""

    def respond(body: dict[str, Any]) -> str:
        return verdict_json("A", 9, 1, explanation=" against ".join(shown_completions(body)))

    with BatchServer(respond) as server:
        run_to_end(flags(judge_of(server, "openai")))
        texts = {
            p.id: p.messages[0].content.split()[1].rstrip("?") for p in results().evidence.prompts
        }
        for judgment in results().evidence.judgments:
            n = texts[judgment.prompt_id]
            reason = f"{judgment.first} {n} against {judgment.second} {n}"
            assert judgment.verdict.reason == reason
