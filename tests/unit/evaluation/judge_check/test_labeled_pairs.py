import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.evaluation.judge_check import load_labeled_pairs
from bakeoff.evaluation.judge_check.labeled_pairs import BUILT_IN
from tests.builders import write_file


def only(tmp_path: Path, row: dict[str, Any]) -> Any:
    (labeled_pair,) = load_labeled_pairs(write_file(tmp_path / "pairs.jsonl", [row])).pairs
    return labeled_pair


def error_of(tmp_path: Path, *rows: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_labeled_pairs(write_file(tmp_path / "pairs.jsonl", rows))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_built_in_pairs_are_the_default() -> None:
    known = load_labeled_pairs()
    assert (known.source, known.available, len(known.pairs)) == (BUILT_IN, 60, 60)
    sets = Counter(pair.set for pair in known.pairs)
    assert sets == {"easy": 20, "other-prompt": 20, "wrong-fact": 20}
    assert len({pair.id for pair in known.pairs}) == 60


def test_built_in_format_is_read(tmp_path: Path) -> None:
    row = {"id": "x-1", "set": "s", "kind": "k", "prompt": "q", "better": "yes", "worse": ""}
    pair = only(tmp_path, row)
    assert (pair.id, pair.set, pair.kind, pair.better, pair.worse) == ("x-1", "s", "k", "yes", "")
    assert [(m.role, m.content) for m in pair.prompt.messages] == [("user", "q")]


@pytest.mark.parametrize("prompt", ["prompt", "instruction", "question", "input"])
@pytest.mark.parametrize(
    "columns",
    [
        ("first", "second"),
        ("output_1", "output_2"),
        ("completion_a", "completion_b"),
        ("response_a", "response_b"),
        ("completion_1", "completion_2"),
    ],
)
@pytest.mark.parametrize(
    ("label", "better"),
    [
        (1, "one"),
        (2, "two"),
        ("2", "two"),
        (1.0, "one"),
        ("A", "one"),
        ("b", "two"),
        (" First ", "one"),
        ("second", "two"),
    ],
)
def test_two_columns_and_a_label(
    prompt: str, columns: tuple[str, str], label: object, better: str, tmp_path: Path
) -> None:
    texts = dict(zip(columns, ("one", "two"), strict=True))
    pair = only(tmp_path, {prompt: "q", **texts, "label": label})
    assert pair.better == better
    assert {pair.better, pair.worse} == {"one", "two"}
    assert pair.id == "row 1"


def test_label_may_name_the_column_or_be_called_winner(tmp_path: Path) -> None:
    row = {"prompt": "q", "completion_a": "one", "completion_b": "two", "winner": "completion_b"}
    assert only(tmp_path, row).better == "two"


def test_preference_dataset_needs_no_label(tmp_path: Path) -> None:
    pair = only(tmp_path, {"prompt": "q", "chosen": "yes", "rejected": "no"})
    assert (pair.better, pair.worse) == ("yes", "no")


def test_conversation_and_reference_are_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    turns.append({"role": "user", "content": "and?"})
    row = {"prompt": turns, "better": "yes", "worse": "no", "reference": "exactly"}
    prompt = only(tmp_path, row).prompt
    assert [message.role for message in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.reference == "exactly"


def test_alpaca_input_is_appended_to_the_prompt(tmp_path: Path) -> None:
    row = {"instruction": "Sum up.", "input": "A text.", "better": "yes", "worse": "no"}
    assert only(tmp_path, row).prompt.messages[0].content == "Sum up.\n\nA text."


GOOD = {"prompt": "q", "better": "yes", "worse": "no"}
TWO = {"prompt": "q", "first": "yes", "second": "no"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**TWO, "label": "tie"}, "'label' is a tie"),
        ({**TWO, "label": 0}, "'label' says nothing that can be read: 0; write 1 or 2"),
        ({**TWO, "label": 3}, "'label' says nothing that can be read"),
        ({**TWO, "label": True}, "'label' is a boolean"),
        ({**TWO, "label": None}, "'label' is missing"),
        ({**TWO, "winner": "somebody"}, "'winner' says nothing that can be read"),
        (TWO, "'label' is missing"),
        ({"prompt": "q", "first": "yes"}, "it needs two completions"),
        ({"better": "yes", "worse": "no"}, "has no prompt"),
        ({**GOOD, "worse": None}, "'worse' has to be a text, and is null"),
        ({**GOOD, "worse": ["no"]}, "'worse' has to be a text, and is a list"),
        ({**GOOD, "prompt": 7}, "'prompt' has to be a text, and is a number"),
        ({**GOOD, "prompt": []}, "messages = []"),
        ({**GOOD, "prompt": [{"role": "robot", "content": "x"}]}, "messages.0.role = 'robot'"),
        ({**GOOD, "reference": 7}, "reference = 7"),
        ("a text", "row 3 has to be an object, not a text"),
    ],
)
def test_invalid_row_is_named(row: object, message: str, tmp_path: Path) -> None:
    line = error_of(tmp_path, GOOD, GOOD, row)
    assert "pairs.jsonl', row 3" in line
    assert message in line


def test_duplicate_ids_are_an_error(tmp_path: Path) -> None:
    line = error_of(tmp_path, {**GOOD, "id": 7}, GOOD, {**GOOD, "id": "7"})
    assert "row 1 and row 3 have one id, '7'" in line


@pytest.mark.parametrize("form", ["pairs.json", "pairs.json.gz", "pairs.jsonl.gz", "pairs.csv"])
def test_all_file_formats_read_the_same(form: str, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{n}", "first": "yes", "second": "no", "label": 1 + n % 2}
        for n in "012"
        for n in [int(n)]
    ]
    text = "\n".join(map(json.dumps, rows)) if "jsonl" in form else json.dumps(rows)
    if form.endswith("csv"):
        text = "prompt,first,second,label\n" + "".join(
            f"{row['prompt']},yes,no,{row['label']}\n" for row in rows
        )
    data = text.encode()
    (tmp_path / form).write_bytes(gzip.compress(data) if form.endswith("gz") else data)
    pairs = load_labeled_pairs(tmp_path / form).pairs
    assert [(pair.better, pair.worse) for pair in pairs] == [
        ("yes", "no"),
        ("no", "yes"),
        ("yes", "no"),
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
def test_empty_file_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text(text)
    with pytest.raises(ConfigError, match=r"empty\.json"):
        load_labeled_pairs(tmp_path / "empty.json")


@given(st.integers(1, 70), st.integers(1, 70))
def test_smaller_limit_draws_a_subset_in_order(first: int, second: int) -> None:
    small, large = (load_labeled_pairs(limit=limit).pairs for limit in sorted((first, second)))
    assert len(small) == min(first, second, 60)
    assert [pair for pair in large if pair in small] == list(small)


def test_limit_draws_from_all_sets() -> None:
    assert len({pair.set for pair in load_labeled_pairs(limit=20).pairs}) == 3
    assert load_labeled_pairs(limit=20).available == 60
