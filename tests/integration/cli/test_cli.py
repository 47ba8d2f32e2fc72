"""The command, in its own process or in this one: exit codes, output and files."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bakeoff import Results
from bakeoff.report.charts import figures
from bakeoff.runtime.progress import read_progress
from bakeoff.testing import (
    OpenAIServer,
    Reply,
    chat_completion,
    prefer_good,
    shown_completions,
    verdict_json,
)
from tests.builders import sample_results
from tests.in_process import Finished, run_command
from tests.marks import long
from tests.pseudo_terminal import Terminal

NOWHERE = "http://127.0.0.1:1/v1"


def bakeoff(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bakeoff", *arguments]
    environment = {**os.environ, "COLUMNS": "80", **options.pop("env", {})}
    options = {"encoding": "utf-8"} | options
    return subprocess.run(
        command, capture_output=True, env=environment, timeout=300, check=False, **options
    )


Call = Callable[..., Finished]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Fixture that runs the command in this process, in the folder of the test."""
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments: run_command(arguments, capfd)


def run_arguments(server: OpenAIServer, *flags: str) -> list[str]:
    url = f"?base_url={server.url}&retries=1"
    models = ["--model", f"good=api:good{url}", "--model", f"bad=api:bad{url}"]
    return ["run", *models, "--judge", f"judge=api:judge{url}", "--prompts", "starter", *flags]


