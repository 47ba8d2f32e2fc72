"""Files that somebody else made or put there: too long, in other letters, links that lead away."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError
from bakeoff.importers.reader import read
from bakeoff.prompts.rows import files, read_rows
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.report.charts.figures import write_figures
from bakeoff.report.export import REPORT, RESULTS, save, save_page
from bakeoff.report.results_file import read_results
from bakeoff.runtime.progress import PROGRESS_FILE, ProgressFile
from tests.builders import sample_results
from tests.e2e.fuzz.test_findings import put, refused

ROOM = 700 << 20  # bytes of memory that a process reading a line of 1 GB may have


# -- Lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_a_line_has_a_largest_length(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_SIZE", 1 << 10)
    first = {"a.jsonl": '{"prompt": "q"}', "a.csv": "prompt", "a.txt": "q"}[name]
    refused(
        lambda: list(read_rows(put(tmp_path / name, f"{first}\n{'x' * 1025}\n"), lists=())),
        name,
        "line 2: longer than 1 kB",
    )
    just = put(tmp_path / name, f"{first}\n{json.dumps('x' * 900)}\n")
    assert list(read_rows(just, lists=()))


def test_a_file_that_is_read_as_a_whole_has_a_largest_size(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", "[1]" + " " * 2_000)
    with pytest.raises(ConfigError, match="larger than 1 kB: make it smaller"):
        files.read_file(path, 1 << 10)
    assert files.read_file(path, 2_003) == path.read_bytes()


def huge(path: Path, start: bytes, size: int = 1 << 30) -> Path:
    """A file that begins so and goes on with zeros, of which the disk holds none."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


_READS = """
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
def test_a_line_of_a_gigabyte_takes_no_gigabyte(tmp_path: Path, name: str) -> None:
    path = huge(tmp_path / name, b'"text"\n"')
    found = subprocess.run(
        [sys.executable, "-c", _READS, str(path), str(ROOM)],
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert found.stderr == ""
    assert "line 2: longer than 64 MB" in found.stdout
    assert "\n" not in found.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", ["results.json", "a.json"])
def test_a_document_of_more_than_a_gigabyte_is_refused(tmp_path: Path, name: str) -> None:
    path = huge(tmp_path / name, b"[", (1 << 30) + 1)
    reads: Callable[[Path], object] = read_results if name == RESULTS else lambda p: read([p])
    refused(lambda: reads(path), "larger than 1 GB")


def test_a_cell_of_csv_has_a_largest_length(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'prompt\n"' + "x\n" * 80_000)
    refused(lambda: list(read_rows(path, lists=())), "field limit", "save it as .jsonl")


# -- Letters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_other_encodings_are_told_from_utf_8(tmp_path: Path, encoding: str, name: str) -> None:
    text = {"a.jsonl": '{"prompt": "é"}\n', "a.json": '["é"]', "a.csv": "prompt\né\n"}
    path = put(tmp_path / name, text.get(name, "é\n").encode(encoding))
    with pytest.raises(ConfigError) as caught:
        list(read_rows(path, lists=()))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_a_mark_of_utf_8_is_no_text(tmp_path: Path, name: str) -> None:
    text = {"a.jsonl": '{"prompt": "q"}\n', "a.json": '[{"prompt": "q"}]', "a.csv": "prompt\nq\n"}
    path = put(tmp_path / name, b"\xef\xbb\xbf" + text.get(name, "q\n").encode())
    (prompt,) = sample_prompts(str(path), 1, 0).prompts
    assert prompt.messages[0].content == "q"


def test_zeros_in_a_text_are_text(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"prompt": "a\\u0000b", "tags": ["\\u0000"]}\n')
    (prompt,) = sample_prompts(str(path), 1, 0).prompts
    assert (prompt.messages[0].content, prompt.tags) == ("a\0b", ("\0",))
    refused(lambda: list(read_rows(put(tmp_path / "b.jsonl", '{"a": "\0"}\n'), lists=())))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_no_preference(tmp_path: Path, number: str) -> None:
    row = f'{{"prompt": "q", "model_a": "x", "model_b": "y", "preference": {number}}}'
    found = read([put(tmp_path / "a.json", f"[{row}]")]).evidence
    assert found.judgments == ()
    assert [failure.kind for failure in found.failures] == ["not a number"]
    document = json.loads(sample_results().to_json())
    document["judgments"][0]["verdict"]["first"] = "X"
    text = json.dumps(document).replace('"X"', number.replace("1e999", "Infinity"))
    refused(lambda: read_results(put(tmp_path / RESULTS, text)), "judgments.0")


# -- Names ----------------------------------------------------------------------------------------

ELSEWHERE = ("../../x", "/etc/x", "..", "a/b", "..\\x", "C:\\x", "~", "x\0y", "-rf", "\x1b[2J", "")


def test_no_name_or_tag_becomes_a_place_on_the_disk(tmp_path: Path) -> None:
    """Models, judges, prompts and tags are called what somebody called them; files are not."""
    names = [name for name in ELSEWHERE if name]
    rows_ = [
        {
            "prompt_id": name, "prompt": name, "tags": [name], "winner": "a", "judge": name,
            "model_a": f"{name}a", "model_b": f"{name}b", "completion_a": "c", "completion_b": "d",
        }
        for name in names[:3]
    ]  # fmt: skip
    from bakeoff.evaluation.audit import audit

    out = tmp_path / "deep" / "out"
    results = audit([put(tmp_path / "a.json", json.dumps(rows_))], out=out)
    charts = write_figures(results, tmp_path / "deep" / "charts")
    assert charts
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - {tmp_path / "a.json"}
    assert made == {out / RESULTS, out / REPORT, *charts}
    assert all(path.parent == tmp_path / "deep" / "charts" for path in charts)
    assert all(char.isalnum() or char in "-." for path in charts for char in path.name)


# -- Links ----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Somebody's file, that is not to be touched."""
    path = put(tmp_path / "precious", "theirs")
    yield path
    assert path.read_text() == "theirs"
    assert not path.is_symlink()


