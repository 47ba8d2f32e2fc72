"""Untrusted files: size limits, encodings, names and symlinks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.vote_log import append_vote
from bakeoff.evaluation.votes.votes import Vote
from bakeoff.importers.reader import read
from bakeoff.prompts.rows import files, read_rows
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.report.charts import figures
from bakeoff.report.charts.figures import write_figures
from bakeoff.report.export import REPORT, RESULTS, VOTES, save, save_page
from bakeoff.report.results_file import read_results
from bakeoff.runtime.progress import PROGRESS_FILE, ProgressFile
from tests.builders import sample_results, write_file
from tests.e2e.fuzz.test_findings import assert_refused

MEMORY_LIMIT = 700 << 20  # bytes of address space of a process that reads a line of 1 GB


# -- Lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_a_line_above_the_limit_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_SIZE", 1 << 10)
    first = {"a.jsonl": '{"prompt": "q"}', "a.csv": "prompt", "a.txt": "q"}[name]
    assert_refused(
        lambda: list(read_rows(write_file(tmp_path / name, f"{first}\n{'x' * 1025}\n"), lists=())),
        name,
        "line 2: longer than 1 kB",
    )
    longest = write_file(tmp_path / name, f"{first}\n{json.dumps('x' * 900)}\n")
    assert list(read_rows(longest, lists=()))


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.json", "[1]" + " " * 2_000)
    with pytest.raises(ConfigError, match="larger than 1 kB: make it smaller"):
        files.read_file(path, 1 << 10)
    assert files.read_file(path, 2_003) == path.read_bytes()


def sparse_file(path: Path, head: bytes, size: int = 1 << 30) -> Path:
    """A sparse file of `size` bytes: `head`, then zeros."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


