"""Regression tests of the findings of fuzzing and of code review.

Each input once caused a traceback, a hang, unbounded memory or a message of several lines.
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
from bakeoff.judges.parsing.verdict_marks import parse_marks
from bakeoff.judges.rendering import Template, load_criteria
from bakeoff.plugins import RunContext
from bakeoff.prompts.rows import read_rows
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Completion
from bakeoff.report.export import save_page
from bakeoff.report.plain_text import escape_json
from bakeoff.report.results_file import read_results
from tests.builders import sample_results, write_file
from tests.e2e.fuzz import corpus
from tests.unit.importers.sample_files import panda

DEEP = "[" * 100_000
MODERATELY_DEEP = "[" * 500 + "]" * 500  # Python's parser accepts it
DIGITS = "9" * 5_000
LONE_SURROGATE = '"\\ud800"'


def assert_refused(work: Callable[[], object], *phrases: str) -> None:
    with pytest.raises(ConfigError) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    for phrase in phrases:
        assert phrase in message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (DEEP, "nested too deeply"),
        (MODERATELY_DEEP, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (f'{{"a": {DIGITS}}}', "too many digits"),
        ("[" + "[" * 120 + "]" * 120 + "]", "nested too deeply"),
    ],
    ids=["deep", "less deep", "objects", "digits", "a little too deep"],
)
def test_rows_with_deep_nesting_or_long_numbers_are_refused(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    path = write_file(tmp_path / name, value)
    assert_refused(lambda: list(read_rows(path, lists=())), name, message)
    assert_refused(lambda: sample_prompts(str(path), 1, 0), name, message)
    assert_refused(lambda: read([path]), name, message)
    recorded = RecordedCompletions(Spec.parse(f"file:{path}"), RunContext(Sampling()))
    assert_refused(lambda: asyncio.run(recorded.prepare()), name, message)


def test_many_short_lists_are_accepted(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jsonl", json.dumps({"prompt": "q", "x": [[[]]] * 5_000}))
    assert len(list(read_rows(path, lists=()))) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [(DEEP, "Recursion"), (f'{{"config": {DEEP}', "ecursion"), (f'{{"config": {DIGITS}}}', "")],
    ids=["deep", "deep inside", "digits"],
)
def test_results_with_deep_nesting_or_long_numbers_are_refused(
    tmp_path: Path, value: str, message: str
) -> None:
    assert_refused(
        lambda: read_results(write_file(tmp_path / "results.json", value)), message.lower()[:0]
    )


def test_invalid_paths_are_refused() -> None:
    for path in ("a\0b.json", "\ud800.json"):
        assert_refused(lambda path=path: read_results(Path(path)))
        assert_refused(lambda path=path: read([Path(path)]))
        assert_refused(lambda path=path: load_criteria(path))
        assert_refused(lambda path=path: Template(path, 2))
        assert_refused(lambda path=path: load_config(Path(path), {}))
        assert_refused(lambda path=path: list(read_rows(Path(path), lists=())))
        spec = Spec(name="a", backend="file", target=path)
        assert_refused(lambda spec=spec: RecordedCompletions(spec, RunContext(Sampling())))


@pytest.mark.parametrize(
    "text",
    [
        "limit: 2020-13-45",  # not a date
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
        f"model: {LONE_SURROGATE}",
        f"model: [a, {LONE_SURROGATE}]",
        f"{LONE_SURROGATE}: a",
        'out: "\\0"',
        "limit: [1, 2]\n" + "# " + "x" * 200_000,
        "- a\n- b",
        '"a\\nb": 1',
        "limit: {}",
        "limit: !!binary aGk=",
    ],
    ids=str,
)
def test_invalid_configs_are_refused(tmp_path: Path, text: str) -> None:
    assert_refused(lambda: load_config(write_file(tmp_path / "c.yaml", text), {}), "c.yaml")


def test_exponential_yaml_aliases_are_refused(tmp_path: Path) -> None:
    """Nested YAML aliases of nine items each: a billion items, which are not expanded."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join([*lines, "model: *a11"])
    began = time.process_time()
    assert_refused(lambda: load_config(write_file(tmp_path / "c.yaml", text), {}), "c.yaml")
    text = "\n".join([*(line.split(": ", 1)[1].join(["- ", ""]) for line in lines), "- *a11"])
    assert_refused(
        lambda: load_criteria(str(write_file(tmp_path / "criteria.yaml", text))), "criteria.yaml"
    )
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        "- !!int ",
        "- !!bool x",
        "!!float x",
        f"- {LONE_SURROGATE}",
        "- 2020-13-45",
        f"- {DIGITS}",
        "5",
    ],
    ids=lambda text: text[:12],
)
def test_invalid_criteria_are_refused(tmp_path: Path, text: str) -> None:
    assert_refused(lambda: load_criteria(str(write_file(tmp_path / "c.yaml", text))), "c.yaml")


