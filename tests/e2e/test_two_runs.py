"""Concurrent runs on one store, with common prompts and with the same command."""

import asyncio
import itertools
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakeoff.records import Completion, Results
from bakeoff.report.provenance import is_current
from bakeoff.report.results_file import read_results
from bakeoff.storage import Store
from bakeoff.storage.salvage import check
from bakeoff.testing import OpenAIServer, Reply, chat_completion, verdict_json
from tests.marks import long


class VaryingReplies:
    """A responder with a different reply each time; counts the requests per item."""

    def __init__(self, delay: float = 0.02) -> None:
        self.delay = delay
        self.requests: Counter[str] = Counter()
        self.count = itertools.count()

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.requests[json.dumps([body["model"], body["messages"]])] += 1
        number = next(self.count)
        reply = f"number {number}"
        if body["model"] == "judge":
            reply = verdict_json(
                "AB"[number % 2], 8 - number % 2, 7 + number % 2, f"because {number}"
            )
        return Reply(body=chat_completion(reply), delay=self.delay)


def prompts(folder: Path, numbers: range) -> Path:
    path = folder / f"{numbers.start}-{numbers.stop}.txt"
    path.write_text("".join(f"Question {number}\n" for number in numbers))
    return path


def command(server: OpenAIServer, folder: Path, prompts: Path, out: str) -> list[str]:
    url = f"?base_url={server.url}"
    models = ["--model", f"one=api:one{url}", "--model", f"two=api:two{url}"]
    rest = ["--judge", f"judge=api:judge{url}", "--prompts", str(prompts), "--limit", "999"]
    places = ["--store", str(folder / "store.sqlite"), "--out", str(folder / out)]
    lanes = ["--max-concurrency", "4"]
    return [sys.executable, "-m", "bakeoff", "run", *models, *rest, *places, *lanes]


def start(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(arguments, cwd=folder, text=True, **pipes)


def assert_succeeds(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def outcomes(results: Results) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Completions by prompt text and model, verdicts by prompt text and order."""
    texts = {prompt.id: prompt.messages[-1].content for prompt in results.prompts}
    return (
        {
            (texts[completion.prompt_id], completion.model): completion.completion
            for completion in results.completions
        },
        {(texts[j.prompt_id], j.first, j.second): j.verdict for j in results.judgments},
    )


@pytest.mark.long
def test_runs_with_common_prompts_share_outcomes(tmp_path: Path) -> None:
    respond = VaryingReplies()
    ranges = range(40), range(20, 60)
    with OpenAIServer(respond) as server:
        runs = [
            start(
                command(server, tmp_path, prompts(tmp_path, numbers), f"out{numbers.start}"),
                tmp_path,
            )
            for numbers in ranges
        ]
        for run in runs:
            assert_succeeds(run)
    both_results = [read_results(tmp_path / f"out{numbers.start}") for numbers in ranges]
    (first, first_verdicts), (second, second_verdicts) = map(outcomes, both_results)
    assert [len(results.completions) for results in both_results] == [80, 80]
    assert [len(results.judgments) for results in both_results] == [80, 80]
    assert not [failure for results in both_results for failure in results.failures]
    assert len(first.keys() & second.keys()) == 40
    for key in first.keys() & second.keys():
        assert first[key] == second[key]
    for key in first_verdicts.keys() & second_verdicts.keys():
        assert first_verdicts[key] == second_verdicts[key]
    kept = check(tmp_path / "store.sqlite")
    # 60 prompts, two completions, two verdicts; and the records of the runs
    assert (kept.sound, kept.total) == (True, 240 + 2)
    # Prompts of one run are requested once, common prompts at most once per run. A verdict on
    # completions that the other run stored first is not used.
    texts = Counter(
        {key: count for key, count in respond.requests.items() if '"judge"' not in key[:9]}
    )
    unshared = [key for key in texts if not any(f'Question {n}"' in key for n in range(20, 40))]
    assert {texts[key] for key in unshared} == {1}
    assert max(respond.requests.values()) <= 2
    assert respond.requests.total() <= 240 + 80


@pytest.mark.parametrize("delay", [0.0, *long([0.3, 0.6, 0.9, 1.2, 1.5])])
def test_concurrent_equal_runs_have_the_same_results(tmp_path: Path, delay: float) -> None:
    respond = VaryingReplies()
    with OpenAIServer(respond) as server:
        arguments = command(server, tmp_path, prompts(tmp_path, range(30)), "out")
        runs = [start(arguments, tmp_path)]
        time.sleep(delay)
        runs.append(start(arguments, tmp_path))
        for run in runs:
            assert_succeeds(run)
        results = read_results(tmp_path / "out")
        page = (tmp_path / "out" / "report.html").read_text()
        request_count = respond.requests.total()
        assert_succeeds(start(arguments, tmp_path))
        assert respond.requests.total() == request_count
    assert (len(results.completions), len(results.judgments), len(results.failures)) == (60, 60, 0)
    assert page.startswith("<!doctype html>")
    assert re.search(r"</html>\s*<!-- inputs [0-9a-f]{64}, fingerprint [0-9a-f]{64} -->\s*$", page)
    after = read_results(tmp_path / "out")
    assert outcomes(after) == outcomes(results)
    assert after.summary == results.summary
    results, report = (tmp_path / "out" / name for name in ("results.json", "report.html"))
    inputs = re.search("<!-- inputs ([0-9a-f]{64}), fingerprint", report.read_text())
    assert inputs
    assert is_current(inputs[1], results, report)  # the next run would not render it again
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "results.json",
    ]
    kept = check(tmp_path / "store.sqlite")
    assert (kept.sound, kept.total) == (True, 121)  # with the record of the run
    assert max(respond.requests.values()) <= 2
    assert request_count <= 240


@pytest.mark.long
def test_later_run_requests_no_stored_outcome(tmp_path: Path) -> None:
    respond = VaryingReplies(delay=0.05)
    path = tmp_path / "store.sqlite"
    with OpenAIServer(respond) as server:
        arguments = command(server, tmp_path, prompts(tmp_path, range(40)), "out")
        first = start(arguments, tmp_path)
        while respond.requests.total() < 60:
            assert first.poll() is None
            time.sleep(0.01)
        kept = check(path).total
        assert kept > 10
        second = start(arguments, tmp_path)
        assert_succeeds(first)
        assert_succeeds(second)
    assert respond.requests.total() <= 2 * 160 - kept
    assert max(respond.requests.values()) <= 2
    assert check(path).total == 160 + 1  # with the record of the run


def test_active_wal_is_not_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    code = """
import sys
import time
from pathlib import Path
from bakeoff.records import Completion
from bakeoff.storage import Store
with Store(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    number = 0
    while True:
        store.put(str(number), Completion(text="x" * (number % 9000)))
        number += 1
        time.sleep(0.001)
"""
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout
        writer.stdout.readline()
        for number in range(15):
            with Store(path) as store:
                asyncio.run(put_record(store, number))
    finally:
        writer.kill()
        writer.communicate()
    assert check(path).sound


async def put_record(store: Store, number: int) -> None:
    await store.put_soon(f"mine {number}", Completion(text="mine"))