_READ_ROWS_SCRIPT = """
import resource, sys
from pathlib import Path
from bakeoff.errors import ConfigError
from bakeoff.prompts.rows import files, read_rows
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
try:
    list(read_rows(Path(sys.argv[1]), lists=()))
except ConfigError as error:
    print(error, end="")
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_a_line_of_a_gigabyte_is_not_held_in_memory(tmp_path: Path, name: str) -> None:
    path = sparse_file(tmp_path / name, b'"text"\n"')
    done = subprocess.run(
        [sys.executable, "-c", _READ_ROWS_SCRIPT, str(path), str(MEMORY_LIMIT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stderr == ""
    assert "line 2: longer than 64 MB" in done.stdout
    assert "\n" not in done.stdout


@pytest.mark.parametrize("name", ["results.json", "a.json"])
def test_a_document_above_a_gigabyte_is_refused(tmp_path: Path, name: str) -> None:
    path = sparse_file(tmp_path / name, b"[", (1 << 30) + 1)
    reads: Callable[[Path], object] = read_results if name == RESULTS else lambda p: read([p])
    assert_refused(lambda: reads(path), "larger than 1 GB")


def test_a_csv_cell_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", 'prompt\n"' + "x\n" * 80_000)
    assert_refused(lambda: list(read_rows(path, lists=())), "field limit", "save it as .jsonl")


# -- Encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str, name: str) -> None:
    text = {"a.jsonl": '{"prompt": "é"}\n', "a.json": '["é"]', "a.csv": "prompt\né\n"}
    path = write_file(tmp_path / name, text.get(name, "é\n").encode(encoding))
    with pytest.raises(ConfigError) as caught:
        list(read_rows(path, lists=()))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_a_utf_8_byte_order_mark_is_removed(tmp_path: Path, name: str) -> None:
    text = {"a.jsonl": '{"prompt": "q"}\n', "a.json": '[{"prompt": "q"}]', "a.csv": "prompt\nq\n"}
    path = write_file(tmp_path / name, b"\xef\xbb\xbf" + text.get(name, "q\n").encode())
    (prompt,) = sample_prompts(str(path), 1, 0).prompts
    assert prompt.messages[0].content == "q"


def test_null_characters_are_part_of_the_text(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jsonl", '{"prompt": "a\\u0000b", "tags": ["\\u0000"]}\n')
    (prompt,) = sample_prompts(str(path), 1, 0).prompts
    assert (prompt.messages[0].content, prompt.tags) == ("a\0b", ("\0",))
    assert_refused(
        lambda: list(read_rows(write_file(tmp_path / "b.jsonl", '{"a": "\0"}\n'), lists=()))
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_non_finite_preferences_are_refused(tmp_path: Path, number: str) -> None:
    row = f'{{"prompt": "q", "model_a": "x", "model_b": "y", "preference": {number}}}'
    evidence = read([write_file(tmp_path / "a.json", f"[{row}]")]).evidence
    assert evidence.judgments == ()
    assert [failure.kind for failure in evidence.failures] == ["not a number"]
    document = json.loads(sample_results().to_json())
    document["judgments"][0]["verdict"]["first"] = "X"
    text = json.dumps(document).replace('"X"', number.replace("1e999", "Infinity"))
    assert_refused(lambda: read_results(write_file(tmp_path / RESULTS, text)), "judgments.0")


# -- Names ----------------------------------------------------------------------------------------

PATH_LIKE_NAMES = (
    "../../x",
    "/etc/x",
    "..",
    "a/b",
    "..\\x",
    "C:\\x",
    "~",
    "x\0y",
    "-rf",
    "\x1b[2J",
    "",
)


def test_names_and_tags_determine_no_file_path(tmp_path: Path) -> None:
    """Names of models, judges, prompts and tags come from the input; file names do not."""
    names = [name for name in PATH_LIKE_NAMES if name]
    rows_ = [
        {
            "prompt_id": name, "prompt": name, "tags": [name], "winner": "a", "judge": name,
            "model_a": f"{name}a", "model_b": f"{name}b", "completion_a": "c", "completion_b": "d",
        }
        for name in names[:3]
    ]  # fmt: skip
    from bakeoff.evaluation.audit import audit

    out = tmp_path / "deep" / "out"
    results = audit([write_file(tmp_path / "a.json", json.dumps(rows_))], out=out)
    charts = write_figures(results, tmp_path / "deep" / "charts")
    assert charts
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - {tmp_path / "a.json"}
    assert written == {out / RESULTS, out / REPORT, *charts}
    assert all(path.parent == tmp_path / "deep" / "charts" for path in charts)
    assert all(char.isalnum() or char in "-." for path in charts for char in path.name)


# -- Symlinks -------------------------------------------------------------------------------------


@pytest.fixture
def other_file(tmp_path: Path) -> Iterator[Path]:
    """A file outside of the output folder, which must not change."""
    path = write_file(tmp_path / "precious", "theirs")
    yield path
    assert path.read_text() == "theirs"
    assert not path.is_symlink()


def test_results_and_page_replace_symlinks(tmp_path: Path, other_file: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (RESULTS, REPORT):
        (out / name).symlink_to(other_file)
    save(sample_results(), out)
    assert read_results(out).to_json() == sample_results().to_json()
    assert not any((out / name).is_symlink() for name in (RESULTS, REPORT))
    (out / REPORT).unlink()
    (out / REPORT).symlink_to(other_file)
    assert not save_page(sample_results(), out).is_symlink()


def test_a_dangling_symlink_is_replaced_and_its_target_not_created(tmp_path: Path) -> None:
    out, missing = tmp_path / "out", tmp_path / "nowhere"
    out.mkdir()
    (out / RESULTS).symlink_to(missing)
    save(sample_results(), out)
    assert not missing.exists()
    assert read_results(out).to_json() == sample_results().to_json()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(60)
def test_a_named_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    pipe = tmp_path / RESULTS
    os.mkfifo(pipe)
    assert_refused(lambda: read_results(pipe), "is no file")
    assert_refused(lambda: read_results(tmp_path), "is no file")
    assert_refused(lambda: read([pipe]), "is no file")
    save(sample_results(), tmp_path)
    assert read_results(tmp_path).to_json() == sample_results().to_json()


def test_progress_file_replaces_a_symlink(tmp_path: Path, other_file: Path) -> None:
    (tmp_path / PROGRESS_FILE).symlink_to(other_file)
    with ProgressFile(tmp_path):
        assert not (tmp_path / PROGRESS_FILE).is_symlink()
    assert not (tmp_path / PROGRESS_FILE).exists()


def test_votes_are_not_written_through_a_symlink(tmp_path: Path, other_file: Path) -> None:
    vote = Vote(
        voter="Anna",
        prompt_id="p1",
        first="m1",
        second="m2",
        content_key="s1:0",
        choice="first",
        human_sample="random",
        time="2026-01-01T00:00:00+00:00",
    )
    (tmp_path / VOTES).symlink_to(other_file)
    with pytest.raises(OSError, match="symbolic links"):
        append_vote(tmp_path / VOTES, vote)


def test_charts_replace_symlinks(
    tmp_path: Path, other_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_images", lambda chart: (chart.name, chart.name.encode()))
    results = sample_results()
    charts = tmp_path / "charts"
    paths = write_figures(results, charts)
    assert len(paths) > 2
    for path in paths:
        path.unlink()
        path.symlink_to(other_file)
    assert not any(path.is_symlink() for path in write_figures(results, charts))