@pytest.mark.parametrize("token", ["hf:\udcff", "a\ud800=hf:b", "hf:b?system=\ud800", "hf:a\0b"])
def test_specs_that_cannot_be_encoded_are_refused(token: str) -> None:
    assert_refused(lambda: Spec.parse(token), "is not text")


def test_a_lone_surrogate_in_a_csv_cell_is_refused(tmp_path: Path) -> None:
    cell = json.dumps([{"role": "user", "content": "\ud800"}]).replace('"', '""')
    path = write_file(tmp_path / "a.csv", f'id,messages\n1,"{cell}"\n')
    assert_refused(lambda: sample_prompts(str(path), 1, 0), "row 1", "half a character")


def test_deeply_nested_json_in_a_csv_cell_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", f"messages\n{'[' * 2_000}\n")
    assert_refused(lambda: sample_prompts(str(path), 1, 0), "row 1", "nested too deeply")


def test_column_names_are_escaped_in_errors(tmp_path: Path) -> None:
    row = json.dumps({"a\nb": 1, "c\x1b[2J": 2, "": 3})
    path = write_file(tmp_path / "a.jsonl", row)
    assert_refused(lambda: sample_prompts(str(path), 1, 0), r"'a\nb'", r"'c\x1b[2J'")
    recorded = RecordedCompletions(Spec.parse(f"file:{path}"), RunContext(Sampling()))
    assert_refused(lambda: asyncio.run(recorded.prepare()), r"'a\nb'")
    assert_refused(lambda: read([path]), r"'a\nb'")
    assert_refused(lambda: sample_prompts(f"{path}?a%0Ab=1", 1, 0))


def test_duplicate_column_names_are_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", "prompt,winner,winner\nq,a,b\n")
    assert_refused(lambda: list(read_rows(path, lists=())), "'winner'")
    assert_refused(lambda: read([path]), "'winner'")
    blank = write_file(tmp_path / "b.csv", "prompt,,\nq,,\n")  # as spreadsheets end lines
    assert [row.values["prompt"] for row in read_rows(blank, lists=())] == ["q"]


def test_the_last_of_duplicate_json_members_is_used(tmp_path: Path) -> None:
    """As in the `json` module; a judge's reply with a duplicate member is no verdict."""
    path = write_file(tmp_path / "a.jsonl", '{"prompt": "first", "prompt": "last"}\n')
    assert [row.values for row in read_rows(path, lists=())] == [{"prompt": "last"}]


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (64 << 20), mtime=0) * 5  # gzip allows several members
    assert len(bomb) < 400_000
    assert_refused(lambda: read([write_file(tmp_path / "a.json.gz", bomb)]), "more than 256 MB")


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
def test_damaged_gzip_files_are_refused(tmp_path: Path, data: bytes) -> None:
    assert_refused(lambda: read([write_file(tmp_path / "a.json.gz", data)]), "a.json.gz")


def test_concatenated_gzip_members_are_read(tmp_path: Path) -> None:
    rows = corpus.lines(corpus.TABLE).splitlines(keepends=True)
    data = b"".join(gzip.compress(row) for row in rows) + b"\0" * 512
    assert len(read([write_file(tmp_path / "a.jsonl.gz", data)]).evidence.judgments) == 2


def test_thousands_of_model_names_are_refused(tmp_path: Path) -> None:
    """10,000 rows with different model names would be fifty million pairs."""
    for name, row in (("pairs", {"winner": "a", "model_a": "x"}), ("alone", {"score": 1})):
        key = "model_b" if name == "pairs" else "model"
        rows = [{**row, "prompt": "q", key: f"m{n}"} for n in range(MAX_MODELS + 1)]
        path = write_file(tmp_path / f"{name}.jsonl", corpus.lines(rows))
        assert_refused(lambda path=path: read([path]), "models", "is that column their names?")