def test_results_and_page_take_the_place_of_a_link(tmp_path: Path, elsewhere: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (RESULTS, REPORT):
        (out / name).symlink_to(elsewhere)
    save(sample_results(), out)
    assert read_results(out).to_json() == sample_results().to_json()
    assert not any((out / name).is_symlink() for name in (RESULTS, REPORT))
    (out / REPORT).unlink()
    (out / REPORT).symlink_to(elsewhere)
    assert not save_page(sample_results(), out).is_symlink()


def test_a_link_that_leads_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    out, nowhere = tmp_path / "out", tmp_path / "nowhere"
    out.mkdir()
    (out / RESULTS).symlink_to(nowhere)
    save(sample_results(), out)
    assert not nowhere.exists()
    assert read_results(out).to_json() == sample_results().to_json()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(60)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / RESULTS
    os.mkfifo(pipe)
    refused(lambda: read_results(pipe), "is no file")
    refused(lambda: read_results(tmp_path), "is no file")
    refused(lambda: read([pipe]), "is no file")
    save(sample_results(), tmp_path)
    assert read_results(tmp_path).to_json() == sample_results().to_json()


def test_progress_takes_the_place_of_a_link(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / PROGRESS_FILE).symlink_to(elsewhere)
    with ProgressFile(tmp_path):
        assert not (tmp_path / PROGRESS_FILE).is_symlink()
    assert not (tmp_path / PROGRESS_FILE).exists()


@pytest.mark.long
def test_charts_take_the_place_of_links(tmp_path: Path, elsewhere: Path) -> None:
    results = sample_results()
    charts = tmp_path / "charts"
    for path in write_figures(results, charts):
        path.unlink()
        path.symlink_to(elsewhere)
    assert not any(path.is_symlink() for path in write_figures(results, charts))
