import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, run
from bakeoff.config.options import JudgeCheckOptions
from bakeoff.errors import ConfigError
from bakeoff.evaluation.judge_check import (
    CheckResults,
    JudgeCheck,
    LabeledPair,
    check,
    check_judges,
    load_labeled_pairs,
)
from bakeoff.runtime.progress import ProgressUpdate
from bakeoff.testing import OpenAIServer, Reply
from tests.builders import write_file
from tests.tiny_models import make_tiny_model
from tests.unit.evaluation.judge_check.builders import (
    Responder,
    always_first,
    pair,
    perfect_judge,
    prefers_longest,
)

OURS = load_labeled_pairs().pairs
STORE = Path("store.sqlite")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(perfect_judge(OURS)) as running:
        yield running


def spec(server: OpenAIServer, name: str = "j", **options: object) -> str:
    options_ = {"base_url": server.url, "retries": 0} | options
    return f"{name}=api:{name}?" + "&".join(f"{key}={value}" for key, value in options_.items())


def check_one(server: OpenAIServer, respond: Responder, **more: Any) -> JudgeCheck:
    """Return the check of one judge with this responder on the built-in pairs."""
    server.respond = respond
    (judge_check,) = check(more.pop("file", None), [spec(server)], store=STORE, **more).judges
    return judge_check


def file_of(pairs: list[LabeledPair], path: Path = Path("pairs.jsonl")) -> Path:
    rows = [
        {"id": p.id, "set": p.set, "better": p.better, "worse": p.worse}
        | {"prompt": p.prompt.messages[0].content}
        for p in pairs
    ]
    return write_file(path, rows)


def test_perfect_judge_is_right_on_all_pairs(server: OpenAIServer) -> None:
    check_ = check_one(server, perfect_judge(OURS))
    overall = check_.overall
    assert (overall.pairs, overall.right) == (60, 60)
    assert overall.accuracy is not None
    assert overall.accuracy.estimate == 1
    assert 0.9 < overall.accuracy.low < 1
    assert check_.kappa is not None
    assert check_.kappa.estimate == 1
    assert (check_.accounting.asked, check_.accounting.failed) == (120, 0)
    assert check_.misses == ()
    assert {name: grade.right for name, grade in check_.by_set.items()} == dict.fromkeys(
        ("easy", "other-prompt", "wrong-fact"), 20
    )


def test_judge_that_always_names_the_first_splits_all_pairs(server: OpenAIServer) -> None:
    check_ = check_one(server, always_first)
    assert (check_.overall.right, check_.overall.split) == (0, 60)
    assert check_.consistency is not None
    assert check_.consistency.estimate == 0
    assert check_.kappa is not None
    assert check_.kappa.estimate == pytest.approx(0)
    assert {miss.outcome for miss in check_.misses} == {"split"}


def test_judge_that_prefers_length_equals_the_length_baseline(
    server: OpenAIServer,
) -> None:
    check_ = check_one(server, prefers_longest)
    assert check_.overall.right == check_.overall.length_baseline.right > 0
    assert check_.overall.wrong == check_.overall.length_baseline.wrong
    assert check_.overall.tie == check_.overall.length_baseline.equal
    assert check_.longer_won is not None
    assert check_.longer_won.estimate == 1


def test_judge_that_is_wrong_on_one_set_is_detected_there(server: OpenAIServer) -> None:
    check_ = check_one(server, perfect_judge(OURS, wrong=["wrong-fact"]))
    assert (check_.overall.right, check_.overall.wrong) == (40, 20)
    assert check_.by_set["wrong-fact"].wrong == 20
    assert check_.by_set["easy"].right == 20
    assert {miss.set for miss in check_.misses} == {"wrong-fact"}
    assert {miss.outcome for miss in check_.misses} == {"wrong"}
    assert set(check_.by_kind) >= {"easy: empty", "easy: refusal"}