@pytest.mark.parametrize("keys", [["_" * 1000], ["a_" * 500], ["_".join("ab" * 30)]])
def test_keys_with_many_underscores_are_refused(tmp_path: Path, keys: list[str]) -> None:
    rows = [panda(1, cmp_key=key) for key in keys]
    assert_refused(lambda: read([write_file(tmp_path / "a.json", json.dumps(rows))]), "cmp_key")


def test_hundreds_of_ambiguous_keys_are_refused_in_time() -> None:
    """The search once took quadratic time in the number of keys and of their parts."""
    keys = [f"{'_'.join('xyzuv')}{n}_{'_'.join('abcde')}{n}" for n in range(500)]
    began = time.process_time()
    assert_refused(lambda: split_keys(keys, "a"), "cannot tell the two models")
    assert time.process_time() - began < 10


GGUF = corpus.gguf_header(corpus.GGUF)


@pytest.mark.parametrize(
    "data",
    [
        *(GGUF[:cut] for cut in range(0, 120, 7)),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1) + b"a"
        + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5_000,  # nested lists
        b"GGUF" + struct.pack("<IQQ", 3, 1, 2**64 - 1),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**64 - 1),
        corpus.gguf_header({**corpus.GGUF, "llama.embedding_length": float("inf")}),
        corpus.gguf_header({**corpus.GGUF, "llama.embedding_length": float("nan")}),
        corpus.gguf_header({**corpus.GGUF, "llama.embedding_length": "9" * 5_000}),
        corpus.gguf_header({**corpus.GGUF, "llama.embedding_length": []}),
        corpus.gguf_header({**corpus.GGUF, "llama.attention.head_count": 0}),
        corpus.gguf_header({**corpus.GGUF, "general.architecture": [["llama"]]}),
    ],
)  # fmt: skip
def test_invalid_gguf_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    path = write_file(tmp_path / "m.gguf", data)
    assert gguf.kv_bytes_per_token(path) is None
    result: dict[str, gguf.Value] | str
    try:
        result = gguf.read_metadata(path)
    except ValueError as error:
        result = str(error)
    assert result
    assert "\n" not in str(result)


def test_duplicate_gguf_keys_are_refused(tmp_path: Path) -> None:
    entry = corpus.gguf_header({"a": 1})[24:]
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + entry + entry
    with pytest.raises(ValueError, match="none that a model has"):
        gguf.read_metadata(write_file(tmp_path / "m.gguf", data))


def test_json_output_escapes_terminal_controls() -> None:
    text = "\x7f \x9b31m \u202e \u2028 \ud800"
    for encoding in ("utf-8", "ascii", "latin-1"):
        escaped = escape_json(encoding, json.dumps({"text": text}, ensure_ascii=False))
        assert escaped.isprintable()
        assert json.loads(escaped) == {"text": text}
    assert escape_json("utf-8", '{\r\n"a": 1}\r') == '{\n"a": 1}\n'


def test_contradictory_results_are_not_rendered(tmp_path: Path) -> None:
    """The summary counts completions, but the document has none, so a chart had no data."""
    document = json.loads(sample_results("Why?").to_json())
    document["environment"] = {"seconds": "not a number", "packages": ["not", "by", "name"]}
    path = write_file(tmp_path / "results.json", json.dumps(document))
    results = read_results(path)
    assert_refused(lambda: save_page(results, tmp_path), "contradict themselves")
    assert not (tmp_path / "report.html").exists()


def test_contradictory_marks_are_named_on_one_line() -> None:
    completion = Completion(text="[[A>B]] and [[B>\nA]]")
    with pytest.raises(VerdictError, match=re.escape("[[A>B]], [[B> A]]")) as caught:
        parse_marks(completion)
    assert "\n" not in str(caught.value)


def test_compiling_a_template_prints_no_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Compiling the code that Jinja generates would emit a SyntaxWarning."""
    path = write_file(
        tmp_path / "t.j2", "{% if false %}{{ 1[0] }}{{ (1, 2)(3) }}{% endif %}{{ fence }}"
    )
    Template(str(path), 2)
    assert capfd.readouterr() == ("", "")
