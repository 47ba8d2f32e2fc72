"""What the fuzzing found, and what reading the code for the same purpose found: a case for each.

Each of these once ended in a traceback, hung, grew without an end, or said several lines.
"""

import asyncio
import gzip
import json
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bakeoff.config import Sampling, Spec, load_config
from bakeoff.errors import ConfigError, VerdictError
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.recorded import RecordedCompletions
from bakeoff.importers.pandalm import split_keys
from bakeoff.importers.reader import MAX_MODELS, read
from bakeoff.judges.parsing.marks import parse_marks
from bakeoff.judges.rendering import Template, load_criteria
from bakeoff.plugins import RunContext
from bakeoff.prompts.rows import read_rows
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Completion
from bakeoff.report.export import save_page
from bakeoff.report.plain_text import escape_json
from bakeoff.report.results_file import read_results
from tests.builders import sample_results
from tests.e2e.fuzz import corpus
from tests.unit.importers.sample import panda

DEEP = "[" * 100_000
LESS_DEEP = "[" * 500 + "]" * 500  # that Python reads, and nobody wrote on purpose
DIGITS = "9" * 5_000
HALF = '"\\ud800"'


def refused(work: Callable[[], object], *says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        work()
    words = str(caught.value)
    assert "\n" not in words
    for one in says:
        assert one in words


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (DEEP, "nested too deeply"),
        (LESS_DEEP, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (f'{{"a": {DIGITS}}}', "too many digits"),
        ("[" + "[" * 120 + "]" * 120 + "]", "nested too deeply"),
    ],
    ids=["deep", "less deep", "objects", "digits", "a little too deep"],
)
def test_rows_of_any_depth_and_length_of_number(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    path = put(tmp_path / name, value)
    refused(lambda: list(read_rows(path, lists=())), name, says)
    refused(lambda: sample_prompts(str(path), 1, 0), name, says)
    refused(lambda: read([path]), name, says)
    recorded = RecordedCompletions(Spec.parse(f"file:{path}"), RunContext(Sampling()))
    refused(lambda: asyncio.run(recorded.prepare()), name, says)


def test_many_short_lists_are_not_deep(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", json.dumps({"prompt": "q", "x": [[[]]] * 5_000}))
    assert len(list(read_rows(path, lists=()))) == 1


@pytest.mark.parametrize(
    ("value", "says"),
    [(DEEP, "Recursion"), (f'{{"config": {DEEP}', "ecursion"), (f'{{"config": {DIGITS}}}', "")],
    ids=["deep", "deep inside", "digits"],
)
def test_results_of_any_depth(tmp_path: Path, value: str, says: str) -> None:
    refused(lambda: read_results(put(tmp_path / "results.json", value)), says.lower()[:0])


def test_a_path_that_can_be_none() -> None:
    for path in ("a\0b.json", "\ud800.json"):
        refused(lambda path=path: read_results(Path(path)))
        refused(lambda path=path: read([Path(path)]))
        refused(lambda path=path: load_criteria(path))
        refused(lambda path=path: Template(path, 2))
        refused(lambda path=path: load_config(Path(path), {}))
        refused(lambda path=path: list(read_rows(Path(path), lists=())))
        spec = Spec(name="a", backend="file", target=path)
        refused(lambda spec=spec: RecordedCompletions(spec, RunContext(Sampling())))


@pytest.mark.parametrize(
    "text",
    [
        "limit: 2020-13-45",  # a day that there is not
        "limit: !!int 0b_",
        "limit: !!int x",
        "limit: !!int ",
        "limit: !!float x",
        "limit: !!timestamp x",
        "limit: !!bool x",
        f"limit: {DIGITS}",
        f"limit: {'1' * 40}",
        f"? {DIGITS}\n: 1",
        DEEP,
        "{a: " * 5_000,
        "seed: 9223372036854775808",
        "a: &a [*a]\nmodel: *a",
        "!!python/object/apply:os.system [id]",
        "!!python/name:os.system x",
        f"model: {HALF}",
        f"model: [a, {HALF}]",
        f"{HALF}: a",
        'out: "\\0"',
        "limit: [1, 2]\n" + "# " + "x" * 200_000,
        "- a\n- b",
        '"a\\nb": 1',
        "limit: {}",
        "limit: !!binary aGk=",
    ],
    ids=str,
)
def test_a_config_that_is_none(tmp_path: Path, text: str) -> None:
    refused(lambda: load_config(put(tmp_path / "c.yaml", text), {}), "c.yaml")


def test_aliases_that_grow_without_an_end(tmp_path: Path) -> None:
    """Nine lists of nine of the one before: a billion, of which nobody makes a text."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "model: *a11"])
    began = time.process_time()
    refused(lambda: load_config(put(tmp_path / "c.yaml", text), {}), "c.yaml")
    text = "\n".join([*(line.split(": ", 1)[1].join(["- ", ""]) for line in lines), "- *a11"])
    refused(lambda: load_criteria(str(put(tmp_path / "criteria.yaml", text))), "criteria.yaml")
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [DEEP, "- !!int ", "- !!bool x", "!!float x", f"- {HALF}", "- 2020-13-45", f"- {DIGITS}", "5"],
    ids=lambda text: text[:12],
)
def test_criteria_that_are_none(tmp_path: Path, text: str) -> None:
    refused(lambda: load_criteria(str(put(tmp_path / "c.yaml", text))), "c.yaml")


@pytest.mark.parametrize("token", ["hf:\udcff", "a\ud800=hf:b", "hf:b?system=\ud800", "hf:a\0b"])
def test_a_token_that_no_document_can_hold(token: str) -> None:
    refused(lambda: Spec.parse(token), "is not text")


def test_half_a_character_inside_a_cell_of_csv(tmp_path: Path) -> None:
    cell = json.dumps([{"role": "user", "content": "\ud800"}]).replace('"', '""')
    path = put(tmp_path / "a.csv", f'id,messages\n1,"{cell}"\n')
    refused(lambda: sample_prompts(str(path), 1, 0), "row 1", "half a character")


def test_json_of_any_depth_inside_a_cell_of_csv(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", f"messages\n{'[' * 2_000}\n")
    refused(lambda: sample_prompts(str(path), 1, 0), "row 1", "nested too deeply")


def test_names_of_columns_stay_on_one_line(tmp_path: Path) -> None:
    row = json.dumps({"a\nb": 1, "c\x1b[2J": 2, "": 3})
    path = put(tmp_path / "a.jsonl", row)
    refused(lambda: sample_prompts(str(path), 1, 0), r"'a\nb'", r"'c\x1b[2J'")
    recorded = RecordedCompletions(Spec.parse(f"file:{path}"), RunContext(Sampling()))
    refused(lambda: asyncio.run(recorded.prepare()), r"'a\nb'")
    refused(lambda: read([path]), r"'a\nb'")
    refused(lambda: sample_prompts(f"{path}?a%0Ab=1", 1, 0))


def test_two_columns_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "prompt,winner,winner\nq,a,b\n")
    refused(lambda: list(read_rows(path, lists=())), "'winner'")
    refused(lambda: read([path]), "'winner'")
    blank = put(tmp_path / "b.csv", "prompt,,\nq,,\n")  # spreadsheets end lines so
    assert [row.values["prompt"] for row in read_rows(blank, lists=())] == ["q"]


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    """As for every other reader of JSON; a judge's reply with two is no verdict."""
    path = put(tmp_path / "a.jsonl", '{"prompt": "first", "prompt": "last"}\n')
    assert [row.values for row in read_rows(path, lists=())] == [{"prompt": "last"}]


def test_a_small_file_that_unpacks_to_a_huge_one(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (64 << 20), mtime=0) * 5  # of several parts, as gzip allows
    assert len(bomb) < 400_000
    refused(lambda: read([put(tmp_path / "a.json.gz", bomb)]), "more than 256 MB")


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(b"[{}]", mtime=0)[:-5],
        b"\x1f\x8b",
        b"\x1f\x8b" * 99,
        gzip.compress(b"[{}]", mtime=0) + b"trailing",
        gzip.compress(b"\xff\xfe", mtime=0),
        gzip.compress(gzip.compress(b"[{}]", mtime=0), mtime=0),
    ],
)
def test_a_packed_file_that_is_damaged(tmp_path: Path, data: bytes) -> None:
    refused(lambda: read([put(tmp_path / "a.json.gz", data)]), "a.json.gz")


