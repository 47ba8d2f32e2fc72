import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError
from bakeoff.generators.recorded import RecordedCompletions
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Prompt
from bakeoff.testing import run_worker
from tests.builders import write_file

SETTING = RunContext(Sampling())
SYSTEM = {"role": "system", "content": "be brief"}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def prompt(*messages: dict[str, str], name: str = "") -> Prompt:
    return Prompt.model_validate({"id": name, "messages": messages})


def recorded(path: Path, rows: list[dict[str, Any]], options: str = "") -> RecordedCompletions:
    return RecordedCompletions(Spec.parse(f"file:{write_file(path, rows)}{options}"), SETTING)


def completion_texts(model: Any, *prompts: Prompt) -> list[str | None]:
    return [o.text if isinstance(o, Completion) else None for o in run_worker(model, [*prompts])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "said.jsonl"


def test_rows_match_by_id_messages_or_last_user_turn(path: Path) -> None:
    rows = [
        {"prompt_id": "x", "completion": "by id"},
        {"messages": [SYSTEM, user("hi")], "completion": "by messages"},
        {"prompt": "hi", "completion": "by text"},
        {"prompt": [user("listed")], "completion": "by a prompt of messages"},
        {"prompt_id": 7, "completion": "by number"},
    ]
    assert completion_texts(
        recorded(path, rows),
        prompt(user("hi"), name="x"),
        prompt(SYSTEM, user("hi")),
        prompt(user("hi")),
        prompt(user("a"), {"role": "assistant", "content": "b"}, user("hi")),
        prompt(user("hi"), {"role": "assistant", "content": "Well,"}),
        prompt(user("listed")),
        prompt(user("?"), name="7"),
    ) == [
        "by id",
        "by messages",
        "by text",
        "by text",
        "by text",
        "by a prompt of messages",
        "by number",
    ]


def test_row_with_an_unknown_id_matches_by_its_prompt(path: Path) -> None:
    rows = [{"prompt_id": "theirs", "prompt": "hi", "completion": "c"}]
    assert completion_texts(recorded(path, rows), prompt(user("hi"), name="ours")) == ["c"]


def test_prompt_without_a_row_fails_alone(path: Path) -> None:
    rows = [{"prompt_id": "x", "completion": "c"}, {"prompt_id": "z", "completion": None}]
    model = recorded(path, rows)
    fine, missing, null = run_worker(
        model,
        [prompt(user("q"), name="x"), prompt(SYSTEM, name="y"), prompt(user("q"), name="z")],
    )
    assert fine == Completion(text="c")
    for outcome, name in ((missing, "y"), (null, "z")):
        assert isinstance(outcome, BackendError)
        assert outcome.message == f"no completion for prompt {name!r} in {str(path)!r}"


def test_thinking_finish_and_tokens_are_read(path: Path) -> None:
    raw = "<think>hm</think>\nsure"
    row = {"prompt": "q", "completion": raw, "finish": "length", "tokens": 9}
    (outcome,) = run_worker(recorded(path, [row]), [prompt(user("q"))])
    assert outcome == Completion(text="sure", thinking="hm", finish="length", tokens=9, raw=raw)


def test_csv_and_json_files(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('prompt_id,prompt,base,tokens,finish\n,"hi, you",c,3,stop\n7,,d,,\n')
    model = RecordedCompletions(Spec.parse(f"file:{table}?column=base"), SETTING)
    assert run_worker(model, [prompt(user("hi, you")), prompt(user("q"), name="7")]) == [
        Completion(text="c", finish="stop", tokens=3),
        Completion(text="d"),
    ]
    document = tmp_path / "a.json"
    document.write_text('{"completions": [{"prompt": "q", "completion": "c"}]}')
    assert completion_texts(
        RecordedCompletions(Spec.parse(f"file:{document}"), SETTING), prompt(user("q"))
    ) == ["c"]


def test_identity_is_the_hash_of_the_file_and_the_column(path: Path) -> None:
    row = {"prompt": "q", "a": "from a", "b": "from b"}
    first, second = recorded(path, [row], "?column=a"), recorded(path, [row], "?column=b")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert first.identity == {"backend": "file", "sha256": digest, "column": "a"}
    assert first.identity != second.identity
    assert completion_texts(first, prompt(user("q"))) != completion_texts(second, prompt(user("q")))
    moved = path.rename(path.with_name("moved.jsonl"))
    assert (
        RecordedCompletions(Spec.parse(f"x=file:{moved}?column=a"), SETTING).identity
        == first.identity
    )


def test_equal_completions_of_one_prompt_are_accepted(path: Path) -> None:
    row = {"prompt": "q", "completion": "c"}
    assert completion_texts(recorded(path, [row, row]), prompt(user("q"))) == ["c"]


def test_different_completions_of_one_prompt_fail_prepare(path: Path) -> None:
    rows = [{"prompt": "q", "completion": "c"}, {"prompt": "q", "completion": "d"}]
    with pytest.raises(ConfigError, match="line 1 and line 2 are different completions of one"):
        asyncio.run(recorded(path, rows).prepare())


def test_rows_that_differ_only_in_ids_conflict_without_an_id_match(path: Path) -> None:
    rows = [{"prompt_id": n, "prompt": "q", "completion": n} for n in "ab"]
    model = recorded(path, rows)
    assert completion_texts(model, prompt(user("q"), name="a"), prompt(user("q"), name="b")) == [
        "a",
        "b",
    ]
    with pytest.raises(ConfigError, match="line 1 and line 2 are different completions of one"):
        run_worker(model, [prompt(user("q"), name="c")])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "q", "text": "c"}, "'completion'; there are: prompt, text: choose with"),
        ({"completion": "c"}, "line 1: no 'prompt_id', 'messages' or 'prompt' says what it is"),
        (
            {"prompt": "q", "completion": 3},
            "line 1: completion = 3: Input should be a valid string",
        ),
        ({"prompt": "q", "completion": "c", "finish": "eos"}, "line 1: finish = 'eos'"),
        ({"prompt": "q", "completion": "c", "tokens": -1}, "line 1: tokens = -1"),
        ({"prompt": 3, "completion": "c"}, "line 1: 'prompt' has to be a text"),
        ({"messages": "q", "completion": "c"}, "line 1: 'messages' has to be a list of messages"),
        ({"messages": [{"role": "human", "content": "q"}], "completion": "c"}, "messages.0.role"),
    ],
)
def test_malformed_rows_are_config_errors(path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        asyncio.run(recorded(path, [row]).prepare())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_unknown_option_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot read the completions in '.*none\.jsonl': No such"
    ):
        RecordedCompletions(Spec.parse(f"file:{tmp_path}/none.jsonl"), SETTING)
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(ConfigError, match="no option 'col'; there are: column"):
        RecordedCompletions(Spec.parse(f"file:{tmp_path}/a.jsonl?col=x"), SETTING)


def test_file_backend_ignores_sampling(path: Path) -> None:
    path.write_text('{"prompt": "q", "completion": "c"}\n')
    model = open_generator(Spec.parse(f"mine=file:{path}?temperature=0"), SETTING)
    assert isinstance(model, RecordedCompletions)
    assert completion_texts(model, prompt(user("q"))) == ["c"]
