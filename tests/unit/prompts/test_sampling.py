"""Sampling prompts from files and sets: rows, options, notes and errors."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.prompts.sampling import PromptSample, sample_prompts
from bakeoff.records import content_key
from tests.builders import write_file

CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two"},
    {"role": "assistant", "content": "2"},
]


def jsonl(path: Path, rows: list[Any]) -> str:
    return str(write_file(path, rows))


def last_turns(sample: PromptSample) -> list[str]:
    return [prompt.messages[-1].content for prompt in sample.prompts]


def turns(sample: PromptSample) -> list[list[str]]:
    return [[message.content for message in prompt.messages] for prompt in sample.prompts]


texts = st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=20)


@given(texts, st.integers(1, 25), st.integers(), st.randoms(use_true_random=False))
def test_a_sample_is_without_replacement_and_independent_of_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    limit: int,
    seed: int,
    rng: random.Random,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    sample = sample_prompts(jsonl(folder / "a.jsonl", rows), limit, seed)
    rng.shuffle(rows)
    shuffled = sample_prompts(jsonl(folder / "b.jsonl", rows), limit, seed)
    assert sample.prompts == shuffled.prompts
    assert set(last_turns(sample)) <= set(rows)
    assert len(set(last_turns(sample))) == len(sample.prompts) == min(limit, len(set(rows)))


@given(texts, st.integers(1, 10), st.integers(0, 10))
def test_a_smaller_limit_gives_a_prefix_of_a_larger_sample(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], limit: int, more: int
) -> None:
    source = jsonl(tmp_path_factory.getbasetemp() / "c.jsonl", rows)
    assert (
        sample_prompts(source, limit + more, 7).prompts[:limit]
        == sample_prompts(source, limit, 7).prompts
    )


GOLDEN = ["q93", "q15", "q64", "q55", "q37"]


def test_the_sample_depends_on_the_seed_only(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", [f"q{n}" for n in range(100)])
    assert last_turns(sample_prompts(source, 5, 42)) == GOLDEN
    assert last_turns(sample_prompts(source, 5, 43)) != GOLDEN


def test_the_starter_set_has_90_prompts_with_ids_and_tags() -> None:
    sample = sample_prompts("starter", 1000, 42)
    assert len(sample.prompts) >= 90
    assert not any("left out" in note for note in sample.notes)
    assert all(prompt.tags and not prompt.id.startswith("s1:") for prompt in sample.prompts)
    assert all(prompt.messages[-1].role == "user" for prompt in sample.prompts)
    assert max(len(prompt.messages) for prompt in sample.prompts) > 1
    first = sample_prompts("starter?turns=first", 1000, 42)
    assert max(len(prompt.messages) for prompt in first.prompts) == 1


def test_a_row_may_have_a_text_or_messages_tags_a_reference_and_an_id(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"id": "chat", "messages": CHAT, "prompt": "not this", "tags": ["a", "b"]},
        {"id": 7, "prompt": "p", "question": "not this", "tags": "a, b,,", "reference": 42},
        {"messages": None, "instruction": "i", "tags": None, "reference": "", "id": ""},
        {"question": "q", "more": [1]},
        {"text": "t"},
        {"content": "c"},
        "plain",
    ]
    by_text = {
        p.messages[-1].content: p
        for p in sample_prompts(jsonl(tmp_path / "a.jsonl", rows), 9, 1)[0]
    }
    assert by_text.keys() == {"two", "p", "i", "q", "t", "c", "plain"}
    chat, text, bare = by_text["two"], by_text["p"], by_text["i"]
    assert [m.role for m in chat.messages] == ["system", "user", "assistant", "user"]
    assert (chat.id, chat.tags, chat.reference) == ("chat", ("a", "b"), None)
    assert (text.id, text.tags, text.reference) == ("7", ("a", "b"), "42")
    assert (bare.tags, bare.reference) == ((), None)
    assert bare.id == content_key([{"role": "user", "content": "i"}])[:19]


def test_turns_first_keeps_a_leading_system_message_and_the_first_user_turn(tmp_path: Path) -> None:
    tool = {"role": "tool", "content": [1]}
    source = jsonl(tmp_path / "a.jsonl", [{"messages": [*CHAT, tool]}])
    assert turns(sample_prompts(f"{source}?turns=first", 1, 1)) == [["be brief", "one"]]
    assert turns(sample_prompts(f"{source}?turns=all", 1, 1)) == [["be brief", "one", "1", "two"]]
    assert sample_prompts(source, 1, 1) == sample_prompts(f"{source}?turns=all", 1, 1)
    greeted = jsonl(tmp_path / "b.jsonl", [{"messages": CHAT[2:]}])
    assert turns(sample_prompts(f"{greeted}?turns=first", 1, 1)) == [["two"]]


def test_a_named_column_is_used_for_text_and_messages(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", [{"prompt": "no", "q": "yes"}, {"q": CHAT}])
    assert set(last_turns(sample_prompts(f"{source}?column=q", 2, 1))) == {"yes", "two"}
    with pytest.raises(ConfigError, match=r"line 2: no column 'prompt'; there are: q: choose with"):
        sample_prompts(f"{source}?column=prompt", 2, 1)


def test_csv_json_and_txt_files_are_read(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('id,messages,prompt\n1,,p\n2,"[{""role"":""user"",""content"":""m""}]",no\n')
    assert {p.id: p.messages[-1].content for p in sample_prompts(str(table), 2, 1).prompts} == {
        "1": "p",
        "2": "m",
    }
    document = tmp_path / "a.json"
    for key in ("prompts", "data"):
        document.write_text(json.dumps({"model": "x", key: ["a", {"prompt": "b"}]}))
        assert set(last_turns(sample_prompts(str(document), 2, 1))) == {"a", "b"}
    lines = tmp_path / "a.txt"
    lines.write_text("first line\n\nanother, with a comma\n")
    sample = sample_prompts(str(lines), 2, 1)
    assert set(last_turns(sample)) == {"first line", "another, with a comma"}
    assert sample.notes == ("1 empty prompt left out: line 2",)


@pytest.mark.parametrize("name", ["a=b.jsonl", "hf:a.jsonl", "starter?turns=all.jsonl", " a .txt"])
def test_an_existing_file_overrides_other_meanings_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text('"here"\n' if name.endswith("l") else "here\n")
    assert last_turns(sample_prompts(name, 1, 1)) == ["here"]


def test_unusual_file_names_accept_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seed=3").mkdir()
    jsonl(Path("seed=3/a:b.jsonl"), [{"q": "here", "prompt": "no"}])
    for source in ("seed=3/a:b.jsonl?column=q", "file:seed=3/a:b.jsonl?column=q"):
        assert last_turns(sample_prompts(source, 1, 1)) == ["here"]


def test_notes_name_the_lines_that_are_left_out(tmp_path: Path) -> None:
    rows = ["a", "b", "a", "", "b", {"messages": []}, {"messages": CHAT[2:3]}, {"text": None}]
    sample = sample_prompts(jsonl(tmp_path / "a.jsonl", rows), 2, 1)
    assert sorted(last_turns(sample)) == ["a", "b"]
    assert sample.notes == (
        "2 duplicates left out: line 3 (the same as line 1), line 5 (the same as line 2)",
        "4 empty prompts left out: line 4, line 6, line 7, line 8",
    )


def test_a_note_names_five_lines_and_counts_the_rest(tmp_path: Path) -> None:
    sample = sample_prompts(jsonl(tmp_path / "a.jsonl", ["a"] + [" "] * 7), 9, 1)
    assert sample.notes == (
        "7 empty prompts left out: line 2, line 3, line 4, line 5, line 6, and 2 more",
        "asked for 9 prompts, drew all 1 that there are",
    )


def test_the_id_of_the_first_duplicate_is_kept(tmp_path: Path) -> None:
    rows = [{"id": "x", "prompt": "a"}, {"id": "y", "prompt": "a"}, {"id": "y", "prompt": "b"}]
    sample = sample_prompts(jsonl(tmp_path / "a.jsonl", rows), 3, 1)
    assert {p.id: p.messages[0].content for p in sample.prompts} == {"x": "a", "y": "b"}


USER = {"role": "user", "content": "q"}
HUB_OPTIONS = "split, column, config, revision, turns"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no prompts in"),
        (["", " "], "there are no prompts in .*: 2 empty prompts left out: line 1, line 2"),
        ([{"a": 1, "b": 2}], r"line 1: no column of messages, .*; there are: a, b: choose with"),
        ([{}], "there are: none"),
        ([{"id": 1, "text": "a"}, {"id": "1", "text": "b"}], "line 1 and line 2 .* id, '1': give"),
        ([{"id": [], "text": "a"}], "line 1: 'id' has to be a text, not"),
        ([{"reference": {}, "text": "a"}], "line 1: 'reference' has to be a text"),
        ([{"tags": [{}], "text": "a"}], r"line 1: tags\.0"),
        ([{"prompt": 7}], "line 1: 'prompt' has to be a text or a list of messages, not int"),
        ([{"messages": "[{"}], "line 1: 'messages' is not JSON"),
        ([{"messages": ["q"]}], "has to be an object with 'role' and 'content'"),
        ([{"messages": [{"content": "q"}]}], "has to be an object with 'role' and 'content'"),
        (
            ["ok", {"messages": [{**USER, "role": "human"}]}],
            "line 2: .* user, assistant, not 'human'",
        ),
        ([{"messages": [{**USER, "role": "tool"}, USER]}], "one of system, user, assistant, not"),
        ([{"messages": [{**USER, "content": None}]}], "content has to be a text, not NoneType"),
    ],
)
def test_invalid_rows_are_a_one_line_error(tmp_path: Path, rows: list[Any], message: str) -> None:
    source = jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(ConfigError, match=message) as error:
        sample_prompts(source, 5, 1)
    assert "\n" not in str(error.value)
    assert repr(source) in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "there are: starter, ultrachat, hf:DATASET, or a FILE"),
        ("hf:", "no prompts 'hf:'; there are: starter"),
        ("none.jsonl", "no prompts 'none.jsonl': no such file; there are: starter"),
        ("file:starter", "no prompts 'file:starter': no such file"),
        ("gpt-4" * 99, "no such file"),
        (".", "'.' is a folder; write 'hf:.'"),
        ("starter?limit=3", "no option 'limit'; there are: column, turns"),
        (
            "ultrachat?limit=3",
            f"no option 'limit'; there are: {HUB_OPTIONS}",
        ),
        ("hf:x/y?turn=1", f"no option 'turn'; there are: {HUB_OPTIONS}"),
        ("starter?turns=2", "turns = '2': Input should be 'first' or 'all'"),
        ("hf:./none", "there is no folder './none'"),
    ],
)
def test_invalid_sources_are_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        sample_prompts(source, 5, 1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
