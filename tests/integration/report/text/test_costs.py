"""Costs as text: plans, requests of a run, and the confirmation before a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.records import Plan, StageUsage
from bakeoff.report.text.costs import cost_lines, dollar_text, plan_sections, run_lines
from bakeoff.testing import OpenAIServer
from tests.builders import sample_results
from tests.marks import long
from tests.pseudo_terminal import Terminal

COMMAND = [sys.executable, "-m", "bakeoff"]


def command(server: OpenAIServer, subcommand: str, *more: str) -> list[str]:
    judge = f"openai:gpt-4?base_url={server.url}"
    arguments = ["--model", "a=echo:good", "--model", "b=echo:b", "--judge", judge]
    return [*COMMAND, subcommand, *arguments, "--prompts", "starter", "--limit", "3", *more]


def test_a_plan_lists_known_and_unknown_costs() -> None:
    paid = StageUsage(
        stage="judgment",
        participant="gpt-4",
        requests=100,
        input_tokens=120_000,
        output_tokens=16_000,
    )
    paid = paid.model_copy(update={"cost": 4.56, "max_cost": 9.2, "seconds": 300.0})
    free = StageUsage(
        stage="completion", participant="a", requests=50, stored=2, cost=0, max_cost=0
    )
    unknown = StageUsage(
        stage="judgment", participant="j", requests=1, input_tokens=10, output_tokens=1
    )
    (lines,) = plan_sections(Plan(prompts=50, usage=(free, paid), notes=("guessed",))).values()
    assert lines == [
        "a completes: 50 requests, nothing to pay, 2 completions are in the store",
        "gpt-4 judges: 100 requests, 120,000 tokens read, 16,000 written, about $4.56, "
        "at most $9.20, about 5 minutes",
        "Together: 150 requests, about $4.56, at most $9.20, about 5 minutes",
        "Assumed: guessed",
    ]
    (lines,) = plan_sections(Plan(prompts=50, usage=(paid, unknown))).values()
    assert lines[1] == "j judges: 1 request, 10 tokens read, 1 written, no price is known"
    assert lines[2].startswith("Together: 101 requests, no price is known for j, $4.56 for the oth")
    plan = Plan(prompts=50, usage=(free,), detectable=(0.296, 0.704))
    (lines,) = plan_sections(plan).values()
    assert lines[-1] == (
        "It tells a win rate below about 30 % or above about 70 % from 50 %, in 4 of 5 runs: "
        "50 prompts without ties (a tie tells less)"
    )


def test_requests_of_a_run_are_counted_with_retries_and_cached_outcomes() -> None:
    usage = StageUsage(
        stage="judgment", participant="j", stored=3, requests=12, retries=2, unanswered=1, cost=0.25
    )
    assert run_lines([usage]) == [
        "Made by 12 requests, 2 of them again, "
        "1 without a reply (they may be billed all the same), "
        "3 outcomes from the store, which cost nothing, $0.25 paid"
    ]
    assert run_lines([]) == []
    results = sample_results()
    assert cost_lines(results)[0].endswith("tokens written, no price is known")


@pytest.mark.parametrize(
    ("cost", "text"),
    [(0, "$0.00"), (12.345, "$12.35"), (0.0312, "$0.0312"), (1e-6, "less than $0.0001")],
)
def test_dollar_amounts_have_significant_digits(cost: float, text: str) -> None:
    assert dollar_text(cost) == text


@pytest.mark.parametrize(
    ("typed", "code", "requests"),
    [(b"y\n", 0, 6), *long([(b"\x03", 130, 0), (b"\n", 0, 6), (b"n\n", 130, 0)])],
)
def test_an_interactive_run_asks_for_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: bytes, code: int, requests: int
) -> None:
    answers: list[int] = []

    def answer(output: str) -> None:
        if "Go on? [Y/n]" in output and not answers:
            answers.append(1)
            terminal.type(typed)

    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        terminal = Terminal(command(server, "run"), tmp_path)
        shown = terminal.wait(answer)
        assert (shown.code, len(server.requests)) == (code, requests)
    assert "gpt-4 judges: 6 requests" in shown.text
    assert "Traceback" not in shown.text


@pytest.mark.parametrize("more", [["--yes"], *long([["--max-cost", "5"], ["--quiet"]])])
def test_a_confirmed_run_does_not_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        shown = Terminal(command(server, "run", *more), tmp_path).wait()
        assert (shown.code, len(server.requests)) == (0, 6)
    assert "Go on?" not in shown.text
    assert ("about $0" in shown.text) == (more != ["--quiet"])


def test_plan_makes_no_request_and_prints_json(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        for more in ([], ["--json"], ["--max-cost", "0.001"]):
            done = subprocess.run(
                command(server, "plan", *more),
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=300,
            )
            if more == ["--json"]:
                plan = Plan.model_validate(json.loads(done.stdout))
                assert [stage.requests for stage in plan.usage] == [3, 3, 6]
            else:
                assert "Together: 12 requests, about $0." in done.stdout
            assert done.returncode == (2 if "--max-cost" in more else 0), done.stderr
        assert "more than --max-cost 0.001" in done.stderr
        assert not server.requests
    assert list(tmp_path.iterdir()) == []