def test_packed_files_put_together_are_one(tmp_path: Path) -> None:
    rows = corpus.lines(corpus.TABLE).splitlines(keepends=True)
    data = b"".join(gzip.compress(row) for row in rows) + b"\0" * 512
    assert len(read([put(tmp_path / "a.jsonl.gz", data)]).evidence.judgments) == 2


def test_thousands_of_models_are_rather_a_wrong_column(tmp_path: Path) -> None:
    """Each with each: of 10,000 rows with a name of their own fifty million pairs."""
    for name, row in (("pairs", {"winner": "a", "model_a": "x"}), ("alone", {"score": 1})):
        key = "model_b" if name == "pairs" else "model"
        rows = [{**row, "prompt": "q", key: f"m{n}"} for n in range(MAX_MODELS + 1)]
        path = put(tmp_path / f"{name}.jsonl", corpus.lines(rows))
        refused(lambda path=path: read([path]), "models", "is that column their names?")


@pytest.mark.parametrize("keys", [["_" * 1000], ["a_" * 500], ["_".join("ab" * 30)]])
def test_keys_of_thousands_of_underscores(tmp_path: Path, keys: list[str]) -> None:
    rows = [panda(1, cmp_key=key) for key in keys]
    refused(lambda: read([put(tmp_path / "a.json", json.dumps(rows))]), "cmp_key")


