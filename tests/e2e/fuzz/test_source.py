"""The sources, searched: nothing in them runs what it reads, and nothing makes a file of CSV."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.importers import documents
from bakeoff.prompts.rows import files
from bakeoff.web import server as web
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src" / "bakeoff").rglob("*.py"))
OTHERS = sorted(
    path for suffix in ("js", "j2", "html") for path in (ROOT / "src").rglob(f"*.{suffix}")
)
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__", "input"}
ATTRIBUTES = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnl", "spawnv", "startfile"},
    "yaml": {"load", "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "asyncio": {"create_subprocess_shell"},
    "torch": {"load"},
    "tempfile": {"mktemp"},
    "numpy": {"load"},
    "shutil": {"unpack_archive"},
}
PACKED = {"gzip", "bz2", "lzma", "zipfile", "tarfile", "zlib"}


def unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What of a module could run what it was given, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            from_ = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = from_ or [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if name.split(".")[0] in MODULES)
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                if attr in ATTRIBUTES.get(name, ()):
                    yield node.lineno, f"{name}.{attr}"
            case ast.keyword(arg="shell" | "allow_pickle" as arg):
                yield node.value.lineno, arg
            case ast.keyword(arg="verify" | "trust_remote_code" as arg, value=ast.Constant()):
                yield node.value.lineno, arg  # said for good, where only an option may say it


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert list(unsafe(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_search_finds_what_it_looks_for() -> None:
    source = """
import pickle
from marshal import loads
eval("1")
os.system("ls")
yaml.load(text)
run("ls", shell=True)
numpy.load(path, allow_pickle=True)
get(url, verify=False)
"""
    found = [what for _, what in unsafe(ast.parse(source))]
    loads = {"pickle", "marshal", "yaml.load", "numpy.load", "allow_pickle"}
    assert {*found} == loads | {"eval", "os.system", "shell", "verify"}


def test_what_unpacks_says_how_much_it_may() -> None:
    """The page's own chunks are packed with zlib; of what is read only the importers unpack."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or ""}
            else:
                continue
            found |= {(path.name, name) for name in names & PACKED}
    assert found == {
        ("documents.py", "zlib"),  # up to MAX_UNPACKED
        ("pairs.py", "zlib"),  # packs, and unpacks nothing
        ("database.py", "zlib"),  # checksums of the store
        ("fetch.py", "zipfile"),  # wheels of models, whose bytes have a known size and hash
    }


def test_nothing_is_exported_to_a_spreadsheet() -> None:
    """A cell that begins with `=` is a formula there. Tables are frames in memory, and whoever
    writes them to CSV says how.
    """
    for path in [*SOURCES, *OTHERS]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"csv\.(writer|DictWriter)|text/csv|to_csv|write_csv|to_excel", text)


def test_own_scripts_turn_no_text_into_markup() -> None:
    """Vendored scripts are pinned by checksum; `markdown.js` purifies what markdown-it renders."""
    for path in OTHERS:
        if path.suffix == ".js" and path.parent.name != "vendor":
            text = path.read_text(encoding="utf-8")
            for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
                assert way not in text, f"{path.name}: {way}"
            assert not re.search(r"new Function|javascript:", text)


@pytest.mark.parametrize("path", [p for p in OTHERS if p.suffix == ".j2"], ids=lambda p: p.name)
def test_no_template_of_a_page_switches_escaping_off(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("<style>{{ style | safe }}</style>", "")  # ours
    assert not re.search(r"\|\s*safe\b|autoescape\s+false", text)


def test_every_test_that_the_security_page_names_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:tests/)?(?:\w+/)*(?:test_|with_)\w+\.py", text))
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    assert len(named) > 10
    assert not [name for name in named if not any(path.endswith(name) for path in there)]


def test_the_limits_that_the_security_page_names_are_those_of_the_code() -> None:
    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    assert f"A line has at most {files.format_size(files.MAX_LINE_SIZE)}" in text
    assert f"a file that is read as a whole {files.format_size(files.MAX_FILE_SIZE)}" in text
    assert f"JSON {files.MAX_DEPTH} levels" in text
    assert f"unpacked up to {files.format_size(documents.MAX_UNPACKED)}" in text
    assert f"at most {files.format_size(web.LARGEST)} and {web.SLOWEST:.0f} seconds" in text