def test_second_check_sends_no_request(server: OpenAIServer) -> None:
    first = check(None, [spec(server)], store=STORE)
    assert len(server.requests) == 120
    again = check(None, [spec(server)], store=STORE)
    assert len(server.requests) == 120
    assert again.judges == first.judges
    assert again.judgments == first.judgments


def test_failures_are_counted_and_requested_again(server: OpenAIServer) -> None:
    right, lost = perfect_judge(OURS), [p.prompt.messages[0].content for p in OURS[:3]]

    def faulty(body: dict[str, Any]) -> Any:
        if any(question in body["messages"][0]["content"] for question in lost):
            return Reply(status=500, body={"error": {"message": "down"}})
        return right(body)

    check_ = check_one(server, faulty)
    assert (check_.overall.failed, check_.overall.right) == (3, 57)
    assert check_.overall.accuracy is not None
    assert check_.overall.accuracy.n == 57
    assert check_.overall.worst_case == (57 / 60, 1)
    assert (check_.accounting.judged, check_.accounting.failed) == (114, 6)
    assert check_.accounting.failed_by_kind == {"backend": 6}
    server.requests.clear()
    assert check_one(server, right).overall.right == 60
    assert len(server.requests) == 6


def test_unreadable_reply_is_a_failure_and_no_tie(server: OpenAIServer) -> None:
    check_ = check_one(server, lambda _: "I like both.", limit=4)
    assert (check_.overall.failed, check_.overall.tie) == (4, 0)
    assert sum(check_.accounting.failed_by_kind.values()) == 8


def test_repeats_are_requested_and_averaged(server: OpenAIServer) -> None:
    results = check(None, [spec(server)], store=STORE, limit=5, repeats=3)
    assert len(server.requests) == 30
    assert results.judges[0].overall.right == 5
    assert len(results.agreement[0].raters) == 3


def test_agreement_of_several_judges(server: OpenAIServer) -> None:
    with OpenAIServer(always_first) as other:
        results = check(None, [spec(server), spec(other, "k")], store=STORE, limit=10)
    assert [judge_check.judge for judge_check in results.judges] == ["j", "k"]
    assert [judge_check.overall.right for judge_check in results.judges] == [10, 0]
    (agreement,) = results.agreement
    assert (set(agreement.raters), agreement.share) == ({"j", "k"}, 0)


def test_run_and_check_share_stored_verdicts(server: OpenAIServer, tmp_path: Path) -> None:
    pairs = [pair(number) for number in range(4)]
    models = []
    for name in ("better", "worse"):
        rows = [
            {"prompt": p.prompt.messages[0].content, "completion": getattr(p, name)} for p in pairs
        ]
        models.append(f"{name}=file:{write_file(tmp_path / f'{name}.jsonl', rows)}")
    prompts = [{"prompt": p.prompt.messages[0].content} for p in pairs]
    server.respond = perfect_judge(pairs)
    run(
        Config(
            model=tuple(models),
            judge=(spec(server),),
            prompts=str(write_file(tmp_path / "prompts.jsonl", prompts)),
            store=STORE,
        )
    )
    assert len(server.requests) == 8
    (judge_check,) = check(file_of(pairs), [spec(server)], store=STORE).judges
    assert len(server.requests) == 8
    assert judge_check.overall.right == 4


def test_exclusive_judge_can_be_checked(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "judge")
    judge = f"tiny=hf:{tmp_path / 'judge'}?verdict=logprob"
    with OpenAIServer(always_first) as server:
        results = check(None, [judge, spec(server)], store=STORE, limit=3)
    assert [judge_check.judge for judge_check in results.judges] == ["tiny", "j"]
    assert all(judge_check.accounting.asked == 6 for judge_check in results.judges)


