"""Runs that look again at two models, and runs with planned looks, over a loopback server."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, Results, audit, run, run_async
from bakeoff.errors import InterruptError
from bakeoff.evaluation.session import plan
from bakeoff.records import Look, StoredRun
from bakeoff.report.terminal import make_console, print_results
from bakeoff.report.text.runs import history_lines
from bakeoff.runtime import StopToken
from bakeoff.storage import RUN_PREFIX, Store
from bakeoff.storage.merge import merge
from bakeoff.storage.salvage import check
from bakeoff.testing import OpenAIServer, shown_completions, verdict_json
from tests.builders import prose
from tests.integration.evaluation.test_pipeline import config
from tests.integration.evaluation.test_sequential_runs import judge_request_count


def judge_by_share(share: float) -> Any:
    """Return the responder of a judge for which the stronger model wins on a share of prompts."""

    def respond(body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        if not body["model"].startswith("judge"):
            return f"{body['model']} on {text} on {prose(body['model'] + text)}"
        first, second = shown_completions(body)
        models = [completion.split(" on ")[0] for completion in (first, second)]
        wins = random.Random(first.split(" on ")[1]).random() < share
        weaker, stronger = sorted(models, key=("bad", "new", "good").index)
        return verdict_json("AB"[models.index(stronger if wins else weaker)])

    return respond


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(judge_by_share(0.6)) as running:
        yield running


def compare(server: OpenAIServer, folder: Path, limit: int, **more: Any) -> Results:
    return run(looks_config(server, folder, limit, **more))


def looks_config(server: OpenAIServer, folder: Path, limit: int, **more: Any) -> Config:
    return config(server, folder, 400, limit=limit, max_concurrency=8, **more)


def stored_runs(folder: Path) -> list[StoredRun]:
    with Store(folder / "store.sqlite") as store:
        runs = store.get_all(RUN_PREFIX, StoredRun).values()
    return sorted(runs, key=lambda entry: entry.time)


def method(results: Results) -> str:
    rate = results.summary.pairs[0].win_rate
    assert rate is not None
    return rate.method


ANYTIME = "confidence sequence by betting"


def test_a_run_on_more_prompts_is_a_second_look(
    server: OpenAIServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = compare(server, tmp_path, 30)
    assert first.design.looks == ()
    assert method(first) != ANYTIME
    second = compare(server, tmp_path, 60)
    assert [(look.prompts, look.outcome) for look in second.design.looks] == [
        (30, first.summary.pairs[0].outcome)
    ]
    assert method(second) == ANYTIME
    assert second.summary.pairs[0].prompts == 60  # from the first prompt, not only the new ones
    third = compare(server, tmp_path, 90)
    assert [look.prompts for look in third.design.looks] == [30, 60]
    assert third.design.label("good", "bad") == "third look"
    (note,) = [note for note in third.summary.notes if "look at" in note]
    assert note.startswith("third look at good against bad, after 30 prompts on ")
    assert "third look" in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out/results.json").read_text())["design"]["looks"] == [
        look.model_dump() for look in third.design.looks
    ]
    audited = audit([tmp_path / "out" / "results.json"])
    assert audited.summary.pairs == third.summary.pairs
    print_results(make_console(), third, 0)
    assert "This is the third look" in capsys.readouterr().out


def test_repeating_or_rendering_a_run_is_no_look(server: OpenAIServer, tmp_path: Path) -> None:
    first = compare(server, tmp_path, 30)
    assert compare(server, tmp_path, 30) == first
    again = compare(server, tmp_path, 30, out=tmp_path / "other", show_samples=1)
    assert again.summary == first.summary
    assert len(stored_runs(tmp_path)) == 1
    second = compare(server, tmp_path, 60)
    assert [look.prompts for look in second.design.looks] == [30]
    # The command of an earlier look gives the results of that look.
    assert compare(server, tmp_path, 30, out=tmp_path / "third").summary == first.summary
    repeated = compare(server, tmp_path, 60, out=tmp_path / "fourth")
    assert (repeated.summary, repeated.design) == (second.summary, second.design)
    assert len(stored_runs(tmp_path)) == 2


def test_a_subset_after_a_look_is_decided_by_the_confidence_sequence(
    server: OpenAIServer, tmp_path: Path
) -> None:
    compare(server, tmp_path, 60)
    fewer = compare(server, tmp_path, 40)
    assert method(fewer) == ANYTIME
    more = compare(server, tmp_path, 80)
    assert [look.prompts for look in more.design.looks] == [60]  # 40 of its prompts are no look


@pytest.mark.parametrize("change", ["seed", "file", "copied file"])
def test_other_prompts_of_the_same_set_are_a_later_look(
    server: OpenAIServer, tmp_path: Path, change: str
) -> None:
    compare(server, tmp_path, 30)
    changed = looks_config(server, tmp_path, 30, seed=7)
    if change != "seed":
        lines = (tmp_path / "prompts.txt").read_text().splitlines()
        path = tmp_path / ("copy.txt" if change == "copied file" else "prompts.txt")
        path.write_text("\n".join([*lines, *(f"Another question {n}?" for n in range(400))]))
        fields = changed.model_dump(exclude_unset=True) | {"prompts": str(path), "seed": 42}
        changed = Config(**fields | {"limit": 90})
    later = run(changed)
    assert [look.prompts for look in later.design.looks] == [30]


def test_other_judges_models_and_prompts_have_looks_of_their_own(
    server: OpenAIServer, tmp_path: Path
) -> None:
    compare(server, tmp_path, 30)
    url = f"?base_url={server.url}"
    other_judge = compare(server, tmp_path, 60, judge=(f"judge=api:judge-2{url}",))
    other_sampling = compare(server, tmp_path, 60, temperature=0.1)
    other = tmp_path / "other.txt"
    other.write_text("\n".join(f"Why {n}?" for n in range(60)))
    other_prompts = compare(server, tmp_path, 60, prompts=str(other))
    for results in (other_judge, other_sampling, other_prompts):
        assert results.design.looks == ()
        assert method(results) != ANYTIME
    names = tuple(f"{name}=api:{name}{url}&retries=8" for name in ("bad", "good"))
    swapped = compare(server, tmp_path, 90, model=names)  # in the other order: the same models
    assert swapped.summary.pairs[0].a == "bad"
    first = stored_runs(tmp_path)[0]
    assert swapped.design.looks == (
        Look(a="good", b="bad", prompts=30, outcome=first.outcome, time=first.time),
    )


def test_a_look_concerns_only_the_pair_that_was_compared(
    server: OpenAIServer, tmp_path: Path
) -> None:
    compare(server, tmp_path, 30)
    url = f"?base_url={server.url}&retries=8"
    models = tuple(f"{name}=api:{name}{url}" for name in ("good", "bad", "new"))
    results = compare(server, tmp_path, 60, model=models)
    methods = {
        (pair.a, pair.b): pair.win_rate.method for pair in results.summary.pairs if pair.win_rate
    }
    assert [pair for pair, name in methods.items() if name == ANYTIME] == [("good", "bad")]


def test_interrupted_small_and_sharded_runs_are_no_looks(
    server: OpenAIServer, tmp_path: Path
) -> None:
    compare(server, tmp_path, 19)
    token = StopToken()

    def interrupt(update: Any) -> None:
        if update.stage == "judgment" and update.done > 20:
            token.interrupt()

    with pytest.raises(InterruptError):
        asyncio.run(run_async(looks_config(server, tmp_path, 60), interrupt, stop_token=token))
    shard = looks_config(server, tmp_path, 100, shard="1/2")
    run(shard)
    first = compare(server, tmp_path, 60)
    assert first.design.looks == ()
    assert method(first) != ANYTIME


def test_merge_and_store_check_keep_the_recorded_runs(server: OpenAIServer, tmp_path: Path) -> None:
    compare(server, tmp_path, 30)
    merged = tmp_path / "merged.sqlite"
    merge([tmp_path / "store.sqlite"], merged)
    assert check(merged).counts["finished runs of two models"] == 1
    assert compare(server, tmp_path, 60, store=merged).design.label("bad", "good") == "second look"
    with_other_store = compare(server, tmp_path, 60, store=tmp_path / "other.sqlite")
    assert with_other_store.design.looks == ()  # looks in other stores are not known


def test_the_plan_names_an_earlier_look_and_what_the_run_can_tell(
    server: OpenAIServer, tmp_path: Path
) -> None:
    first = plan(looks_config(server, tmp_path, 50))
    assert first.detectable == pytest.approx((0.296, 0.704), abs=0.001)
    compare(server, tmp_path, 30)
    second = plan(looks_config(server, tmp_path, 50))
    assert second.detectable is not None
    assert second.detectable[1] > 0.75  # the confidence sequence needs more prompts
    assert second.notes[0].startswith("second look at good against bad, after 30 prompts")
    planned = plan(looks_config(server, tmp_path, 50, looks=3, store=tmp_path / "new.sqlite"))
    assert planned.detectable is not None
    assert 0.7 < planned.detectable[1] < 0.72


def test_planned_looks_end_at_a_look_that_settles_the_verdict(tmp_path: Path) -> None:
    with OpenAIServer(judge_by_share(0.75)) as server:
        results = compare(server, tmp_path, 300, looks=3)
        requests = len(server.requests)
        assert judge_request_count(server) == 200
        again = compare(server, tmp_path, 300, looks=3)
        assert len(server.requests) == requests
        assert again == results
        (planned,) = results.design.planned
        assert (planned.number, planned.looks) == (1, 3)
        assert planned.alpha == pytest.approx(0.00052, abs=1e-5)
        pair = results.summary.pairs[0]
        assert (pair.prompts, pair.outcome) == (100, "better")
        wider = pair.win_rate
        fixed = compare(server, tmp_path, 100, store=tmp_path / "fixed.sqlite")
        narrower = fixed.summary.pairs[0].win_rate
        assert wider is not None
        assert narrower is not None
        assert wider.estimate == narrower.estimate
        assert wider.high - wider.low > 1.5 * (narrower.high - narrower.low)
        later = compare(server, tmp_path, 300)
    assert [look.prompts for look in later.design.looks] == [100]
    assert method(later) == ANYTIME
    notes = " ".join(results.summary.notes)
    assert "--looks 3: it took 100 of 300 prompts at most, and 1 of the looks" in notes
    assert "planned look 1 of 3 at good against bad: the interval has the level 99.95 %" in notes


def test_planned_looks_after_an_earlier_look_use_the_confidence_sequence(tmp_path: Path) -> None:
    with OpenAIServer(judge_by_share(0.75)) as server:
        compare(server, tmp_path, 30)
        results = compare(server, tmp_path, 300, looks=3)
        assert compare(server, tmp_path, 300, looks=3) == results
    assert results.design.planned == ()
    assert results.design.label("good", "bad") == "second look"
    assert method(results) == ANYTIME
    assert results.summary.pairs[0].prompts == 100  # the pair is still checked at planned looks


def test_the_last_planned_look_has_nearly_the_whole_error_rate(tmp_path: Path) -> None:
    with OpenAIServer(judge_by_share(0.5)) as server:
        results = compare(server, tmp_path, 60, looks=2, margin=0)
    (planned,) = results.design.planned
    assert (planned.number, planned.looks) == (2, 2)
    assert planned.alpha == pytest.approx(0.048, abs=0.0005)
    assert results.summary.pairs[0].prompts == 60


def test_all_judges_tried_on_two_models_are_listed(
    server: OpenAIServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"?base_url={server.url}"
    judges = [f"j{n}=api:judge-{n}{url}" for n in range(1, 4)]
    first = compare(server, tmp_path, 5, judge=(judges[0],))
    assert [(entry.judges, entry.time) for entry in first.runs] == [(("j1",), None)]
    compare(server, tmp_path, 30, judge=(judges[1],), temperature=0.2)
    third = compare(server, tmp_path, 30, judge=(judges[2],))
    assert [(entry.judges, entry.prompts, entry.time is None) for entry in third.runs] == [
        (("j1",), 5, False),
        (("j2",), 30, False),
        (("j3",), 30, True),
    ]
    assert third.runs[1].outcome == stored_runs(tmp_path)[1].outcome
    (line,) = history_lines(third, third.summary.pairs[0])
    source = tmp_path / "prompts.txt"
    assert line.startswith(
        f"Third of 3 judges tried on these two models in this store: j1, 5 prompts of {source} on "
    )
    assert "; j3, 30 prompts of" in line
    print_results(make_console(), third, 0)
    assert "Third of 3 judges tried" in capsys.readouterr().out
    assert "Third of 3 judges tried" in (tmp_path / "out" / "report.html").read_text()
    assert audit([tmp_path / "out" / "results.json"]).summary.pairs == third.summary.pairs
    # A repeated run lists what other runs were done since.
    again = compare(server, tmp_path, 5, judge=(judges[0],), out=tmp_path / "again")
    assert [entry.time is None for entry in again.runs] == [True, False, False]
    assert again.summary == first.summary
    (line,) = history_lines(again, again.summary.pairs[0])
    assert line.startswith("First of 3 judges tried")
    more = compare(server, tmp_path, 40, judge=(judges[2],))
    (line,) = history_lines(more, more.summary.pairs[0])
    assert line.startswith("Third of 3 judges")