def test_a_run_prints_the_guides_summary_and_writes_its_files(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        done = bakeoff(*run_arguments(server, "--limit", "20", "--show-samples", "1"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line in (
        "Model Comparison Summary",
        "  Model 1: good",
        "  Judge Model: judge",
        "  Total Comparisons: 20",
        "  Model 1: 95.0% (19 wins)",
        "  Ties: 5.0% (1)",
        "  Model 1: 0.785 ± 0.067",
        "  Average difference: +0.475 ± 0.112 [95%: +0.423 to +0.527]",
        "  Model 1 better 19 times, worse 0, equal 1",
        "  Verdicts: 40 asked = 40 judged + 0 failed",
        "  good is better than bad: it wins 97.5 % (95 % interval 81.7 to 99.7 %)",
        "good completes: 20/20",
    ):
        assert line in done.stdout + done.stderr
    assert "sample" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    results = Results.model_validate_json((tmp_path / "results/results.json").read_bytes())
    assert len(results.judgments) == 40
    document = json.loads((tmp_path / "results/results.json").read_text())
    assert list(document)[:8] == [
        "schema",
        "config",
        "prompts",
        "completions",
        "judgments",
        "failures",
        "summary",
        "environment",
    ]


def test_json_prints_one_document_and_quiet_prints_nothing(call: Call) -> None:
    with OpenAIServer() as server:
        printed = call(*run_arguments(server, "--limit", "2", "--json"))
        quiet = call(*run_arguments(server, "--limit", "2", "--quiet"))
    assert Results.model_validate_json(printed.stdout).judgments
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_profile_prints_a_table_on_stderr_and_changes_no_result(call: Call) -> None:
    with OpenAIServer() as server:
        arguments = run_arguments(server, "--limit", "2", "--json")
        done = call(*arguments, "--profile")
        without = call(*arguments)
    assert Results.model_validate_json(done.stdout).judgments
    assert done.stdout == without.stdout
    assert "Where the time went\n" in done.stderr
    assert "Where the time went" not in without.stderr


@pytest.mark.long
def test_profile_prints_the_time_of_each_phase_on_stderr(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        return Reply(
            body=chat_completion(prefer_good(body)), delay=0.3 if body["model"] == "judge" else 0.1
        )

    with OpenAIServer(respond) as server:
        arguments = run_arguments(server, "--limit", "4", "--json")
        done = bakeoff(*arguments, "--profile", cwd=tmp_path)
        without = bakeoff(*arguments, cwd=tmp_path)
    assert Results.model_validate_json(done.stdout).judgments
    assert done.stdout == without.stdout
    assert "Where the time went" not in without.stderr
    block = done.stderr.split("Where the time went\n")[1]
    rows = dict(re.findall(r"^  ([a-z ]+?) +([0-9.]+) s", block, re.MULTILINE))
    seconds = {name: float(value) for name, value in rows.items()}
    total = seconds.pop("in all")
    assert sum(seconds.values()) == pytest.approx(total, abs=0.05)
    assert seconds["generate"] >= 0.1
    assert seconds["wait for judge"] >= 0.25  # the time after the last completion
    for name in ("load", "summarise", "everything else"):
        assert 0 < seconds[name] < total, name
    assert {"parse", "store", "wait for disk"} <= seconds.keys()


def test_flags_override_yaml(call: Call) -> None:
    with OpenAIServer() as server:
        flags = run_arguments(server)[1:]
        keys: dict[str, Any] = {"model": flags[1:4:2], "judge": flags[5], "prompts": "starter"}
        keys |= {"limit": 5, "max_tokens": 9, "json": True}
        Path("run.yaml").write_text(json.dumps(keys))  # JSON is YAML
        done = call("run", "--config", "run.yaml", "--limit", "3")
    config = json.loads(done.stdout)["config"]
    assert (config["limit"], config["max_tokens"], config["model"]) == (3, 9, keys["model"])


PAIR = ("--model", "a=echo:x", "--model", "b=echo:y")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "echo:a", "--model", "magic:b"), ["'magic'", "echo", "embedded", "anthropic"]),
        (("--model", "echo:a?wrds=3", "--model", "echo:b"), ["'wrds'", "words"]),
        (("--model", "echo:a"), ["two models"]),
        (("--model", "echo:a", "--model", "./no/dir", "--prompts", "starter"), ["no/dir"]),
        ((*PAIR, "--prompts", "no.jsonl"), ["no.jsonl"]),
        ((*PAIR, "--prompts", "starter", "--out", "table.csv/x"), ["--out"]),
        ((*PAIR, "--limit", "0"), ["limit", "greater than or equal to 1"]),
        ((*PAIR, "--limt", "3"), ["--limt", "--limit"]),
        ((*PAIR, "--config", "bad.yaml"), ["lmit", "limit"]),
        ((*PAIR, "--prompts", "starter", "--judge", f"api:j?base_url={NOWHERE}"), ["127.0.0.1:1"]),
        ((*PAIR, "--prompts", "starter", "--judge", "api:j?base_url=http://h:x/v1"), ["base_url"]),
        (
            ("--judge", "embedded:smollm2"),
            ["embedded:smollm2", "--allow-self-judge"],
        ),
        (("--model", "echo:a?words=x", "--model", "echo:b"), ["words", "'x'"]),
        (("--model", "echo:a", "--model", "echo:a"), ["'echo:a'", "twice"]),
        (("--model", "echo:a", "--model", "file:no.jsonl"), ["no.jsonl"]),
        ((*PAIR, "--prompts", "empty.txt"), ["empty.txt"]),
        ((*PAIR, "--prompts", "table.csv?column=nope"), ["nope", "prompt"]),
        ((*PAIR, "--prompts", "starter", "--judge", "gpt-4"), ["OPENAI_API_KEY"]),
        ((*PAIR, "--prompts", "starter", "--store", "table.csv/x"), ["--store"]),
        ((*PAIR, "--orders", "both-ways"), ["orders", "random"]),
        ((*PAIR, "--config", "no.yaml"), ["no.yaml"]),
        (("--model", "embedded:smollm3", "--model", "echo:b"), ["smollm3", "smollm2"]),
        (
            (*PAIR, "--prompts", "starter", "--judge", "api:j?base_url=localhost:8000"),
            ["http://"],
        ),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_invalid_input_is_a_one_line_error_with_exit_code_2(
    call: Call, arguments: tuple[str, ...], words: list[str]
) -> None:
    Path("empty.txt").write_text("\n\n")
    Path("table.csv").write_text("prompt\nWhat?\n")
    Path("bad.yaml").write_text("lmit: 3\n")
    done = call("run", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert "Traceback" not in done.stderr
    assert "pydantic" not in done.stderr
    assert not Path("results", "results.json").exists()


def test_a_refused_key_stops_the_run(call: Call) -> None:
    def respond(body: dict[str, Any]) -> Any:
        if body["model"] == "judge":
            return Reply(401, {"error": {"message": "Incorrect API key provided"}})
        return prefer_good(body)

    with OpenAIServer(respond) as server:
        more = ("--limit", "40", "--max-concurrency", "2")
        done = call(*run_arguments(server, *more))
        judged = sum(request["model"] == "judge" for request in server.requests)
    assert done.returncode == 2
    assert "refuses the key" in done.stderr
    assert judged <= 4


def test_too_many_failures_are_reported_first_with_exit_code_3(call: Call) -> None:
    def respond(body: dict[str, Any]) -> Any:
        return "No idea." if body["model"] == "judge" else prefer_good(body)

    with OpenAIServer(respond) as server:
        done = call(*run_arguments(server, "--limit", "3"))
        forgiven = call(*run_arguments(server, "--limit", "3", "--max-failures", "1"))
    assert (done.returncode, forgiven.returncode) == (3, 0)
    assert done.stdout.splitlines()[0].startswith("6 failed")
    assert "6 asked = 0 judged + 6 failed" in done.stdout


@pytest.mark.long
def test_ctrl_c_keeps_finished_work_and_prints_how_to_resume(tmp_path: Path) -> None:
    interrupted = threading.Event()

    def hold_from_20(body: dict[str, Any]) -> Any:
        held = len(server.requests) >= 20
        return Reply(
            body=chat_completion(prefer_good(body)),
            until=lambda: not held or interrupted.is_set(),
        )

    with OpenAIServer(hold_from_20) as server:
        arguments = run_arguments(server, "--limit", "50", "--max-concurrency", "2")
        command = [sys.executable, "-m", "bakeoff", *arguments]
        process = subprocess.Popen(
            command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        while len(server.requests) < 20:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        errors = ""
        while "finishing what is under way" not in errors:
            line = process.stderr.readline()
            assert line, errors
            errors += line
        interrupted.set()
        errors += process.communicate(timeout=300)[1]
        sent = len(server.requests)
        server.respond = prefer_good
        again = bakeoff(*arguments, cwd=tmp_path)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert again.returncode == 0
    # A whole run sends 200 requests; at most 8 outcomes were lost.
    assert len(server.requests) - sent <= 200 - sent + 8


def test_the_module_and_the_installed_command_are_the_same() -> None:
    installed = Path(sys.executable).with_name("bakeoff")
    done = subprocess.run(
        [installed, "run", "--help"], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == bakeoff("run", "--help").stdout


VERDICTS = "question,label,first\n" + "".join(
    f"q{n},{'a' if n < 18 else 'b'},{first}\n" for n in range(24) for first in "ab"
)


def test_an_audit_prints_the_summary_and_writes_its_files(call: Call) -> None:
    Path("verdicts.csv").write_text(VERDICTS)
    columns = "prompt=question, winner=label"
    done = call("audit", "verdicts.csv", "--columns", columns)
    assert done.returncode == 0, done.stderr
    for line in (
        "  Total Comparisons: 24",
        "  Model 1: 75.0% (18 wins)",
        "  Verdicts: 48 asked = 48 judged + 0 failed",
        "  a is better than b: it wins 75.0 % (95 % interval 54.1 to 88.4 %)",
        "audit/results.json",
    ):
        assert line in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert Path("audit/report.html").exists()
    again = call("audit", "audit/results.json", "--json", "--out", "two")
    results = Results.model_validate_json(again.stdout)
    assert results.summary.pairs[0].wins == 18
    quiet = call("audit", "two/results.json", "--quiet")
    assert (again.stderr, quiet.stdout) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["FILES"]),
        (("none.json",), ["none.json"]),
        (("cut.json",), ["cut.json", "not JSON"]),
        (("verdicts.csv", "--columns", "winner=lable"), ["lable", "label"]),
        (("odd.json",), ["odd.json", "--format", "colour"]),
        (("verdicts.csv", "--format", "tables"), ["tables", "alpaca_eval"]),
        (("verdicts.csv", "--columns", "winner"), ["winner=label"]),
        (("verdicts.csv", "--columns", "champion=label"), ["champion", "winner"]),
        (("verdicts.csv", "--margin", "70", "--columns", "winner=label"), ["margin", "50"]),
        (("verdicts.csv", "--columns", "winner=label", "--out", "cut.json/x"), ["--out"]),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, tuple) else "",
)
def test_invalid_audit_input_is_a_one_line_error(
    call: Call, arguments: tuple[str, ...], words: list[str]
) -> None:
    Path("verdicts.csv").write_text(VERDICTS)
    Path("cut.json").write_text('[{"prompt": "x", ')
    Path("odd.json").write_text('[{"colour": "red"}]')
    done = call("audit", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not Path("audit/results.json").exists()


def test_list_judges_prints_the_backends_and_no_key(tmp_path: Path) -> None:
    done = bakeoff("list", "judges", cwd=tmp_path, env={"OPENAI_API_KEY": "sk-marker"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    place = lines.index("openai:NAME")
    assert lines[place + 1] == "  installed, OPENAI_API_KEY is set"
    for words in ("anthropic:NAME", "embedded:qwen2.5-coder-0.5b", "reward:NAME", "human"):
        assert words in lines
    assert "sk-marker" not in done.stdout + done.stderr
    models = bakeoff("list", "models", cwd=tmp_path).stdout.splitlines()
    assert "file:PATH.jsonl" in models
    assert "human" not in models


def test_judge_check_uses_the_built_in_pairs(call: Call) -> None:
    def respond(body: dict[str, Any]) -> Any:  # the longer completion wins
        length_a, length_b = map(len, shown_completions(body))
        return verdict_json("A", 8, 3) if length_a > length_b else verdict_json("B", 3, 8)

    with OpenAIServer(respond) as server:
        judge = f"longer=api:judge?base_url={server.url}"
        done = call("judge-check", "--judge", judge, "--out", "out")
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 120
        again = call("judge-check", "--judge", judge, "--json")
        assert len(server.requests) == 120
    assert "Pairs whose better one is known: 60" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    document = json.loads(again.stdout)
    assert document["judges"][0]["judge"] == "longer"
    saved = json.loads(Path("out", "judge-check.json").read_text())
    assert saved["judges"] == document["judges"]


def test_judge_check_errors_are_one_line(call: Call) -> None:
    Path("bad.jsonl").write_text('{"prompt": "?", "better": "x"}\n')
    for arguments, words in (
        (["--judge", f"api:j?base_url={NOWHERE}"], "cannot be reached"),
        ([], "--judge"),
        (["bad.jsonl", "--judge", f"api:j?base_url={NOWHERE}"], "bad.jsonl"),
    ):
        done = call("judge-check", *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


COMMAND = [sys.executable, "-m", "bakeoff"]


def delayed_reply(body: dict[str, Any]) -> Reply:
    return Reply(body=chat_completion(prefer_good(body)), delay=0.05)


@pytest.mark.long
def test_a_terminal_shows_one_live_view_and_then_the_summary(tmp_path: Path) -> None:
    with OpenAIServer(delayed_reply) as server:
        command = [*COMMAND, *run_arguments(server, "--limit", "30", "--max-concurrency", "4")]
        shown = Terminal(command, tmp_path).wait()
    assert shown.code == 0
    assert shown.width <= 80
    view, _, summary = shown.text.partition("Model Comparison Summary")
    for words in (
        r"good completes +[━─]+ +\d+/30 .*\d/s +0:\d\d left +\d+ tok",
        r"bad completes +━+ +30/30 .*in 0:\d\d +240 tok",
        r"judge judges +━+ +60/60 +in 0:\d\d +480 tok",
    ):
        assert re.search(words, view), (words, view[-2000:])
    assert "\x1b[1;32m  good is better than bad" in shown.raw
    assert "completes" not in summary
    hidden, visible = (shown.raw.count(code) for code in ("\x1b[?25l", "\x1b[?25h"))
    assert hidden == visible  # the cursor is visible again


@pytest.mark.long
def test_resizing_the_terminal_breaks_nothing(tmp_path: Path) -> None:
    sizes = iter([40, 200, 20, 1, 80])

    def respond(body: dict[str, Any]) -> Reply:
        if len(server.requests) % 12 == 0:
            terminal.resize(next(sizes, 80))
        return delayed_reply(body)

    with OpenAIServer(respond) as server:
        command = [*COMMAND, *run_arguments(server, "--limit", "20", "--max-concurrency", "4")]
        terminal = Terminal(command, tmp_path)
        shown = terminal.wait()
    assert shown.code == 0
    assert next(sizes, None) is None
    assert "Traceback" not in shown.text


def test_ctrl_c_restores_the_terminal(tmp_path: Path) -> None:
    pressed: list[int] = []

    def press(output: str) -> None:
        if "judges" in output and len(server.requests) > 12 and not pressed:
            pressed.append(1)
            terminal.type(b"\x03")

    with OpenAIServer(delayed_reply) as server:
        command = [*COMMAND, *run_arguments(server, "--limit", "60", "--max-concurrency", "1")]
        terminal = Terminal(command, tmp_path)
        shown = terminal.wait(press)
    assert (pressed, shown.code) == ([1], 130)
    assert "the same command goes on" in shown.text
    assert "Traceback" not in shown.text
    assert shown.raw.rindex("\x1b[?25h") > shown.raw.rindex("\x1b[?25l")
    progress = read_progress(tmp_path / "results")
    assert progress is not None
    assert 0 < sum(row.done for row in progress.rows) < 240


@pytest.mark.long
def test_quiet_prints_nothing_on_a_terminal_and_json_is_alone_on_stdout(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        arguments = run_arguments(server, "--limit", "2")
        assert Terminal([*COMMAND, *arguments, "--quiet"], tmp_path).wait() == ("", 0)
        shell = ["/bin/sh", "-c", '"$@" --json > only.json', "sh", *COMMAND, *arguments]
        shown = Terminal(shell, tmp_path).wait()
    assert "judge judges" in shown.text
    assert Results.model_validate_json((tmp_path / "only.json").read_bytes()).judgments


@pytest.mark.parametrize("color", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.long
def test_no_color_and_a_dumb_terminal_disable_colors(tmp_path: Path, color: dict[str, str]) -> None:
    with OpenAIServer() as server:
        command = [*COMMAND, *run_arguments(server, "--limit", "20")]
        shown = Terminal(command, tmp_path, env=color).wait()
    assert shown.code == 0
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", shown.raw))
    assert not [code for code in codes if re.search(r"3\d|4\d|9\d", code)]
    if "TERM" in color:
        assert "\x1b" not in shown.raw
        assert "judge judges: 40/40 in" in shown.text


EVIL = "</script>\x1b[31m\x1b]0;t\x07\x00\x9b\u202e\u2066日本 😀 [red]x[/red] ± \ud800\r\n"
PLAIN = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


def hostile_reply(body: dict[str, Any]) -> str:
    if body["model"] == "judge":
        return verdict_json("A", 7, 6, explanation=EVIL + "x" * 100_000)
    return EVIL + "y" * 200_000 + str(body["model"])


@pytest.mark.parametrize("env", [*long([PLAIN, {}, {"PYTHONIOENCODING": "latin-1"}])], ids=str)
def test_hostile_texts_and_names_are_escaped_in_every_encoding(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with OpenAIServer(hostile_reply) as server:
        url = f"?base_url={server.url}"
        names = "go\x1b[31mod\u202e日本", "[red]bad[b]"
        models = [flag for name in names for flag in ("--model", f"{name}=api:m{url}")]
        run = ["run", *models, "--judge", f"j\x07=api:judge{url}", "--prompts", "starter"]
        arguments = [*run, "--limit", "2", "--show-samples", "1"]
        shown = Terminal([*COMMAND, *arguments], tmp_path, env=env).wait()
        encoding = env.get("PYTHONIOENCODING", "utf-8")
        piped = bakeoff(*arguments, cwd=tmp_path, env=env, encoding=encoding)
        document = bakeoff(*arguments, "--json", cwd=tmp_path, env=env, encoding=None)
        again = bakeoff("audit", "results/results.json", cwd=tmp_path, env=env, encoding=encoding)
    assert (shown.code, piped.returncode, document.returncode, again.returncode) == (0, 0, 0, 0)
    assert shown.width <= 80
    for text in (shown.text, piped.stdout, piped.stderr, again.stdout):
        assert not [char for char in text if unicodedata.category(char) == "Cc" and char != "\n"]
        assert not set("\u202e\u2066") & set(text)
    assert "go\\x1b[31mod\\u202e" in shown.text
    assert "[red]bad[b] completes" in shown.text
    assert len(shown.text) < 60_000
    results = Results.model_validate_json(document.stdout)
    assert len(results.completions) == 4
    if env == PLAIN:
        assert (shown.raw + piped.stdout + piped.stderr).isascii()
        assert document.stdout.isascii()


def test_an_argument_that_is_not_utf_8_is_a_one_line_error(tmp_path: Path) -> None:
    done = bakeoff("run", "--model", "\udcff=echo:x", *PAIR, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "UTF-8" in done.stderr


def test_a_closed_output_pipe_is_not_an_error(tmp_path: Path) -> None:
    shell = ["/bin/sh", "-c", '"$@" | head -1', "sh", *COMMAND, "list", "judges"]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_report_writes_the_page_and_its_charts(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    # `tests/integration/report/charts` renders them, which takes a second.
    monkeypatch.setattr(figures, "_images", lambda chart: (chart.name, chart.name.encode()))
    Path("results.json").write_text(sample_results().to_json())
    done = call("report", "results.json", "--charts", "figures", "--out", "page")
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert paths[0].read_text().startswith("<!doctype html>")
    assert {path.name for path in paths[1:]} >= {"win-rate.svg", "win-rate.png"}
    assert all(path.stat().st_size for path in paths)
    assert call("report", ".").stdout == "report.html\n"


def test_a_page_needs_no_extra_and_charts_as_files_name_theirs(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    Path("results.json").write_text(sample_results().to_json())
    done = call("report", "results.json", "--charts", "figures")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bakeoff: a chart as a file needs: pip install 'bakeoff[figures]'\n"
    assert not Path("report.html").exists()
    assert call("report", "results.json").stdout == "report.html\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "nowhere.json"], "cannot read 'nowhere.json' (No such file or directory)"),
        (["report", "results.json", "--charts", "results.json/x"], "cannot write into"),
        (["vote", "nowhere.json"], "cannot read 'nowhere.json' (No such file or directory)"),
        (["vote", "none.json"], "no results"),
        (["serve", "nowhere"], "there is no 'nowhere': name a results.json, or a folder"),
        (["serve", ".", "--port", "-1"], "--port"),
    ],
)
def test_report_vote_and_serve_errors_are_one_line(
    arguments: list[str], words: str, call: Call
) -> None:
    Path("results.json").write_text(sample_results().to_json())
    Path("none.json").write_text("{}")
    done = call(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_serve_prints_its_address_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(sample_results().to_json())
    command = [sys.executable, "-m", "bakeoff", "serve", "."]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    address = process.stderr.readline().split()[-1]
    page = httpx.get(address, follow_redirects=True, trust_env=False, timeout=300)
    assert page.text.startswith("<!doctype html>")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Traceback" not in rest