def test_pointwise_judge_is_requested_once_per_pair(
    server: OpenAIServer,
) -> None:
    def score(body: dict[str, Any]) -> str:
        liked = any(p.better in body["messages"][0]["content"] for p in pairs)
        return json.dumps({"explanation": "So.", "score": 9 if liked else 2})

    pairs = [pair(number) for number in range(3)]
    server.respond = score
    (judge_check,) = check(file_of(pairs), [spec(server, verdict="scored")], store=STORE).judges
    assert (judge_check.overall.right, judge_check.accounting.asked) == (3, 3)
    assert judge_check.order.identified == "order-free"


def test_document_round_trip(server: OpenAIServer) -> None:
    results = check(None, [spec(server)], store=STORE, limit=6)
    text = results.to_json()
    assert CheckResults.model_validate_json(text) == results
    assert json.loads(text)["schema"] == "bakeoff-check/1"
    assert (len(results.pairs), len(results.judgments)) == (6, 12)
    assert (results.available, results.config["limit"], results.config["repeats"]) == (60, 6, 1)
    assert "j" in results.environment["judges"]  # type: ignore[operator]


def test_pair_with_equal_texts_is_noted(server: OpenAIServer) -> None:
    same = pair(1).model_copy(update={"worse": "good 1"})
    server.respond = perfect_judge([pair(0), same])
    results = check(file_of([pair(0), same]), [spec(server)], store=STORE)
    (note,) = results.notes
    assert note.startswith("1 of the pairs")
    assert note.endswith("'p1'")
    assert results.judges[0].overall.right == 1


@pytest.mark.parametrize(
    ("judges", "message"),
    [
        ([], "give one with --judge"),
        (["echo:a", "echo:a"], "'echo:a' stands there twice"),
        (["human"], "'human' cannot be checked"),
        (["echo:a?nonsense=1"], "no option 'nonsense'"),
    ],
)
def test_config_errors_are_one_line(judges: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(None, judges, store=STORE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_invalid_limit_and_repeats_are_one_line() -> None:
    with pytest.raises(ConfigError, match="limit = 0"):
        check(None, ["echo:a"], store=STORE, limit=0)
    with pytest.raises(ConfigError, match="repeats = 0"):
        check(None, ["echo:a"], store=STORE, repeats=0)


def test_document_is_written_to_out(server: OpenAIServer) -> None:
    config = JudgeCheckOptions(
        judge=(spec(server),), limit=2, store=STORE, out=Path("here/and/there")
    )
    updates: list[ProgressUpdate] = []
    results = check_judges(None, config, updates.append)
    assert Path("here/and/there/judge-check.json").read_text() == results.to_json()
    assert (updates[0].done, updates[-1].done, updates[-1].total) == (0, 4, 4)
    assert (updates[-1].tokens, updates[-1].stored, updates[-1].cost) == (
        8 * len(server.requests),
        0,
        None,
    )
    again: list[ProgressUpdate] = []
    check_judges(None, config, again.append)
    assert (again[-1].tokens, again[-1].stored, again[-1].cost) == (0, 4, 0.0)
    assert results.judges[0].failed == 0


def test_rpm_limits_the_requests(server: OpenAIServer) -> None:
    begun = time.monotonic()
    check_judges(None, JudgeCheckOptions(judge=(spec(server),), limit=4, store=STORE, rpm=1200))
    assert len(server.requests) == 8
    assert time.monotonic() - begun >= 7 * 0.05 - 0.02


def test_unwritable_folder_is_an_error_before_the_first_request(
    server: OpenAIServer,
) -> None:
    Path("file").write_text("")
    with pytest.raises(ConfigError, match="choose another folder with --out"):
        check_judges(
            None, JudgeCheckOptions(judge=(spec(server),), store=STORE, out=Path("file/out"))
        )
    assert server.requests == []


def test_judge_that_cannot_start_is_an_error_before_the_first_request(
    server: OpenAIServer,
) -> None:
    dead = "dead=api:x?base_url=http://127.0.0.1:9/v1"
    with pytest.raises(ConfigError, match="'dead' cannot be reached"):
        check(None, [spec(server), dead], store=STORE)
    assert server.requests == []
