"""Two runs at once on one store, and one command that is given twice: both end well, and alike."""

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


class Fickle:
    """Says something else every time that it is asked, and counts how often that is."""

    def __init__(self, delay: float = 0.02) -> None:
        self.delay = delay
        self.asked: Counter[str] = Counter()
        self.count = itertools.count()

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.asked[json.dumps([body["model"], body["messages"]])] += 1
        number = next(self.count)
        said = f"number {number}"
        if body["model"] == "judge":
            said = verdict_json(
                "AB"[number % 2], 8 - number % 2, 7 + number % 2, f"because {number}"
            )
        return Reply(body=chat_completion(said), delay=self.delay)


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


def started(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(arguments, cwd=folder, text=True, **pipes)


def ended(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def said(results: Results) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What everybody said, by what they were asked."""
    texts = {prompt.id: prompt.messages[-1].content for prompt in results.prompts}
    return (
        {(texts[one.prompt_id], one.model): one.completion for one in results.completions},
        {(texts[j.prompt_id], j.first, j.second): j.verdict for j in results.judgments},
    )


@pytest.mark.long
def test_two_runs_that_share_some_prompts_go_on_with_the_same_answers(tmp_path: Path) -> None:
    respond = Fickle()
    ranges = range(40), range(20, 60)
    with OpenAIServer(respond) as server:
        runs = [
            started(
                command(server, tmp_path, prompts(tmp_path, some), f"out{some.start}"), tmp_path
            )
            for some in ranges
        ]
        for run in runs:
            ended(run)
    found = [read_results(tmp_path / f"out{some.start}") for some in ranges]
    (one, judged_one), (other, judged_other) = map(said, found)
    assert [len(each.completions) for each in found] == [80, 80]
    assert [len(each.judgments) for each in found] == [80, 80]
    assert not [failure for each in found for failure in each.failures]
    assert len(one.keys() & other.keys()) == 40
    for key in one.keys() & other.keys():
        assert one[key] == other[key]
    for key in judged_one.keys() & judged_other.keys():
        assert judged_one[key] == judged_other[key]
    kept = check(tmp_path / "store.sqlite")
    assert (kept.sound, kept.total) == (True, 240)  # 60 prompts, two completions, two verdicts
    # What only one of them wants is asked once; what both want, by each at most once. A verdict on
    # completions that the other one was faster to keep is on no pair that anybody wants.
    texts = Counter(
        {key: count for key, count in respond.asked.items() if '"judge"' not in key[:9]}
    )
    own = [key for key in texts if not any(f'Question {n}"' in key for n in range(20, 40))]
    assert {texts[key] for key in own} == {1}
    assert max(respond.asked.values()) <= 2
    assert respond.asked.total() <= 240 + 80


@pytest.mark.parametrize("later", [0.0, *long([0.3, 0.6, 0.9, 1.2, 1.5])])
def test_one_command_given_twice_at_once_ends_twice_with_the_same_results(
    tmp_path: Path, later: float
) -> None:
    respond = Fickle()
    with OpenAIServer(respond) as server:
        arguments = command(server, tmp_path, prompts(tmp_path, range(30)), "out")
        runs = [started(arguments, tmp_path)]
        time.sleep(later)
        runs.append(started(arguments, tmp_path))
        for run in runs:
            ended(run)
        found = read_results(tmp_path / "out")
        page = (tmp_path / "out" / "report.html").read_text()
        asked = respond.asked.total()
        ended(started(arguments, tmp_path))
        assert respond.asked.total() == asked
    assert (len(found.completions), len(found.judgments), len(found.failures)) == (60, 60, 0)
    assert page.startswith("<!doctype html>")
    assert re.search(r"</html>\s*<!-- inputs [0-9a-f]{64}, fingerprint [0-9a-f]{64} -->\s*$", page)
    after = read_results(tmp_path / "out")
    assert said(after) == said(found)
    assert after.summary == found.summary
    results, report = (tmp_path / "out" / name for name in ("results.json", "report.html"))
    inputs = re.search("<!-- inputs ([0-9a-f]{64}), fingerprint", report.read_text())
    assert inputs
    assert is_current(inputs[1], results, report)  # the next time nothing is made anew
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "results.json",
    ]
    kept = check(tmp_path / "store.sqlite")
    assert (kept.sound, kept.total) == (True, 120)
    assert max(respond.asked.values()) <= 2
    assert asked <= 240


@pytest.mark.long
def test_who_comes_later_asks_for_nothing_that_is_kept(tmp_path: Path) -> None:
    respond = Fickle(delay=0.05)
    path = tmp_path / "store.sqlite"
    with OpenAIServer(respond) as server:
        arguments = command(server, tmp_path, prompts(tmp_path, range(40)), "out")
        first = started(arguments, tmp_path)
        while respond.asked.total() < 60:
            assert first.poll() is None
            time.sleep(0.01)
        kept = check(path).total
        assert kept > 10
        second = started(arguments, tmp_path)
        ended(first)
        ended(second)
    assert respond.asked.total() <= 2 * 160 - kept
    assert max(respond.asked.values()) <= 2
    assert check(path).total == 160


def test_a_log_that_is_being_written_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
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
                asyncio.run(one(store, number))
    finally:
        writer.kill()
        writer.communicate()
    assert check(path).sound


async def one(store: Store, number: int) -> None:
    await store.put_soon(f"mine {number}", Completion(text="mine"))