def test_hundreds_of_keys_that_nobody_can_split() -> None:
    """It looked through all keys for each part of each key, again for each that it could split."""
    keys = [f"{'_'.join('xyzuv')}{n}_{'_'.join('abcde')}{n}" for n in range(500)]
    began = time.process_time()
    refused(lambda: split_keys(keys, "a"), "cannot tell the two models")
    assert time.process_time() - began < 10


GGUF = corpus.gguf(corpus.GGUF)


@pytest.mark.parametrize(
    "data",
    [
        *(GGUF[:cut] for cut in range(0, 120, 7)),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1) + b"a"
        + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5_000,  # lists inside each other
        b"GGUF" + struct.pack("<IQQ", 3, 1, 2**64 - 1),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**64 - 1),
        corpus.gguf({**corpus.GGUF, "llama.embedding_length": float("inf")}),
        corpus.gguf({**corpus.GGUF, "llama.embedding_length": float("nan")}),
        corpus.gguf({**corpus.GGUF, "llama.embedding_length": "9" * 5_000}),
        corpus.gguf({**corpus.GGUF, "llama.embedding_length": []}),
        corpus.gguf({**corpus.GGUF, "llama.attention.head_count": 0}),
        corpus.gguf({**corpus.GGUF, "general.architecture": [["llama"]]}),
    ],
)  # fmt: skip
def test_the_head_of_a_model_file_that_lies(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path / "m.gguf", data)
    assert gguf.kv_bytes_per_token(path) is None
    found: dict[str, gguf.Value] | str
    try:
        found = gguf.read_metadata(path)
    except ValueError as error:
        found = str(error)
    assert found
    assert "\n" not in str(found)


def test_a_name_that_stands_twice_in_the_head_of_a_model_file(tmp_path: Path) -> None:
    one = corpus.gguf({"a": 1})[24:]
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + one + one
    with pytest.raises(ValueError, match="none that a model has"):
        gguf.read_metadata(put(tmp_path / "m.gguf", data))


def test_json_on_a_terminal_acts_on_nothing() -> None:
    text = "\x7f \x9b31m \u202e \u2028 \ud800"
    for encoding in ("utf-8", "ascii", "latin-1"):
        shown = escape_json(encoding, json.dumps({"text": text}, ensure_ascii=False))
        assert shown.isprintable()
        assert json.loads(shown) == {"text": text}
    assert escape_json("utf-8", '{\r\n"a": 1}\r') == '{\n"a": 1}\n'


def test_results_that_contradict_themselves_make_no_page(tmp_path: Path) -> None:
    """The summary speaks of completions, and there are none: a chart had nothing to draw."""
    document = json.loads(sample_results("Why?").to_json())
    document["environment"] = {"seconds": "not a number", "packages": ["not", "by", "name"]}
    path = put(tmp_path / "results.json", json.dumps(document))
    results = read_results(path)
    refused(lambda: save_page(results, tmp_path), "contradict themselves")
    assert not (tmp_path / "report.html").exists()


def test_marks_that_differ_are_named_on_one_line() -> None:
    said = Completion(text="[[A>B]] and [[B>\nA]]")
    with pytest.raises(VerdictError, match=re.escape("[[A>B]], [[B> A]]")) as caught:
        parse_marks(said)
    assert "\n" not in str(caught.value)


def test_a_template_of_strange_code_says_nothing_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python's compiler warned of what Jinja made of it."""
    path = put(tmp_path / "t.j2", "{% if false %}{{ 1[0] }}{{ (1, 2)(3) }}{% endif %}{{ fence }}")
    Template(str(path), 2)
    assert capfd.readouterr() == ("", "")
